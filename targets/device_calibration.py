"""Fit the cost constants to the device this runs on: a minute of small measurements, no network needed.

Each constant has the measurement that shows it alone: a large addition the memory, a chain of tiny ones the
way from operator to operator, convolutions the rates, all cores against one the gain of threads. A small
network that is none of these says how wrong the result is; that is the band, never below a quarter.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
from targets.cost import layer, work
from targets.micro_models import MicroModel
from targets.profile import PROFILES, Profile, profile, read_profile

_DTYPES: Final = ("float32", "int8")
_CHAIN: Final = 64
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
    if out.suffix != ".toml":
        raise TargetError(f"{out}: a profile ends in .toml.")
    if out.exists() and not force:
        raise TargetError(f"{out} is there already. Choose another name, or overwrite it with --force.")
    cost = measure(known, seconds=seconds, progress=progress)
    source = known.name if isinstance(base, Profile) else str(base)
    text = _text_of(source)
    with files.replacing(out) as beside:
        place = beside.with_suffix(".toml")
        place.write_text(with_cost(text, cost, _conditions()), encoding="utf-8")
        read_profile(place)
        place.replace(beside)
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
    dispatch = times["chain float32", 1].milliseconds / _CHAIN
    moved = _bytes(times["add float32", 1].content)
    gbps = moved / max(times["add float32", 1].milliseconds - dispatch, 1e-6) / 1e6
    rates = {
        dtype: Rates(
            _rate([times[f"{kind} {dtype}", 1] for kind in ("conv1", "conv3")], dispatch),
            _rate([times[f"depthwise {dtype}", 1]], dispatch),
        )
        for dtype in _DTYPES
    }
    gain = (
        times["conv1 float32", 1].milliseconds / times["conv1 float32", cores].milliseconds
        if cores > 1
        else 1
    )
    exponent = min(max(math.log(gain) / math.log(cores), 0.0), 1.0) if cores > 1 else 0.0
    builtin = known.cost.builtin if known.cost else 1.5
    fitted = Cost("", 0.0, rates, gbps, dispatch * 1e3, exponent, builtin)
    off = [
        _off(fitted, times[f"network {dtype}", threads], threads)
        for dtype in _DTYPES
        for threads in {1, cores}
    ]
    band = max(_NARROWEST, *off)
    basis = f"measured on this device, {date.today().isoformat()}"
    return Cost(basis, band, rates, gbps, dispatch * 1e3, exponent, builtin)


def _jobs(cores: int) -> Mapping[tuple[str, int], bytes]:
    """What is timed: by name and threads."""
    found: dict[tuple[str, int], bytes] = {}
    for dtype in _DTYPES:
        conv = MicroModel(dtype, 28, 28, 192).conv(192).content()
        found[f"conv1 {dtype}", 1] = conv
        found[f"conv3 {dtype}", 1] = MicroModel(dtype, 28, 28, 64).conv(64, 3).content()
        found[f"depthwise {dtype}", 1] = MicroModel(dtype, 28, 28, 192).depthwise().content()
        network = MicroModel(dtype, 56, 56, 24)
        for out in (48, 48, 32):
            network.conv(4 * out).depthwise().conv(out).add()
        for threads in {1, cores}:
            found[f"network {dtype}", threads] = network.content()
    found["conv1 float32", cores] = found["conv1 float32", 1]
    found["add float32", 1] = MicroModel("float32", 256, 256, 32).add().content()
    chain = MicroModel("float32", 1, 1, 8)
    for _ in range(_CHAIN):
        chain.add()
    found["chain float32", 1] = chain.content()
    return found


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


def _rate(timed: list[_Timed], dispatch_ms: float) -> float:
    """Billions of multiply-accumulates in a second, the geometric mean."""
    rates = [
        sum(job.macs for job in work(read(one.content), "xnnpack"))
        / max(one.milliseconds - dispatch_ms, 1e-6)
        / 1e6
        for one in timed
    ]
    return math.exp(sum(math.log(rate) for rate in rates) / len(rates))


def _bytes(content: bytes) -> int:
    return sum(job.bytes for job in work(read(content), "xnnpack"))


def _off(cost: Cost, timed: _Timed, threads: int) -> float:
    total = sum(layer(job, cost, threads).milliseconds for job in work(read(timed.content), "xnnpack"))
    return max(total / timed.milliseconds, timed.milliseconds / total) - 1


def _conditions() -> str:
    said = environment()
    return "edgecnn calibrate-target: " + ", ".join(f"{key} {value}" for key, value in sorted(said.items()))


def _text_of(source: str) -> str:
    path = Path(source) if source.endswith(".toml") else PROFILES[source]
    return path.read_text(encoding="utf-8")


def with_cost(text: str, cost: Cost, source: str) -> str:
    """A profile's text with other constants; all else stays as it is, comments too."""
    bare = re.sub(r"(?ms)^\[cost[^\n]*\]\n.*?(?=^\[(?!cost)|\Z)", "", text)
    bare = re.sub(r"(?m)^cost = .*\n?", "", bare).rstrip("\n") + "\n"
    lines = [
        "[cost]", f'basis = "{cost.basis}"', f"band = {cost.band:.2f}", f"gbps = {cost.gbps:.4g}",
        f"dispatch_us = {cost.dispatch_us:.4g}", f"thread_exponent = {cost.thread_exponent:.3f}",
        f"builtin = {cost.builtin:.3g}",
    ]  # fmt: skip
    for dtype, rates in cost.rates.items():
        lines += ["", f"[cost.rates.{dtype}]"]
        lines += [f"convolution = {rates.convolution:.4g}", f"depthwise = {rates.depthwise:.4g}"]
    head, mark, tail = bare.partition("[sources]\n")
    quoted = source.replace("\\", "/").replace('"', "'")
    return f'{head}{chr(10).join(lines)}\n\n[sources]\n{tail if mark else ""}cost = "{quoted}"\n'
