"""A network with its published ImageNet weights, as a run that can be converted as it is.

write_published("efficientnet_lite0", out=Path("runs/lite0"))
"""

from pathlib import Path

from edgecnn import runs, zoo
from edgecnn.card import Card
from edgecnn.errors import TrainingError
from edgecnn.heads import classification
from edgecnn.runs import Run
from edgecnn.training import folder
from edgecnn.zoo.pretrained import imagenet_labels, load_imagenet


def write_published(model: str, *, out: Path, weights: Path | None = None, force: bool = False) -> Run:
    """Write a run folder that holds a network as its authors trained it on ImageNet.

    Args:
        model: a key of `edgecnn.zoo.ZOO` that has such weights; `edgecnn models` says which.
        out: the run folder.
        weights: a PyTorch state dict in the legacy format; None takes that of the installed package.
        force: replace the model and the card that are there. Converted files stay; `convert` notices them.

    Returns:
        The run: model.keras and card.json, without a recipe, because nothing was trained here.

    Raises:
        TrainingError: an unknown network, one without weights, or a folder that is taken.
        MissingExtra: the package with the weights is not installed.
        DataError: the weights cannot be read, or are not of this network.
    """
    run, network = Run(out), zoo.find(model)
    if out.exists() and not out.is_dir():
        raise TrainingError(f"{out} is a file, not a folder. Choose another name for the run.")
    if out.is_dir() and any(out.iterdir()) and not (force and runs.is_run(out)):
        raise TrainingError(f"{out} is not empty. Replace the run in it (--force), or choose another folder.")
    spec, labels = network.input, imagenet_labels()
    built = zoo.build(model, input_shape=(spec.height, spec.width, spec.channels), classes=len(labels))
    load_imagenet(built, model, path=weights)
    source = network.pretrained if weights is None else weights.name
    card = Card(
        name=model,
        task="classification",
        input=spec,
        labels=labels,
        outputs=dict.fromkeys(classification.ROLES, "logits"),
        options=classification.options(network.input),
        lineage=(f"published: {model}, ImageNet weights of {source}",),
    )
    folder.write_model(run, built, card)
    return run
