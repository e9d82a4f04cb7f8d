"""The oracle draws the images for real, copies them, and judges the copies."""

import numpy as np
import pytest

from edgecnn.errors import DataError
from edgecnn.evaluation.coco import match, precisions
from edgecnn.evaluation.detection import metrics
from edgecnn.evaluation.resampling import average_precision, intervals, paired_drop
from edgecnn.results import Array, Boxes


def noisy(results: list[Boxes], *, seed: int = 0, pixels: float = 3.0, lost: float = 0.0) -> list[Boxes]:
    generator = np.random.default_rng(seed)
    found = []
    for r in results:
        corners = r.xyxy + generator.normal(0, pixels, r.xyxy.shape)
        low, high = np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])
        kept = generator.random(len(r)) >= lost
        xyxy = np.concatenate([low, high], 1)[kept]
        found.append(Boxes(xyxy, r.score[kept], r.label_id[kept], r.labels))
    return found


def drawn(results: list[Boxes], truths: list[Boxes], counts: Array) -> Array:
    chosen = np.repeat(np.arange(len(truths)), counts)
    return precisions([results[i] for i in chosen], [truths[i] for i in chosen])[0][0]


def test_without_a_truth_box_there_is_nothing_to_compare(given):
    with pytest.raises(DataError, match="no image has a truth box"):
        paired_drop([given()], [given()], [given()])
    assert intervals(match([given()], [given()]), resamples=5) == (None, None)


def test_one_image_with_one_box_can_be_judged(given):
    truth = given((0, 1, 0, 0, 10, 10))
    found = paired_drop([given()], [given((0, 0.9, 0, 0, 10, 10))], [truth], resamples=5)
    assert (found.map.reference, found.map.model, found.map.drop) == pytest.approx((1.0, 0.0, 1.0))
    assert found.map.bound > 1.0 - 1e-9


@pytest.mark.parametrize("case", [{"seed": 1}, {"seed": 2, "steps": 4}, {"seed": 3, "ignored": 0.5}])
def test_every_image_once_is_exactly_cocos_figure(scenes, case):
    results, truths = scenes(**case)
    ap, matches = precisions(results, truths)
    once = average_precision(matches, np.ones((1, len(truths)), np.int64))[0]
    assert np.array_equal(np.isnan(once), np.isnan(ap[0]))
    assert np.nanmax(np.abs(once - ap[0])) < 1e-12


def test_more_than_a_hundred_boxes_of_a_label_do_not_count_for_average_precision(scenes):
    results, truths = scenes(3, seed=4, answers=280, most=30)
    ap, matches = precisions(results, truths)
    assert max(m.rank.max() for m in matches) > 100
    once = average_precision(matches, np.ones((1, len(truths)), np.int64))[0]
    assert np.nanmax(np.abs(once - ap[0])) < 1e-12


def test_images_that_count_several_times_are_as_if_copied(scenes):
    results, truths = scenes(seed=5, steps=10**9)  # no two scores tie: the order of copies is told by nothing
    counts = np.random.default_rng(0).multinomial(len(truths), np.full(len(truths), 1 / len(truths)), 4)
    weighed = average_precision(match(results, truths), counts)
    for row, found in zip(counts, weighed, strict=True):
        expected = drawn(results, truths, row)
        assert np.array_equal(np.isnan(found), np.isnan(expected))
        assert np.nanmax(np.abs(found - expected)) < 1e-12


def test_the_drop_is_the_difference_of_the_figures_overall_and_of_each_label(scenes):
    reference, truths = scenes(seed=6)
    model = noisy(reference)
    found = paired_drop(model, reference, truths, resamples=20)
    before, after = metrics(reference, truths), metrics(model, truths)
    assert found.map.drop == pytest.approx(before.map - after.map, abs=1e-12)
    assert found.map50.drop == pytest.approx(before.map50 - after.map50, abs=1e-12)
    for rows, key in ((found.ap, "ap"), (found.ap50, "ap50")):
        for drop, old, new in zip(rows, before.per_class(), after.per_class(), strict=True):
            assert drop.label == old["label"]
            assert drop.drop == pytest.approx(old[key] - new[key], abs=1e-12)


def test_the_bound_is_the_quantile_of_real_draws_of_the_same_images(scenes):
    reference, truths = scenes(6, seed=7, steps=10**9, answers=10)
    model = noisy(reference)
    found = paired_drop(model, reference, truths, resamples=30, seed=3, unseen=0)
    counts = np.random.default_rng(3).multinomial(6, np.full(6, 1 / 6), 30)
    drops = [np.nanmean(drawn(reference, truths, row) - drawn(model, truths, row)) for row in counts]
    assert found.map.bound == pytest.approx(float(np.quantile(drops, 0.95)), abs=1e-12)


def test_a_model_compared_with_itself_has_lost_nothing_but_may_have_lost_what_nobody_saw(scenes):
    results, truths = scenes(seed=8)
    plain = paired_drop(results, results, truths, resamples=20, unseen=0)
    assert (plain.map.drop, plain.map.bound) == (0, 0)
    doubted = paired_drop(results, results, truths, resamples=20)
    assert 0 < doubted.map.bound < max(drop.bound for drop in doubted.ap)


def test_a_label_that_is_rare_is_doubted_most(given):
    rows = [(0, 1, 20 * i, 0, 20 * i + 10, 10) for i in range(20)] + [(1, 1, 0, 50, 10, 60)]
    truths = [given(*rows), given(*rows)]
    found = paired_drop(truths, truths, truths, resamples=20)
    common, rare = (drop.bound for drop in found.ap)
    assert common == pytest.approx(1.645 * 0.5**0.5 / 40, rel=1e-3)
    assert rare == pytest.approx(1.645 * 0.5**0.5 / 2, rel=1e-3)


def test_the_same_seed_gives_the_same_bounds_and_labels_without_truth_are_left_out(scenes, given):
    reference, truths = scenes(seed=10)
    two = ("red", "white", "platelet", "dust")
    truths = [Boxes(t.xyxy, t.score, t.label_id, two, t.ignored) for t in truths]
    model = noisy(reference, lost=0.1)
    one, other = (paired_drop(model, reference, truths, resamples=20, seed=5) for _ in range(2))
    assert one.as_dict() == other.as_dict()
    assert [drop.label for drop in one.ap] == ["red", "white", "platelet"]


def test_the_interval_holds_the_figure_and_narrows_with_more_images(scenes):
    widths = []
    for images in (8, 80):
        found = metrics(*scenes(images, seed=11, answers=10), resamples=100)
        low, high = found.map_interval
        assert 0 <= low <= found.map <= high <= 1
        widths.append(high - low)
    assert widths[1] < widths[0] / 2
