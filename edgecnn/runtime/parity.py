"""Does a delegate compute what the processor computes? The same inputs through both.

The inputs are those of the card's golden checks, which came out of real data where there was some; a model
without any is given noise. Numbers are compared as in `edgecnn.runtime.selftest`, and what they decode to.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf, log10
from typing import Any, Final

import numpy as np

from edgecnn.errors import EdgecnnError
from edgecnn.graph.summary import summarize
from edgecnn.image import Array, Image, View
from edgecnn.runtime import golden as goldens
from edgecnn.runtime.agreeing import boxes_agree
from edgecnn.runtime.delegates import NONE
from edgecnn.runtime.model import Model
from edgecnn.runtime.selftest import FLOAT_TOLERANCE, tolerance

_NOISE: Final = 4


@dataclass(frozen=True)
class Parity:
    """How a delegate's results compare with the processor's.

    Attributes:
        delegate: what was compared.
        reference: with what.
        inputs: how many images went through both.
        are_golden: whether they came from the card; else they are noise.
        decided_alike: on how many both gave the same label, or the same boxes.
        apart: root mean square of the difference over the spread of the outputs; the worst of all inputs.
        allowed: what it may be.
        steps: the largest difference of a single number in steps of its output's quantization; None for
            outputs that are floats.
        decibels: signal to noise, 20 log10(rms of the reference / rms of the difference), the worst; None
            where there was no difference at all.
        passed: whether the delegate computes the same within `allowed`; of a model that chooses boxes itself,
            whose order depends on the last bit, whether the boxes are the same: all on golden inputs, on most
            on noise, where no box is likely.
    """

    delegate: str
    reference: str
    inputs: int
    are_golden: bool
    decided_alike: int
    apart: float
    allowed: float
    steps: float | None
    decibels: float | None
    passed: bool

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return {**asdict(self), "said": str(self)}

    def __str__(self) -> str:
        """One line for people."""
        how = "computes" if self.passed else "does NOT compute"
        kind = "golden inputs" if self.are_golden else "images of noise"
        others = "the built-in kernels compute" if self.reference == NONE else f"{self.reference} computes"
        said = f"{self.delegate} {how} what {others}: "
        said += f"{self.decided_alike} of {self.inputs} {kind} decided alike, "
        said += f"outputs {self.apart:.2g} of their spread apart ({self.allowed:g} is allowed)"
        said += "" if self.steps is None else f", {self.steps:.3g} steps at most"
        return said + ("" if self.decibels is None else f", {self.decibels:.1f} dB")


def parity(model: Model, reference: Model) -> Parity:
    """Run the same images on both.

    Args:
        model: loaded with the delegate.
        reference: the same file, loaded without.

    Raises:
        CardError: the card's golden checks cannot be read.
        ModelError: one of them failed while running.
    """
    raw = model.card.checks[: goldens.MOST_CHECKS]
    images = [
        goldens.from_json(one, f"{model.path}: check {number}").shown() for number, one in enumerate(raw, 1)
    ]
    pictures = images or list(_noise(model))
    allowed = tolerance(summarize(model.graph).scheme)
    compared = [_compared(model, reference, picture, allowed) for picture in pictures]
    noises = [one.noise for one in compared if one.noise > 0]
    steps = [one.steps for one in compared if one.steps is not None]
    by_boxes = model.card.options.get("decode") == "postprocess"
    apart = max(one.apart for one in compared)
    alike = sum(one.is_alike for one in compared)
    enough = len(pictures) if images else len(pictures) // 2 + 1
    return Parity(
        delegate=model.delegation().delegate,
        reference=reference.delegation().delegate,
        inputs=len(pictures),
        are_golden=bool(images),
        decided_alike=alike,
        apart=round(apart, 6) if apart < inf else 1e9,
        allowed=allowed,
        steps=round(max(steps), 3) if steps else None,
        decibels=round(-20 * log10(max(noises)), 1) if noises and max(noises) < inf else None,
        passed=alike >= enough if by_boxes else apart <= allowed,
    )


@dataclass(frozen=True)
class _Compared:
    """One image through both."""

    is_alike: bool
    apart: float
    noise: float  # rms of the difference over rms of the reference
    steps: float | None


def _compared(model: Model, reference: Model, image: Image, allowed: float) -> _Compared:
    tensor, view = model.prepare(image)
    found, wanted = model.raw(tensor), reference.raw(tensor)
    steps = _steps(model)
    apart, noise, most = 0.0, 0.0, None
    for role, real in wanted.items():
        one, other = found[role].astype(np.float64), real.astype(np.float64)
        step = steps.get(role, 0.0)
        with np.errstate(invalid="ignore", over="ignore"):
            difference = np.abs(one - other)
            rms = float(np.sqrt(np.mean(difference**2)))
        if not np.isfinite(rms):
            rms = inf
        spread = float(other.std()) or float(np.abs(other).max()) or 1.0
        apart = max(apart, rms / max(spread, step / allowed))
        noise = max(noise, rms / (float(np.sqrt(np.mean(other**2))) or 1.0))
        if step:
            most = max(most or 0.0, float(difference.max()) / step)
    return _Compared(_alike(found, wanted, view, model), apart, noise, most)


def _steps(model: Model) -> dict[str, float]:
    """The real number that one step of an output's integers stands for, by role; of integers only."""
    outputs = [model.graph.tensors[index] for index in model.graph.outputs]
    by_name = {tensor.name: tensor for tensor in outputs}
    sizes = {}
    for role, name in model.card.outputs.items():
        tensor = by_name.get(name)
        if tensor is not None and tensor.dtype in ("int8", "uint8", "int16") and len(tensor.scale):
            sizes[role] = float(tensor.scale[0])
    return sizes


def _alike(found: Mapping[str, Array], wanted: Mapping[str, Array], view: View, model: Model) -> bool:
    """Whether both decide the same: the first label, or boxes that lie on each other."""
    best = goldens.best(wanted, view, model.card)
    try:
        if model.card.task != "detection":
            return _labels(goldens.best(found, view, model.card)) == _labels(best)
        candidates = goldens.candidates(found, view, model.card)
        candidates += goldens.candidates(found, view, model.card, suppressed=False)
    except EdgecnnError:  # no numbers, which nothing can be read from: that is what is asked here
        return False
    return boxes_agree(best, candidates, rounding=tolerance(summarize(model.graph).scheme) > FLOAT_TOLERANCE)


def _labels(records: Sequence[Mapping[str, Any]]) -> list[Any]:
    return [record.get("label") for record in records[:1]]


def _noise(model: Model) -> Iterator[Image]:
    """Images in which large and small things can be seen: noise, made coarser and coarser."""
    random = np.random.default_rng(0)
    height, width = model.card.input.height, model.card.input.width
    for number in range(_NOISE):
        side = 4**number
        small = random.integers(0, 256, (-(-height // side), -(-width // side), 3), np.uint8)
        yield np.kron(small, np.ones((side, side, 1), np.uint8))[:height, :width]
