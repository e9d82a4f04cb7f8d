"""The network that training starts from: fresh weights, published ones, or those of another run."""

from pathlib import Path
from typing import Any

from edgecnn import zoo
from edgecnn.errors import TrainingError
from edgecnn.training.recipe import Recipe
from edgecnn.zoo.keras import keras

_CLASSIFIER = "logits"


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
    model = zoo.build(
        recipe.model, input_shape=input_shape(recipe), classes=classes, width=recipe.width, seed=recipe.seed
    )
    if not recipe.pretrained:
        return model
    from edgecnn.zoo.pretrained import load_imagenet

    path = Path(recipe.pretrained)
    if recipe.pretrained == "imagenet":
        load_imagenet(model, recipe.model)
    elif not path.exists():
        raise TrainingError(
            f"{path}: there is no such weight file. Give 'imagenet', a .pth, a .keras or a run folder."
        )
    elif path.is_dir() or path.suffix == ".keras":
        _load_keras(model, path / "model.keras" if path.is_dir() else path)
    else:
        load_imagenet(model, recipe.model, path=path)
    return model


def input_shape(recipe: Recipe) -> tuple[int, int, int]:
    """Height, width, channels."""
    return recipe.input.height, recipe.input.width, recipe.input.channels


def _load_keras(model: Any, path: Path) -> None:
    """All layers of the same name; the classifier stays fresh where it has another number of classes."""
    try:
        source = keras.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TrainingError(f"{path}: cannot be read as a Keras model ({_first_line(error)})") from error
    weights = {layer.name: layer.get_weights() for layer in source.layers if layer.weights}
    planned = []
    for layer in model.layers:
        if not layer.weights:
            continue
        given = [value.shape for value in weights.get(layer.name, [])]
        wanted = [tuple(weight.shape) for weight in layer.weights]
        if given == wanted:
            planned.append((layer, weights[layer.name]))
        elif layer.name != _CLASSIFIER:
            raise TrainingError(
                f"{path}: its layer {layer.name!r} has weights {given}, this network needs {wanted}. "
                "Pretrained weights must come from the same network, width and colours."
            )
    for layer, values in planned:
        layer.set_weights(values)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
