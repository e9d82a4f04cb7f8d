"""The auditor: every fault is made once, and a healthy set has none."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from calibration.alternatives import told, ways
from calibration.audit import audit
from calibration.observe import calibrate
from calibration.samples import choose
from edgecnn import card as cards
from edgecnn.card import Card, InputSpec
from edgecnn.data import training_splits
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.data.unlabelled import UNLABELLED
from edgecnn.errors import ConversionError
from edgecnn.image import lookup
from edgecnn.results import Classes
from edgecnn.runtime.model import load

COLOURS = ("red", "green", "blue", "grey")
SPEC = InputSpec(24, 24, mean=(127.5,), std=(127.5,))

pytestmark = pytest.mark.tensorflow


@dataclass(frozen=True)
class Picture:
    """Noise of soft grain, tinted; changed as a fault wants it."""

    name: str
    label_id: int
    seed: int
    change: object = None

    def read(self):
        random = np.random.default_rng((self.seed, self.label_id))
        coarse = random.integers(60, 160, (8, 8, 1)).repeat(4, axis=0).repeat(4, axis=1)
        pixels = coarse + random.integers(-20, 20, (32, 32, 3))
        if self.label_id < 3:
            pixels[..., 2 - self.label_id] += 70
        pixels = pixels.clip(0, 255).astype(np.uint8)
        return self.change(pixels) if self.change else pixels


def pictures(count, *, seed=0, change=None, ids=range(4)):
    """`count` pictures, the classes in turn."""
    ids = [list(ids)[number % len(ids)] for number in range(count)]
    samples = [
        Sample(
            Picture(f"{seed}/{n}.png", label_id, 1000 * seed + n, change), Classes.truth(label_id, COLOURS)
        )
        for n, label_id in enumerate(ids)
    ]
    return Dataset("pictures", "classification", COLOURS, samples, "train")


def with_one(dataset, pixels):
    sample = Sample(Picture("odd.png", 0, 0, lambda _: pixels), dataset.samples[0].truth)
    return replace(dataset, samples=[*dataset.samples, sample])


def without_labels(dataset):
    samples = [Sample(sample.image, None) for sample in dataset.samples]
    return replace(dataset, task=UNLABELLED, labels=(), samples=samples)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A float model that tells tints by how far a channel lies above the others; grey, if by little."""
    import tensorflow as tf

    from edgecnn.keras import keras

    image = keras.Input((24, 24, 3))
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.AveragePooling2D(4)(image))
    dense = keras.layers.Dense(4)
    model = keras.Model(image, dense(features))
    weights = np.zeros((3, 4), np.float32)
    weights[:, :3] = 20 * (1.5 * np.eye(3) - 0.5)
    dense.set_weights([weights, np.array([0, 0, 0, 5], np.float32)])
    function = tf.function(lambda image: {"scores": model(image, training=False)})
    concrete = function.get_concrete_function(tf.TensorSpec((1, 24, 24, 3), tf.float32, name="image"))
    file = tmp_path_factory.mktemp("tints") / "float32.tflite"
    file.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete], model).convert())
    cards.attach(file, Card("tints", "classification", SPEC, COLOURS, options={"scores": "logits"}))
    return file


@pytest.fixture(scope="module")
def model(path):
    with load(path) as loaded:
        yield loaded


def found(audited):
    return {(one.severity, one.what.split(" ", 1)[0]) for one in audited.findings}


def said(audited, words):
    """The one finding with these words in it."""
    (one,) = [one for one in audited.findings if words in one.what]
    return one


def test_no_images_are_refused(model):
    with pytest.raises(ConversionError, match="no image to calibrate with"):
        audit(model, pictures(0))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_healthy_set_has_no_fault(model, seed):
    audited = audit(model, pictures(128, seed=seed), validation=pictures(64, seed=9))
    assert audited.findings == ()
    assert audited.stops == ()
    assert audited.accuracy > 0.95
    assert (audited.images, audited.validation) == (128, 64)
    assert json.dumps(audited.as_dict())


def test_the_ranges_that_went_by_are_those_of_calibration(model):
    chosen = pictures(21, seed=3)
    audited = audit(model, chosen)
    assert audited.ranges == calibrate(bytes(model.graph.content), chosen, SPEC)
    assert "ranges" not in audited.as_dict()


def test_a_healthy_set_without_labels_has_no_fault(model):
    audited = audit(model, without_labels(pictures(128)), validation=without_labels(pictures(64, seed=9)))
    assert audited.findings == ()
    assert audited.accuracy is None


def test_drawn_scenes_have_no_fault(model):
    train, validation = training_splits("drawn:7?size=32x32")
    audited = audit(model, choose(train, count=128), validation=validation, most_validation=100)
    # the model knows none of their labels, and would be a little surer of other colours
    assert {one.severity for one in audited.findings} <= {"note"}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (InputSpec(24, 24, mean=(0.0,), std=(65025.0,)), "-1..1"),
        (InputSpec(24, 24, color="bgr", mean=(127.5,), std=(127.5,)), "rgb for bgr"),
        (InputSpec(24, 24, mean=(0.0,), std=(1000.0,)), "0..1 (mean 0, std 255) or -1..1"),
    ],
    ids=["divided twice", "colours swapped", "another std"],
)
def test_a_card_that_feeds_images_wrongly_stops_a_conversion(path, model, spec, words):
    with load(path, card=replace(model.card, input=spec)) as wrong:
        audited = audit(wrong, pictures(128))
    assert words in said(audited, "as its card feeds them").what
    assert audited.stops


def test_images_in_the_wrong_colour_order_are_the_same_fault(model):
    swapped = pictures(128, change=lambda pixels: pixels[..., ::-1].copy())
    assert "bgr for rgb" in audit(model, swapped).stops[0].what


def test_without_labels_answers_that_tell_nothing_are_suspicious(path, model):
    spec = InputSpec(24, 24, mean=(0.0,), std=(65025.0,))
    with load(path, card=replace(model.card, input=spec)) as wrong:
        audited = audit(wrong, without_labels(pictures(128)))
    assert said(audited, "bits").severity == "warning"
    assert not audited.stops


@pytest.mark.parametrize(
    ("change", "words", "severity"),
    [
        (lambda pixels: pixels // 255, "brighter than", "error"),
        (lambda pixels: pixels // 16, "brighter than", "error"),
        (lambda pixels: pixels // 5, "brighter than", "warning"),
        (lambda pixels: np.full_like(pixels, 90), "one colour", "error"),
        (lambda pixels: pixels[..., :1].repeat(3, axis=2), "are grey", "note"),
        (lambda pixels: pixels[:11, :11].copy(), "enlarged", "note"),
    ],
    ids=["divided by 255", "12 bits", "dark", "constant", "grey", "small"],
)
def test_what_is_wrong_with_all_images_is_told(model, change, words, severity):
    assert said(audit(model, pictures(64, change=change)), words).severity == severity


def test_a_missing_class_is_named(model):
    one = said(audit(model, pictures(96, ids=(0, 1, 3))), "1 of 4 classes")
    assert one.severity == "warning"
    assert one.where == ("blue",)


def test_a_rare_class_is_a_note(model):
    one = said(audit(model, pictures(96, ids=[0, 1, 2] * 7 + [3])), "the largest class")
    assert (one.severity, one.where[0]) == ("note", "grey")


def test_copies_are_counted(model):
    whole = pictures(64)
    one = said(audit(model, whole.subset([*range(64), 3, 4, 4, 5])), "copies")
    assert one.figures["images"] == 4
    assert one.severity == "warning"


def test_one_image_that_is_in_validation_too_is_told_and_many_stop(model):
    chosen, validation = pictures(128), pictures(100, seed=9)
    leaking = replace(validation, samples=[*validation.samples, chosen.samples[5]])
    assert said(audit(model, chosen, validation=leaking), "validation images").severity == "warning"
    leaking = replace(validation, samples=[*validation.samples, *chosen.samples[:40]])
    one = said(audit(model, chosen, validation=leaking), "validation images")
    assert one.severity == "error"
    assert one.figures["same"] == 40


def test_only_as_many_validation_images_are_read_as_asked_for(model):
    audited = audit(model, pictures(32), validation=pictures(50, seed=9), most_validation=20)
    assert audited.validation == 20


def test_an_image_that_sets_the_ranges_alone_is_named(model):
    odd = np.zeros((32, 32, 3), np.uint8)
    odd[::2] = 255
    odd[..., 0] = 0
    audited = audit(model, with_one(pictures(128), odd))
    one = said(audited, "widen the ranges alone")
    assert one.where == ("odd.png",)
    assert one.severity == "warning"


def test_noise_among_the_images_is_named(model):
    odd = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    assert said(audit(model, with_one(pictures(128), odd)), "noise").where == ("odd.png",)


def test_four_images_are_too_few_and_it_says_how_many_are_needed(model):
    one = said(audit(model, pictures(4)), "have not settled")
    assert one.figures["needed"] >= 16
    assert f"--samples {one.figures['needed']}" in one.advice


def test_a_model_without_float_inputs_is_refused(shared):
    with (
        load(shared / "models/coral/mobilenet_v1_0.25_128_quant.tflite") as quantized,
        pytest.raises(ConversionError, match="no float model"),
    ):
        audit(quantized, pictures(4))


@pytest.mark.parametrize("color", ["rgb", "bgr", "gray"])
def test_no_other_way_is_nearly_the_same_as_the_card_says(color):
    spec = InputSpec(8, 8, color=color, mean=(127.0,), std=(128.0,))
    own = lookup(spec, np.float32)
    found = ways(spec)
    assert len(found) == (2 if color == "gray" else 9)
    for other, words in found:
        assert words
        same_order = other.color == color
        assert not (same_order and np.abs(lookup(other, np.float32) - own).max() < 0.02)


def test_swapped_colours_keep_each_channel_its_own_mean():
    spec = InputSpec(8, 8, mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0))
    (swapped,) = [other for other, words in ways(spec) if words == "bgr for rgb"]
    assert (swapped.mean, swapped.std) == ((3.0, 2.0, 1.0), (6.0, 5.0, 4.0))


@pytest.mark.parametrize(
    ("probabilities", "bits"),
    [
        (np.eye(4), 2.0),  # sure, and each time of something else
        (np.full((4, 4), 0.25), 0.0),  # never sure
        (np.eye(4)[[0, 0, 0, 0]], 0.0),  # always the same
        (np.eye(4)[[0, 0, 1, 1]], 1.0),
    ],
)
def test_answers_tell_as_many_bits_as_they_distinguish(probabilities, bits):
    assert told(probabilities) == pytest.approx(bits, abs=1e-6)
