import numpy as np
import pytest

from edgecnn.card import InputSpec

pytestmark = pytest.mark.tensorflow


def made_of(model, shape=(8, 8)):
    from edgecnn.compression.fake_quantize import fake_quantized

    return fake_quantized(model, InputSpec(*shape, mean=(127.5,), std=(127.5,)))


def images_of(count, *, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, 8, 8, 3)).astype(np.float32)


@pytest.fixture
def mixed(keras, network):
    """Everything that has its own way: fused, shared and fixed ranges, two readers, depthwise."""
    from edgecnn.zoo.blocks import hard_sigmoid, hard_swish

    layers = keras.layers

    def build(image):
        x = layers.BatchNormalization()(layers.Conv2D(6, 3, padding="same", use_bias=False)(image))
        x = hard_swish(x, "swish")
        y = layers.ReLU(6.0)(layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x))
        y = layers.Conv2D(6, 1)(layers.Dropout(0.2, seed=0)(y))
        x = layers.Multiply()([layers.Add()([x, y]), hard_sigmoid(y, "gate")])
        x = layers.Concatenate()([layers.AveragePooling2D(2)(x), layers.MaxPooling2D(2)(x)])
        return layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D()(x))

    return network(build, (8, 8, 3))


def test_ranges_start_at_the_mean_of_what_batches_show(mixed):
    quantized = made_of(mixed)
    batches = [images_of(5, seed=seed) for seed in (1, 2)]
    quantized.calibrate(batches)
    seen = [mixed(batch, training=False).numpy() for batch in batches]
    low = np.mean([min(values.min(), 0.0) for values in seen])
    high = np.mean([max(values.max(), 0.0) for values in seen])
    assert quantized.ranges["logits"].get() == pytest.approx((low, high), rel=1e-4)


def test_ranges_follow_in_training_and_rest_in_use(mixed):
    quantized = made_of(mixed)
    quantized.calibrate([images_of(4)])
    before = {name: moving.get() for name, moving in quantized.ranges.items()}
    quantized.model(10 * images_of(4), training=False)
    assert {name: moving.get() for name, moving in quantized.ranges.items()} == before
    quantized.model(10 * images_of(4), training=True)
    moved = [name for name, moving in quantized.ranges.items() if moving.get() != before[name]]
    assert len(moved) > len(before) / 2


def test_a_tensor_that_never_moves_has_a_range_that_can_be_written(mixed):
    quantized = made_of(mixed)
    quantized.ranges["logits"].set(0.0, 0.0)
    assert quantized.ranges["logits"].get() == (0.0, 1.0)
    assert np.isfinite(quantized.export()(images_of(1), training=False)).all()


def test_every_weight_learns(keras, mixed):
    from edgecnn.zoo.keras import tf

    quantized = made_of(mixed)
    quantized.calibrate([images_of(4)])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(quantized.model(images_of(4), training=True) ** 2)
    gradients = tape.gradient(total, quantized.model.trainable_variables)
    folded = [weight for layer in quantized.folded.layers for weight in layer.trainable_weights]
    assert len(gradients) == len(folded)
    assert all(gradient is not None and np.abs(gradient).any() for gradient in gradients)


def test_what_is_saved_computes_what_was_trained_and_needs_no_tfmot(mixed, keras, tmp_path):
    quantized = made_of(mixed)
    quantized.calibrate([images_of(4)])
    exported = quantized.export()
    assert exported.output_names == quantized.model.output_names == ["logits_rounded"]
    exported.save(tmp_path / "model.keras", save_format="keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    images = images_of(16, seed=5)
    trained = quantized.model(images, training=False).numpy()
    low, high = quantized.ranges["logits"].get()
    # Biases are rounded too, which moves a value over the edge of a step now and then.
    assert np.abs(loaded(images, training=False).numpy() - trained).max() <= 2.01 * (high - low) / 255
    assert not [layer.name for layer in loaded.layers if type(layer).__name__ == "QuantizeWrapperV2"]


def test_it_is_near_the_float_network(mixed):
    quantized = made_of(mixed)
    images = images_of(32)
    quantized.calibrate([images])
    wanted = mixed(images, training=False).numpy()
    found = quantized.model(images, training=False).numpy()
    assert 0 < np.abs(found - wanted).max() < 0.15 * np.abs(wanted).max()
