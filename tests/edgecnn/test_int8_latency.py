import numpy as np
import pytest

from edgecnn import int8_latency as timing
from edgecnn.card import Card, InputSpec
from edgecnn.errors import DataError, ModelError
from edgecnn.int8_latency import int8_latency

pytestmark = pytest.mark.tensorflow

SPEC = InputSpec(height=24, width=24, mean=(127.5,), std=(127.5,))
CARD = Card("squares", "classification", SPEC, ("a", "b"), {"scores": "logits"}, {"scores": "logits"})


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(-1, 1, (12, 24, 24, 3)).astype(np.float32)


def network(filters, *, size=24):
    from edgecnn.zoo.keras import keras

    layers = keras.layers
    image = keras.Input((size, size, 3), name="image")
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(image)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.Conv2D(filters, 3, padding="same")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(2, name="logits")(x), name=f"of_{filters}")


def test_without_an_image_nothing_can_be_timed():
    with pytest.raises(DataError, match="no image came"):
        int8_latency([], card=CARD)


def test_images_of_another_size_are_refused():
    with pytest.raises(DataError, match=r"\(8, 8, 3\), but the card says \(24, 24, 3\)"):
        int8_latency([np.zeros((1, 8, 8, 3), np.float32)], card=CARD)


def test_only_the_first_images_are_taken(images):
    def endless():
        while True:
            yield images

    with int8_latency(endless(), card=CARD) as latency:
        assert len(latency._images) == timing.IMAGES


def test_what_is_timed_computes_in_int8_throughout(images):
    from edgecnn.graph import read
    from edgecnn.graph.summary import summarize

    with int8_latency([images], card=CARD) as latency:
        graph = read(latency.int8(network(8)), "made")
    assert summarize(graph).scheme == "int8"
    assert {tensor.dtype for tensor in graph.tensors} <= {"int8", "int32"}


def test_a_network_of_many_times_the_work_takes_longer(images):
    with int8_latency([images], card=CARD, seconds=0.05) as latency:
        small, large = latency.together([network(8), network(128)])
    assert large > 2 * small > 0


def test_int8_and_float_are_timed_together(images):
    with int8_latency([images], card=CARD, seconds=0.05) as latency:
        found = latency.both(network(16))
    assert found.int8_ms > 0
    assert found.float_ms > 0


def test_later_answers_are_stated_at_the_clock_of_the_first(images, monkeypatch):
    answers = iter([[2.0], [4.0, 1.0]])  # meanwhile the processor runs at half its speed
    with int8_latency([images], card=CARD) as latency:
        monkeypatch.setattr(timing, "_medians", lambda opened, seconds: next(answers))
        assert latency.ms(network(8)) == 2.0
        assert latency.ms(network(4)) == 0.5
        assert latency.runs == 2


def test_a_network_of_another_size_is_refused(images):
    with (
        int8_latency([images], card=CARD) as latency,
        pytest.raises(ModelError, match=r"of_4: takes .* Give the card it has"),
    ):
        latency.ms(network(4, size=16))


def test_a_network_in_bfloat16_is_refused_by_the_layer_s_name(images):
    from edgecnn.zoo.keras import keras

    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = network(4)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    with int8_latency([images], card=CARD) as latency, pytest.raises(ModelError, match="in bfloat16"):
        latency.ms(model)


def test_seconds_below_zero_are_refused(images):
    with pytest.raises(DataError, match="above 0"):
        int8_latency([images], card=CARD, seconds=0.0)
