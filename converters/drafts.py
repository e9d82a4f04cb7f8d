"""Int8 files in the making: a float model, what calibration finds out about it, and files made of the two."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from calibration.histogram import Histograms
from calibration.observe import calibrate, histograms
from calibration.ranges import Ranges, ranges_of, within
from calibration.samples import Prepared
from converters.correction import correct_biases
from converters.quantize import quantize
from converters.rounding import round_weights
from converters.schemes import Io, Precision, Weights
from converters.signal import Nearness
from edgecnn.card import InputSpec
from edgecnn.data.dataset import Dataset

FIRST = "minmax"
"""Tried before every other method, of detectors too: of BCCD's (EfficientNet-Lite0, calibrated on 205 images)
it loses 0.2 points of test mAP and 0.6 in the worst class, percentile 0.4 and 1.5, mse 0.6 and 2.0. That is
hardly more than 72 images can tell apart, but the 0.6 dB that both have more bring nothing either."""

Tell = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Material:
    """What the rungs are made from.

    Attributes:
        content: the float32 `.tflite`, without its card.
        name: what to call it in errors.
        chosen: the images to calibrate with.
        spec: how an image becomes the input.
        io: see `converters.quantize.quantize`.
        weights: see `converters.quantize.quantize`.
        method: the estimator that was asked for; None tries them in order.
        corrects: biases are corrected.
        keeps: what the worst layers may stay in; None keeps none.
        threads: of the interpreter.
        retrain: trains the network with its quantization and makes the int8 file; None: the caller did not
            allow training.
        ranges: of the content by FIRST, if they are known already.
        near: how outputs are compared with the float model's; None: all numbers of each alike.
        limits: tensor name to what a range need not go beyond, whatever estimates it.
    """

    content: bytes
    name: str
    chosen: Dataset
    spec: InputSpec
    io: Io | None = None
    weights: Weights = "channel"
    method: str | None = None
    corrects: bool = True
    keeps: Precision | None = "float32"
    threads: int = 1
    retrain: Callable[[], "Candidate"] | None = None
    ranges: Ranges | None = None
    near: Nearness | None = None
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Candidate:
    """One file that may be good enough.

    Attributes:
        rung: its name on the ladder.
        content: the `.tflite`, without a card.
        words: how it was made, for the lineage.
        method: that estimated the ranges; "" where training did.
        kept: the layers that are not int8: tensor name to precision.
    """

    rung: str
    content: bytes
    words: str
    method: str = FIRST
    kept: Mapping[str, Precision] = field(default_factory=dict)


def inputs_of(material: Material) -> Callable[[], Prepared]:
    """Gives the prepared calibration images, from the start each time."""
    return lambda: Prepared(material.chosen, material.spec)


@dataclass(frozen=True, eq=False)
class Draft:
    """A file whose biases are not corrected yet, and what it is made from; see `Candidate` for the rest.

    Attributes:
        rounds: its weights are to be rounded by what they do (`converters.rounding`).
    """

    material: Material
    source: bytes
    rung: str
    content: bytes
    words: Sequence[str]
    method: str
    kept: Mapping[str, Precision]
    rounds: bool = False

    def finish(self) -> Candidate:
        """Round the weights and correct the biases, where that is wanted."""
        made, words, material = self.content, list(self.words), self.material
        if self.rounds:
            rounded = round_weights(
                self.source, made, inputs_of(material), name=material.name, threads=material.threads
            )
            made = rounded.content
            words.append(f"weights of {len(rounded.layers)} layers rounded by what they do")
        if material.corrects:
            corrected = correct_biases(
                self.source, made, inputs_of(material), name=material.name, threads=material.threads
            )
            made = corrected.content
            words.append(f"{len(corrected.layers)} biases corrected")
        return Candidate(self.rung, made, "; ".join(words), self.method, self.kept)


class Level:
    """A float model and what calibration finds out about it, each found out once.

    Attributes:
        content: the float model.
    """

    def __init__(self, material: Material, content: bytes, progress: Tell, words: str = "") -> None:
        self._material = material
        self.content = content
        self._progress = progress
        self._words = words
        self._known: dict[str, Ranges] = {}

    def draft(
        self, method: str, kept: Mapping[str, Precision] | None = None, *, rounds: bool = False
    ) -> Draft:
        """The int8 file with the ranges of one method, biases not corrected yet."""
        material, kept = self._material, kept or {}
        ranges = self.ranges(method)
        made = quantize(
            self.content, "int8", name=material.name, ranges=ranges, io=material.io,
            weights=material.weights, keep=kept,
        )  # fmt: skip
        words = [f"{ranges.method} over {ranges.samples} images (sha256 {ranges.sha256})"]
        if material.weights != "channel":
            words.append("weights per tensor" if material.weights == "tensor" else "dense weights per tensor")
        if self._words:
            words.append(self._words)
        if kept:
            words.append("kept " + ", ".join(f"{name} in {precision}" for name, precision in kept.items()))
        rung = self._rung(method, kept) + (", weights rounded" if rounds else "")
        return Draft(self._material, self.content, rung, made, words, method, kept, rounds)

    def ranges(self, method: str) -> Ranges:
        """Of the activations, by one method."""
        if method not in self._known:
            found = self._whole() if method == FIRST else ranges_of(self._histograms, method)
            self._known[method] = within(found, self._material.limits)
        return self._known[method]

    def _rung(self, method: str, kept: Mapping[str, Precision]) -> str:
        name = "min-max" if method == FIRST else method
        if self._words:
            name = "equalization" if method == FIRST else f"equalization, {name}"
        return f"{name}, {len(kept)} kept" if kept else name

    def _whole(self) -> Ranges:
        material = self._material
        if material.ranges is not None and self.content is material.content:
            return material.ranges
        self._progress(f"calibrating on {len(material.chosen)} images")
        return calibrate(
            self.content, material.chosen, material.spec, name=material.name, threads=material.threads
        )

    @cached_property
    def _histograms(self) -> Histograms:
        material = self._material
        self._progress("counting values for narrower ranges")
        return histograms(
            self.content, material.chosen, material.spec, name=material.name, threads=material.threads
        )
