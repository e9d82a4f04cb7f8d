"""How good a model is on labelled images, and how alike two are: one code for Keras, float and int8."""

from edgecnn.evaluation.agreement import UNDECIDED, Agreement
from edgecnn.evaluation.boxes import BoxAgreement, BoxEvaluation
from edgecnn.evaluation.classes import Evaluation
from edgecnn.evaluation.judge import Predict, Progress, agreement, evaluate
from edgecnn.evaluation.judged import Judged
from edgecnn.evaluation.measure import measurement
from edgecnn.evaluation.resampling import Drop, Drops, paired_drop

__all__ = [
    "UNDECIDED",
    "Agreement",
    "BoxAgreement",
    "BoxEvaluation",
    "Drop",
    "Drops",
    "Evaluation",
    "Judged",
    "Predict",
    "Progress",
    "agreement",
    "evaluate",
    "measurement",
    "paired_drop",
]
