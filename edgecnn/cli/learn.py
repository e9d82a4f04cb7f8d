"""`edgecnn train`, `pretrained`, `import`: labelled images, or someone's network, in; a run folder out."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from edgecnn.cli import text


def add_to(app: typer.Typer) -> None:
    """Add this module's verbs."""
    app.command(
        epilog=text.examples(
            "edgecnn train photos/ --model mobilenet_v2 --width 0.5 --out runs/first",
            "edgecnn train cells.zip --task detection --model efficientnet_lite0 --pretrained --out runs/2",
        )
    )(train)
    app.command(
        epilog=text.examples(
            "edgecnn pretrained efficientnet_lite0 --out runs/lite0",
            "edgecnn pretrained efficientnet_lite1 --weights efficientnet-lite1.pth --out runs/lite1",
        )
    )(pretrained)
    app.command(
        "import",
        epilog=text.examples(
            "edgecnn import my.keras --labels labels.txt --mean 0 --std 255 --out runs/mine",
            "edgecnn import old.h5 --labels labels.txt --mean 127.5 --std 127.5 --size 96x96 --out runs/old",
        ),
    )(import_file)


def train(
    data: Annotated[
        str,
        Argument(help="Folder, zip or tar: images in a subfolder per class, VOC, COCO or YOLO; or 'drawn'."),
    ],
    out: Annotated[Path, Option(help="The run folder to write.")],
    model: Annotated[
        str | None, Option(help="A network; `edgecnn models` lists them. (Default: mobilenet_v2.)")
    ] = None,
    task: Annotated[str, Option(help="classification or detection.")] = "classification",
    design: Annotated[
        str | None, Option(help="Of a detector: anchors (boxes), or centroids (places, on a coarse grid).")
    ] = None,
    width: Annotated[float | None, Option(help="Multiplies the number of filters. (Default: 1.)")] = None,
    size: Annotated[
        str | None, Option(help="Input in pixels, WxH or one number. (Default: the images' own.)")
    ] = None,
    color: Annotated[str | None, Option(help="rgb, bgr or gray.")] = None,
    fit: Annotated[str | None, Option(help="stretch, letterbox or crop.")] = None,
    epochs: Annotated[int | None, Option(help="Passes over the images. (Default: by their number.)")] = None,
    batch: Annotated[int | None, Option(help="Images in a step. (Default: by size and number.)")] = None,
    rate: Annotated[
        float | None, Option(help="Highest learning rate. (Default: by optimizer and batch.)")
    ] = None,
    optimizer: Annotated[str | None, Option(help="sgd or adam.")] = None,
    precision: Annotated[
        str | None, Option(help="float32 or bfloat16 (faster on CPUs with AMX, and GPUs).")
    ] = None,
    pretrained: Annotated[
        bool, Option("--pretrained", help="Start from ImageNet weights (extra `pretrained`).")
    ] = False,
    weights: Annotated[Path | None, Option(help="Start from this weight file instead.")] = None,
    distill: Annotated[
        Path | None, Option(help="Learn from this run's answers, too: the teacher, of the same labels.")
    ] = None,
    no_flip: Annotated[
        bool, Option("--no-flip", help="Do not mirror images: for text, arrows, signs.")
    ] = False,
    upside_down: Annotated[
        bool, Option("--upside-down", help="Mirror images top to bottom, too: microscopes, aerial images.")
    ] = False,
    seed: Annotated[int | None, Option(help="Of weights, order and augmentation. (Default: 0.)")] = None,
    resume: Annotated[
        bool,
        Option("--resume", help="Continue an interrupted run; other options, if given, must be its own."),
    ] = False,
    force: Annotated[bool, Option("--force", help="Replace the run that is there.")] = False,
    skip_unreadable: Annotated[bool, Option("--skip-unreadable", help="Leave broken images out.")] = False,
    as_json: Annotated[bool, Option("--json", help="Print the outcome as one JSON object.")] = False,
) -> None:
    """Train a network on labelled images; killed at any moment, --resume goes on where it was."""
    from edgecnn.data import training_splits
    from edgecnn.training.progress import line

    chosen: dict[str, Any] = {"model": model, "size": size, "width": width, "color": color, "fit": fit}
    chosen |= {"epochs": epochs, "batch": batch, "rate": rate, "optimizer": optimizer, "precision": precision}
    chosen |= {"flip": False if no_flip else None, "upside_down": upside_down or None, "seed": seed}
    chosen |= {"design": design}
    chosen |= {"pretrained": "imagenet" if pretrained else None if weights is None else str(weights)}
    given = {name: value for name, value in chosen.items() if value is not None}
    splits = training_splits(data, task=task, seed=given.get("seed", _own_seed(out) if resume else 0))
    recipe = None if resume and not given else _recipe(splits[0], given)
    run = _fit(out, distill, resume)(
        splits, recipe, out=out, resume=resume, force=force, skip_unreadable=skip_unreadable,
        progress=lambda now: text.progress(line(now)),
    )  # fmt: skip
    _show(run, as_json, "--float32 --int8 --data DATA")


def pretrained(
    model: Annotated[str, Argument(help="A network with ImageNet weights; `edgecnn models` says which.")],
    out: Annotated[Path, Option(help="The run folder to write.")],
    weights: Annotated[Path | None, Option(help="A PyTorch file instead of the installed package.")] = None,
    force: Annotated[bool, Option("--force", help="Replace the run that is there.")] = False,
) -> None:
    """Write a network as its authors trained it on ImageNet: a run that can be converted as it is."""
    from edgecnn.training.published import write_published

    run = write_published(model, out=out, weights=weights, force=force)
    text.show(f"{run.path}  next: edgecnn convert {run.path} --float32")


def _fit(out: Path, teacher: Path | None, resume: bool) -> Any:
    """What trains: with a teacher where one is named, or was when the run began that is resumed."""
    from functools import partial

    from edgecnn.runs import Run
    from edgecnn.training.fit import train as fit_network

    if teacher is None and not (resume and Run(out).teacher.is_file()):
        return fit_network
    from edgecnn.compression.distill import train_student

    return partial(train_student, teacher)


def import_file(
    model: Annotated[Path, Argument(help="A .keras or .h5 file of a classifier that was trained elsewhere.")],
    out: Annotated[Path, Option(help="The run folder to write.")],
    labels: Annotated[Path | None, Option(help="Label file of the images it was trained on.")] = None,
    mean: Annotated[str | None, Option(help="One number, or three with commas.")] = None,
    std: Annotated[str | None, Option(help="One number, or three with commas.")] = None,
    color: Annotated[str | None, Option(help="rgb, bgr or gray.")] = None,
    fit: Annotated[str | None, Option(help="stretch, letterbox or crop.")] = None,
    resize: Annotated[str | None, Option(help="bilinear, area, or corner as MediaPipe does.")] = None,
    size: Annotated[str | None, Option(help="Input in pixels, WxH, where the file leaves it open.")] = None,
    force: Annotated[bool, Option("--force", help="Replace the run that is there.")] = False,
) -> None:
    """Make a run of a Keras file that was trained elsewhere, so that it can be compressed like any other."""
    from edgecnn.adopting import as_run

    words: dict[str, Any] = {"labels": labels, "color": color, "fit": fit, "resize": resize}
    run = as_run(
        model, out, mean=text.numbers(mean), std=text.numbers(std), size_wh=text.size_wh(size), force=force,
        tell=text.tell, **words,
    )  # fmt: skip
    text.show(f"{run.path}  next: edgecnn compress {run.path} --macs 0.5 --data DATA --out NEW")


def _recipe(dataset: Any, given: dict[str, Any]) -> Any:
    from edgecnn.training.recipe import default

    model, size = given.pop("model", "mobilenet_v2"), text.size_wh(given.pop("size", None))
    mirrored = {name: given.pop(name) for name in ("flip", "upside_down") if name in given}
    recipe = default(model, dataset, size_wh=size, **given)
    return replace(recipe, augment=replace(recipe.augment, **mirrored))


def _own_seed(out: Path) -> int:
    """The seed of the run that is there; 0 where there is none, which is then said by whoever resumes it."""
    from edgecnn.runs import Run
    from edgecnn.training.recipe import from_json

    path = Run(out).recipe
    return from_json(path.read_text(encoding="utf-8"), str(path)).seed if path.is_file() else 0


def _show(run: Any, as_json: bool, schemes: str) -> None:
    import json

    outcome = json.loads(run.training.read_text(encoding="utf-8"))
    if as_json:
        text.show_json({"run": str(run.path), **outcome})
        return
    for line in _boxes_found(outcome) if "map" in outcome else _classes_told(outcome):
        text.show(line)
    text.show(f"{run.path}  next: edgecnn convert {run.path} {schemes}")


def _classes_told(outcome: dict[str, Any]) -> list[str]:
    rows = [
        (r["label"], r["images"], text.percent(r["recall"]), text.percent(r["precision"]))
        for r in outcome["per_class"]
    ]
    return [
        text.table(rows, ("class", "validation images", "recall", "precision")),
        f"validation accuracy {text.share(outcome['top1'], outcome['top1_interval'])}",
    ]


def _boxes_found(outcome: dict[str, Any]) -> list[str]:
    rows = [
        (r["label"], r["boxes"], *(text.percent(r[name]) for name in ("ap50", "ap", "recall", "precision")))
        for r in outcome["per_class"]
    ]
    figures = [f"mAP@0.5 {text.percent(outcome['map50'])}", f"mAP@0.5:0.95 {text.percent(outcome['map'])}"]
    by_overlap = outcome["map"] is not None
    return [
        text.table(rows, ("class", "validation boxes", "AP@0.5", "AP@0.5:0.95", "recall", "precision")),
        f"validation {', '.join([*(figures if by_overlap else ()), 'F1 ' + text.percent(outcome['f1'])])} "
        f"at threshold {outcome['threshold']:.2f}",
    ]
