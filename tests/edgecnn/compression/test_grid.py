import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow


def test_a_kernel_of_zeros_stays_zero():
    from edgecnn.compression.grid import on_grid

    assert not on_grid(np.zeros((1, 1, 2, 3), np.float32), (3,)).numpy().any()


@pytest.mark.parametrize("axes", [(3,), (2,), (2, 3)])
def test_a_kernel_lies_on_255_steps_of_each_channel_and_stays_there(axes):
    from edgecnn.compression.grid import on_grid

    kernel = np.random.default_rng(0).normal(size=(3, 3, 4, 5)).astype(np.float32)
    rounded = on_grid(kernel, axes).numpy()
    others = tuple(axis for axis in range(4) if axis not in axes)
    steps = np.abs(kernel).max(axis=others, keepdims=True).astype(np.float64) / 127
    assert np.allclose(rounded, np.round(kernel / steps) * steps, atol=1e-6)
    assert np.array_equal(np.abs(rounded).max(axis=others), np.abs(kernel).max(axis=others))
    assert np.array_equal(on_grid(rounded, axes).numpy(), rounded)


def test_the_gradient_of_a_kernel_passes_the_rounding():
    from edgecnn.compression.grid import on_grid
    from edgecnn.zoo.keras import tf

    kernel = tf.Variable(np.random.default_rng(0).normal(size=(1, 1, 4, 5)).astype(np.float32))
    with tf.GradientTape() as tape:
        sum_of_rounded = tf.reduce_sum(3.0 * on_grid(kernel, (3,)))
    assert np.array_equal(tape.gradient(sum_of_rounded, kernel), np.full(kernel.shape, 3.0))


def test_a_bias_is_a_whole_number_of_int32_steps():
    from edgecnn.compression.grid import bias_on_grid, on_grid

    kernel = on_grid(np.random.default_rng(0).normal(size=(1, 1, 4, 3)).astype(np.float32), (3,)).numpy()
    bias = np.array([0.1, -2.0, 0.0], np.float32)
    rounded = bias_on_grid(bias, kernel, (3,), 0.02)
    steps = 0.02 * np.abs(kernel).max(axis=(0, 1, 2)) / 127
    assert np.allclose(rounded / steps, np.round(rounded / steps), atol=1e-3)
    assert (np.abs(rounded - bias) <= steps / 2 + 1e-9).all()
