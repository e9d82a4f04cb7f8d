"""How long a model would take on a device: per operator max(compute, memory) + dispatch. Always an estimate.

The roofline of Williams, Waterman and Patterson (2009, https://doi.org/10.1145/1498765.1498785), for each
operator, with constants fitted to published measurements (benchmarks/cost_model.py) or on the device
(`targets.device_calibration`). docs/cost_model.md says how wrong it is.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from edgecnn.errors import TargetError
from edgecnn.graph import Graph, Operator
from targets import edge_tpu
from targets.constants import Cost, Rates
from targets.profile import Profile
from targets.verdict import CPU, Verdict

Bound = Literal["compute", "memory", "dispatch"]
Class = Literal["convolution", "depthwise", "other"]

_CLASSES: Final[dict[str, Class]] = {
    "CONV_2D": "convolution", "FULLY_CONNECTED": "convolution", "TRANSPOSE_CONV": "convolution",
    "BATCH_MATMUL": "convolution", "CONV_3D": "convolution", "UNIDIRECTIONAL_SEQUENCE_LSTM": "convolution",
    "DEPTHWISE_CONV_2D": "depthwise",
}  # fmt: skip
_FREE: Final = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
_DTYPE: Final = {"uint8": "int8", "float16": "float32", "int4": "int8"}


@dataclass(frozen=True)
class Work:
    """What an operator has to do.

    Attributes:
        operator: its place.
        kind: its name.
        unit: who runs it.
        group: which rate it has.
        dtype: "float32", "int8" or "int16".
        macs: multiply-accumulates.
        bytes: read and written, weights included.
    """

    operator: int
    kind: str
    unit: str
    group: Class
    dtype: str
    macs: int
    bytes: int


@dataclass(frozen=True)
class LayerCost:
    """What one operator takes, estimated.

    Attributes:
        operator: its place in the main subgraph.
        kind: its name.
        unit: who runs it.
        milliseconds: how long.
        bound: what it waits for.
    """

    operator: int
    kind: str
    unit: str
    milliseconds: float
    bound: Bound


@dataclass(frozen=True)
class Estimate:
    """How long a model would take. Nothing was measured.

    Attributes:
        target: the profile's name.
        threads: of the interpreter.
        latency_ms: of one run.
        low_ms: the estimate over 1 + band.
        high_ms: the estimate times 1 + band.
        layers: one for each operator, in order; for an accelerator its fixed share is not in them.
        basis: what the constants were fitted to.
        band: see `targets.constants.Cost`.
    """

    target: str
    threads: int
    latency_ms: float
    low_ms: float
    high_ms: float
    layers: tuple[LayerCost, ...]
    basis: str
    band: float

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {**asdict(self), "estimated": True}


def estimate(
    graph: Graph,
    profile: Profile,
    *,
    threads: int | None = None,
    verdicts: Sequence[Verdict] | None = None,
) -> Estimate:
    """Estimate how long one run takes.

    Args:
        graph: a model that `edgecnn.graph.check` lets pass.
        profile: the device.
        threads: of the interpreter; None is all of the device's cores.
        verdicts: where each operator runs; None: all on the profile's delegate.

    Raises:
        TargetError: nobody has fitted constants for the device or the model's type, or it has fewer cores.
    """
    cost = profile.cost
    if cost is None:
        fit = f"Fit it on the device: edgecnn calibrate-target OUT.toml --base {profile.name}"
        raise TargetError(
            f"{profile.name}: nobody has published enough to estimate a latency. "
            + (fit if profile.delegate == "xnnpack" else "Measure it on the device.")
        )
    count = threads_of(profile, threads)
    jobs = work(graph, profile.delegate, verdicts)
    layers = tuple(layer(job, cost, count) for job in jobs)
    total = sum(one.milliseconds for one in layers) + _overhead(graph, profile, cost, jobs, verdicts)
    return Estimate(
        profile.name,
        count,
        total,
        total / (1 + cost.band),
        total * (1 + cost.band),
        layers,
        cost.basis,
        cost.band,
    )


def threads_of(profile: Profile, threads: int | None) -> int:
    """How many threads a run has; None is all of the device's cores.

    Raises:
        TargetError: the device has fewer cores.
    """
    count = profile.cores if threads is None else threads
    if not 1 <= count <= profile.cores:
        raise TargetError(f"{profile.name} has {profile.cores} cores; {count} threads are none it has.")
    return count


def work(graph: Graph, delegate: str, verdicts: Sequence[Verdict] | None = None) -> tuple[Work, ...]:
    """What every operator of the main subgraph has to do."""
    units = {one.operator: one.unit for one in verdicts or ()}
    return tuple(_work(graph, op, units.get(op.index, delegate)) for op in graph.ops)


def _work(graph: Graph, op: Operator, unit: str) -> Work:
    used = dict.fromkeys(index for index in (*op.inputs, *op.outputs) if index >= 0)
    tensors = [graph.tensors[index] for index in used]
    flowing = [tensor.dtype for tensor in tensors if not tensor.is_constant]
    dtype = next((each for each in flowing if each in ("float32", "int8", "uint8", "int16")), "float32")
    moved = 0 if op.kind in _FREE else sum(tensor.bytes for tensor in tensors)
    group = _CLASSES.get(op.kind, "other")
    return Work(op.index, op.label, unit, group, _DTYPE.get(dtype, dtype), op.macs, moved)


def layer(job: Work, cost: Cost, threads: int) -> LayerCost:
    """What one operator takes on the processor, or on the accelerator where it runs there."""
    beside = cost.accelerator if job.unit != CPU else None
    if beside is not None:
        compute, memory = _compute_ms(job, beside.rates), job.bytes / beside.gbps / 1e6
        bound: Bound = "compute" if compute >= memory else "memory"
        return LayerCost(job.operator, job.kind, job.unit, max(compute, memory), bound)
    rates = cost.rates.get(job.dtype)
    if rates is None:
        if job.macs:
            raise TargetError(
                f"operator {job.operator} ({job.kind}) computes in {job.dtype}, for which no rate is known; "
                f"there are {', '.join(cost.rates)}."
            )
        rates = next(iter(cost.rates.values()))
    faster = threads**cost.thread_exponent
    slower = cost.builtin if job.unit == CPU else 1.0
    compute = _compute_ms(job, rates) / faster * slower
    memory = job.bytes / cost.gbps / 1e6
    if job.group == "other" and job.unit == CPU:
        memory = job.bytes / cost.builtin_gbps / 1e6 if cost.builtin_gbps else memory * slower
    dispatch = cost.dispatch_us / 1e3
    bound = "compute" if compute >= memory else "memory"
    if dispatch > max(compute, memory):
        bound = "dispatch"
    return LayerCost(job.operator, job.kind, job.unit, max(compute, memory) + dispatch, bound)


def _compute_ms(job: Work, rates: Rates) -> float:
    rate = rates.depthwise if job.group == "depthwise" else rates.convolution
    return job.macs / rate / 1e6


def _overhead(
    graph: Graph, profile: Profile, cost: Cost, jobs: Sequence[Work], verdicts: Sequence[Verdict] | None
) -> float:
    """What a run takes on an accelerator beside its operators: waking it, inputs, outputs, parameters."""
    beside = cost.accelerator
    if beside is None or all(job.unit == CPU for job in jobs):
        return 0.0
    where = verdicts or [Verdict(job.operator, job.kind, job.unit) for job in jobs]
    streamed = edge_tpu.cache(graph, where, profile.memory.on_chip_bytes).streamed_bytes
    ends = sum(graph.tensors[index].bytes for index in (*graph.inputs, *graph.outputs))
    return beside.invoke_ms + (streamed / beside.stream_gbps + ends / beside.io_gbps) / 1e6
