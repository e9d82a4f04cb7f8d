"""Which operator of a converted file is the first that does damage, and what about it does.

An operator is bad by its own error (`calibration.dissect`), not by what arrives. For each suspicion the gain
is computed: by how many decibels the rounding error would fall if the cause were gone. The largest gain is
the likeliest cause; a suspicion with less than LEAST_GAIN_DB is none.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf

from calibration.causes import Cause, of_input, of_operator, of_wire
from calibration.dissect import Measured
from calibration.layer_error import LayerError, short_name
from calibration.wiring import Wiring

BAD_DB = 25.0
"""Own SQNR below which an operator is bad. In healthy int8 networks the worst has 30 (EfficientNet-Lite0
29.9, ResNet-8 30.8); where channels were scaled by 2^U(-3, 3), the first one hit has 18."""

LEAST_GAIN_DB = 6.0
"""Half the steps' size: what removing a cause must promise at least."""

_LEAST_SHARE = 0.25
"""A source of error (inputs, grid, weights) with a smaller share of an operator's own is no suspect."""


@dataclass(frozen=True)
class Finding:
    """One operator and why it does damage.

    Attributes:
        position: of its tensor in `Measured.layers`.
        sqnr_db: what it is judged by: its own SQNR, or that of its weakest part.
        causes: the likeliest first; never empty.
    """

    position: int
    sqnr_db: float
    causes: tuple[Cause, ...]


@dataclass(frozen=True)
class Blame:
    """What is wrong with a converted file.

    Attributes:
        bad: the operators that do damage, in order of execution; () for a healthy file.
        weakest: the one that adds the most error, bad or not.
        bad_db: the bound.
    """

    bad: tuple[Finding, ...]
    weakest: Finding
    bad_db: float = field(default=BAD_DB)

    @property
    def first(self) -> Finding | None:
        """The first bad operator; None in a healthy file."""
        return self.bad[0] if self.bad else None


def blame(measured: Measured, *, bad_db: float = BAD_DB) -> Blame:
    """Find the operators that do damage, and why.

    Args:
        measured: two files side by side.
        bad_db: own SQNR below which an operator is bad.
    """
    wiring = Wiring(measured)
    judged = [_judged(layer, wiring) for layer in measured.layers]
    bad = tuple(
        Finding(position, found, _causes(measured.layers[position], wiring))
        for position, found in enumerate(judged)
        if found < bad_db
    )
    weakest = min(range(len(judged)), key=judged.__getitem__)
    return Blame(bad, Finding(weakest, judged[weakest], _causes(measured.layers[weakest], wiring)), bad_db)


def _judged(layer: LayerError, wiring: Wiring) -> float:
    """An operator's own SQNR; of a concatenation that is an answer of the model, its weakest part's.

    Boxes up to 640 hide what happens to scores up to 1 in the sum over both, and nobody behind it complains.
    Inside a network the reader complains: its own error counts what its inputs lack.
    """
    silent = layer.channels.signal.sum() == 0
    own = inf if silent and layer.channels.local.sum() == 0 else layer.local_sqnr_db
    if layer.parts_db and wiring.leads_out(layer.node.tensor):
        return min(own, *layer.parts_db)
    return own


def _causes(layer: LayerError, wiring: Wiring) -> tuple[Cause, ...]:
    found: dict[tuple[str, str], Cause] = {}
    for cause in _suspicions(layer, wiring):
        key = cause.kind, cause.tensor
        if cause.gain_db >= LEAST_GAIN_DB and (key not in found or found[key].gain_db < cause.gain_db):
            found[key] = cause
    if not found:
        return (_coarse(layer, wiring),)
    return tuple(sorted(found.values(), key=lambda cause: -cause.gain_db))


def _suspicions(layer: LayerError, wiring: Wiring) -> Iterator[Cause]:
    total = layer.inputs + layer.weights + layer.grid
    if layer.node.operator < 0:
        yield from of_input(layer)
    if not total < inf:
        yield from of_operator(layer, wiring)
        return
    hidden = bool(layer.parts_db) and wiring.leads_out(layer.node.tensor)
    if layer.grid >= _LEAST_SHARE * total or hidden:
        yield from of_wire(layer, wiring)
    if layer.inputs >= _LEAST_SHARE * total:
        for source in wiring.sources(layer):
            yield from of_wire(source, wiring, reader=layer)
    if layer.weights >= _LEAST_SHARE * total:
        yield from of_operator(layer, wiring)


def _coarse(layer: LayerError, wiring: Wiring) -> Cause:
    """Nothing stands out: so many steps are not enough here."""
    source = max(("inputs", "weights", "grid"), key=lambda name: getattr(layer, name))
    wires = [one for one in wiring.sources(layer) if one.step] if source == "inputs" else [layer]
    wire = max(wires, key=lambda one: one.grid, default=layer)
    if source == "weights" or not wire.step:
        text = "its weights and arithmetic are coarse, and nothing about them stands out"
        return Cause(
            "weights", layer.tensor.name, 0.0, text, "bias correction, or keep this layer in float", {}
        )
    low, high = wire.used
    text = (
        f"{short_name(wire.tensor)} runs from {low:.3g} to {high:.3g} in steps of {wire.step:.2g}: too "
        "coarse here, and nothing about its range stands out"
    )
    figures = {"low": low, "high": high, "step": wire.step}
    return Cause("coarse", wire.tensor.name, 0.0, text, "keep this layer in int16 or float", figures)
