"""edgecnn: convolutional networks on small devices, with both numbers known: accuracy and latency.

`import edgecnn` loads nothing heavy; each name below is imported when first used (PEP 562).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgecnn.adopting import as_run
    from edgecnn.auditing import audit_model
    from edgecnn.card import Card, InputSpec
    from edgecnn.comparison import compare
    from edgecnn.compressing import compress, find_sensitivity
    from edgecnn.compression.distill import train_student
    from edgecnn.compression.quantize import train_quantized
    from edgecnn.conversion import convert_model
    from edgecnn.data import open_dataset, training_splits
    from edgecnn.data.info import inspect_dataset
    from edgecnn.difference import diff_models
    from edgecnn.errors import (
        CameraError,
        CardError,
        ConversionError,
        DataError,
        EdgecnnError,
        MissingExtra,
        ModelError,
        NotCertified,
        TargetError,
        TrainingError,
    )
    from edgecnn.evaluation import evaluate
    from edgecnn.inspection import inspect_model
    from edgecnn.measure import bench_models, evaluate_model
    from edgecnn.report import write_report
    from edgecnn.results import Boxes, Classes, Embedding, Mask, Values
    from edgecnn.runtime.benchmark import benchmark
    from edgecnn.runtime.frames import Frame, frames
    from edgecnn.runtime.loop import run
    from edgecnn.runtime.model import Model, load
    from edgecnn.runtime.seen import STALE, Seen
    from edgecnn.runtime.selftest import selftest
    from edgecnn.runtime.tracking.bearing import bearing_deg, largest
    from edgecnn.runtime.tracking.track import Tracker
    from edgecnn.runtime.tracking.tracks import Tracks
    from edgecnn.runtime.tracking.zones import Line, Zone
    from edgecnn.runtime.watch.notice import Notice
    from edgecnn.runtime.watch.patience import Patience
    from edgecnn.runtime.watch.rate import Rate
    from edgecnn.training.fit import train
    from edgecnn.training.recipe import Recipe
    from edgecnn.watching import open_source, watch

__version__ = "0.1.0"

_HOME = {
    "Boxes": "edgecnn.results",
    "CameraError": "edgecnn.errors",
    "Card": "edgecnn.card",
    "CardError": "edgecnn.errors",
    "Classes": "edgecnn.results",
    "ConversionError": "edgecnn.errors",
    "DataError": "edgecnn.errors",
    "EdgecnnError": "edgecnn.errors",
    "Embedding": "edgecnn.results",
    "Frame": "edgecnn.runtime.frames",
    "InputSpec": "edgecnn.card",
    "Line": "edgecnn.runtime.tracking.zones",
    "Mask": "edgecnn.results",
    "MissingExtra": "edgecnn.errors",
    "Model": "edgecnn.runtime.model",
    "ModelError": "edgecnn.errors",
    "NotCertified": "edgecnn.errors",
    "Notice": "edgecnn.runtime.watch.notice",
    "Patience": "edgecnn.runtime.watch.patience",
    "Rate": "edgecnn.runtime.watch.rate",
    "Recipe": "edgecnn.training.recipe",
    "STALE": "edgecnn.runtime.seen",
    "Seen": "edgecnn.runtime.seen",
    "TargetError": "edgecnn.errors",
    "Tracker": "edgecnn.runtime.tracking.track",
    "Tracks": "edgecnn.runtime.tracking.tracks",
    "TrainingError": "edgecnn.errors",
    "Values": "edgecnn.results",
    "Zone": "edgecnn.runtime.tracking.zones",
    "as_run": "edgecnn.adopting",
    "audit_model": "edgecnn.auditing",
    "bearing_deg": "edgecnn.runtime.tracking.bearing",
    "bench_models": "edgecnn.measure",
    "benchmark": "edgecnn.runtime.benchmark",
    "compare": "edgecnn.comparison",
    "compress": "edgecnn.compressing",
    "convert_model": "edgecnn.conversion",
    "diff_models": "edgecnn.difference",
    "evaluate": "edgecnn.evaluation",
    "evaluate_model": "edgecnn.measure",
    "find_sensitivity": "edgecnn.compressing",
    "frames": "edgecnn.runtime.frames",
    "inspect_dataset": "edgecnn.data.info",
    "inspect_model": "edgecnn.inspection",
    "largest": "edgecnn.runtime.tracking.bearing",
    "load": "edgecnn.runtime.model",
    "open_dataset": "edgecnn.data",
    "open_source": "edgecnn.watching",
    "run": "edgecnn.runtime.loop",
    "selftest": "edgecnn.runtime.selftest",
    "train": "edgecnn.training.fit",
    "train_quantized": "edgecnn.compression.quantize",
    "train_student": "edgecnn.compression.distill",
    "training_splits": "edgecnn.data",
    "watch": "edgecnn.watching",
    "write_report": "edgecnn.report",
}

__all__ = [
    "STALE",
    "Boxes",
    "CameraError",
    "Card",
    "CardError",
    "Classes",
    "ConversionError",
    "DataError",
    "EdgecnnError",
    "Embedding",
    "Frame",
    "InputSpec",
    "Line",
    "Mask",
    "MissingExtra",
    "Model",
    "ModelError",
    "NotCertified",
    "Notice",
    "Patience",
    "Rate",
    "Recipe",
    "Seen",
    "TargetError",
    "Tracker",
    "Tracks",
    "TrainingError",
    "Values",
    "Zone",
    "__version__",
    "as_run",
    "audit_model",
    "bearing_deg",
    "bench_models",
    "benchmark",
    "compare",
    "compress",
    "convert_model",
    "diff_models",
    "evaluate",
    "evaluate_model",
    "find_sensitivity",
    "frames",
    "inspect_dataset",
    "inspect_model",
    "largest",
    "load",
    "open_dataset",
    "open_source",
    "run",
    "selftest",
    "train",
    "train_quantized",
    "train_student",
    "training_splits",
    "watch",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'edgecnn' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
