"""The oracle is plain pycocotools, reading files of its own format."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edgecnn.evaluation.coco import match, precisions
from edgecnn.evaluation.detection import metrics
from edgecnn.results import Boxes


def plain(results: list[Boxes], truths: list[Boxes], folder: Path) -> COCOeval:
    images = [{"id": i + 1, "width": 500, "height": 500} for i in range(len(truths))]
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(truths[0].labels)]

    def rows(all_boxes: list[Boxes]) -> list[dict]:
        return [
            {"id": 0, "image_id": image + 1, "category_id": int(boxes.label_id[i]) + 1,
             "bbox": [float(x), float(y), float(right) - float(x), float(bottom) - float(y)],
             "area": (float(right) - float(x)) * (float(bottom) - float(y)),
             "score": float(boxes.score[i]), "iscrowd": int(boxes.ignored[i])}
            for image, boxes in enumerate(all_boxes)
            for i, (x, y, right, bottom) in enumerate(boxes.xyxy)
        ]  # fmt: skip

    wanted = [row | {"id": number} for number, row in enumerate(rows(truths), 1)]
    truth_file, result_file = folder / "truth.json", folder / "results.json"
    truth_file.write_text(json.dumps({"images": images, "annotations": wanted, "categories": categories}))
    result_file.write_text(json.dumps(rows(results)))
    with contextlib.redirect_stdout(io.StringIO()) as said:
        truth = COCO(str(truth_file))
        judged = COCOeval(truth, truth.loadRes(str(result_file)), "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    judged.said = said.getvalue()
    return judged


CASES = [
    {"seed": 1},
    {"seed": 2, "steps": 4},  # scores tie within and between images
    {"seed": 3, "ignored": 0.6},
    {
        "images": 4,
        "seed": 4,
        "answers": 250,
        "most": 30,
    },  # more than a hundred boxes of one label in an image
    {"seed": 5, "most": 2},
]


@pytest.mark.parametrize("case", CASES)
def test_average_precision_is_that_of_plain_pycocotools_at_every_size_iou_and_label(scenes, tmp_path, case):
    results, truths = scenes(**case)
    expected = plain(results, truths, tmp_path).eval["precision"][..., -1]  # (iou, recall, label, size)
    ap, _ = precisions(results, truths)
    known = expected[:, 0] >= 0
    assert np.array_equal(~np.isnan(ap), known.transpose(2, 0, 1))
    wanted = np.where(known, expected.mean(1), np.nan).transpose(2, 0, 1)
    assert np.nanmax(np.abs(ap - wanted)) < 1e-12


@pytest.mark.parametrize("case", CASES)
def test_the_summary_is_that_of_plain_pycocotools(scenes, tmp_path, case):
    results, truths = scenes(**case)
    stats = plain(results, truths, tmp_path).stats
    found = metrics(results, truths)
    ours = [found.map, found.map50, found.map75, *found.sizes.values()]
    for value, wanted in zip(ours, stats[:6], strict=True):
        assert (value is None and wanted == -1) or abs(value - wanted) < 1e-12


@pytest.mark.parametrize("case", CASES)
def test_every_hit_and_every_ignored_box_is_that_of_plain_pycocotools(scenes, tmp_path, case):
    results, truths = scenes(**case)
    rows = plain(results, truths, tmp_path).evalImgs
    for label, found in enumerate(match(results, truths)):
        for image in range(len(truths)):
            row = rows[label * 4 * len(truths) + image]
            own = (found.image == image) & (found.rank < 100)
            if row is None:
                assert not own.any()
                assert found.truths[image] == 0
                continue
            order = np.argsort(found.rank[own])
            assert found.score[own][order].tolist() == row["dtScores"]
            hits = (row["dtMatches"] > 0) & ~row["dtIgnore"]
            assert np.array_equal(found.hit[:, own][:, order], hits)
            assert np.array_equal(found.void[:, own][:, order], row["dtIgnore"])
            assert found.truths[image] == (row["gtIgnore"] == 0).sum()


def test_judging_prints_nothing_and_leaves_pycocotools_talkative(scenes, capsys, tmp_path):
    metrics(*scenes(2))
    assert capsys.readouterr().out == ""
    assert "Accumulating evaluation results" in plain(*scenes(2), tmp_path).said


def test_a_label_that_the_truth_does_not_have_is_left_out(given):
    truth = given((0, 1, 0, 0, 10, 10))
    said = given((0, 0.5, 0, 0, 10, 10), (1, 0.9, 0, 0, 10, 10), labels=("red", "elsewhere"))
    found = match([said], [truth])
    assert [len(m.score) for m in found] == [1, 0, 0]
    assert found[0].hit.all()
