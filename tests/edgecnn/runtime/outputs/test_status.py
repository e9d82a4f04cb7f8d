"""The status line: rates, ages, losses, and what is seen."""

import numpy as np
import pytest

from edgecnn.results import Boxes, Classes, Embedding
from edgecnn.runtime.frames import Frame
from edgecnn.runtime.model import Timings
from edgecnn.runtime.outputs.status import in_words, status
from edgecnn.runtime.seen import Seen
from edgecnn.runtime.watch.statistics import Statistics

LABELS = ("ball", "cone")


def boxes(*scores):
    n = len(scores)
    return Boxes(np.tile([0.0, 0, 1, 1], (n, 1)), scores, np.arange(n) % 2, LABELS)


def statistics(**others):
    words = {
        "seconds": 60.0, "captured": 1800, "dropped": 1202, "repeated": 0, "damaged": 0, "results": 590,
        "restarts": {"source": 0, "interpreter": 0}, "fps": {"captured": 29.97, "results": 9.81},
        "stages_ms": {"delay": {"p50": 111.6, "p90": 120.0, "p99": 131.2, "max": 140.0, "n": 590}},
        "threads": 1, "max_age_ms": None,
    }  # fmt: skip
    return Statistics(**(words | others))


def seen(result):
    frame = Frame(np.zeros((4, 4, 3), np.uint8), 0, 0.0, "cam#0")
    return Seen(frame, "detection", result, Timings(1, 1, 1), 0.1)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (boxes(), "nothing"),
        (boxes(0.93, 0.71), "ball 0.93, cone 0.71"),
        (
            boxes(*np.linspace(0.9, 0.2, 8)),
            "ball 0.90, cone 0.80, ball 0.70, cone 0.60, ball 0.50 and 3 more",
        ),
        (Classes((0.1, 0.9), LABELS), "cone 0.90"),
        (Embedding((1.0, 2.0)), "nothing"),
    ],
)
def test_the_best_are_named(result, words):
    assert in_words(result) == words


def test_the_line_of_a_healthy_camera():
    assert status(statistics(), seen(boxes(0.93, 0.71))) == (
        "30.0 fps in, 9.8 results/s, age p50 112 ms p99 131 ms, 1,202 dropped | ball 0.93, cone 0.71"
    )


def test_before_the_first_result_there_is_no_age():
    line = status(statistics(stages_ms={}, dropped=0), None)
    assert line == "30.0 fps in, 9.8 results/s, 0 dropped | STALE"


def test_troubles_are_told_once_there_are_any():
    line = status(statistics(damaged=2, restarts={"source": 3, "interpreter": 1}), None)
    assert "2 damaged, 3 times reopened, 1 interpreters replaced | STALE" in line
