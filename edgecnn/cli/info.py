"""`edgecnn inspect`, `models`, `data info`, `data convert`: looking without changing what is there."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from edgecnn.cli import target, text

_Json = Annotated[bool, Option("--json", help="One JSON object.")]

_LISTED = 5


def add_to(app: typer.Typer) -> None:
    """Add this module's verbs."""
    app.command(
        epilog=text.examples(
            "edgecnn inspect runs/cats",
            "edgecnn inspect stranger.tflite --json",
            "edgecnn inspect int8.tflite --target coral_usb --fix",
            "edgecnn inspect int8.tflite --target cortex_m7 --max-ram 320k --max-flash 1M",
        )
    )(inspect)
    app.command(epilog=text.examples("edgecnn models", "edgecnn models --size 96 --classes 10"))(models)
    data = typer.Typer(help="Look at a data set, or write it in another format.", no_args_is_help=True)
    data.command(epilog=text.examples("edgecnn data info photos/", "edgecnn data info cifar10.zip --json"))(
        info
    )
    data.command(
        epilog=text.examples(
            "edgecnn data convert cells.zip cells-yolo --format yolo",
            "edgecnn data convert drawn scenes --format coco --task detection",
        )
    )(convert)
    app.add_typer(data, name="data")


def models(
    size: Annotated[str, Option(help="Input in pixels, WxH or one number.")] = "224",
    classes: Annotated[int, Option(min=1, help="Classes to tell apart.")] = 1000,
    as_json: _Json = False,
) -> None:
    """List the networks: parameters, multiply-accumulates, bytes (estimated) for one input size."""
    from edgecnn.zoo.listing import listing

    width, height = text.size_wh(size) or (224, 224)
    rows = listing(height, width, classes=classes)
    if as_json:
        text.show_json([vars(row) for row in rows])
        return
    header = ("model", "params", "MACs", "float32 (est.)", "int8 (est.)", "pretrained", "")
    text.show(
        text.table(
            [
                (
                    row.name,
                    row.params,
                    row.macs,
                    text.size(row.float32_bytes_estimated),
                    text.size(row.int8_bytes_estimated),
                    "ImageNet" if row.pretrained else "",
                    row.summary,
                )
                for row in rows
            ],
            header,
        )
    )
    text.tell(
        f"input {width}x{height}, {classes} classes; bytes are estimated from the weights, without the graph"
    )


def info(
    path: Annotated[str, Argument(help="Folder, zip or tar of images, or 'drawn'.")],
    task: Annotated[
        str | None, Option(help="classification or detection; what the data is made for if not given.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Counts, balance, sizes of images and boxes, unreadable and duplicate files, leakage between splits."""
    from edgecnn.cli import boxes
    from edgecnn.data.info import DatasetInfo, inspect_dataset

    found = inspect_dataset(path, task=task, progress=text.counted("files"))
    if as_json:
        text.show_json(found.as_dict())
    elif isinstance(found, DatasetInfo):
        _show_info(found)
    else:
        boxes.show(found)


def convert(
    source: Annotated[str, Argument(help="Folder, zip or tar with boxes, or 'drawn'.")],
    out: Annotated[Path, Argument(help="Folder to make.")],
    format: Annotated[str, Option(help="coco, voc or yolo.")],  # noqa: A002
    task: Annotated[
        str, Option(help="What the truth is for; boxes are what these formats hold.")
    ] = "detection",
    drop_ignored: Annotated[
        bool, Option("--drop-ignored", help="Leave out difficult and crowd boxes, which YOLO cannot say.")
    ] = False,
    force: Annotated[
        bool, Option("--force", help="Replace a data set that was written to OUT before.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Write boxes as COCO JSON, Pascal VOC or YOLO; images are copied, not encoded again."""
    from edgecnn.cli import boxes
    from edgecnn.data import open_parts
    from edgecnn.data.write import write_dataset

    written = write_dataset(
        open_parts(source, task=task),
        out,
        format=format,
        replace=force,
        drop_ignored=drop_ignored,
        progress=text.counted("images"),
    )
    boxes.show_written(written, as_json=as_json)


def inspect(
    model: Annotated[Path, Argument(help="A .tflite file or a run folder.")],
    on: Annotated[
        str | None, Option("--target", help="Device to judge it for, a name of `edgecnn targets`.")
    ] = None,
    fix: Annotated[
        bool, Option("--fix", help="Mend what can be mended in the file, under a new name.")
    ] = False,
    out: Annotated[Path | None, Option(help="The mended file. (Default: NAME.TARGET.tflite beside.)")] = None,
    force: Annotated[bool, Option("--force", help="Replace the mended file if it is there.")] = False,
    max_latency: target.MaxLatency = None,
    max_ram: target.MaxRam = None,
    max_flash: target.MaxFlash = None,
    as_json: _Json = False,
) -> None:
    """Show the layers, and for a target what runs where, why not, how fast and in how much memory."""
    from edgecnn.inspection import inspect_model
    from edgecnn.targeting.mending import mend

    allowed = target.limits(max_latency, max_ram, max_flash)
    if on is None and (allowed or fix):
        raise typer.BadParameter("--fix and the --max- options need a --target")
    found = inspect_model(model, target=on)
    mended = mend(found.path, on, out=out, force=force) if on is not None and fix else None
    if as_json:
        text.show_json({**found.as_dict(), "mended": None if mended is None else mended.as_dict()})
    else:
        _show_inspection(found)
        if found.answer:
            target.show_answer(found.answer)
        if mended:
            target.show_mended(mended)
    if found.answer:
        found.answer.refuse_over(allowed)


def _show_inspection(found: Any) -> None:
    header = ("#", "operator", "F", "K", "S", "P", "output", "parameters", "MACs", "bytes", "field")
    rows = [
        (
            row.number,
            row.layer.kind,
            "-" if row.layer.kernel is None else _pair(row.layer.kernel),
            row.layer.filters,
            "-" if row.layer.kernel is None else _pair(row.layer.stride),
            "-" if row.layer.kernel is None else "/".join(_pair(side) for side in row.layer.padding),
            "x".join(map(str, row.out_shape)),
            row.layer.parameters,
            row.layer.macs,
            row.activation_bytes,
            _pair(row.receptive_field),
        )
        for row in found.table.rows
    ]
    text.show(text.table(rows, header))
    table = found.table
    text.show(
        f"{table.parameters:,} parameters, {table.macs:,} MACs, "
        f"peak activation memory {text.size(table.peak_bytes)} at #{table.peak_row}"
    )
    if found.summary:
        summary = found.summary
        text.show(
            f"{found.path}: {text.size(summary.size_bytes)}, {summary.scheme}, weights {summary.weights}"
        )
        for what, ends in (("input", summary.inputs), ("output", summary.outputs)):
            text.each_shown(
                f"{what} {end.name} {end.dtype} {list(end.shape)}{_quantized(end)}" for end in ends
            )
    if found.card:
        text.show(
            f"card: {found.card.task}, {len(found.card.labels)} labels: {', '.join(found.card.labels[:8])}"
        )
    text.each_shown(f"advice: {line}" for line in found.advice)
    text.each_shown(f"mediapipe: {line}" for line in found.mediapipe or ())
    if found.mediapipe == ():
        text.show("mediapipe: MediaPipe Tasks runs it as it is")
    text.tell(
        "F kernel, K filters, S stride, P padding (before, after); output = (N + 2P - F) / S + 1 per side"
    )


def _pair(values: Any) -> str:
    """One number where both sides are alike, else both."""
    first, second = (f"{value:g}" for value in values)
    return first if first == second else f"{first},{second}"


def _quantized(end: Any) -> str:
    return "" if end.scale is None else f" scale {end.scale:g} zero point {end.zero_point}"


def _show_info(found: Any) -> None:
    splits = list(found.counts)
    rows = [(label, *(found.counts[split][i] for split in splits)) for i, label in enumerate(found.labels)]
    rows.append(("all", *(sum(found.counts[split]) for split in splits)))
    text.show(text.table(rows, ("class", *splits)))
    if found.sizes:
        common = ", ".join(f"{w}x{h} ({count:,})" for (w, h), count in found.sizes.common[:3])
        text.show(f"sizes: {found.sizes.distinct} different, most often {common}")
    text.show(f"balance: the largest class has {found.balance:.2f} times the images of the smallest")
    for what, groups in (
        ("unreadable", [f"{name}: {reason}" for name, reason in found.unreadable]),
        ("same image", [" = ".join(group) for group in found.duplicates]),
        ("leak", [" = ".join(group) for group in found.leaks]),
        ("near leak", [" ~ ".join(pair) for pair in found.near_leaks]),
    ):
        text.show(f"{what}: {len(groups):,}")
        text.each_shown(f"  {line}" for line in groups[:_LISTED])
        text.each_shown(
            [f"  … and {len(groups) - _LISTED:,} more (--json has all)"] if len(groups) > _LISTED else []
        )
    text.each_told(f"warning: {warning}" for warning in found.warnings)
