"""Estimates for devices beside what was measured: every file, every device, where its operators run.

An estimate is a `Measurement` of source "estimated". Where a device does not run a file, or nobody has
published enough about the device, the file says why instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgecnn.errors import ModelError, TargetError
from edgecnn.report.evidence import Condition, Evidence, Latency, Variant
from edgecnn.report.words import listed
from edgecnn.runs import Measurement
from edgecnn.targeting.answer import Answer, answer
from targets.profile import Profile, profile

_ANY_SCHEME = ("keras", "")


def with_estimates(
    evidence: Evidence, targets: Sequence[str | Path], *, threads: int | None = None
) -> Evidence:
    """Evidence with an estimate of every `.tflite` file for each device.

    Args:
        evidence: what was read from runs; files that are not there any more get no estimate.
        targets: names of profiles, or paths of your own.
        threads: of the interpreter; None: as many as the device was measured with, else all of its cores.

    Raises:
        TargetError: a profile is not known or cannot be read, or has fewer cores than `threads`.
    """
    devices = {found.name: found for found in (profile(target) for target in targets)}
    variants = []
    for variant in evidence.variants:
        if variant.file.suffix == ".tflite" and variant.file.is_file():
            for device in devices.values():
                for count in _threads(evidence, device, threads):
                    variant = _with_estimate(variant, device, count)
        variants.append(variant)
    return replace(evidence, variants=tuple(variants))


def estimate(variant: Variant, device: Profile, threads: int | None = None) -> Measurement:
    """One file on one device.

    Args:
        variant: the file.
        device: its profile.
        threads: of the interpreter; None: all of the device's cores.

    Returns:
        A measurement of source "estimated": one run of the network, the figure and its band; what it rests
        on, where the operators run, how much memory it takes, and how long each operator.

    Raises:
        TargetError: the device does not run the file, or nobody has published enough to say how fast.
    """
    if variant.scheme not in (*_ANY_SCHEME, *device.schemes):
        raise TargetError(f"only {listed(device.schemes)} files run there")
    found = answer(variant.file, device, threads=threads)
    if found.support.blockers:
        kinds = dict.fromkeys(one.kind for one in found.support.blockers)
        raise TargetError(f"nothing there runs {listed(list(kinds))}")
    if found.latency_ms is None:
        raise TargetError(next(iter(found.unknown), "latency: nobody can say"))
    return Measurement(
        model=str(variant.file),
        scheme=variant.scheme,
        device=device.title,
        latency_ms={"total": _total(found)},
        size_bytes=variant.size_bytes,
        environment=_environment(found),
        source="estimated",
        sha256=variant.sha256,
    )


def _with_estimate(variant: Variant, device: Profile, threads: int | None) -> Variant:
    try:
        line = estimate(variant, device, threads)
    except (TargetError, ModelError) as error:
        return replace(variant, unfit={**variant.unfit, device.title: str(error).rstrip(".")})
    said = line.environment
    condition = Condition(line.device, "", said["threads"], "estimated")
    latency = Latency(condition, line.latency_ms["total"], {}, said)
    others = tuple(known for known in variant.latencies if known.condition != condition)
    return replace(variant, latencies=(*others, latency))


def _total(found: Answer) -> Mapping[str, float]:
    if found.estimate is None:
        whole = found.latency_ms or 0.0
        return {"p50": whole, "low": whole, "high": whole}
    return {"p50": found.estimate.latency_ms, "low": found.estimate.low_ms, "high": found.estimate.high_ms}


def _environment(found: Answer) -> dict[str, Any]:
    said, units = found.estimate, dict(found.support.units)
    return {
        "target": found.profile.name,
        "delegate": found.profile.delegate,
        "threads": said.threads if said else None,
        "band": said.band if said else None,
        "basis": said.basis if said else "Vela, Arm’s compiler",
        "partition": units,
        "partitions": len(found.support.partitions),
        "ram_bytes": found.ram_bytes,
        "flash_bytes": found.flash_bytes,
        "on_chip_bytes": found.profile.memory.on_chip_bytes,
        "notes": list(found.profile.notes),
        "unknown": list(found.unknown),
    }


def _threads(evidence: Evidence, device: Profile, wanted: int | None) -> Sequence[int | None]:
    if wanted is not None:
        return (wanted,)
    measured = {
        condition.threads
        for condition in evidence.conditions
        if condition.source == "measured" and condition.device.lower().startswith(device.title.lower())
    }
    return sorted(count for count in measured if count and count <= device.cores) or (None,)
