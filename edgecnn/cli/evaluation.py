"""What `edgecnn evaluate` found, on a terminal: a line for each class, then the figures of all."""

from collections.abc import Mapping
from typing import Any

from edgecnn.cli import text
from edgecnn.evaluation import BoxEvaluation, Evaluation


def show_evaluation(found: Evaluation | BoxEvaluation) -> None:
    """Show how a model did, whatever its task."""
    if isinstance(found, BoxEvaluation):
        _show_boxes(found)
    else:
        _show_classes(found)
    text.each_told(f"left out: {line}" for line in found.unreadable)


def _show_classes(found: Evaluation) -> None:
    metrics = found.metrics
    rows = [(r["label"], r["images"], text.percent(r["recall"]), text.percent(r["precision"]))
            for r in metrics.per_class() if r["images"]]  # fmt: skip
    text.show(text.table(rows, ("class", "images", "recall", "precision")))
    text.show(f"top-1 {text.share(metrics.top1, metrics.interval)}  top-5 {text.percent(metrics.top5)}")
    text.show(f"{metrics.images} images of {found.data.name} {found.data.split or ''}".rstrip())
    if metrics.ties:
        text.show(f"{metrics.ties} ties for the highest score, counted against the model")
    if found.agreement:
        text.show(f"agreement {text.percent(found.agreement.share)}")


def _show_boxes(found: BoxEvaluation) -> None:
    metrics = found.metrics
    columns = ("ap", "ap50", "precision", "recall", "f1")[0 if metrics.ap is not None else 2 :]
    rows = [
        (r["label"], r["boxes"], *(text.percent(r[column]) for column in columns))
        for r in metrics.per_class()
        if r["boxes"] or r["precision"] is not None
    ]
    names = {"ap": "AP@0.5:0.95", "ap50": "AP@0.5", "f1": "F1"}
    text.show(text.table(rows, ("class", "boxes", *(names.get(column, column) for column in columns))))
    if metrics.ap is not None:
        text.show(f"mAP@0.5:0.95  {_interval(metrics.map, metrics.map_interval)}")
        text.show(f"mAP@0.5       {_interval(metrics.map50, metrics.map50_interval)}")
        sizes = "  ".join(f"{size} {text.percent(value)}" for size, value in metrics.sizes.items())
        text.show(f"mAP@0.75      {text.percent(metrics.map75)}  of size: {sizes}")
    means = "IoU of at least 0.5" if metrics.hit == "iou" else "centre inside the truth"
    text.show(
        f"over the score {metrics.threshold:.3f}, found by {means}: "
        f"precision {text.percent(metrics.precision)}  recall {text.percent(metrics.recall)}  "
        f"mean F1 {text.percent(metrics.f1)}"
    )
    data = f"{found.data.name} {found.data.split or ''}".rstrip()
    text.show(f"{metrics.boxes} boxes in {metrics.images} images of {data}")
    if found.agreement:
        same = found.agreement
        iou = "" if same.mean_iou is None else f", mean IoU {same.mean_iou:.3f}"
        text.show(
            f"agreement {text.percent(same.share)}: {same.same} boxes alike{iou}; "
            f"{same.boxes} here, {same.reference_boxes} there"
        )
        text.each_shown(_drops(same.drops or {}))


def _drops(drops: Mapping[str, Any]) -> list[str]:
    names = {"map": "mAP@0.5:0.95", "map50": "mAP@0.5"}
    return [
        f"{name} lost {100 * drops[key]['drop']:.2f} points, at most {100 * drops[key]['bound']:.2f} (95 %)"
        for key, name in names.items()
        if key in drops
    ]


def _interval(figure: float | None, ends: tuple[float, float] | None) -> str:
    return text.percent(figure) if figure is None or ends is None else text.share(figure, ends)
