"""Does this device compute what was computed at home? `edgecnn selftest`.

The card holds a few images and what became of them, stage by stage (`edgecnn.runtime.golden`). Each stage is
compared for itself, so that a wrong normalization, other kernels and damaged weights are told apart. Finds
damage and drift; not malice, for whoever changes a model can change its checks.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from edgecnn.card import Card
from edgecnn.errors import CardError, EdgecnnError
from edgecnn.graph.summary import Scheme, summarize
from edgecnn.image import Array, View
from edgecnn.runtime import golden as goldens
from edgecnn.runtime.agreeing import boxes_agree
from edgecnn.runtime.delegates import NONE, XNNPACK
from edgecnn.runtime.golden import MOST_CHECKS, Golden
from edgecnn.runtime.model import Model, load
from edgecnn.runtime.stored import Stored, sample

Stage: TypeAlias = Literal["weights", "labels", "prepare", "compute", "decode"]

LEVELS: Final = 3
"""Grey levels by which a prepared value may differ. OpenCV resizes with other instructions on Arm than on
x86: of 360 ways of preparing noise, 162 differed, by up to 2 levels; OpenCV 4.11 and 5.0 on x86 never."""

FLOAT_TOLERANCE: Final = 1e-3
"""Of float kernels: root mean square of the difference over the spread (standard deviation) of the outputs.
Other kernels, threads and processors stayed below 1e-5 (ResNet-8, EfficientNet-Lite0)."""

INTEGER_TOLERANCE: Final = 0.25
"""Likewise of kernels that round to 8 bits. Runtimes round differently: XNNPACK, TFLite's own kernels and
tflite-runtime 2.14 differ by 0.01 to 0.07 (2 or 3 steps) on ResNet-8 and EfficientNet-Lite0. Differences of
less than one step of the output are allowed too: of 1000 probabilities, few are more than a step."""

PIXEL_TOLERANCE: Final = 0.1
"""What float kernels may differ by where the prepared tensor is not equal; 0.008 was the most on an emulated
Raspberry Pi 4, one grey level here and there."""

RECORD_TOLERANCE: Final = 1e-4
"""Of a decoded number, relative; decoding starts from the stored outputs, so only rounding remains."""


@dataclass(frozen=True)
class Row:
    """One stage of one check.

    Attributes:
        image: number of the check, from 1; 0 for what concerns the whole file.
        stage: what was compared.
        passed: within tolerance.
        equal: to the last bit.
        found: what was found, for people.
        advice: what to do; empty where it passed.
    """

    image: int
    stage: Stage
    passed: bool
    equal: bool
    found: str
    advice: str = ""


@dataclass(frozen=True)
class SelfTest:
    """What a self-test found.

    Attributes:
        model: the file.
        backend: what computed here: runtime and version.
        computed_by: what computed at home.
        rows: stage by stage.
    """

    model: str
    backend: str
    computed_by: str
    rows: tuple[Row, ...]

    @property
    def passed(self) -> bool:
        """Whether everything is as it was at home."""
        return all(row.passed for row in self.rows)

    @property
    def equal(self) -> bool:
        """Whether everything is so to the last bit."""
        return all(row.equal for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return {**asdict(self), "rows": [asdict(row) for row in self.rows], "passed": self.passed,
                "equal": self.equal}  # fmt: skip


def selftest(model: Model | Path | str, **loading: Any) -> SelfTest:
    """Run the model on the images in its card, and compare with what came out at home.

    Args:
        model: a `.tflite` file with golden checks in its card, or one that is loaded.
        loading: how to load a path: threads, backend, delegate, require_delegate; see
            `edgecnn.runtime.model.load`.

    Raises:
        CardError: the card holds no checks, or they cannot be read.
        ModelError: the model cannot be loaded or run.
    """
    opened = nullcontext(model) if isinstance(model, Model) else load(model, **loading)
    with opened as loaded:
        checks = _checks(loaded)
        allowed = tolerance(summarize(loaded.graph).scheme)
        rows = [_weights(loaded, checks[0]), _labels(loaded, checks[0])]
        for number, golden in enumerate(checks, 1):
            tensor, view = loaded.prepare(golden.shown())
            prepared = _prepare(number, golden, tensor)
            outputs = loaded.raw(tensor)
            computed = _compute(
                number,
                golden,
                outputs,
                allowed=allowed,
                prepared=prepared,
                are_detections=_are_detections(loaded.card),
            )
            rows += [prepared, computed, _decode(number, golden, outputs, view, loaded)]
        used = f"{loaded.backend.name} {loaded.backend.version}"
        used += f", {ran}" if (ran := loaded.delegation()).delegate not in (XNNPACK, NONE) else ""
        return SelfTest(str(loaded.path), used, checks[0].computed_by, tuple(rows))


def tolerance(scheme: Scheme) -> float:
    """How far outputs may lie from those at home, relative to their spread."""
    return FLOAT_TOLERANCE if scheme in ("float32", "float16", "weight_only") else INTEGER_TOLERANCE


def apart(stored: Stored, found: Array, allowed: float) -> float:
    """Root mean square of the difference, over the standard deviation of what was stored.

    Outputs that are all the same have none; their largest absolute value stands in, or else 1. Where the
    outputs are so coarse that one step is more than `allowed`, a step counts as `allowed`.
    """
    wanted = stored.real.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        difference = float(np.sqrt(np.mean((found.astype(np.float64) - wanted) ** 2)))
    spread = float(wanted.std()) or float(np.abs(wanted).max()) or 1.0
    return difference / max(spread, stored.scale / allowed)


def _checks(model: Model) -> list[Golden]:
    raw = model.card.checks
    if not raw:
        raise CardError(
            f"{model.path}: the card holds no golden checks, so nothing says what it computed at home. "
            "Convert the model again with edgecnn convert, which stores some."
        )
    if len(raw) > MOST_CHECKS:
        raise CardError(
            f"{model.path}: the card holds {len(raw)} checks; {MOST_CHECKS} is the most. Convert again."
        )
    return [goldens.from_json(one, f"{model.path}: check {number}") for number, one in enumerate(raw, 1)]


def _weights(model: Model, golden: Golden) -> Row:
    if goldens.of_weights(model.graph) == golden.weights_sha256:
        return Row(0, "weights", True, True, "every weight is as it was")
    advice = "The file is damaged or was changed: copy it again, or convert again."
    return Row(0, "weights", False, False, "the file does not hold the weights it was written with", advice)


def _labels(model: Model, golden: Golden) -> Row:
    if goldens.of_labels(model.card.labels) == golden.labels_sha256:
        return Row(0, "labels", True, True, "the labels are as they were")
    advice = "Names or their order were changed: convert again with the labels that are meant."
    return Row(0, "labels", False, False, "the labels are not those it was converted with", advice)


def _prepare(number: int, golden: Golden, tensor: Array) -> Row:
    if sha256(tensor.tobytes()).hexdigest() == golden.tensor_sha256:
        return Row(number, "prepare", True, True, "the prepared tensor is equal")
    sampled = sample(tensor)
    advice = "Size, colours, fit, mean or std in the card are not those it was converted with: convert again."
    if sampled.shape != golden.sampled.shape or sampled.dtype != golden.sampled.dtype:
        found = f"the prepared tensor is {tensor.dtype} {tensor.shape}, which it was not at home"
        return Row(number, "prepare", False, False, found, advice)
    difference = float(np.abs(sampled.astype(np.float64) - golden.sampled).max())
    rounding = 1.0 if tensor.dtype.kind in "iu" else 0.0
    if difference <= LEVELS * golden.level * (1 + 1e-6) + rounding:
        found = f"the prepared tensor differs by {difference:.3g}, at most {LEVELS} grey levels"
        return Row(number, "prepare", True, False, f"{found}, as between builds of OpenCV")
    found = f"the prepared tensor differs by {difference:.3g} ({LEVELS * golden.level:.3g} is allowed)"
    return Row(number, "prepare", False, False, found, advice)


def _compute(
    number: int,
    golden: Golden,
    outputs: Mapping[str, Array],
    *,
    allowed: float,
    prepared: Row,
    are_detections: bool,
) -> Row:
    advice = "Use another runtime (--backend), or convert again: these kernels compute something else."
    if not prepared.passed:
        advice = "The input was not the same: see there first."
    kept = golden.outputs
    if outputs.keys() != kept.keys() or not all(one.fits(outputs[role]) for role, one in kept.items()):
        return Row(number, "compute", False, False, "the outputs have other roles or shapes", advice)
    if all(one.is_equal(outputs[role]) for role, one in kept.items()):
        return Row(number, "compute", True, True, "the outputs are equal")
    if are_detections:
        found = "the outputs are detections, whose order may change: see what they decode to"
        return Row(number, "compute", True, False, found)
    if not prepared.equal:
        allowed = max(allowed, PIXEL_TOLERANCE)
    worst = max(apart(one, one.same_places(outputs[role]), allowed) for role, one in kept.items())
    found = f"the outputs differ by {worst:.3g} of their spread ({allowed:g} is allowed)"
    passed = worst <= allowed
    return Row(number, "compute", passed, False, found, "" if passed else advice)


def _decode(number: int, golden: Golden, outputs: Mapping[str, Array], view: View, model: Model) -> Row:
    """What labels and options make of the outputs at home; where not all is stored, of ours."""
    advice = "Labels or options in the card are not those it was converted with: convert again."
    kept = golden.outputs
    ours = _are_detections(model.card) or any(one.sampled_from for one in kept.values())
    decoded = outputs if ours else {role: one.real for role, one in kept.items()}
    try:
        records = goldens.best(decoded, view, model.card)
        nearly = ours and _nearly(golden, outputs, view, model)
    except (EdgecnnError, KeyError) as error:
        return Row(number, "decode", False, False, f"cannot be decoded: {error}", advice)
    equal = records == golden.records
    if equal or _all_same(records, golden.records):
        return Row(number, "decode", True, equal, f"decodes to {_said(records)}")
    if nearly:
        return Row(number, "decode", True, False, f"decodes to nearly {_said(golden.records)}")
    found = f"decodes to {_said(records)}, at home to {_said(golden.records)}"
    return Row(number, "decode", False, False, found, advice)


def _nearly(golden: Golden, outputs: Mapping[str, Array], view: View, model: Model) -> bool:
    """Whether kernels that compute nearly the same lead to nearly the same boxes."""
    if outputs.keys() != golden.outputs.keys():
        return False
    if all(one.is_equal(outputs[role]) for role, one in golden.outputs.items()):
        return False  # from the same outputs only the same boxes may come
    found = goldens.candidates(outputs, view, model.card)
    found += goldens.candidates(outputs, view, model.card, suppressed=False)
    rounding = tolerance(summarize(model.graph).scheme) > FLOAT_TOLERANCE
    return boxes_agree(golden.records, found, rounding=rounding)


def _are_detections(card: Card) -> bool:
    """Whether the model itself chooses boxes: which comes first is decided by the last bit."""
    return card.options.get("decode") == "postprocess"


def _all_same(found: Sequence[Mapping[str, Any]], stored: Sequence[Mapping[str, Any]]) -> bool:
    return len(found) == len(stored) and all(map(_same, found, stored))


def _same(found: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
    """Texts are equal, numbers nearly."""
    if found.keys() != stored.keys():
        return False
    for name, value in found.items():
        other = stored[name]
        if isinstance(value, str) or isinstance(other, str):
            if value != other:
                return False
            continue
        one, two = np.asarray(value, np.float64), np.asarray(other, np.float64)
        if one.shape != two.shape or not np.allclose(one, two, rtol=RECORD_TOLERANCE, atol=RECORD_TOLERANCE):
            return False
    return True


def _said(records: Sequence[Mapping[str, Any]]) -> str:
    """The best record in words, and how many more there are."""
    if not records:
        return "nothing"
    texts = [
        value if isinstance(value, str) else f"{name} {_number(value)}" for name, value in records[0].items()
    ]
    more = f" and {len(records) - 1} more" if len(records) > 1 else ""
    return ", ".join(texts) + more


def _number(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(f"{one:.4g}" for one in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
