"""What `edgecnn evaluate` says of a detector; figures are given, the words are tested."""

import numpy as np
import pytest

from edgecnn.cli.evaluation import show_evaluation
from edgecnn.evaluation import BoxAgreement, BoxEvaluation, Judged
from edgecnn.evaluation.detection import Metrics

LABELS = ("red", "white", "dust")


def found(agreement: BoxAgreement | None = None, **changes) -> BoxEvaluation:
    ap = np.full((4, 10, 3), 0.25)
    ap[:, 0], ap[1], ap[:, :, 2] = 0.5, np.nan, np.nan
    words = {
        "labels": LABELS,
        "images": 7,
        "truths": np.array([10, 4, 0]),
        "ap": ap,
        "threshold": 0.3,
        "right": np.array([9, 1, 0]),
        "wrong": np.array([1, 0, 0]),
        "map_interval": (0.2, 0.3),
        "map50_interval": (0.45, 0.55),
    }
    data = Judged("cells.zip", "test", 7, "ab")
    return BoxEvaluation(Metrics(**{**words, **changes}), (), (), data, ("bad.png: truncated",), agreement)


def test_each_class_has_a_line_and_all_have_their_interval(capsys):
    show_evaluation(found())
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0].split() == ["class", "boxes", "AP@0.5:0.95", "AP@0.5", "precision", "recall", "F1"]
    assert lines[1].split()[:4] == ["red", "10", "27.50", "%"]
    assert not any(line.startswith("dust") for line in lines)
    assert "mAP@0.5:0.95  27.50 % (95 %: 20.00 % to 30.00 %)" in lines
    assert "mAP@0.5       50.00 % (95 %: 45.00 % to 55.00 %)" in lines
    assert any("small -" in line for line in lines)
    assert any("over the score 0.300" in line and "precision 90.91 %" in line for line in lines)
    assert lines[-1] == "14 boxes in 7 images of cells.zip test"
    assert "left out: bad.png: truncated" in said.err


def test_coarse_grids_have_no_average_precision(capsys):
    show_evaluation(found(ap=None, hit="centre", map_interval=None, map50_interval=None))
    said = capsys.readouterr().out
    assert "AP" not in said
    assert "centre inside the truth" in said


def test_nothing_found_and_nothing_to_find_is_said_with_dashes(capsys):
    none = np.zeros(3, np.int64)
    show_evaluation(
        found(ap=np.full((4, 10, 3), np.nan), truths=none, right=none, wrong=none, map_interval=None,
              map50_interval=None)
    )  # fmt: skip
    assert "mAP@0.5:0.95  -" in capsys.readouterr().out


@pytest.mark.parametrize(
    "drops", [None, {"map": {"drop": 0.01, "bound": 0.02}, "map50": {"drop": -0.01, "bound": 0.0}}]
)
def test_a_reference_is_compared_with(capsys, drops):
    show_evaluation(found(BoxAgreement(7, 9, 11, 8, 0.91, drops)))
    said = capsys.readouterr().out
    assert "agreement 80.00 %: 8 boxes alike, mean IoU 0.910; 9 here, 11 there" in said
    assert ("mAP@0.5:0.95 lost 1.00 points, at most 2.00 (95 %)" in said) == (drops is not None)
    assert ("mAP@0.5 lost -1.00 points" in said) == (drops is not None)
