"""How often each value occurs, counted while it goes by."""

from math import inf, isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from calibration.histogram import Histogram, Histograms, Tally
from edgecnn.errors import DataError


def counted(*images):
    tally = Tally()
    for image in images:
        tally.watch(np.asarray(image, np.float32))
    return tally.histogram()


floats = arrays.arrays(
    np.float32,
    st.integers(1, 40),
    elements=st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=True),
)


def test_before_the_first_image_there_is_no_histogram():
    tally = Tally()
    assert tally.range() == (inf, -inf)
    with pytest.raises(DataError, match="have no histogram"):
        tally.histogram()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_finite_number_is_never_lost(bad):
    for images in ([[bad], [1.0]], [[1.0], [bad]], [[1.0, bad], [2.0]]):
        tally = Tally()
        for image in images:
            tally.watch(np.asarray(image, np.float32))
        assert any(isnan(end) or abs(end) == inf for end in tally.range())
        with pytest.raises(DataError, match="have no histogram"):
            tally.histogram()


@pytest.mark.parametrize("value", [0.0, 3.7, -3.7, 1e-30, -1e30, 1e-45])
def test_a_tensor_that_never_moves_has_one_bin_without_width(value):
    histogram = counted([value] * 5, [value])
    assert (histogram.low, histogram.high, histogram.total) == (*[np.float32(value)] * 2, 6)
    assert histogram.counts.tolist() == [6]


@given(st.lists(floats, min_size=1, max_size=5))
@settings(max_examples=150, deadline=None)
def test_any_numbers_are_counted_as_numpy_counts_them_in_the_same_bins(images):
    histogram = counted(*images)
    everything = np.concatenate(images).astype(np.float64)
    assert (histogram.low, histogram.high) == (everything.min(), everything.max())
    assert histogram.total == everything.size
    # How many values lie below each edge; one that lies on an edge may count to either side.
    below = np.concatenate([[0], np.cumsum(histogram.counts)])
    everything.sort()
    assert (below[1:-1] >= np.searchsorted(everything, histogram.edges[1:-1], "left")).all()
    assert (below[1:-1] <= np.searchsorted(everything, histogram.edges[1:-1], "right")).all()


@given(st.lists(floats, min_size=2, max_size=5), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_images_changes_nothing(images, random):
    shuffled = list(images)
    random.shuffle(shuffled)
    one, other = counted(*images), counted(*shuffled)
    np.testing.assert_array_equal(one.edges, other.edges)
    np.testing.assert_array_equal(one.counts, other.counts)


def test_bins_are_a_thousandth_of_their_value_wide_even_under_an_outlier():
    values = np.random.default_rng(0).normal(size=100_000)
    histogram = counted(values, [-700.0])
    inside = np.flatnonzero((np.abs(histogram.edges[:-1]) > 0.1) & (np.abs(histogram.edges[:-1]) < 4))
    width = np.diff(histogram.edges)[inside]
    assert (width <= np.abs(histogram.edges[inside]) / 1000).all()


def test_an_image_larger_than_a_chunk_is_counted_whole():
    values = np.random.default_rng(0).normal(size=(1, 100, 100, 7))
    assert counted(values).total == 70_000
    assert counted(values.transpose(0, 3, 1, 2)).counts.tolist() == counted(values).counts.tolist()


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(-inf, inf, 0), (0, 9, 0), (0, 4.5, 0.5), (2, 9, 0.2), (2, 5, 0.7), (-5, 12, 0), (20, 30, 1)],
)
def test_the_share_that_a_range_clips(low, high, expected):
    histogram = Histogram(np.array([0.0, 1, 3, 4, 5, 9]), np.array([10, 10, 10, 10, 10]))
    evenly = np.concatenate(
        [np.linspace(a, b, 2001)[:-1] for a, b in [(0, 1), (1, 3), (3, 4), (4, 5), (5, 9)]]
    )
    outside = ((evenly < low) | (evenly > high)).mean()
    assert histogram.share_outside(low, high) == pytest.approx(outside, abs=1e-3)


@pytest.mark.parametrize(
    ("edges", "counts"),
    [
        ([0.0], []),
        ([0.0, 1, 2], [1]),
        ([0.0, np.nan], [1]),
        ([0.0, -1], [1]),
        ([0.0, 1], [-1]),
        ([0.0, 1], [0]),
    ],
)
def test_what_is_no_histogram_is_refused(edges, counts):
    with pytest.raises(DataError, match="histogram"):
        Histogram(np.array(edges), np.array(counts, np.int64))


@pytest.fixture
def histograms():
    random = np.random.default_rng(0)
    tensors = {
        "a/b;c:0": counted(random.normal(size=500)),
        "../π": counted(np.maximum(random.normal(size=90), 0)),
    }
    return Histograms(tensors, {"image": (-1.0, 1.0)}, frozenset({"../π"}), 7, "ab" * 32)


def test_histograms_are_read_as_they_were_written(histograms, tmp_path):
    histograms.save(tmp_path / "made" / "histograms.npz")
    again = Histograms.load(tmp_path / "made" / "histograms.npz")
    assert list(again.tensors) == list(histograms.tensors)
    for name, histogram in histograms.tensors.items():
        np.testing.assert_array_equal(again.tensors[name].edges, histogram.edges)
        np.testing.assert_array_equal(again.tensors[name].counts, histogram.counts)
    rest = [(h.known, h.unclipped, h.samples, h.sha256) for h in (histograms, again)]
    assert rest[0] == rest[1]


def test_no_histograms_are_written_and_read_too(tmp_path):
    Histograms({}, {}, frozenset(), 0, "").save(tmp_path / "empty.npz")
    assert Histograms.load(tmp_path / "empty.npz") == Histograms({}, {}, frozenset(), 0, "")


def test_a_person_can_open_the_file_with_numpy_alone(histograms, tmp_path):
    histograms.save(tmp_path / "histograms.npz")
    with np.load(tmp_path / "histograms.npz", allow_pickle=False) as content:
        assert content["names"].tolist() == ["a/b;c:0", "../π"]
        assert content["0.counts"].sum() == 500


@pytest.mark.parametrize("damage", ["missing", "cut", "foreign", "format", "text", "pickle", "edges"])
def test_a_file_that_holds_something_else_is_refused_by_name(histograms, tmp_path, damage):
    path = tmp_path / "histograms.npz"
    histograms.save(path)
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-300])
    elif damage == "foreign":
        np.savez(path, weights=np.zeros(3))
    elif damage == "format":
        np.savez(path, format=np.array(99))
    elif damage == "edges":
        with np.load(path) as content:
            np.savez(path, **{**content, "0.edges": content["0.edges"][::-1]})
    elif damage == "text":
        path.write_text("hello")
    else:
        np.savez(path, format=np.array([{}], object))
    with pytest.raises(DataError, match=r"histograms\.npz: "):
        Histograms.load(path)
