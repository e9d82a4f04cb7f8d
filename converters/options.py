"""What a caller may say about a conversion: one value, checked, with the defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args

from calibration.ranges import check_method
from calibration.samples import COUNT
from converters.certificate import Budget
from converters.schemes import Io, Precision, Weights
from edgecnn.errors import ConversionError


@dataclass(frozen=True)
class Options:
    """How files are made and what they may cost.

    Attributes:
        io: type of inputs and outputs of an integer scheme; None is the scheme's own.
        weights: whether int8 weights have a scale for each output channel, only those of convolutions do, or
            none; see `converters.schemes.Weights`.
        ranges: the only estimator to use, a key of `calibration.ranges.METHODS`; None tries them in order.
        keeps: what the worst layers of int8 may stay in; None keeps none.
        corrects: int8 biases are corrected by images.
        samples: how many training images to calibrate with.
        seed: which ones.
        max_drop: points of accuracy (of a detector: of mAP) that a file may lose. Stated, it must be proven;
            None: 1, as observed.
        max_class_drop: likewise, of any one class; None is the task's: see `converters.judging`.
        judged: validation images to judge on, at most; None: as many as memory allows.
        unlabelled: the data are photographs that nobody labelled: the float model's answers are the truth.
        audited: the calibration images are checked first (`calibration.audit`), and unfit ones refused.
        uncertified: write a file even if it does not keep its promise, marked so.
    """

    io: Io | None = None
    weights: Weights = "channel"
    ranges: str | None = None
    keeps: Precision | None = "float32"
    corrects: bool = True
    samples: int = COUNT
    seed: int = 0
    max_drop: float | None = None
    max_class_drop: float | None = None
    judged: int | None = None
    unlabelled: bool = False
    audited: bool = True
    uncertified: bool = False

    def budget(self, max_class_drop: float) -> Budget:
        """What a file may cost; `max_class_drop` is what any one class may lose where nobody said."""
        return Budget(
            max_drop=Budget.max_drop if self.max_drop is None else self.max_drop,
            max_class_drop=max_class_drop if self.max_class_drop is None else self.max_class_drop,
            drop_stated=self.max_drop is not None,
            class_drop_stated=self.max_class_drop is not None,
        )


def options(given: Mapping[str, Any]) -> Options:
    """The options with these fields.

    Raises:
        ConversionError: one is unknown, or has a value that cannot be.
    """
    known = [each.name for each in fields(Options)]
    if unknown := sorted(set(given) - set(known)):
        raise ConversionError(f"there is no option {unknown[0]!r}. There are: {', '.join(known)}.")
    made = Options(**given)
    if made.ranges is not None:
        check_method(made.ranges)
    for what, value, allowed in (
        ("weights", made.weights, get_args(Weights)),
        ("keep", made.keeps or "nothing", (*get_args(Precision), "nothing")),
        ("io", made.io or get_args(Io)[0], get_args(Io)),
    ):
        if value not in allowed:
            raise ConversionError(f"--{what} must be {' or '.join(allowed)}, not {value!r}")
    for what, count in (("samples", made.samples), ("judged", made.judged)):
        if count is not None and (type(count) is not int or count < 1):
            raise ConversionError(f"--{what} must be a whole number from 1, not {count!r}")
    return made
