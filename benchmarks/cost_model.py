"""Fit the cost model to published latencies, and see how far it is from those it was not fitted to.

`python benchmarks/cost_model.py --rows published_latency.csv` prints a table of each device: rows,
networks, and of rows whose network was left out of the fit the median error and the share within 30 %; then
the constants. The columns that are read: model, input, precision, device, threads, delegate, latency_ms,
source_url.

Rows that are used: the number of threads is stated (an Edge TPU has none), the network is one of
`published_networks`, the type is float32 or 8 bits throughout, and the runtime is TFLite with XNNPACK or,
where XNNPACK of that time had no int8, with its own kernels.
"""

import argparse
import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from published_networks import build
from scipy.optimize import least_squares

from targets.constants import Accelerator, Cost, Rates
from targets.cost import Work, layer
from targets.edge_tpu import RESERVED_BYTES

DEVICES = {
    "raspberry_pi_4": ("raspberry_pi", r"Raspberry Pi 4B", (7.0, 12.0, 2.4, 10.0)),
    "raspberry_pi_5": ("raspberry_pi", r"Raspberry Pi 5", (20.0, 60.0, 5.5, 5.0)),
    "raspberry_pi_3b_plus": ("raspberry_pi", r"Raspberry Pi 3B\+", (4.0, 5.0, 1.1, 15.0)),
    "raspberry_pi_3b": ("raspberry_pi", r"Raspberry Pi 3B", (3.4, 4.3, 1.0, 15.0)),
    "intel_n100": ("x86", r"Intel N100 mini-PC", (35.0, 90.0, 8.0, 3.0)),
    "pixel_3": ("android", r"Pixel 3", (15.0, 30.0, 8.0, 5.0)),
    "pixel_4": ("android", r"Pixel 4", (18.0, 60.0, 9.0, 5.0)),
    "coral_usb": ("coral", r"Coral USB Accelerator", (400.0, 400.0, 0.32, 0.0)),
    "coral_dev_board": ("coral", r"Coral Dev Board", (400.0, 400.0, 0.32, 0.0)),
}
"""Profile, family, the device's name in the table, and where the fit starts: billions of multiply-accumulates
in a second in float32 and int8 on one thread, billions of bytes, microseconds between operators."""

RUNTIMES = {
    "android": r"TFLite CPU( \(big cores\)| \(large core\)| \(Pixel 4.*)?",
    "coral": r"Edge TPU( \(Python API\)| \(pycoral wall-clock\))?",
}
CPU_RUNTIME = r"TFLite 2\.(5|18) (XNNPACK|CPU built-in kernels).*"
_INT8 = re.compile(r"(u?int8)( \(QAT\)| per-channel)?|int8/uint8")
_NARROWEST = 0.3
"""No band is narrower: the networks that were published are more alike than those that users have."""
_TRUSTED = 0.5
"""How far a constant goes from where it starts for one unit of error: natural logarithm."""


@dataclass(frozen=True)
class Row:
    """One published latency."""

    model: str
    dtype: str
    threads: int
    builtin: bool
    milliseconds: float
    source: str
    jobs: tuple[Work, ...]
    ends: int
    parameters: int

    @cached_property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """Bytes, multiply-accumulates, and which are depthwise, neither, or a search for boxes."""
        groups = np.array([job.group for job in self.jobs])
        macs = np.array([job.macs for job in self.jobs], float)
        moved = np.array([job.bytes for job in self.jobs], float)
        searched = np.array(["PostProcess" in job.kind for job in self.jobs])
        return moved, macs, groups == "depthwise", groups == "other", searched


def rows(path: Path, device: str) -> Iterator[Row]:
    """The rows of a device that can be used."""
    family, pattern, _ = DEVICES[device]
    runtime = RUNTIMES.get(family, CPU_RUNTIME)
    with path.open(newline="", encoding="utf-8") as file:
        for raw in csv.DictReader(file):
            if not re.fullmatch(pattern, raw["device"]) or not re.fullmatch(runtime, raw["delegate"]):
                continue
            on_tpu = family == "coral"
            dtype = (
                "float32"
                if raw["precision"] == "fp32"
                else "int8"
                if _INT8.fullmatch(raw["precision"])
                else ""
            )
            size = re.match(r"\d+", raw["input"])
            if not dtype or size is None or not (raw["threads"].isdigit() or on_tpu):
                continue
            net = build(raw["model"], int(size[0]))
            if net is None:
                continue
            jobs = net.work(dtype)
            yield Row(
                raw["model"], dtype, int(raw["threads"] or 1), "built-in" in raw["delegate"],
                float(raw["latency_ms"]), raw["source_url"], jobs, int(size[0]) ** 2 * 3, net.parameters,
            )  # fmt: skip


def cost(device: str, free: Sequence[float]) -> Cost:
    """Constants from the numbers of the fit, which are logarithms of shares of where it started."""
    family, _, (floats, eights, gbps, dispatch) = DEVICES[device]
    f, fd, i, idw, g, d, a, b = np.exp(free)
    if family == "coral":
        beside = Accelerator(Rates(eights * i, eights / 8 * idw), 20 * f, 0.5 * d, 0.4 * g, 0.4 * g)
        return Cost("", 0.0, {"int8": Rates(1.0, 1.0)}, 0.3 * b, 0.0, 0.0, accelerator=beside)
    rates = {
        "float32": Rates(floats * f, floats / 3 * fd),
        "int8": Rates(eights * i, eights / 6 * idw),
    }
    return Cost("", 0.0, rates, gbps * g, dispatch * d, min(0.75 * a, 1.0), 1.5 * b)


def predicted(made: Cost, row: Row) -> float:
    """Milliseconds of a row: what `targets.cost.layer` says of each operator, summed, by arrays."""
    moved, macs, depthwise, other, searched = row.arrays
    beside = made.accelerator
    rates = beside.rates if beside else made.rates[row.dtype]
    compute = macs / np.where(depthwise, rates.depthwise, rates.convolution) / 1e6
    if beside:
        parts = np.maximum(compute, moved / np.where(searched, made.gbps, beside.gbps) / 1e6)
        return float(parts.sum()) + overhead(beside, row)
    slower = made.builtin if row.builtin else 1.0
    compute *= slower / row.threads**made.thread_exponent
    memory = moved / made.gbps / 1e6 * np.where(other, slower, 1.0)
    return float(np.maximum(compute, memory).sum()) + len(macs) * made.dispatch_us / 1e3


def overhead(beside: Accelerator, row: Row) -> float:
    """Milliseconds beside the operators; parameters beyond the chip's memory come in every run."""
    streamed = max(0, row.parameters - ((8 << 20) - RESERVED_BYTES))
    return beside.invoke_ms + (row.ends / beside.io_gbps + streamed / beside.stream_gbps) / 1e6


def checked(made: Cost, row: Row) -> None:
    """The arrays must say what the model that ships says."""
    unit = "edge_tpu" if made.accelerator else "cpu" if row.builtin else "xnnpack"
    total = 0.0
    for job in row.jobs:
        at = "cpu" if made.accelerator and "PostProcess" in job.kind else unit
        total += layer(replace(job, unit=at), made, row.threads).milliseconds
    total += overhead(made.accelerator, row) if made.accelerator else 0.0
    assert abs(predicted(made, row) / total - 1) < 1e-9


def fitted(device: str, given: Sequence[Row]) -> np.ndarray:
    """Robust least squares of logarithms; constants are held near their start, networks weigh alike."""
    counts = defaultdict(int)
    for row in given:
        counts[row.model, row.dtype] += 1
    scale = np.array([1 / np.sqrt(counts[row.model, row.dtype]) for row in given]) * 3

    def errors(free: np.ndarray) -> np.ndarray:
        made = cost(device, free)
        off = [np.log(predicted(made, row) / row.milliseconds) for row in given]
        return np.concatenate([np.array(off) * scale, free * _TRUSTED])

    found = least_squares(errors, np.zeros(8), loss="soft_l1", f_scale=0.3, max_nfev=25)
    return np.asarray(found.x)


def left_out(device: str, given: Sequence[Row]) -> list[tuple[Row, float]]:
    """Each row with its relative error, fitted to the rows of all other networks."""
    made = []
    for model in sorted({row.model for row in given}):
        rest = [row for row in given if row.model != model]
        constants = cost(device, fitted(device, rest))
        made += [
            (row, predicted(constants, row) / row.milliseconds - 1) for row in given if row.model == model
        ]
    return made


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--device", action="append", choices=list(DEVICES))
    parser.add_argument("--worst", type=int, default=0, help="Show the worst rows of each device.")
    given = parser.parse_args()
    by_family = defaultdict(list)
    print("| device | rows | networks | median error | within 30 % | nine of ten within |")
    print("|---|---|---|---|---|---|")
    constants = {}
    for device in given.device or DEVICES:
        found = list(rows(given.rows, device))
        if not found:
            continue
        errors = left_out(device, found)
        show(device, errors)
        by_family[DEVICES[device][0]] += errors
        constants[device] = (cost(device, fitted(device, found)), errors)
        checked(constants[device][0], found[0])
        for row, error in sorted(errors, key=lambda pair: -abs(pair[1]))[: given.worst]:
            print(f"    {row.model} {row.dtype} threads {row.threads} {row.milliseconds} ms: {error:+.0%}")
    for family, errors in by_family.items():
        show(f"**{family}**", errors)
    for device, (made, errors) in constants.items():
        widest = max(_NARROWEST, band(errors), band(by_family[DEVICES[device][0]]))
        print(f"\n# {device}\n{table(made, errors, widest)}")


def band(errors: Sequence[tuple[Row, float]]) -> float:
    """Nine of ten rows lay between the estimate over 1 + this and the estimate times 1 + this."""
    return float(np.quantile([max(1 + error, 1 / (1 + error)) - 1 for _, error in errors], 0.9))


def table(made: Cost, errors: Sequence[tuple[Row, float]], widest: float) -> str:
    """The constants as a profile has them."""
    networks = len({row.model for row, _ in errors})
    lines = [
        "[cost]",
        f'basis = "fitted to {len(errors)} published latencies of {networks} networks"',
        f"band = {widest:.2f}",
        f"gbps = {made.gbps:.3g}",
        f"dispatch_us = {made.dispatch_us:.3g}",
        f"thread_exponent = {made.thread_exponent:.2f}",
        f"builtin = {made.builtin:.3g}",
    ]
    for dtype, rates in made.rates.items():
        lines += ["", f"[cost.rates.{dtype}]", f"convolution = {rates.convolution:.3g}"]
        lines.append(f"depthwise = {rates.depthwise:.3g}")
    if beside := made.accelerator:
        lines += [
            "",
            "[cost.accelerator]",
            f"gbps = {beside.gbps:.3g}",
            f"invoke_ms = {beside.invoke_ms:.3g}",
        ]
        lines += [f"stream_gbps = {beside.stream_gbps:.3g}", f"io_gbps = {beside.io_gbps:.3g}", ""]
        lines += ["[cost.accelerator.rates]", f"convolution = {beside.rates.convolution:.3g}"]
        lines.append(f"depthwise = {beside.rates.depthwise:.3g}")
    sources = sorted({"/".join(row.source.split("/")[:5]) for row, _ in errors})
    return "\n".join([*lines, "", f'# sources.cost = "{" ; ".join(sources)}"'])


def show(name: str, errors: Sequence[tuple[Row, float]]) -> None:
    """One line of the table."""
    off = np.abs([error for _, error in errors])
    networks = len({row.model for row, _ in errors})
    print(
        f"| {name} | {len(off)} | {networks} | {np.median(off):.1%} | {np.mean(off <= 0.3):.0%} "
        f"| {band(errors):.0%} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
