"""An evaluation as a line in a run's measurements: what was judged, on which images, computed by what."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgecnn import runs
from edgecnn.evaluation.boxes import BoxEvaluation
from edgecnn.evaluation.classes import Evaluation
from edgecnn.runs import Measurement
from edgecnn.runtime.environment import environment

MOST_LABELS = 100
"""With more labels, the confusion matrix is not written (1000 labels would be a million numbers)."""

MOST_MISTAKES = 50
"""How many of the most frequent mistakes are written."""


def measurement(
    evaluation: Evaluation | BoxEvaluation,
    file: Path,
    *,
    scheme: str = "",
    reference: Path | None = None,
    conditions: Mapping[str, Any] | None = None,
) -> Measurement:
    """How right a model file is, ready for `runs.append`.

    Args:
        evaluation: what was found.
        file: the model that was judged; it is read for its size and fingerprint.
        scheme: float32, float16, dynamic, int8; "keras"; "" where unknown.
        reference: the model that `evaluation.agreement` compares with.
        conditions: what computed, such as runtime, version, threads, command; JSON values. They are added to
            what `edgecnn.runtime.environment` knows of this machine.

    Raises:
        DataError: the file cannot be read.
    """
    sha256 = runs.fingerprint(file)
    metrics = evaluation.metrics.as_dict()
    if isinstance(evaluation, Evaluation):
        metrics["mistakes"] = _mistakes(metrics["labels"], evaluation)
        if len(metrics["labels"]) > MOST_LABELS:
            del metrics["confusion"]
    if evaluation.agreement is not None:
        metrics["agreement"] = evaluation.agreement.as_dict()
        if reference is not None:
            metrics["agreement"] |= {"with": reference.name, "sha256": runs.fingerprint(reference)}
    found = environment()
    return Measurement(
        model=str(file),
        scheme=scheme,
        device=str(found["device"]),
        metrics={**metrics, "unreadable": list(evaluation.unreadable)},
        size_bytes=file.stat().st_size,
        environment={**found, **(conditions or {}), "data": asdict(evaluation.data)},
        sha256=sha256,
    )


def _mistakes(labels: list[str], evaluation: Evaluation) -> list[dict[str, Any]]:
    """The most frequent pairs of truth and wrong answer, most frequent first."""
    counts = evaluation.metrics.confusion
    pairs = [(int(counts[t, s]), t, s) for t, s in zip(*counts.nonzero(), strict=True) if t != s]
    best = sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2]))[:MOST_MISTAKES]
    return [{"truth": labels[t], "answer": labels[s], "images": count} for count, t, s in best]
