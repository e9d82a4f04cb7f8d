"""What a model's output means: one module for each task, all of the same shape.

A task is a MODULE that satisfies the `Task` protocol. It is numpy, it ships to the device, and it knows
nothing of how its output was learned (that is `edgecnn.heads`) or judged (`edgecnn.evaluation`).
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from edgecnn.card import Card
from edgecnn.image import Array, Image, View
from edgecnn.results import Result
from edgecnn.tasks import classification, detection
from edgecnn.tasks.stored import Steps


class Task(Protocol):
    """What a task module offers."""

    @property
    def JUDGING(self) -> Mapping[str, Any]:  # noqa: N802  (a constant of the module)
        """Options of the card under which results are judged: a detector then gives unlikely boxes, too."""

    def roles(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """The roles of the outputs that `decode` reads, under the card's options."""

    def decode(self, outputs: Mapping[str, Array], view: View, card: Card) -> Result:
        """Turn output tensors, by role, in real numbers and without the batch axis, into a result."""

    def decoder(
        self, card: Card, steps: Mapping[str, Steps] = ...
    ) -> Callable[[Mapping[str, Array], View], Result]:
        """`decode` for many images of one card. Of the roles in `steps`, stored values are given."""

    def draw(self, image: Image, result: Result) -> Image:
        """A copy of the image with the result drawn on it."""


TASKS: dict[str, Task] = {"classification": classification, "detection": detection}
