import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgecnn.card import InputSpec
from edgecnn.data import training_splits
from edgecnn.data.augment import Augment
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.errors import DataError, EdgecnnError, TrainingError
from edgecnn.results import Boxes
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
        Recipe(
            "mobilenet_v2",
            SPEC,
            task="detection",
            design="centroids",
            repeats=4,
            ema=0.99,
            calm=0.2,
            augment=Augment(mosaic=0.5, upside_down=True),
        ),
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
        ({"repeats": 0}, "repeats must be a whole number of at least 1, not 0"),
        ({"ema": 1}, "ema must be a number in 0..0.99999, not 1"),
        ({"calm": 1.5}, "calm must be a number in 0..1, not 1.5"),
        ({"frozen": 4}, "frozen keeps layers as they came, and without pretrained they come at random"),
        ({"frozen": -1, "pretrained": "imagenet"}, "frozen must be a whole number of at least 0"),
        ({"task": 3}, "task must be text, not 3"),
        ({"design": None}, "design must be text, not None"),
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


def test_a_recipe_from_before_there_were_detectors_still_reads() -> None:
    before = """{"model": "resnet8", "input": {"height": 32, "width": 32, "color": "rgb", "fit": "stretch",
    "mean": [127.5], "std": [127.5], "pad": 114}, "width": 1.0, "pretrained": "", "epochs": 60, "batch": 128,
    "optimizer": "sgd", "rate": 0.2, "warmup_epochs": 2.0, "weight_decay": 0.005, "label_smoothing": 0.05,
    "augment": {"flip": true, "shift": 0.125, "scale": [1.0, 1.0], "rotate_deg": 0.0, "brightness": 0.0,
    "contrast": 0.0, "saturation": 0.0, "cutout": 0.0}, "precision": "float32", "seed": 0}"""
    recipe = from_json(before, "here")
    assert (recipe.task, recipe.design, recipe.ema, recipe.repeats, recipe.calm) == (
        "classification",
        "",
        0.0,
        1,
        0.0,
    )
    assert recipe.augment == Augment(flip=True, shift=0.125)


class Blank:
    """An image of which only the size matters."""

    name = "blank"

    def __init__(self, width: int, height: int) -> None:
        self.pixels = np.zeros((height, width, 3), np.uint8)

    def read(self) -> np.ndarray:
        return self.pixels


def boxed(width: int, height: int, count: int = 100) -> Dataset:
    truth = Boxes(np.array([[1, 1, 5, 5]]), np.ones(1), np.zeros(1, int), ("cell",))
    return Dataset("cells", "detection", ("cell",), [Sample(Blank(width, height), truth)] * count)


@pytest.mark.parametrize(
    ("source_wh", "expected_wh"),
    [
        ((640, 480), (320, 256)),
        ((480, 640), (256, 320)),
        ((320, 240), (320, 256)),
        ((160, 120), (160, 128)),  # the drawn scenes; not enlarged
        ((2000, 2000), (320, 320)),
        ((4000, 500), (320, 64)),
        ((20, 30), (64, 64)),  # not less than the pyramid needs
    ],
)
def test_a_detector_s_input_has_the_images_shape_as_the_pyramid_needs_it(
    source_wh: tuple[int, int], expected_wh: tuple[int, int]
) -> None:
    spec = default("mobilenet_v2", boxed(*source_wh)).input
    assert (spec.width, spec.height) == expected_wh
    assert spec.fit == "letterbox"
    assert spec.mean == ZOO["mobilenet_v2"].input.mean


@pytest.mark.parametrize("count", [2, 40, 205, 4000, 100_000])
@pytest.mark.parametrize("pretrained", ["", "imagenet"])
def test_a_detector_s_recipe_can_be_followed_with_any_number_of_images(count: int, pretrained: str) -> None:
    recipe = default("efficientnet_lite0", boxed(64, 64, count), pretrained=pretrained)
    assert recipe.task == "detection"
    assert recipe.batch <= count
    assert recipe.label_smoothing == 0  # scores learn an overlap
    assert 0 < recipe.ema < 1
    assert recipe.warmup_epochs < recipe.epochs
    assert from_json(to_json(recipe), "here") == recipe


def test_few_images_are_shown_more_often_before_the_detector_is_judged() -> None:
    few, many = (default("mobilenet_v2", boxed(64, 64, count)) for count in (100, 4000))
    assert few.repeats > many.repeats == 1


def test_large_images_of_boxes_are_put_together_and_small_ones_are_not() -> None:
    assert default("mobilenet_v2", boxed(320, 320)).augment.mosaic > 0
    assert default("mobilenet_v2", boxed(64, 64)).augment.mosaic == 0


def test_pretrained_weights_need_fewer_steps_of_a_detector() -> None:
    fresh, tuned = (default("efficientnet_lite0", boxed(160, 120), pretrained=p) for p in ("", "imagenet"))
    assert tuned.epochs < fresh.epochs
    assert tuned.input == fresh.input


def test_the_drawn_scenes_get_a_recipe_for_their_boxes() -> None:
    train, _ = training_splits("drawn:0?size=160x120&train=40&val=4&test=1", task="detection")
    recipe = default("mobilenet_v2", train, size_wh=(96, 64), design="centroids", epochs=3, ema=0.5)
    assert (recipe.task, recipe.design, recipe.epochs, recipe.ema) == ("detection", "centroids", 3, 0.5)
    assert (recipe.input.width, recipe.input.height, recipe.input.fit) == (96, 64, "letterbox")
