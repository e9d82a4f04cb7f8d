"""What one training learns from and is judged by: read, checked, ready in memory."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

import numpy as np

from edgecnn import heads
from edgecnn.data.dataset import Dataset
from edgecnn.errors import TrainingError
from edgecnn.heads import Head
from edgecnn.image import Array
from edgecnn.training import pixels
from edgecnn.training.feed import Feed
from edgecnn.training.pixels import Images
from edgecnn.training.progress import SHOW_SECONDS, Progress
from edgecnn.training.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Lesson:
    """Training batches, validation images, and the head that knows their task.

    Attributes:
        task: of the data.
        head: of the task.
        feed: training batches.
        val: validation images.
        val_targets: (n, …) what each should give.
        labels: names of the classes.
        name: of the data set.
    """

    task: str
    head: Head
    feed: Feed
    val: Images
    val_targets: Array
    labels: tuple[str, ...]
    name: str

    @property
    def unreadable(self) -> list[str]:
        """What was wrong with each image that was left out."""
        return [*self.feed.images.unreadable, *self.val.unreadable]

    def fingerprint(self) -> str:
        """Another text when a name, a label, an order or a pixel is another."""
        digest = hashlib.blake2b(digest_size=16)
        for label in self.labels:
            digest.update(label.encode() + b"\n")
        for images, targets in ((self.feed.images, self.feed.targets), (self.val, self.val_targets)):
            for sample in images.dataset.samples:
                digest.update(sample.image.name.encode(errors="surrogateescape") + b"\n")
            digest.update(np.ascontiguousarray(targets).tobytes())
            digest.update(f"{len(images)} {images.checksum}\n".encode())
        return digest.hexdigest()


def check(data: tuple[Dataset, Dataset], recipe: Recipe, *, replicas: int = 1) -> None:
    """Refuse data that this recipe cannot learn from; reads no image.

    Args:
        data: training and validation images.
        recipe: says the size of a batch.
        replicas: processors that share a batch.

    Raises:
        TrainingError: what does not go together.
        DataError: a truth is not of the data set's task.
    """
    train, val = data
    if train.labels != val.labels or train.task != val.task:
        raise TrainingError(
            f"{train.name} and {val.name} are not of one kind: {train.task} of {len(train.labels)} labels, "
            f"{val.task} of {len(val.labels)}. Both splits must have the same labels in the same order."
        )
    if train.task != recipe.task:
        raise TrainingError(f"{train.name} is for {train.task}, but the recipe is for {recipe.task}.")
    head = heads.find(recipe.task, recipe.design)
    head.check(head.targets(train), head.targets(val), train.labels)
    if recipe.batch > len(train):
        raise TrainingError(
            f"a batch of {recipe.batch} is larger than the {len(train)} training images. "
            f"Use a batch of at most {len(train)}."
        )
    known = {sample.image.name for sample in train.samples}
    twice = next((sample.image.name for sample in val.samples if sample.image.name in known), None)
    if twice is not None:
        raise TrainingError(f"{twice} is in both the training and the validation images. Separate the two.")
    if recipe.batch % replicas:
        raise TrainingError(
            f"a batch of {recipe.batch} cannot be shared evenly by {replicas} processors. "
            f"Use a multiple of {replicas}."
        )


def read_lesson(
    data: tuple[Dataset, Dataset],
    recipe: Recipe,
    *,
    skip_unreadable: bool = False,
    cache_bytes: int = pixels.CACHE_BYTES,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Lesson:
    """Read every image once.

    Args:
        data: training and validation images that passed `check`.
        recipe: says how images are fitted, augmented and batched.
        skip_unreadable: leave broken images out instead of refusing them.
        cache_bytes: the most memory that the images may take.
        progress: called while reading.

    Raises:
        TrainingError: images cannot be read, or without them too little is left.
    """
    train, val = data
    head = heads.find(recipe.task, recipe.design)
    count = len(train) + len(val)

    shown_at = monotonic()

    def shown(offset: int) -> Callable[[int, int, float], None]:
        def show(done: int, _: int, speed: float) -> None:
            nonlocal shown_at
            if monotonic() - shown_at < SHOW_SECONDS and offset + done < count:
                return
            shown_at = monotonic()
            left = (count - offset - done) / max(speed, 1e-9)
            progress(
                Progress("reading", 0, recipe.epochs, offset + done, count, images_per_s=speed, eta_s=left)
            )

        return show

    kept, kept_val = (
        pixels.read(
            part,
            recipe.input,
            cache_bytes=cache_bytes,
            skip_unreadable=skip_unreadable,
            progress=shown(offset),
        )
        for part, offset in ((train, 0), (val, len(train)))
    )
    targets, val_targets = (head.placed(head.targets(one.dataset), one.views) for one in (kept, kept_val))
    head.check(targets, val_targets, train.labels)
    if recipe.batch > len(kept):
        raise TrainingError(
            f"only {len(kept)} training images can be read, less than one batch of {recipe.batch}."
        )
    calm = round(recipe.calm * recipe.epochs)
    feed = Feed(
        kept,
        targets,
        head,
        recipe.augment,
        recipe.batch,
        recipe.seed,
        repeats=recipe.repeats,
        calm_from=recipe.epochs - calm if calm else None,
    )
    return Lesson(train.task, head, feed, kept_val, val_targets, train.labels, train.name)
