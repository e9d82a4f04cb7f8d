"""A network that was trained quantization-aware, to int8 TFLite: its own ranges, no calibration.

Such a network is a Keras model of standard layers with `tf.quantization.fake_quant_with_min_max_args`
between them and kernels that lie on their int8 grid already (`edgecnn.compression` makes it). TFLiteConverter
turns the fake quantizations into the scales of the tensors, and takes the kernels' scales from their widest
weights.
"""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

from calibration import editable
from converters.from_keras import REFUSALS, Network, first_line, read_keras
from converters.keras_file import is_quantization_aware
from converters.schemes import Io, check_ends
from edgecnn import image as images
from edgecnn.card import Card
from edgecnn.errors import ConversionError
from edgecnn.graph import read
from edgecnn.image import Array, Image
from edgecnn.keras import tf
from edgecnn.tasks import TASKS


def to_int8(path: Path, card: Card, *, io: Io = "int8", name: str = "") -> bytes:
    """The network as an int8 `.tflite` file: batch 1, signature `serving_default`, outputs named by role.

    Args:
        path: the `.keras` file.
        card: says the size of the input and the task.
        io: type of inputs and outputs.
        name: what to call the model in errors; "" is the path.

    Raises:
        ConversionError: the file is damaged, is no such network, or something in it would stay float.
    """
    check_ends(io)
    if not is_quantization_aware(path):
        raise ConversionError(
            f"{path}: holds no quantization-aware network. Make one with: edgecnn compress RUN --qat"
        )
    network = _network(path, card)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.function], network.owner)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = getattr(tf, io)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that no calibration images were given, among others
            content = bytes(converter.convert())
    except REFUSALS as error:
        raise ConversionError(
            f"{name or path}: TFLiteConverter cannot write it in int8: {first_line(error)}"
        ) from None
    made = editable.write(editable.read(content))  # every buffer inside the FlatBuffer
    _check_integer(made, name or str(path))
    return made


def fake_quantized(path: Path, card: Card) -> Callable[[Image], Mapping[str, Array]]:
    """What the int8 file of `to_int8` is to be compared with: the Keras network itself.

    Returns:
        A function from an image (uint8, BGR or grey, any size) to the outputs by role, float32, without the
        batch axis.

    Raises:
        ConversionError: the file is damaged, or is not the card's.
    """
    network, spec = _network(path, card), card.input
    table = images.lookup(spec, "float32")
    return lambda image: network(images.prepare(image, table, spec)[0])


def _network(path: Path, card: Card) -> Network:
    spec = card.input
    return read_keras(
        path, image_shape=(spec.height, spec.width, spec.channels), roles=TASKS[card.task].roles(card.options)
    )


def _check_integer(content: bytes, name: str) -> None:
    graph = read(content, name)
    ends = {*graph.inputs, *graph.outputs}
    for operator in graph.ops:
        for index in (*operator.inputs, *operator.outputs):
            if index < 0 or graph.tensors[index].dtype != "float32":
                continue
            if operator.kind in ("QUANTIZE", "DEQUANTIZE") and index in ends:
                continue
            raise ConversionError(
                f"{name}: {operator.label} ({graph.tensors[operator.outputs[0]].name}) stayed float: the "
                "range of what it computes is not known. Compress the run it came from again."
            )
