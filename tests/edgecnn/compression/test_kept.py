import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow


def kernel(seed=0, shape=(3, 3, 8, 6)):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def clustered(codes):
    """Each output channel a few codes in steps of a scale of its own, a negative one among them."""
    random = np.random.default_rng(1)
    steps = random.choice(codes, (3, 3, 8, 6))
    steps[0, 0, 0] = 127
    return (steps * np.array([1e-3, 0.02, -0.3, 1.0, 7.0, 1e2]) / 127).astype(np.float32)


def steps_of(values):
    return np.round(127 * values / np.maximum(np.abs(values).max(axis=(0, 1, 2)), 1e-30))


def test_of_a_kernel_that_is_neither_sparse_nor_clustered_nothing_is_kept():
    from edgecnn.compression import kept

    assert kept.found(kernel(), (3,)) is None


def test_a_dead_kernel_stays_dead():
    from edgecnn.compression import kept

    zero = np.zeros((3, 3, 8, 6), np.float32)
    found = kept.found(zero, (3,))
    assert not found.rounded(kernel(), (3,)).numpy().any()


@pytest.mark.parametrize(("share", "counts"), [(0.0, False), (0.2, False), (0.4, True), (0.9, True)])
def test_zeros_are_kept_from_a_third_or_so_on(share, counts):
    from edgecnn.compression import kept

    values = kernel()
    values[np.random.default_rng(5).random(values.shape) < share] = 0
    found = kept.found(values, (3,))
    assert (found is not None) == counts
    if counts:
        moved = found.rounded(values + kernel(seed=9), (3,)).numpy()
        assert not moved[values == 0].any()
        assert moved[values != 0].any()


@pytest.mark.parametrize(
    "codes", [(-127, -60, 0, 60, 127), (-127, -100, -3, 3, 100, 127), tuple(range(-120, 128, 8))]
)
def test_clusters_are_found_in_steps_of_each_channel_and_stay_the_only_values(codes):
    from edgecnn.compression import kept

    values = clustered(codes)
    found = kept.found(values, (3,))
    assert set(codes) | {-127, 127} >= set(found.codes) - {-code for code in codes}
    assert np.allclose(found.rounded(values, (3,)).numpy(), values, rtol=1e-5)
    moved = found.rounded(values * (1 + 0.2 * kernel(seed=4)), (3,)).numpy()
    assert set(np.unique(steps_of(moved))) <= set(found.codes)


def test_what_is_both_sparse_and_clustered_keeps_both():
    from edgecnn.compression import kept

    values = clustered((-127, -60, 60, 127))
    values[np.random.default_rng(5).random(values.shape) < 0.5] = 0
    found = kept.found(values, (3,))
    moved = found.rounded(values + 0.1 * kernel(seed=4), (3,)).numpy()
    assert not moved[values == 0].any()
    assert set(np.unique(steps_of(moved))) <= {*found.codes, 0}


def test_a_line_says_what_is_kept():
    from edgecnn.compression import kept
    from edgecnn.compression.kept import Kept

    mask = np.ones(1, np.float32)
    assert kept.told({}) == ""
    assert kept.told({"a": Kept(mask, None)}) == "keeping the zeros of 1 kernel"
    both = {"a": Kept(mask, (-127, 127)), "b": Kept(None, (-127, 127))}
    assert kept.told(both) == "keeping the zeros of 1 kernel and the clusters of 2 kernels"
