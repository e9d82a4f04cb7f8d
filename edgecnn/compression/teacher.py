"""A run that another network learns from: read, checked, and asked.

What is made of its answers is `edgecnn.compression.distill`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.card import Card, InputSpec
from edgecnn.compression.rewrite import anew
from edgecnn.errors import CardError, TrainingError
from edgecnn.heads import Head
from edgecnn.runs import Run, fingerprint
from edgecnn.training.learner import listed, precision
from edgecnn.training.predict import read_model
from edgecnn.zoo.keras import keras, tf


@dataclass(frozen=True, eq=False)
class Teacher:
    """A finished run that fits a student.

    Attributes:
        run: its folder.
        card: what its numbers mean.
        model: its Keras model, in float32; never changes.
        fingerprint: of its weights, the first 12 hexadecimal digits of the file's SHA-256.
    """

    run: Run
    card: Card
    model: Any
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.card.name} {self.fingerprint}"


def read_teacher(run: Path, head: Head, spec: InputSpec, *, task: str, labels: Sequence[str]) -> Teacher:
    """Read a run and see that it can teach.

    Args:
        run: the teacher's run folder.
        head: of the student.
        spec: of the student's input. The teacher may want another normalization, and, where outputs have no
            place in the image, another size.
        task: of the student.
        labels: of the student, in its order.

    Raises:
        TrainingError: another task, other labels, colours or outputs; says which.
        DataError, CardError, ModelError: the run cannot be read.
    """
    source = Run(run)
    card = source.read_card()
    if card.task != task:
        raise TrainingError(f"{run} does {card.task} and cannot teach {task}. Choose another teacher.")
    if card.labels != tuple(labels):
        raise TrainingError(
            f"{run} knows {len(card.labels)} labels ({_some(card.labels)}), the student learns {len(labels)} "
            f"({_some(labels)}). A teacher must know the same labels in the same order."
        )
    if card.input.color != spec.color:
        raise TrainingError(
            f"{run} sees {card.input.color}, the student {spec.color}. Train the student with those."
        )
    for name, wanted in head.options(spec).items():
        if name in card.options and card.options[name] != wanted:
            raise TrainingError(
                f"{run} gives outputs of {name} {card.options[name]!r}, the student {wanted!r}. A "
                "teacher must answer in the student's own form."
            )
    model = read_model(source.model)
    if absent := [name for name in card.outputs.values() if name not in model.output_names]:
        raise CardError(
            f"{source.card}: names the output {absent[0]!r}; the model has {', '.join(model.output_names)}."
        )
    theirs, ours = (card.input.height, card.input.width), (spec.height, spec.width)
    placed = any(len(output.shape) > 2 for output in model.outputs)
    if placed and theirs != ours:
        raise TrainingError(
            f"{run} sees {theirs[1]}x{theirs[0]} pixels, the student {ours[1]}x{ours[0]}, whose boxes lie "
            f"in other cells. Train the student with the teacher's size: {theirs[1]}x{theirs[0]}."
        )
    model.trainable = False
    return Teacher(source, card, model, fingerprint(source.model)[:12])


def answers(
    teacher: Teacher, head: Head, spec: InputSpec, *, computing: str, features: Sequence[str] = ()
) -> Callable[[Any], list[Any]]:
    """The teacher's outputs in the order of the head's roles, then those of `features`, its own layers.

    Args:
        teacher: as `read_teacher` gives it.
        head: of the student.
        spec: of the student's input.
        computing: "float32" or "bfloat16".
        features: names of layers of the teacher.

    Returns:
        TensorFlow: images as the student sees them, (batch, height, width, channels) normalized, to the
        outputs of a network without dropout and with its running statistics.
    """
    model = teacher.model
    if computing != "float32":
        with precision(computing):
            model = anew(teacher.model)
        model.set_weights(teacher.model.get_weights())
    named = dict(zip(model.output_names, model.outputs, strict=True))
    wanted = (
        [named[teacher.card.outputs[role]] for role in head.ROLES] if teacher.card.outputs else model.outputs
    )
    model = keras.Model(model.inputs, [*wanted, *(model.get_layer(name).output for name in features)])
    model.trainable = False
    seen = _view(spec, teacher.card.input)
    return lambda images: listed(model(seen(images), training=False))


def _view(student: InputSpec, teacher: InputSpec) -> Callable[[Any], Any]:
    """TensorFlow: the student's images as the teacher would have been given them."""
    of_student, of_teacher = (np.array([one.mean, one.std]) for one in (student, teacher))
    scale = np.float32(of_student[1] / of_teacher[1])
    shift = np.float32((of_student[0] - of_teacher[0]) / of_teacher[1])
    size = (teacher.height, teacher.width)

    def seen(images: Any) -> Any:
        if (scale != 1).any() or (shift != 0).any():
            images = images * scale + shift
        if size != (student.height, student.width):
            images = tf.image.resize(images, size, antialias=True)
        return images

    return seen


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:3]) + (", …" if len(labels) > 3 else "")
