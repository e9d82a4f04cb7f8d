"""How an output is LEARNED: one module for each task, all of the same shape (`Head`).

A head knows the loss and the targets of its task. What an output MEANS is `edgecnn.tasks`, under the same
names; which network carries the head is `edgecnn.zoo`; when to step is `edgecnn.training`.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol

from edgecnn.data.dataset import Dataset
from edgecnn.errors import TrainingError
from edgecnn.image import Array


class Head(Protocol):
    """What a head module offers."""

    ROLES: tuple[str, ...]
    """The roles of the network's outputs, in the network's order."""

    OPTIONS: dict[str, Any]
    """What the card says about the outputs: the task's own options."""

    def targets(self, dataset: Dataset) -> Array:
        """What each sample's output should be, first axis = sample; reads no image."""

    def check(self, train: Array, val: Array, labels: Sequence[str]) -> None:
        """Refuse targets that nothing can be learned from."""

    def loss(self, targets: Any, outputs: Any, *, smoothing: float) -> Any:
        """TensorFlow: (batch,) float32, one loss for each sample."""

    def correct(self, targets: Any, outputs: Any) -> Any:
        """TensorFlow: (batch,) bool, which samples came out right; the figure to watch."""

    def outcome(self, outputs: Array, targets: Array, labels: tuple[str, ...]) -> dict[str, Any]:
        """The task's metrics as JSON-ready values; `score` in [0, 1] is what the best epoch is chosen by."""


HEADS: dict[str, str] = {"classification": "edgecnn.heads.classification"}
"""The module (a `Head`) of each task, imported when used, because it imports TensorFlow."""


def find(task: str) -> Head:
    """The head of a task.

    Raises:
        TrainingError: no head learns this task.
    """
    if task not in HEADS:
        raise TrainingError(f"nothing learns the task {task!r} yet; there is: {', '.join(HEADS)}.")
    return import_module(HEADS[task])
