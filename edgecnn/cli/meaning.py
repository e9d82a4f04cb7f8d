"""What a model's numbers mean: the options that verbs which run a stranger's file have in common."""

from pathlib import Path
from typing import Annotated, Any

from typer import Option

from edgecnn.cli import text

Labels = Annotated[Path | None, Option(help="Label file, one name a line.")]
Mean = Annotated[str | None, Option(help="Subtracted from a pixel 0..255: one number, or three with commas.")]
Std = Annotated[str | None, Option(help="The difference is divided by it: one number, or three.")]
Color = Annotated[str | None, Option(help="rgb, bgr or gray.")]
Fit = Annotated[str | None, Option(help="stretch, letterbox or crop.")]
Resize = Annotated[str | None, Option(help="bilinear, area, or corner as MediaPipe does.")]
Task = Annotated[str | None, Option(help="What the outputs mean, such as classification.")]
Size = Annotated[str | None, Option(help="WxH, for a model that takes any size.")]
Threshold = Annotated[float | None, Option(min=0, max=1, help="Least score of a box. (Default: the card's.)")]
Iou = Annotated[
    float | None,
    Option(min=0, max=1, help="Overlap at which the weaker box goes. (Default: the card's.)"),
]
Options = Annotated[
    list[str] | None, Option(help="key=value over the card's options, such as nms=soft; repeatable.")
]


def said(
    *,
    labels: Path | None,
    mean: str | None,
    std: str | None,
    color: str | None,
    fit: str | None,
    resize: str | None,
    task: str | None,
    size: str | None,
    threshold: float | None,
    iou: float | None,
    option: list[str] | None,
) -> dict[str, Any]:
    """What `edgecnn.load` takes, of what was typed.

    Raises:
        typer.BadParameter: something that is no number, size, or key=value.
    """
    return {
        "labels": labels,
        "mean": text.numbers(mean),
        "std": text.numbers(std),
        "color": color,
        "fit": fit,
        "resize": resize,
        "task": task,
        "size_wh": text.size_wh(size),
        "options": text.options(option or (), threshold=threshold, iou=iou),
    }
