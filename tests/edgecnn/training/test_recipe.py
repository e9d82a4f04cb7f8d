import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from edgecnn.card import InputSpec
from edgecnn.data.augment import Augment
from edgecnn.data.dataset import Dataset
from edgecnn.errors import DataError, EdgecnnError, TrainingError
from edgecnn.training.recipe import Recipe, default, differences, from_json, to_json
from edgecnn.zoo import ZOO

SPEC = InputSpec(32, 48, mean=(1.0, 2.0, 3.0), std=(4.0,))


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe("resnet8", SPEC),
        Recipe(
            "mobilenet_v2", SPEC, width=0.35, pretrained="imagenet", precision="bfloat16", optimizer="adam"
        ),
        Recipe("resnet8", SPEC, augment=Augment(flip=True, scale=(0.5, 2.0), cutout=0.25), seed=7, rate=1),
    ],
)
def test_a_recipe_survives_json(recipe: Recipe) -> None:
    assert from_json(to_json(recipe), "here") == recipe


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epoch": 3}, "no field .epoch.*Did you mean epochs"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1, not 0"),
        ({"epochs": 2.5}, "epochs must be a whole number"),
        ({"batch": True}, "batch must be a whole number"),
        ({"rate": 0}, "rate must be greater than 0"),
        ({"rate": "fast"}, "rate must be a number in 0..100, not 'fast'"),
        ({"rate": float("nan")}, "rate must be a number"),
        ({"label_smoothing": 1}, "label_smoothing must be a number in 0..0.99"),
        ({"optimizer": "lion"}, "optimizer must be sgd or adam, not 'lion'"),
        ({"optimizer": ["sgd"]}, "optimizer must be sgd or adam"),
        ({"precision": "float16"}, "precision must be float32 or bfloat16"),
        ({"pretrained": True}, "pretrained must be text"),
        ({"model": 8}, "model must be text"),
        ({"input": 32}, "input must be a JSON object, not int"),
        ({"input": {"height": 32, "width": 32, "depth": 3}}, "input has no field 'depth'"),
        ({"input": {"height": 32, "width": 0}}, "input.width must be a whole number"),
        ({"input": {"height": 32}}, "width"),
        ({"augment": {"spin": 3}}, "augment has no field 'spin'"),
        ({"augment": {"shift": 3}}, "shift must be in"),
        ({"augment": {"shift": "far"}}, "augment"),
        ({"augment": {"scale": 1}}, "augment"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_with_its_place(change: dict[str, Any], message: str) -> None:
    body = json.loads(to_json(Recipe("resnet8", SPEC)))
    with pytest.raises(TrainingError, match=message) as caught:
        from_json(json.dumps(body | change), "runs/a/recipe.json")
    assert str(caught.value).startswith("runs/a/recipe.json: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", '"resnet8"', "[" * 100_000])
def test_what_is_no_recipe_is_refused(text: str) -> None:
    with pytest.raises(TrainingError, match="here: "):
        from_json(text, "here")


def test_a_missing_model_is_an_error_in_one_line() -> None:
    with pytest.raises(TrainingError, match=r"here: .*model"):
        from_json(json.dumps({"input": {"height": 1, "width": 1}}), "here")


@pytest.mark.parametrize(
    ("model", "side", "expected"),
    [
        ("resnet8", 32, 32),
        ("resnet8", 100, 32),  # not more than the network is made for
        ("mobilenet_v2", 32, 32),
        ("mobilenet_v2", 100, 96),
        ("mobilenet_v2", 500, 224),
        ("lecture", 8, 16),  # not less than it needs
        ("resnet8", 5, 5),
    ],
)
def test_the_input_is_as_large_as_the_images_within_what_the_network_takes(
    colours: Callable[..., Dataset], model: str, side: int, expected: int
) -> None:
    spec = default(model, colours(6, side=side)).input
    assert (spec.height, spec.width) == (expected, expected)
    assert spec.mean == ZOO[model].input.mean


@pytest.mark.parametrize(("count", "batch"), [(1, 8), (160, 8), (1600, 16), (5000, 32), (48_000, 128)])
def test_a_batch_leaves_steps_in_an_epoch(colours: Callable[..., Dataset], count: int, batch: int) -> None:
    samples = colours(1).samples * count
    assert default("resnet8", replace(colours(1), samples=samples)).batch == batch


def test_cifar_gets_the_recipe_that_was_measured(colours: Callable[..., Dataset]) -> None:
    recipe = default("resnet8", replace(colours(1), samples=colours(1).samples * 48_000))
    assert (recipe.epochs, recipe.batch, recipe.optimizer) == (60, 128, "sgd")
    assert recipe.augment == Augment(flip=True, shift=0.125)


def test_pretrained_weights_keep_their_own_size_and_normalization(colours: Callable[..., Dataset]) -> None:
    recipe = default("efficientnet_lite0", colours(6), pretrained="imagenet")
    assert recipe.input == replace(ZOO["efficientnet_lite0"].input, fit="crop")
    assert (recipe.input.height, recipe.input.mean, recipe.input.std) == (224, (127.0,), (128.0,))
    assert recipe.rate < default("efficientnet_lite0", colours(6)).rate


def test_what_was_chosen_stands(colours: Callable[..., Dataset]) -> None:
    recipe = default(
        "resnet8",
        colours(6),
        size_wh=(40, 24),
        epochs=3,
        batch=2,
        rate=None,
        color="gray",
        fit="letterbox",
        resize="corner",
        seed=5,
    )
    assert (recipe.input.width, recipe.input.height) == (40, 24)
    assert recipe.input.resize == "corner"
    assert (recipe.input.color, recipe.input.fit, recipe.epochs, recipe.batch) == ("gray", "letterbox", 3, 2)
    assert recipe.seed == 5
    assert recipe.warmup_epochs < 1


@pytest.mark.parametrize(
    ("model", "chosen", "message"),
    [
        ("resnet9", {}, "resnet8"),
        ("resnet8", {"epoch": 3}, "Did you mean epochs"),
        ("resnet8", {"color": "purple"}, "input.color"),
        ("resnet8", {"size_wh": (0, 5)}, "input.width"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(
    colours: Callable[..., Dataset], model: str, chosen: dict[str, Any], message: str
) -> None:
    with pytest.raises(EdgecnnError, match=message):
        default(model, colours(6), **chosen)


def test_an_empty_data_set_is_refused(colours: Callable[..., Dataset]) -> None:
    with pytest.raises(TrainingError, match="no training image"):
        default("resnet8", colours(0))


def test_broken_images_do_not_hide_the_size_of_the_others(colours: Callable[..., Dataset]) -> None:
    assert default("mobilenet_v2", colours(6, side=48, broken=(0, 5))).input.height == 48
    with pytest.raises(DataError, match="not an image"):
        default("mobilenet_v2", colours(3, broken=(0, 1, 2)))


def test_differences_name_field_and_values() -> None:
    recipe = Recipe("resnet8", SPEC)
    assert differences(recipe, recipe) == []
    assert differences(recipe, replace(recipe, rate=0.5, seed=1)) == ["rate (0.2 → 0.5)", "seed (0 → 1)"]
