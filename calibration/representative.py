"""The images that a conversion calibrates with, chosen from all training images."""

from calibration.features import ModelFeatures
from calibration.samples import COUNT, POOL, choose, choose_apart
from edgecnn.card import InputSpec
from edgecnn.data.dataset import Dataset

LOOKED_AT = 512
"""Images that are looked at to choose from, at most; so many cost less than calibrating does elsewhere."""


def representative(
    content: bytes,
    dataset: Dataset,
    spec: InputSpec,
    *,
    count: int = COUNT,
    seed: int = 0,
    name: str = "the model",
    threads: int = 1,
) -> Dataset:
    """Images that stand for all: balanced, and far apart in what the model sees in them.

    With many images, being apart brings nothing (see `choose_apart`), and none is looked at.

    Args:
        content: a float `.tflite` with one input.
        dataset: the training images.
        spec: how an image becomes the input.
        count: how many.
        seed: another seed chooses from others.
        name: what to call the model in errors.
        threads: how many the interpreter may use.

    Raises:
        DataError: see `calibration.samples.choose_apart`.
        ModelError: the model cannot be run.
    """
    pool = min(POOL, LOOKED_AT // max(1, count))
    if pool < 2:
        return choose(dataset, count=count, seed=seed)
    with ModelFeatures(content, spec, name=name, threads=threads) as features:
        return choose_apart(dataset, features, count=count, seed=seed, pool=pool)
