"""How an output is LEARNED: one module for each design, all of the same shape (`Head`).

A head knows the network's last layers, the loss and the targets of its task. What an output MEANS is
`edgecnn.tasks`, under the same names; what carries the head is `edgecnn.zoo`; when to step is
`edgecnn.training`.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol

from edgecnn.card import Card, InputSpec
from edgecnn.data.augment import Augment, Pixels
from edgecnn.data.dataset import Dataset
from edgecnn.errors import TrainingError
from edgecnn.image import Array, View


class Head(Protocol):
    """What a head module offers."""

    ROLES: tuple[str, ...]
    """The roles of the network's outputs, in the network's order."""

    FIGURE: str
    """What the second value of the criterion is called."""

    SCORE: str
    """What the outcome's `score` is called."""

    FRESH: tuple[str, ...]
    """How the names of the layers begin that may keep fresh weights where others come pretrained."""

    def options(self, spec: InputSpec) -> dict[str, Any]:
        """What the card says about the outputs: the task's own options."""

    def structure(
        self, name: str, *, input_shape: tuple[int, int, int], classes: int, width: float = 1.0
    ) -> Any:
        """The network with Keras' own random weights."""

    def build(
        self, name: str, *, input_shape: tuple[int, int, int], classes: int, width: float = 1.0, seed: int = 0
    ) -> Any:
        """The network with fresh weights from a seed."""

    def targets(self, dataset: Dataset) -> Array:
        """What each sample's output should be, first axis = sample; reads no image."""

    def placed(self, targets: Array, views: Sequence[View]) -> Array:
        """The same for prepared images, which lie where their views say."""

    def check(self, train: Array, val: Array, labels: Sequence[str]) -> None:
        """Refuse targets that nothing can be learned from."""

    def vary(
        self,
        take: Callable[[Any], Pixels],
        targets: Array,
        chosen: Any,
        how: Augment,
        random: Any,
    ) -> tuple[Pixels, Array]:
        """The images `chosen` of all that `take` gives, varied at random, and their targets."""

    def criterion(self, spec: InputSpec, *, smoothing: float) -> Callable[[Any, Any], tuple[Any, Any]]:
        """TensorFlow: (targets, outputs) to one loss and one figure in [0, 1] for each sample, (batch,)."""

    IMITATED: float
    """The share of the loss, in [0, 1], that is best `imitation` where there is a teacher."""

    TEMPERATURE: float
    """What scores are best divided by for `imitation`."""

    def imitation(self, spec: InputSpec, *, temperature: float) -> Callable[[Any, Any], Any]:
        """TensorFlow: (a teacher's outputs, outputs) to one loss each, (batch,), 0 where they agree."""

    def outcome(
        self, outputs: Sequence[Array], dataset: Dataset, views: Sequence[View], card: Card
    ) -> dict[str, Any]:
        """The task's metrics as JSON-ready values; `score` in [0, 1] is what the best epoch is chosen by."""

    def fitted_options(
        self, outputs: Sequence[Array], dataset: Dataset, views: Sequence[View], card: Card
    ) -> Mapping[str, Any]:
        """The card's options, with those that are fitted to the validation images."""


HEADS: dict[str, dict[str, str]] = {
    "classification": {"": "edgecnn.heads.classification"},
    "detection": {"anchors": "edgecnn.heads.anchors", "centroids": "edgecnn.heads.centroids"},
}
"""For each task the module (a `Head`) of each design, the usual one first; imported when used, because it
imports TensorFlow."""


def designs(task: str) -> tuple[str, ...]:
    """The designs that a task can be learned by, the usual one first.

    Raises:
        TrainingError: no head learns this task.
    """
    if task not in HEADS:
        raise TrainingError(f"nothing learns the task {task!r} yet; there is: {', '.join(HEADS)}.")
    return tuple(HEADS[task])


def find(task: str, design: str = "") -> Head:
    """The head of a task.

    Args:
        task: a key of HEADS.
        design: one of `designs`; "" is the usual one.

    Raises:
        TrainingError: no head learns this task, or none so.
    """
    known = designs(task)
    if design not in ("", *known):
        named = ", ".join(filter(None, known)) or "none to choose from"
        raise TrainingError(f"{task} has no design {design!r}; there is: {named}.")
    return import_module(HEADS[task][design or known[0]])
