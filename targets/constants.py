"""Cost constants of a device: how fast it computes, reads memory and goes from operator to operator."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

_DTYPES: Final = ("float32", "int8", "int16")


@dataclass(frozen=True)
class Rates:
    """Billions of multiply-accumulates in a second, on one thread.

    Attributes:
        convolution: of convolutions over all channels, and dense layers.
        depthwise: of depthwise convolutions, which use each value they read only a few times.
    """

    convolution: float
    depthwise: float


@dataclass(frozen=True)
class Accelerator:
    """What is beside the processor, on the other side of a bus.

    Attributes:
        rates: of what it computes.
        gbps: billions of bytes that an operator moves in its own memory in a second.
        invoke_ms: what every run takes whatever the model: to wake it and to fetch the result.
        stream_gbps: billions of bytes in a second of parameters that its memory does not hold.
        io_gbps: likewise, of inputs and outputs.
    """

    rates: Rates
    gbps: float
    invoke_ms: float
    stream_gbps: float
    io_gbps: float


@dataclass(frozen=True)
class Cost:
    """Constants of the cost model, fitted to published measurements or on the device itself.

    Attributes:
        basis: what they were fitted to, in words.
        band: the range to expect goes from the estimate over 1 + this to the estimate times 1 + this. Nine of
            ten published latencies that were left out of the fit lay in it; of a profile fitted on a device
            it is how far the worse of two networks was off.
        rates: by the type of an operator's input.
        gbps: billions of bytes that an operator reads and writes in a second.
        dispatch_us: microseconds to go from one operator to the next.
        thread_exponent: n threads compute n to this power as fast as one: 1 is perfect, 0 no gain.
        builtin: how many times longer TFLite's own kernels take than XNNPACK's.
        builtin_gbps: billions of bytes in a second that its kernels for single values read and write; 0 where
            nobody measured it, and `builtin` stands for them too.
        accelerator: what runs the operators of the delegate, where that is not the processor.
    """

    basis: str
    band: float
    rates: Mapping[str, Rates]
    gbps: float
    dispatch_us: float
    thread_exponent: float
    builtin: float = 1.0
    builtin_gbps: float = 0.0
    accelerator: Accelerator | None = None


def read_cost(table: Mapping[str, Any]) -> Cost:
    """The constants from a profile's `cost` table.

    Raises:
        ValueError: a key is unknown or missing, or a number is none that can be.
    """
    _known("cost", table, Cost)
    rates = _table("cost.rates", table.get("rates"))
    if unknown := sorted(set(rates) - set(_DTYPES)):
        raise ValueError(f"cost.rates.{unknown[0]}: rates are for {', '.join(_DTYPES)}.")
    if not rates:
        raise ValueError("cost.rates needs at least one type.")
    beside = table.get("accelerator")
    return Cost(
        basis=_text(table),
        band=_number("cost.band", table.get("band")),
        rates={dtype: _rates(f"cost.rates.{dtype}", each) for dtype, each in rates.items()},
        gbps=_number("cost.gbps", table.get("gbps")),
        dispatch_us=_number("cost.dispatch_us", table.get("dispatch_us"), zero=True),
        thread_exponent=_number("cost.thread_exponent", table.get("thread_exponent"), zero=True),
        builtin=_number("cost.builtin", table.get("builtin", 1.0)),
        builtin_gbps=_number("cost.builtin_gbps", table.get("builtin_gbps", 0.0), zero=True),
        accelerator=None if beside is None else _accelerator(_table("cost.accelerator", beside)),
    )


def _accelerator(table: Mapping[str, Any]) -> Accelerator:
    _known("cost.accelerator", table, Accelerator)
    return Accelerator(
        rates=_rates("cost.accelerator.rates", table.get("rates")),
        gbps=_number("cost.accelerator.gbps", table.get("gbps")),
        invoke_ms=_number("cost.accelerator.invoke_ms", table.get("invoke_ms"), zero=True),
        stream_gbps=_number("cost.accelerator.stream_gbps", table.get("stream_gbps")),
        io_gbps=_number("cost.accelerator.io_gbps", table.get("io_gbps")),
    )


def _rates(where: str, found: Any) -> Rates:
    table = _table(where, found)
    _known(where, table, Rates)
    return Rates(
        _number(f"{where}.convolution", table.get("convolution")),
        _number(f"{where}.depthwise", table.get("depthwise")),
    )


def _known(where: str, table: Mapping[str, Any], kind: type) -> None:
    names = [each.name for each in fields(kind)]
    if unknown := [key for key in table if key not in names]:
        raise ValueError(f"unknown key {where}.{unknown[0]}. Known are {', '.join(names)}.")


def _table(where: str, found: Any) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise ValueError(f"{where} is {found!r}; it must be a table.")
    return found


def _text(table: Mapping[str, Any]) -> str:
    if not isinstance(table.get("basis"), str) or not table["basis"]:
        raise ValueError("cost.basis must say what the constants were fitted to.")
    return str(table["basis"])


def _number(where: str, found: Any, *, zero: bool = False) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ValueError(f"{where} is {found!r}; it must be a number.")
    if not math.isfinite(found):
        raise ValueError(f"{where} is {found!r}; it must be finite.")
    if found < 0 or (found == 0 and not zero):
        raise ValueError(f"{where} is {found!r}; it must be above 0.")
    return float(found)
