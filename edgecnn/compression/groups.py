"""Which channels of a network can go, and which only together: the two sides of a sum, a depthwise pair.

    channels = channels_of(model)
    for group in channels.groups:
        print(group.name, len(group.units), group.makers)

Knows the whole network; how one layer hands channels on says `passing`, and `removal` takes them out.
(Fang et al. 2023, DepGraph, arXiv 2301.12900, call these groups of coupled parameters.)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.compression.passing import READERS, passed
from edgecnn.compression.rewrite import calls
from edgecnn.compression.ties import Numbers, Ties

Keep = npt.NDArray[np.bool_]
"""(units,): whether each unit stays."""


@dataclass(frozen=True, eq=False)
class Group:
    """Units made by the same layers: ranked and rounded together.

    Attributes:
        name: the first of `makers`.
        units: their numbers, (n,), ascending.
        makers: the layers whose kernels make each of these units; several where sums tie them.
    """

    name: str
    units: Numbers
    makers: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Channels:
    """The channels of a network, in units that can only stay or go together.

    A channel is a place on the last axis of a tensor. Units hold channels of several tensors: those of a
    convolution, of its norm and activation, and of everything that is summed with them.

    Attributes:
        units: how many there are.
        made: of each call, by name, the unit of each output channel (channels,). Behind Flatten one entry for
            each value. A unit may be there more than once.
        read: of each call with a kernel over all its input channels (Conv2D without groups, Dense,
            Conv2DTranspose, SeparableConv2D), the unit of each input channel of the kernel (channels,).
        groups: the units that may go.
        fixed: of each call that makes units which cannot go, why: they are in no group.
    """

    units: int
    made: Mapping[str, Numbers]
    read: Mapping[str, Numbers]
    groups: tuple[Group, ...]
    fixed: Mapping[str, str]

    @property
    def free(self) -> Keep:
        """(units,): whether each unit may go."""
        may = np.zeros(self.units, bool)
        for group in self.groups:
            may[group.units] = True
        return may

    def kept(self, name: str, keep: Keep) -> Numbers:
        """The places of a call's output channels that stay, ascending."""
        return np.flatnonzero(keep[self.made[name]])


def channels_of(model: Any) -> Channels:
    """Find the channels of a network that can be removed, by what its layers do with them.

    Args:
        model: a functional model, channels last; stays as it is.

    Raises:
        TrainingError: a layer that hands on channels in a way that is not known, or that `rewrite.calls`
            cannot follow; names the layer and says what to do.
    """
    ties, found, through = Ties(), calls(model), dict[str, Numbers]()
    for call in found:
        through[call.name] = passed(call, [through[before.name] for before in call.before], ties)
    outputs = {id(tensor) for tensor in model.outputs}
    for call in found:
        if id(call.output) in outputs:
            ties.fix(through[call.name], "is tied to the model's output")
    of, makers, fixed = ties.sets()
    members: dict[tuple[str, ...], list[int]] = {}
    kept_whole: dict[str, str] = {}
    for unit, names in enumerate(makers):
        if unit not in fixed:
            members.setdefault(names, []).append(unit)
        for name in names if unit in fixed else ():
            kept_whole.setdefault(name, fixed[unit])
    return Channels(
        units=len(makers),
        made={name: of[channels] for name, channels in through.items()},
        read={
            call.name: of[through[call.before[0].name]]
            for call in found
            if type(call.layer) in READERS and getattr(call.layer, "groups", 1) == 1
        },
        groups=tuple(Group(names[0], np.array(units), names) for names, units in members.items()),
        fixed=kept_whole,
    )
