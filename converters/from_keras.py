"""Keras to float TFLite: batch 1, one signature, outputs named by their roles.

Knows how a network's weights and arithmetic become a `.tflite` file. What the numbers mean is the card's.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.input_shape import INPUT, ImageShape, complete
from converters.keras_file import keras_version
from edgecnn.errors import ConversionError, MissingExtra
from edgecnn.keras import keras, tf

REFUSALS = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)
"""What Keras and TensorFlow raise on a file they do not understand: nearly anything."""


@dataclass(frozen=True, eq=False)
class Network:
    """A network of TensorFlow with a fixed input of one image.

    Attributes:
        path: the file it came from.
        shape: (1, height, width, channels) of the input.
        function: float32 image tensor to {role: output with batch axis}; a concrete `tf.function`.
        owner: a `tf.Module` that holds the variables and nothing else. TFLiteConverter saves its whole object
            graph; given the Keras model it would trace every layer again, which takes ten times as long.
    """

    path: Path
    shape: tuple[int, ...]
    function: Any
    owner: Any

    def __call__(self, tensor: npt.NDArray[np.float32]) -> Mapping[str, npt.NDArray[np.float32]]:
        """Outputs by role, without the batch axis, for one input tensor."""
        return {role: value.numpy()[0] for role, value in self.function(tf.constant(tensor)).items()}


def read_keras(
    path: Path,
    *,
    image_shape: ImageShape | None,
    roles: Sequence[str],
    size_wh: tuple[int, int] | None = None,
) -> Network:
    """Load a `.keras` or `.h5` file of Keras 2 or 3 without running code from it.

    Args:
        path: the file.
        image_shape: height, width and channels that the card promises; None where there is no card yet.
        roles: names for the outputs, in the model's order.
        size_wh: without a card, the size of an image for a network that leaves it open.

    Raises:
        ConversionError: the file is damaged, would run code, or its inputs or outputs are not these.
        MissingExtra: it is of Keras 3, which is not installed.
    """
    model, version = _load(path)
    shape = _input_shape(model, image_shape, path, size_wh)
    if len(model.outputs) != len(roles):
        raise ConversionError(
            f"{path}: has {len(model.outputs)} outputs, but the task has {len(roles)}: {', '.join(roles)}. "
            "Give the run the card that belongs to it."
        )
    variables = [
        getattr(variable, "value", variable) if version[0] == "3" else variable
        for variable in model.variables
    ]
    return fix(path, lambda image: model(image, training=False), shape, roles=roles, variables=variables)


def load_keras(path: Path) -> Any:
    """The Keras model in a file, of the Keras that wrote it; runs no code from it.

    Raises:
        ConversionError: the file is damaged, or would run code.
        MissingExtra: it is of Keras 3, which is not installed.
    """
    return _load(path)[0]


def fix(
    path: Path, call: Callable[[Any], Any], shape: tuple[int, ...], *, roles: Sequence[str], variables: Any
) -> Network:
    """A network that takes one image of this shape and nothing else.

    Args:
        path: the file it came from.
        call: from an image tensor with batch axis to the outputs, in any structure.
        shape: of that tensor.
        roles: names for the outputs, in the order in which `tf.nest.flatten` gives them.
        variables: all that `call` reads.

    Raises:
        ConversionError: it cannot take such an image, or does not give one answer for it.
    """
    owner = tf.Module()
    owner.values = list(variables)

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def function(image: Any) -> dict[str, Any]:
        outputs = tf.nest.flatten(call(image))
        return {role: tf.cast(output, tf.float32) for role, output in zip(roles, outputs, strict=True)}

    try:
        concrete = function.get_concrete_function(tf.TensorSpec(shape, tf.float32, name=INPUT))
    except REFUSALS as error:
        raise ConversionError(f"{path}: cannot take one image of {shape[1:]}: {first_line(error)}") from None
    for role, output in concrete.structured_outputs.items():
        if not output.shape.rank or output.shape[0] != 1:
            raise ConversionError(
                f"{path}: of one image it makes {role} of the shape {tuple(output.shape)}, not one answer. "
                "Build the network with an open batch."
            )
    return Network(path, shape, concrete, owner)


def to_tflite(network: Network) -> bytes:
    """The network as a float32 `.tflite` file with the signature `serving_default`: image to roles.

    Raises:
        ConversionError: TensorFlow Lite lacks an operator for it.
    """
    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.function], network.owner)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about TensorFlow's own insides
            return bytes(converter.convert())
    except REFUSALS as error:
        raise ConversionError(
            f"{network.path}: cannot be written as TFLite: {first_line(error)} Replace the layer by one "
            "that TFLite has."
        ) from None


def _load(path: Path) -> tuple[Any, str]:
    """The model, and the version of Keras that wrote it."""
    version = keras_version(path)
    try:
        return _package(version).models.load_model(str(path), compile=False, safe_mode=True), version
    except REFUSALS as error:
        raise ConversionError(f"{path}: Keras {version} cannot read it: {first_line(error)}") from None


def _package(version: str) -> Any:
    """Keras 2 or 3, as the file wants."""
    if version[0] == "2":
        return keras
    try:
        import keras as keras3
    except ModuleNotFoundError as error:
        raise MissingExtra("keras", "convert") from error
    if keras3.backend.backend() != "tensorflow":
        raise ConversionError(
            f"Keras 3 runs on {keras3.backend.backend()!r} here, but only its TensorFlow models can become "
            "TFLite. Set KERAS_BACKEND=tensorflow."
        )
    return keras3


def _input_shape(
    model: Any, image_shape: ImageShape | None, path: Path, size_wh: tuple[int, int] | None
) -> tuple[int, int, int, int]:
    """The shape of one image; a size that the model leaves open is the card's, or the caller's."""
    found = [tuple(tensor.shape) for tensor in model.inputs or ()]
    if len(found) != 1 or len(found[0]) != 4:
        raise ConversionError(
            f"{path}: takes {found}, but edgecnn gives one image (batch, height, width, channels)"
        )
    if image_shape is None:
        return (1, *complete(found[0], str(path), size_wh=size_wh))
    own = found[0][1:]
    if any(size not in (None, wanted) for size, wanted in zip(own, image_shape, strict=True)):
        raise ConversionError(
            f"{path}: takes images of {own} (height, width, channels), but its card says {image_shape}. "
            "Give the run the card that belongs to it."
        )
    return (1, *image_shape)


def first_line(error: Exception) -> str:
    """What went wrong, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
