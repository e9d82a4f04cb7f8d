"""Mend in the file what stops a device, write it under a new name, and see that it computes the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn import archive
from edgecnn.errors import TargetError
from edgecnn.graph import Graph, Tensor, check, read
from edgecnn.runtime.interpreter import open_interpreter
from edgecnn.targeting.answer import content_of
from targets.fix import fix
from targets.profile import Profile, profile
from targets.support import Support, support

Array: TypeAlias = npt.NDArray[Any]

_RUNS = 8
_PLAIN = ("float16", "float64", "int16", "int32", "int64", "uint32", "uint64", "bool")


@dataclass(frozen=True)
class Mended:
    """What came of mending.

    Attributes:
        model: the file that was read.
        out: the file that was written; None where nothing could be mended.
        done: what was changed, one sentence each.
        before: what the device did with the file.
        after: what it does with the new one.
        largest: greatest difference of an output on random inputs, as a share of that output's range.
    """

    model: Path
    out: Path | None
    done: tuple[str, ...]
    before: Support
    after: Support
    largest: float

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "model": str(self.model),
            "out": None if self.out is None else str(self.out),
            "done": list(self.done),
            "before": self.before.as_dict(),
            "after": self.after.as_dict(),
            "largest_difference": self.largest,
        }


def mend(model: Path | str, target: str | Profile, *, out: Path | None = None, force: bool = False) -> Mended:
    """Apply what `targets.fix` can do for a device, and check the new file.

    Args:
        model: a `.tflite` file; it stays as it is.
        target: a profile, its name, or the path of a profile of your own.
        out: the new file; None is NAME.TARGET.tflite beside the model.
        force: overwrite `out`.

    Raises:
        TargetError: the device is not known, `out` is there already, or the new file computes otherwise.
        ModelError: the file cannot be read, or would not run safely.
    """
    device = target if isinstance(target, Profile) else profile(target)
    path = Path(model)
    before = support(read(path), device)
    content, names = content_of(path), before.fixes
    changed, done = fix(content, names)
    while done and (more := [name for name in support(read(changed), device).fixes if name not in names]):
        names = (*names, *more)  # what one fix lifts may show the next
        changed, again = fix(changed, more)
        done += again
    if not done:
        return Mended(path, None, (), before, before, 0.0)
    made = read(changed, f"{path} mended")
    check(made)
    largest = difference(content, changed)
    if "dense-per-tensor" not in names and largest > 0:
        raise TargetError(f"{path}: the mended file computes otherwise ({largest:.2g} of the range): a bug.")
    place = out or path.with_name(f"{path.stem}.{device.name}.tflite")
    if place.exists() and place.samefile(path):
        raise TargetError(
            f"{place}: is the model itself, which stays as it is. Choose another name with --out."
        )
    if place.exists() and not force:
        raise TargetError(f"{place} is there already. Choose another name, or overwrite it with --force.")
    archive.write_beside(path, place, changed)
    return Mended(path, place, done, before, support(made, device), largest)


def difference(before: bytes, after: bytes) -> float:
    """Greatest difference between the outputs of two files on the same random inputs.

    Args:
        before: a model.
        after: the same with other input and output types.

    Returns:
        As a share of the range that the output of `before` had.
    """
    first, second = read(before), read(after)
    random = np.random.default_rng(0)
    given = [[_drawn(second.tensors[index], random) for index in second.inputs] for _ in range(_RUNS)]
    same = [
        [
            _as(_real(array, second.tensors[outer]), first.tensors[inner])
            for array, outer, inner in zip(arrays, second.inputs, first.inputs, strict=True)
        ]
        for arrays in given
    ]
    ours, theirs = _outputs(before, first, same), _outputs(after, second, given)
    largest = 0.0
    for one, other in zip(ours, theirs, strict=True):
        for mine, changed in zip(one, other, strict=True):
            largest = max(largest, _apart(mine, changed))
    return largest


def _apart(mine: Array, changed: Array) -> float:
    """The greatest difference, as a share of the range; a NaN on one side only is as far as can be."""
    if mine.shape != changed.shape:
        return np.inf
    differs = (mine != changed) & ~(np.isnan(mine) & np.isnan(changed))
    if not differs.any():
        return 0.0
    known = mine[np.isfinite(mine)]
    spread = float(np.ptp(known)) if known.size else 0.0
    apart = float(np.abs(mine[differs] - changed[differs]).max()) / (spread or 1.0)
    return apart if np.isfinite(apart) else np.inf


def _drawn(tensor: Tensor, random: np.random.Generator) -> Array:
    if tensor.dtype in ("int8", "uint8"):
        return random.integers(0, 256, tensor.shape, np.uint8).view(tensor.dtype)
    if tensor.dtype == "float32":
        return random.random(tensor.shape, np.float32)
    if tensor.dtype not in _PLAIN:
        raise TargetError(
            f"input {tensor.name!r} is {tensor.dtype}, which cannot be drawn: nothing is mended unseen."
        )
    return np.zeros(tensor.shape, tensor.dtype)


def _real(array: Array, tensor: Tensor) -> Array:
    if not tensor.is_quantized or tensor.dtype == "float32":
        return array.astype(np.float32)
    real: Array = (array.astype(np.float32) - np.float32(_zero_of(tensor))) * tensor.scale[0]
    return real


def _as(real: Array, tensor: Tensor) -> Array:
    if not tensor.is_quantized or tensor.dtype == "float32":
        return real.astype(tensor.dtype)
    limits = np.iinfo(tensor.dtype)
    steps: Array = np.rint(real / tensor.scale[0]) + _zero_of(tensor)
    return np.clip(steps, limits.min, limits.max).astype(tensor.dtype)


def _zero_of(tensor: Tensor) -> int:
    return int(tensor.zero_point[0]) if len(tensor.zero_point) else 0


def _outputs(content: bytes, graph: Graph, inputs: Sequence[Sequence[Array]]) -> list[list[Array]]:
    interpreter = open_interpreter(content, graph.name)
    try:
        found = []
        for arrays in inputs:
            for position, array in enumerate(arrays):
                interpreter.write(position, array)
            interpreter.invoke()
            found.append(
                [
                    _real(interpreter.read(position), graph.tensors[index])
                    for position, index in enumerate(graph.outputs)
                ]
            )
        return found
    finally:
        interpreter.close()
