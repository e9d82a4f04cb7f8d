"""How good a model is on labelled images, and how alike two are: one code for Keras, float and int8."""

from edgecnn.evaluation.agreement import UNDECIDED, Agreement
from edgecnn.evaluation.judge import Evaluation, Judged, Predict, Progress, agreement, evaluate
from edgecnn.evaluation.measure import measurement

__all__ = [
    "UNDECIDED",
    "Agreement",
    "Evaluation",
    "Judged",
    "Predict",
    "Progress",
    "agreement",
    "evaluate",
    "measurement",
]
