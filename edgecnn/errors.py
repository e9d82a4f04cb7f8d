"""The error tree. Catch `EdgecnnError` to catch everything edgecnn raises on purpose.

    EdgecnnError
    ├── DataError         a data set, an image, a result: what, in which file (and line), what to do
    ├── CardError         a card is missing, malformed, or does not fit its model
    ├── ModelError        a .tflite file cannot be read, would not run safely, or failed while running
    ├── TrainingError     a recipe that cannot be trained, a run that cannot be resumed
    ├── ConversionError   a model cannot be converted, or the written file does not compute the same
    │   └── NotCertified  a converted model does not keep its promise and was not written; exit code 3
    ├── TargetError       an unknown device, or a model that does not run on it
    │   └── OverBudget    a model takes more time or memory than was allowed; exit code 3
    ├── CameraError       a frame source cannot be opened or has vanished
    └── MissingExtra      a feature needs packages that are not installed; names the pip command

Every message says what was found, where, and what to do next, in one line. The CLI prints it and exits with
the error's exit code: 1, or 3 where a budget that was asked for is not kept.
Anything else that surfaces is a bug of edgecnn and shows its traceback.
"""

from collections.abc import Sequence


class EdgecnnError(Exception):
    """Base of all errors that edgecnn raises on purpose.

    Attributes:
        exit_code: what the CLI exits with.
    """

    exit_code = 1


class DataError(EdgecnnError, ValueError):
    """A data set, an image or a result is not what it must be."""


class CardError(EdgecnnError, ValueError):
    """A card is missing, malformed, or does not fit its model."""


class ModelError(EdgecnnError, RuntimeError):
    """A model file cannot be read, would not run safely, or failed while running."""


class TrainingError(EdgecnnError, RuntimeError):
    """A recipe cannot be trained, or a run cannot be resumed."""


class ConversionError(EdgecnnError, RuntimeError):
    """A model cannot be converted, or the written file does not compute what its source computes."""


class NotCertified(ConversionError):  # noqa: N818  (reads as what it is in a message)
    """A converted model is worse than it may be, so it was not written.

    Attributes:
        results: what came of every scheme that was asked for; see `converters.convert.Converted`.
    """

    exit_code = 3

    def __init__(self, message: str, results: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.results = tuple(results)


class TargetError(EdgecnnError, ValueError):
    """An unknown device, or a model that does not run on it."""


class OverBudget(TargetError):  # noqa: N818  (reads as what it is in a message)
    """A model takes more time or memory on a device than was allowed."""

    exit_code = 3


class CameraError(EdgecnnError, RuntimeError):
    """A source of frames cannot be opened, or has vanished."""


class MissingExtra(EdgecnnError, ImportError):  # noqa: N818  (reads as what it is in a message)
    """A feature needs packages that are not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed. Install it with: pip install 'edgecnn[{extra}]'")
