"""The network that training starts from: fresh weights, published ones, or those of another run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgecnn import heads, zoo
from edgecnn.errors import TrainingError
from edgecnn.training.recipe import Recipe
from edgecnn.zoo.keras import keras


@dataclass(frozen=True, eq=False)
class Subject:
    """What is learned where it is not the recipe's own network, as `edgecnn.compression` makes it.

    Attributes:
        model: what is judged, in float32; lives in this process alone.
        export: the network as it is saved, with outputs of the same names.
        name: of the card.
        lineage: of the card, up to this training.
        verb: what this training is, such as "train resnet8"; its line of the lineage begins with it.
        anew: the same network once more, with any weights, its layers under the precision that holds when it
            is called; None where it cannot be made, and then a recipe may ask for float32 without `ema` only.
        guide: TensorFlow: (images, outputs, losses (batch,)) -> losses (batch,): what else than the targets
            there is to learn from; None for nothing. The outputs are the network's, and those of `features`.
        features: names of layers whose outputs the guide wants to see, too.
        before_step: TensorFlow, called at the beginning of every step; None for nothing.
        settled: the first epoch, counted from 0, in which the network is what it is to be: earlier ones are
            kept only until there is this one.
        notes: files of the new run that only this training knows, name to text.
    """

    model: Any
    export: Callable[[], Any]
    name: str
    lineage: tuple[str, ...]
    verb: str
    anew: Callable[[], Any] | None = None
    guide: Callable[[Any, list[Any], Any], Any] | None = None
    features: tuple[str, ...] = ()
    before_step: Callable[[], None] | None = None
    settled: int = 0
    notes: Mapping[str, str] = field(default_factory=dict)


def own_network(recipe: Recipe, classes: int) -> Subject:
    """The recipe's own network, see `network`."""
    model = network(recipe, classes)
    start = f" from {recipe.pretrained} weights" if recipe.pretrained else ""
    width = f" width {recipe.width:g}" if recipe.width != 1 else ""
    return Subject(
        model,
        export=lambda: model,
        name=recipe.model,
        lineage=(),
        verb=f"train {recipe.model}{width}{start}",
        anew=lambda: structure(recipe, classes),
    )


def network(recipe: Recipe, classes: int) -> Any:
    """The recipe's network in float32; the same weights for the same recipe, always.

    Args:
        recipe: names the network, its input, its seed and its pretrained weights.
        classes: number of logits.

    Raises:
        TrainingError: the network cannot be built so, or it has no such weights.
        DataError: a weight file is damaged or belongs to another network.
        MissingExtra: the package with the weights is not installed.
    """
    head = heads.find(recipe.task, recipe.design)
    model = head.build(
        recipe.model, input_shape=input_shape(recipe), classes=classes, width=recipe.width, seed=recipe.seed
    )
    if recipe.pretrained:
        _take_over(model, *_pretrained(recipe), fresh=head.FRESH)
    return model


def structure(recipe: Recipe, classes: int) -> Any:
    """The recipe's network with any weights: to be given those of another."""
    head = heads.find(recipe.task, recipe.design)
    return head.structure(recipe.model, input_shape=input_shape(recipe), classes=classes, width=recipe.width)


def freeze(model: Any, recipe: Recipe) -> None:
    """Take from training the layers that the recipe keeps as they came: those up to its stride `frozen`."""
    if not recipe.frozen:
        return
    maps = zoo.features(recipe.model, keras.Input(input_shape(recipe)), width=recipe.width)
    reached = [stride for stride in maps if stride <= recipe.frozen]
    if not reached:
        return
    last = model.get_layer(maps[max(reached)].node.layer.name)
    for layer in keras.Model(model.inputs, last.output).layers:
        layer.trainable = False


def input_shape(recipe: Recipe) -> tuple[int, int, int]:
    """Height, width, channels."""
    return recipe.input.height, recipe.input.width, recipe.input.channels


def _pretrained(recipe: Recipe) -> tuple[str, Any]:
    """Where the weights come from, and a model that has them."""
    path = Path(recipe.pretrained)
    published = recipe.pretrained == "imagenet"
    if not (published or path.exists()):
        raise TrainingError(
            f"{path}: there is no such weight file. Give 'imagenet', a .pth, a .keras or a run folder."
        )
    if not published and (path.is_dir() or path.suffix == ".keras"):
        path = path / "model.keras" if path.is_dir() else path
        try:
            return str(path), keras.models.load_model(path, compile=False, safe_mode=True)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise TrainingError(f"{path}: cannot be read as a Keras model ({_first_line(error)})") from error
    from edgecnn.zoo.pretrained import CLASSES, load_imagenet

    source = zoo.structure(recipe.model, input_shape=input_shape(recipe), classes=CLASSES, width=recipe.width)
    load_imagenet(source, recipe.model, path=None if published else path)
    return recipe.pretrained, source


def _take_over(model: Any, path: str, source: Any, *, fresh: tuple[str, ...]) -> None:
    """All layers of the same name; those that begin with `fresh` stay as they are where none fits."""
    weights = {layer.name: layer.get_weights() for layer in source.layers if layer.weights}
    planned = []
    for layer in model.layers:
        if not layer.weights:
            continue
        given = [value.shape for value in weights.get(layer.name, [])]
        wanted = [tuple(weight.shape) for weight in layer.weights]
        if given == wanted:
            planned.append((layer, weights[layer.name]))
        elif not layer.name.startswith(fresh):
            raise TrainingError(
                f"{path}: its layer {layer.name!r} has weights {given}, this network needs {wanted}. "
                "Pretrained weights must come from the same network, width and colours."
            )
    for layer, values in planned:
        layer.set_weights(values)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
