"""Where a detector's weights come from, when another network gives them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn import heads, zoo
from edgecnn.card import InputSpec
from edgecnn.errors import TrainingError
from edgecnn.training.recipe import Recipe
from edgecnn.training.start import freeze, network
from edgecnn.zoo import detector

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def recipe(tiny_backbone: str) -> Recipe:
    return Recipe(tiny_backbone, InputSpec(64, 64), task="detection", width=0.25, seed=3)


@pytest.fixture(scope="module")
def classifier(tiny_backbone: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A run of the same network at another size, and its model."""
    model = zoo.build(tiny_backbone, input_shape=(32, 32, 3), classes=5, width=0.25, seed=77)
    for layer in model.layers:
        if layer.name.endswith("_norm"):
            layer.set_weights([value + 0.5 for value in layer.get_weights()])
    folder = tmp_path_factory.mktemp("runs") / "classifier"
    folder.mkdir()
    model.save(folder / "model.keras", save_format="keras")
    return folder, model


def equal(one: Any, other: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


@pytest.mark.parametrize("design", ["anchors", "centroids"])
def test_a_detector_takes_over_the_whole_backbone_and_keeps_its_own_layers_fresh(
    recipe: Recipe, classifier: tuple[Path, Any], design: str
) -> None:
    folder, source = classifier
    recipe = replace(recipe, design=design)
    fresh = network(recipe, 3)
    found = network(replace(recipe, pretrained=str(folder)), 3)
    own = heads.find("detection", design).FRESH
    for layer in found.layers:
        if layer.weights:
            given = fresh if layer.name.startswith(own) else source
            assert equal(layer, given.get_layer(layer.name)), layer.name
    taken = {layer.name for layer in found.layers if layer.weights and not layer.name.startswith(own)}
    known = {layer.name for layer in source.layers if layer.weights} - {"logits"}
    assert taken == (
        known if design == "anchors" else {name for name in known if "16" not in name and "32" not in name}
    )


def test_a_detector_of_other_classes_gives_all_but_the_scores(recipe: Recipe, tmp_path: Path) -> None:
    source = detector.build(recipe.model, input_shape=(64, 64, 3), classes=5, width=0.25, seed=9)
    source.save(tmp_path / "five.keras", save_format="keras")
    fresh = network(recipe, 3)
    found = network(replace(recipe, pretrained=str(tmp_path / "five.keras")), 3)
    for layer in found.layers:
        if layer.weights:
            given = fresh if layer.name.endswith("_scores") else source
            assert equal(layer, given.get_layer(layer.name)), layer.name


def test_a_backbone_of_another_width_is_refused(recipe: Recipe, classifier: tuple[Path, Any]) -> None:
    folder, _ = classifier
    with pytest.raises(TrainingError, match=r"'stem2'.*same network, width") as caught:
        network(replace(recipe, pretrained=str(folder), width=1.0), 3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("frozen", "still"),
    [(0, set()), (1, set()), (2, {"stem2"}), (4, {"stem2", "stem4"}), (5, {"stem2", "stem4"})],
)
def test_the_first_layers_stay_as_they_came_and_all_others_learn(
    recipe: Recipe, frozen: int, still: set[str]
) -> None:
    model = network(recipe, 3)
    before = model.get_weights()
    freeze(model, replace(recipe, pretrained="imagenet", frozen=frozen))
    weighty = [layer for layer in model.layers if layer.weights]
    assert {layer.name.split("_")[0] for layer in weighty if not layer.trainable} == still
    assert len(model.trainable_weights) < len(model.weights)
    assert all(layer.trainable for layer in weighty if layer.name.split("_")[0] not in still)
    # Weights keep their order, so that those of the network in use can be set from these.
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
