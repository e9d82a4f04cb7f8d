"""The error tree. Catch `EdgecnnError` to catch everything edgecnn raises on purpose.

    EdgecnnError
    ├── DataError         a data set, an image, a result: what, in which file (and line), what to do
    ├── CardError         a card is missing, malformed, or does not fit its model
    ├── ModelError        a .tflite file cannot be read, would not run safely, or failed while running
    ├── TrainingError     a recipe that cannot be trained, a run that cannot be resumed
    ├── ConversionError   a model cannot be converted, or the written file does not compute the same
    ├── TargetError       an unknown device, or a model that does not fit it
    ├── CameraError       a frame source cannot be opened or has vanished
    └── MissingExtra      a feature needs packages that are not installed; names the pip command

Every message says what was found, where, and what to do next, in one line. The CLI prints it and exits 1.
Anything else that surfaces is a bug of edgecnn and shows its traceback.
"""


class EdgecnnError(Exception):
    """Base of all errors that edgecnn raises on purpose."""


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


class TargetError(EdgecnnError, ValueError):
    """An unknown device, or a model that does not fit it."""


class CameraError(EdgecnnError, RuntimeError):
    """A source of frames cannot be opened, or has vanished."""


class MissingExtra(EdgecnnError, ImportError):  # noqa: N818  (reads as what it is in a message)
    """A feature needs packages that are not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed. Install it with: pip install 'edgecnn[{extra}]'")
