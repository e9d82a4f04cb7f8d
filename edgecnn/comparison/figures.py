"""What is known of two runs after they were judged and timed together. Holds figures; measures nothing."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, TypeAlias

Scheme: TypeAlias = Literal["float32", "int8"]
Figure: TypeAlias = Literal["top1", "map50", "f1"]
Interval: TypeAlias = tuple[float, float]

SCHEMES: Final[tuple[Scheme, ...]] = ("float32", "int8")

NAMES: Final[Mapping[Figure, str]] = {"top1": "accuracy", "map50": "mAP@0.5", "f1": "mean F1"}
"""What the figure that decides is called."""

FORMAT = 1
"""Of compression.json."""


@dataclass(frozen=True)
class File:
    """One `.tflite` file, measured.

    Attributes:
        scheme: "float32" or "int8".
        bytes: of the file.
        zipped_bytes: of the file after deflate at level 9, as in an update that is sent.
        peak_bytes: the most activations that are kept at once; see `edgecnn.graph.layers`.
        latency_ms: p50, p90, p99 of the interpreter alone, one image.
        value: the figure that decides, in [0, 1]; None where the data give none.
        interval: its 95 % confidence interval; None where none is known.
        others: further figures by name, such as {"map": 0.53}.
        certificate: "certified", "unproven" or "refused" by the gate of the conversion; "" where none judged.
        is_own: it lies in the run; else it was made for this comparison alone.
        sha256: of the file.
    """

    scheme: Scheme
    bytes: int
    zipped_bytes: int
    peak_bytes: int
    latency_ms: Mapping[str, float]
    value: float | None
    interval: Interval | None
    others: Mapping[str, float]
    certificate: str
    is_own: bool
    sha256: str


@dataclass(frozen=True)
class Network:
    """What one image costs by counting, and what the weights look like.

    Attributes:
        params: all parameters of the Keras model.
        macs: multiply-accumulates of one image.
        zeros: share of the values in kernels that are exactly 0, in [0, 1].
        distinct: different values in a kernel: the least number that nine tenths of all values in kernels do
            with. A clustered network has as many as clusters.
    """

    params: int
    macs: int
    zeros: float
    distinct: int


@dataclass(frozen=True)
class Side:
    """One run.

    Attributes:
        run: its folder, as given.
        name: of its network.
        network: what its Keras model is.
        files: by scheme.
        lineage: of the run, one line for each step.
    """

    run: str
    name: str
    network: Network
    files: Mapping[Scheme, File]
    lineage: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """What one scheme lost or won: of the figure, on the same images; of time, in the same turns.

    Attributes:
        difference: after less before, in [-1, 1]; None where the figure is not known.
        interval: its 95 % confidence interval, for matched pairs; None where none is known.
        agreement: the share of answers that both give alike.
        time_ratio: median time, after over before.
        time_interval: its 95 % confidence interval, of turns that both shared.
    """

    difference: float | None
    interval: Interval | None
    agreement: float
    time_ratio: float
    time_interval: Interval


@dataclass(frozen=True)
class ClassChange:
    """How one class fared in int8.

    Attributes:
        label: its name.
        count: images, or boxes, that are labelled so.
        before: recall, AP@0.5 or F1 of the old run, in [0, 1]; None where there is none.
        after: of the new run.
        difference: after less before.
        interval: its 95 % confidence interval; None where none is known.
    """

    label: str
    count: int
    before: float | None
    after: float | None
    difference: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Comparison:
    """A run before and after compression: counted, judged on the same images, timed in the same turns.

    Attributes:
        task: of both.
        figure: which figure decides.
        before: the run that was compressed.
        after: what came of it.
        changes: what each scheme lost.
        classes: in int8, those that lost most first.
        conditions: machine, runtime, threads, delegate, and the images: what the figures depend on.
        notes: what a reader must know besides, one sentence each.
        source: always "measured".
    """

    task: str
    figure: Figure
    before: Side
    after: Side
    changes: Mapping[Scheme, Change]
    classes: tuple[ClassChange, ...]
    conditions: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    source: Literal["measured"] = field(default="measured", init=False)

    @property
    def verdict(self) -> str:
        """One sentence: what it bought, what it cost, whether it pays."""
        from edgecnn.comparison.verdict import verdict

        return verdict(self)

    def zipped_ratio(self, scheme: Scheme = "int8") -> float:
        """The new run's zipped bytes over the old run's."""
        return self.after.files[scheme].zipped_bytes / self.before.files[scheme].zipped_bytes

    @property
    def macs_ratio(self) -> float:
        """The new run's multiply-accumulates over the old run's."""
        return self.after.network.macs / self.before.network.macs

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return {
            "format": FORMAT,
            "verdict": self.verdict,
            **asdict(self),
            "ratios": {
                "params": self.after.network.params / self.before.network.params,
                "macs": self.macs_ratio,
                **{f"{scheme}_p50": self.changes[scheme].time_ratio for scheme in SCHEMES},
                **{f"{scheme}_zipped": self.zipped_ratio(scheme) for scheme in SCHEMES},
            },
        }
