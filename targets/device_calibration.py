"""Fit the cost constants to the device this runs on: a minute of small measurements, no network needed.

Convolutions show the rates, a large addition the memory, a hard swish TFLite's own kernels, a network of tiny
maps what goes from operator to operator, a small network what all cores gain. Two small networks are then
estimated as well: how far the worse is off is the band, never below a quarter.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final

from edgecnn import files
from edgecnn.errors import TargetError
from edgecnn.graph import read
from edgecnn.runtime.environment import environment
from edgecnn.runtime.interpreter import open_interpreter
from targets.constants import Cost, Rates
from targets.cost import Work, layer, work
from targets.micro_models import MicroModel
from targets.profile import PROFILES, Profile, profile, read_profile

_DTYPES: Final = ("float32", "int8")
_NARROWEST: Final = 0.25
_LEAST_RUNS: Final = 5


@dataclass(frozen=True)
class _Timed:
    """A model and what one run of it took, in milliseconds."""

    content: bytes
    milliseconds: float


def calibrate(
    base: str | Profile,
    out: Path,
    *,
    seconds: float = 60.0,
    force: bool = False,
    progress: Callable[[str], None] = lambda line: None,
) -> Profile:
    """Measure this device, and write a profile with its constants.

    Args:
        base: the profile that says all else; its name, or a path.
        out: the new profile, which ends in .toml.
        seconds: how long the measurements may take, together.
        force: replace `out`.
        progress: told what is measured, one line each.

    Returns:
        The profile as it was written.

    Raises:
        TargetError: the profile is not known, or does not run on a processor; `out` is there already or ends
            otherwise.
        ModelError: no runtime is installed.
    """
    known = base if isinstance(base, Profile) else profile(base)
    if known.delegate != "xnnpack":
        raise TargetError(
            f"{known.name} runs on {known.delegate}; only processors (XNNPACK) can be measured this way. "
            "Take the processor's own profile for --base."
        )
    source = known.name if isinstance(base, Profile) else str(base)
    text = _text_of(source)
    if out.suffix != ".toml":
        raise TargetError(f"{out}: a profile ends in .toml.")
    if out.exists() and not force:
        raise TargetError(f"{out} is there already. Choose another name, or overwrite it with --force.")
    cost = measure(known, seconds=seconds, progress=progress)
    with files.replacing(out) as beside:
        beside.write_text(with_cost(text, cost, _conditions()), encoding="utf-8")
        read_profile(beside)
    return read_profile(out)


def measure(
    known: Profile, *, seconds: float = 60.0, progress: Callable[[str], None] = lambda line: None
) -> Cost:
    """Time small models on this device.

    Args:
        known: how many cores it has, and how much slower TFLite's own kernels are.
        seconds: how long it may take.
        progress: told what is measured.
    """
    jobs = _jobs(known.cores)
    each = seconds / len(jobs)
    times: dict[tuple[str, int], _Timed] = {}
    for place, ((name, threads), content) in enumerate(jobs.items()):
        progress(f"measuring {place + 1}/{len(jobs)}: {name}, threads {threads}")
        times[name, threads] = _Timed(content, _time(content, threads, each))
    cores = known.cores
    gbps = _gbps(times["add float32", 1])
    rates = {
        dtype: Rates(
            _rate([times[f"{kind} {dtype}", 1] for kind in ("conv1", "conv3", "narrow")]),
            _rate([times[f"depthwise {dtype}", 1]]),
        )
        for dtype in _DTYPES
    }
    gains = [
        math.log(times[f"first {dtype}", 1].milliseconds / times[f"first {dtype}", cores].milliseconds)
        for dtype in _DTYPES
    ]
    exponent = min(max(sum(gains) / len(gains) / math.log(cores), 0.0), 1.0) if cores > 1 else 0.0
    builtin = known.cost.builtin if known.cost else 1.5
    own_gbps = _gbps(times["hard swish int8", 1])
    bare = Cost("", 0.0, rates, gbps, 0.0, exponent, builtin, own_gbps)
    dispatch = max(0.0, median([_missing_us(bare, times[f"tiny {dtype}", 1]) for dtype in _DTYPES]))
    fitted = replace(bare, dispatch_us=dispatch)
    off = [_off(fitted, times[f"{name} {dtype}", 1]) for name in ("first", "second") for dtype in _DTYPES]
    basis = f"measured on this device, {date.today().isoformat()}"
    return replace(fitted, basis=basis, band=max(_NARROWEST, *off))


def _jobs(cores: int) -> Mapping[tuple[str, int], bytes]:
    """What is timed: by name and threads."""
    found: dict[tuple[str, int], bytes] = {}
    for dtype in _DTYPES:
        found[f"conv1 {dtype}", 1] = MicroModel(dtype, 28, 28, 192).conv(192).content()
        found[f"narrow {dtype}", 1] = MicroModel(dtype, 56, 56, 24).conv(96).content()
        found[f"conv3 {dtype}", 1] = MicroModel(dtype, 28, 28, 64).conv(64, 3).content()
        found[f"depthwise {dtype}", 1] = MicroModel(dtype, 28, 28, 192).depthwise().content()
        for threads in {1, cores}:
            found[f"first {dtype}", threads] = _network(dtype, 56, (24, 48, 48, 32))
        found[f"tiny {dtype}", 1] = _network(dtype, 4, (16,) * 7)
        found[f"second {dtype}", 1] = _network(dtype, 14, (96, 96, 160, 160))
    found["add float32", 1] = MicroModel("float32", 512, 512, 16).add().content()
    found["hard swish int8", 1] = MicroModel("int8", 56, 56, 64).hard_swish().content()
    return found


def _network(dtype: str, size: int, widths: Sequence[int]) -> bytes:
    """Inverted bottlenecks, as MobileNets have them."""
    network = MicroModel(dtype, size, size, widths[0])
    for width in widths[1:]:
        network.conv(6 * width).depthwise().conv(width).add()
    return network.content()


def _gbps(timed: _Timed) -> float:
    return sum(job.bytes for job in work(read(timed.content), "xnnpack")) / timed.milliseconds / 1e6


def _time(content: bytes, threads: int, seconds: float) -> float:
    """The median of as many runs as fit, in milliseconds; a fifth of the time is warm-up."""
    interpreter = open_interpreter(content, "a measurement", threads=threads)
    try:
        begin = perf_counter()
        while perf_counter() - begin < seconds / 5:
            interpreter.invoke()
        found: list[float] = []
        begin = perf_counter()
        while perf_counter() - begin < seconds * 4 / 5 or len(found) < _LEAST_RUNS:
            start = perf_counter()
            interpreter.invoke()
            found.append((perf_counter() - start) * 1e3)
        return median(found)
    finally:
        interpreter.close()


def _rate(timed: Sequence[_Timed]) -> float:
    """Billions of multiply-accumulates in a second, the geometric mean."""
    rates = [
        sum(job.macs for job in work(read(one.content), "xnnpack")) / one.milliseconds / 1e6 for one in timed
    ]
    return math.exp(sum(math.log(rate) for rate in rates) / len(rates))


def _missing_us(cost: Cost, timed: _Timed) -> float:
    """Microseconds for each operator that computing and moving do not explain."""
    jobs = work(read(timed.content), "xnnpack")
    return (timed.milliseconds - _total(cost, jobs)) / len(jobs) * 1e3


def _off(cost: Cost, timed: _Timed) -> float:
    total = _total(cost, work(read(timed.content), "xnnpack"))
    return max(total / timed.milliseconds, timed.milliseconds / total) - 1


def _total(cost: Cost, jobs: Sequence[Work]) -> float:
    return sum(layer(job, cost, 1).milliseconds for job in jobs)


def _conditions() -> str:
    said = environment()
    return "edgecnn calibrate-target: " + ", ".join(f"{key} {value}" for key, value in sorted(said.items()))


def _text_of(source: str) -> str:
    if not source.endswith(".toml") and source not in PROFILES:
        raise TargetError(f"{source} is no profile of edgecnn's own. Give the path of its .toml file.")
    path = Path(source) if source.endswith(".toml") else PROFILES[source]
    return path.read_text(encoding="utf-8")


def with_cost(text: str, cost: Cost, source: str) -> str:
    """A profile's text with other constants; all else stays as it is, comments too."""
    bare = re.sub(r"(?ms)^\[cost[^\n]*\]\n.*?(?=^\[(?!cost)|\Z)", "", text)
    bare = re.sub(r"(?m)^cost = .*\n?", "", bare).rstrip("\n") + "\n"
    lines = [
        "[cost]", f'basis = "{cost.basis}"', f"band = {cost.band:.2f}", f"gbps = {cost.gbps:.4g}",
        f"dispatch_us = {cost.dispatch_us:.4g}", f"thread_exponent = {cost.thread_exponent:.3f}",
        f"builtin = {cost.builtin:.3g}", f"builtin_gbps = {cost.builtin_gbps:.4g}",
    ]  # fmt: skip
    for dtype, rates in cost.rates.items():
        lines += ["", f"[cost.rates.{dtype}]"]
        lines += [f"convolution = {rates.convolution:.4g}", f"depthwise = {rates.depthwise:.4g}"]
    head, mark, tail = bare.partition("[sources]\n")
    quoted = source.replace("\\", "/").replace('"', "'")
    return f'{head}{chr(10).join(lines)}\n\n[sources]\n{tail if mark else ""}cost = "{quoted}"\n'
