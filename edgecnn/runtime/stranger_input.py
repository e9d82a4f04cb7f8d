"""The image that a model without a card takes: its size from the graph, how its pixels go in from metadata.

Where a default would be a guess (the normalization of a float model), it asks.
"""

from collections.abc import Sequence
from typing import Any

from edgecnn.card import InputSpec
from edgecnn.errors import CardError, ModelError
from edgecnn.graph import Graph, Tensor
from edgecnn.metadata import TensorFacts
from edgecnn.runtime.given import Given

_USUAL = (
    "Give mean and std as in training: --mean 127.5 --std 127.5 for -1..1, --mean 0 --std 255 for 0..1, "
    "--mean 0 --std 1 for 0..255, --mean 123.675,116.28,103.53 --std 58.395,57.12,57.375 for ImageNet's."
)


def input_spec(graph: Graph, facts: TensorFacts | None, given: Given, assumptions: list[str]) -> InputSpec:
    """How an image becomes the input of a model without a card.

    Args:
        graph: the model's graph.
        facts: what TFLite Metadata says of the input; None where it says nothing.
        given: the caller's word.
        assumptions: what was assumed is added here.

    Raises:
        CardError: the normalization must be known, and nobody said it.
        ModelError: not a model that takes one image.
    """
    height, width, channels = image_size(graph, given.size_wh)
    words: dict[str, Any] = {"color": "gray" if channels == 1 else "rgb", "resize": "bilinear"}
    if facts is not None and facts.mean:
        words |= {"mean": facts.mean, "std": facts.std}
    tensor = graph.tensors[graph.inputs[0]]
    if given.color is None and channels == 3 and (facts is None or facts.color_space != "rgb"):
        assumptions.append("colours go in as red, green, blue (--color bgr for the other order)")
    if given.fit is None:
        assumptions.append(
            f"images are stretched to {width} x {height} (--fit letterbox or crop keep their shape)"
        )
    if given.mean is None and given.std is None and tensor.dtype == "uint8":
        assumptions.extend(_about_raw_pixels(tensor, facts))
        words["mean"], words["std"] = _raw_pixels(tensor)
    words |= input_words(given)
    missing = [name for name in ("mean", "std") if name not in words]
    if missing:
        raise CardError(
            f"nothing says how pixels become this model's {_range(tensor)} input "
            f"({' and '.join(missing)}). {_USUAL}"
        )
    spec = InputSpec(height, width, **words)
    if spec.channels != channels:
        raise CardError(f"{spec.color!r} has {spec.channels} channels, but the model takes {channels}")
    return spec


def _raw_pixels(tensor: Tensor) -> tuple[float, float]:
    """The mean and std under which a pixel arrives in a uint8 tensor unchanged.

    That is what the TFLite Task Library feeds. Metadata of a quantized model states the normalization of
    training, which its scale and zero point undo again.
    """
    if not len(tensor.scale):
        return 0.0, 1.0
    return float(tensor.zero_point[0]), 1.0 / float(tensor.scale[0])


def _about_raw_pixels(tensor: Tensor, facts: TensorFacts | None) -> list[str]:
    """What to say about feeding pixels as they are; nothing where the metadata comes to the same."""
    said = "the uint8 input takes pixels as they are, 0..255"
    if facts is None or not facts.mean:
        return [f"{said} (--mean and --std otherwise)"]
    zero, inverse_scale = _raw_pixels(tensor)
    pairs = zip(facts.mean, facts.std * len(facts.mean) if len(facts.std) == 1 else facts.std, strict=False)
    apart = max(
        abs((pixel - mean) / std * inverse_scale + zero - pixel) for mean, std in pairs for pixel in (0, 255)
    )
    if apart <= 2:  # half a step of rounding, and a mean of 127.5 against a zero point of 128
        return []
    numbers = f"--mean {_comma(facts.mean)} --std {_comma(facts.std)}"
    return [
        f"{said}, as the TFLite Task Library feeds them; its metadata would feed something else ({numbers})"
    ]


def _comma(numbers: Sequence[float]) -> str:
    return ",".join(f"{number:g}" for number in numbers)


def image_size(
    graph: Graph, wanted_wh: tuple[int, int] | None, otherwise_wh: tuple[int, int] | None = None
) -> tuple[int, int, int]:
    """Height, width and channels of the image that the model takes.

    Args:
        graph: the model's graph.
        wanted_wh: width and height that it must have, or get where it leaves them open.
        otherwise_wh: what it gets where it leaves them open and nothing is wanted.

    Raises:
        ModelError: it takes something else than one image with its channels last, or leaves its size open and
            nobody said it, or has another size than the one wanted.
    """
    inputs = [graph.tensors[index] for index in graph.inputs]
    if len(inputs) != 1:
        raise ModelError(
            f"{graph.name}: takes {len(inputs)} inputs ({listed(inputs)}); edgecnn feeds one image"
        )
    shape = tuple(inputs[0].shape_signature or inputs[0].shape)
    if len(shape) != 4 or (shape[3] not in (1, 3) and shape[1] not in (1, 3)):
        raise ModelError(
            f"{graph.name}: takes {listed(inputs)}; edgecnn feeds an image, (1, height, width, 1 or 3)"
        )
    if shape[3] not in (1, 3):
        raise ModelError(
            f"{graph.name}: takes {listed(inputs)}, channels first; edgecnn feeds channels last. Convert "
            "the model again with channels last (NHWC)."
        )
    if shape[0] not in (1, -1):
        raise ModelError(
            f"{graph.name}: takes {shape[0]} images at once; edgecnn feeds one. Convert it with batch size 1."
        )
    height, width = shape[1:3]
    fill_wh = wanted_wh or otherwise_wh
    if -1 in (height, width) and fill_wh is None:
        raise ModelError(
            f"{graph.name}: takes images of any size, {listed(inputs)}. Say which with size_wh, such as "
            "(224, 224) (--size 224x224)."
        )
    if fill_wh is not None:
        width = fill_wh[0] if width == -1 else width
        height = fill_wh[1] if height == -1 else height
    if wanted_wh is not None and (width, height) != tuple(wanted_wh):
        raise ModelError(
            f"{graph.name}: takes images of {width} x {height} pixels, not {wanted_wh[0]} x {wanted_wh[1]}"
        )
    return height, width, shape[3]


def input_words(given: Given) -> dict[str, Any]:
    """Those fields of an `InputSpec` that the caller gave."""
    words = {name: getattr(given, name) for name in ("mean", "std", "color", "fit", "resize")}
    return {name: value for name, value in words.items() if value is not None}


def listed(tensors: Sequence[Tensor]) -> str:
    """Tensors by name, type and shape, for a message."""
    return ", ".join(
        f"{tensor.name!r} {tensor.dtype} {tuple(tensor.shape_signature or tensor.shape)}"
        for tensor in tensors
    )


def _range(tensor: Tensor) -> str:
    """The dtype, and of a quantized tensor the real numbers it can hold, which betray the normalization."""
    if tensor.dtype not in ("int8", "uint8", "int16") or len(tensor.scale) != 1:
        return tensor.dtype
    half = 2 ** (8 * (2 if tensor.dtype == "int16" else 1) - 1)
    low, high = (0, 2 * half - 1) if tensor.dtype == "uint8" else (-half, half - 1)
    scale, zero = float(tensor.scale[0]), int(tensor.zero_point[0])
    return f"{tensor.dtype} ({(low - zero) * scale:.3g}..{(high - zero) * scale:.3g})"
