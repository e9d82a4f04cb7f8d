"""What a device does with a model: where each operator runs, in how many parts, and what does not run."""

import importlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from converters.to_edgetpu import CUSTOM
from edgecnn.errors import TargetError
from edgecnn.graph import Graph, check
from targets import edge_tpu
from targets.edge_tpu import Cache
from targets.partition import partitions
from targets.profile import Delegate, Profile
from targets.verdict import CPU, NOWHERE, Judge, Verdict

_IMAGES: Final[Mapping[str, tuple[int, ...]]] = {
    "CONV_2D": (0, 1), "DEPTHWISE_CONV_2D": (0, 1), "TRANSPOSE_CONV": (1, 2), "AVERAGE_POOL_2D": (0,),
    "MAX_POOL_2D": (0,), "L2_POOL_2D": (0,), "RESIZE_BILINEAR": (0,), "RESIZE_NEAREST_NEIGHBOR": (0,),
    "SPACE_TO_DEPTH": (0,), "DEPTH_TO_SPACE": (0,),
}  # fmt: skip
"""Which inputs have four dimensions, as the output has, by operator."""
_AXES: Final[Mapping[str, int]] = {
    "ARG_MAX": 0, "ARG_MIN": 0, "CONCATENATION": 0, "FULLY_CONNECTED": 1, "LOG_SOFTMAX": 0, "MEAN": 0,
    "PAD": 0, "REDUCE_ALL": 0, "REDUCE_ANY": 0, "REDUCE_MAX": 0, "REDUCE_MIN": 0, "REDUCE_PROD": 0,
    "SOFTMAX": 0, "SPLIT": 1, "SUM": 0, "UNPACK": 0,
}  # fmt: skip
"""Which input has at least one dimension, by operator."""


@dataclass(frozen=True)
class Support:
    """What a device does with each operator of a model; predicted from the file.

    Attributes:
        target: the profile's name.
        delegate: whom it gives operators to.
        level: of the delegate; 0 where it has none.
        verdicts: one for each operator, in order.
        partitions: how many operators each part has that goes to the delegate as one.
        minimum_runtime: oldest Edge TPU runtime that runs it; 0 for other devices.
        cache: of the Edge TPU's parameters, estimated; None for other devices.
    """

    target: str
    delegate: Delegate
    level: int
    verdicts: tuple[Verdict, ...]
    partitions: tuple[int, ...]
    minimum_runtime: int = 0
    cache: Cache | None = None

    @property
    def units(self) -> Mapping[str, int]:
        """How many operators run where."""
        return dict(Counter(one.unit for one in self.verdicts))

    @property
    def kinds(self) -> Mapping[str, Mapping[str, int]]:
        """How many of each kind run where: unit, kind, count."""
        found: dict[str, Counter[str]] = {}
        for one in self.verdicts:
            found.setdefault(one.unit, Counter())[one.kind] += 1
        return {unit: dict(counts) for unit, counts in found.items()}

    @property
    def blockers(self) -> tuple[Verdict, ...]:
        """Operators for which the device has no kernel at all."""
        return tuple(one for one in self.verdicts if one.unit == NOWHERE)

    @property
    def left(self) -> tuple[Verdict, ...]:
        """Operators that are not on the delegate."""
        return tuple(one for one in self.verdicts if one.unit in (CPU, NOWHERE))

    @property
    def fixes(self) -> tuple[str, ...]:
        """Names of the changes in `targets.fix` that lift some of the verdicts."""
        return tuple(dict.fromkeys(one.fix for one in self.verdicts if one.fix))

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "target": self.target,
            "delegate": self.delegate,
            "level": self.level,
            "units": dict(self.units),
            "kinds": {unit: dict(counts) for unit, counts in self.kinds.items()},
            "partitions": list(self.partitions),
            "minimum_runtime": self.minimum_runtime,
            "cache": None if self.cache is None else self.cache.as_dict(),
            "fixes": list(self.fixes),
            "operators": [asdict(one) for one in self.verdicts],
        }


_LITERT: Final = ("xnnpack", "nnapi", "gpu", "core_ml")
_RESOLVED: Final = ("AudioSpectrogram", "Mfcc", "NumericVerify", "TFLite_Detection_PostProcess")
"""Custom operators that LiteRT's own resolver knows: tflite/core/kernels/register.cc."""


def _resolved(graph: Graph, one: Verdict) -> Verdict:
    """No other custom operator can be loaded (Coral's libraries bring their own, which are not judged)."""
    if graph.ops[one.operator].kind != "CUSTOM" or one.kind in _RESOLVED:
        return one
    if one.kind == CUSTOM:
        why = "it was compiled for an Edge TPU"
        remedy = "Take the file it was compiled from."
    else:
        why, remedy = (
            "a custom operator that LiteRT does not know",
            "Build the runtime with it, or leave it out.",
        )
    return Verdict(one.operator, one.kind, NOWHERE, why, remedy, source=_RESOLVER)


_RESOLVER: Final = "https://github.com/google-ai-edge/LiteRT, tflite/core/kernels/register.cc"


def judge_of(delegate: Delegate) -> Judge:
    """The rules of a delegate: `judge` of the module that has its name."""
    judge: Judge = importlib.import_module(f"targets.{delegate}").judge
    return judge


def support(graph: Graph, profile: Profile) -> Support:
    """Say where each operator runs.

    Args:
        graph: the model.
        profile: the device.

    Raises:
        ModelError: the model would not run safely anywhere.
        TargetError: a shape that every rule asks for is not in the file.
    """
    check(graph)
    _refuse_unshaped(graph)
    level = profile.ops.level
    verdicts = judge_of(profile.delegate)(graph, level)
    if profile.delegate in _LITERT:
        verdicts = tuple(_resolved(graph, one) for one in verdicts)
    on_tpu = profile.delegate == edge_tpu.UNIT
    return Support(
        target=profile.name,
        delegate=profile.delegate,
        level=level,
        verdicts=verdicts,
        partitions=partitions(graph, verdicts, profile.delegate),
        minimum_runtime=edge_tpu.minimum_runtime(graph, verdicts) if on_tpu else 0,
        cache=edge_tpu.cache(graph, verdicts, profile.memory.on_chip_bytes) if on_tpu else None,
    )


def _refuse_unshaped(graph: Graph) -> None:
    """`check` lets a tensor pass whose shape is left open; no device can be asked about that one."""
    for op in graph.ops:
        places = _IMAGES.get(op.kind, ())
        images = [*(op.inputs[place] for place in places), *(op.outputs if places else ())]
        lists = [op.inputs[_AXES[op.kind]]] if op.kind in _AXES else []
        if op.kind == "PACK":
            lists += op.outputs
        for index, right, wanted in (
            *((each, len(graph.tensors[each].shape) == 4, "four dimensions") for each in images),
            *((each, len(graph.tensors[each].shape) >= 1, "at least one dimension") for each in lists),
        ):
            if not right:
                tensor = graph.tensors[index]
                raise TargetError(
                    f"{graph.name}: operator {op.index} ({op.label}): tensor {tensor.name!r} has the shape "
                    f"{tensor.shape} in the file and should have {wanted}. Convert it with a fixed size."
                )


def refuse_unrunnable(found: Support, name: str) -> None:
    """Raise TargetError if the device has no kernel for an operator; names the first and what to do."""
    if not found.blockers:
        return
    first = found.blockers[0]
    more = f" ({len(found.blockers)} operators in all)" if len(found.blockers) > 1 else ""
    remedy = f" {first.remedy}" if first.remedy else ""
    raise TargetError(
        f"{name}: does not run on {found.target}: operator {first.operator} ({first.kind}): "
        f"{first.reason}{more}.{remedy}"
    )
