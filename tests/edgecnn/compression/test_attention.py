import numpy as np
import pytest

from edgecnn.errors import TrainingError

pytestmark = pytest.mark.tensorflow


def test_maps_of_no_images_are_as_far_apart_as_none():
    from edgecnn.compression.attention import distance

    assert distance(np.zeros((0, 4, 4, 3)), np.zeros((0, 4, 4, 5))).shape == (0,)


def test_the_distance_is_that_of_normalized_mean_squares_and_knows_no_scale():
    from edgecnn.compression.attention import distance

    random = np.random.default_rng(1)
    one, other = random.normal(0, 1, (3, 4, 5, 6)), random.normal(0, 1, (3, 4, 5, 2))
    vectors = [np.square(x).mean(-1).reshape(3, -1) for x in (one, other)]
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in vectors)
    np.testing.assert_allclose(distance(one, other), 2 - 2 * (a * b).sum(1), rtol=1e-5)
    np.testing.assert_allclose(distance(one, 7 * one), 0, atol=1e-6)


def test_the_last_maps_of_each_size_that_both_have_are_compared(network, keras):
    from edgecnn.compression.attention import pairs

    layers = keras.layers

    def build(prefix, *, strides):
        def net(x):
            for number, stride in enumerate(strides):
                x = layers.Conv2D(4, 3, stride, "same", name=f"{prefix}{number}")(x)
            x = layers.GlobalAveragePooling2D(keepdims=True, name=f"{prefix}_pool")(x)
            return layers.Dense(3)(layers.Flatten()(x))

        return network(net)

    small, large = build("s", strides=(1, 2)), build("t", strides=(1, 1, 2, 1, 2))
    assert pairs(small, large) == [("s0", "t1"), ("s1", "t3")]
    with pytest.raises(TrainingError, match=r"theirs: 8x8, 4x4; the student's: 3x3"):
        pairs(build("u", strides=(3,)), small)
