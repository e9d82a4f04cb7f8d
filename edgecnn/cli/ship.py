"""`edgecnn convert`, `evaluate`, `report`, `quickstart`: from a run to a file you can trust."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from edgecnn.cli import target, text

_Json = Annotated[bool, Option("--json", help="One JSON object.")]


def add_to(app: typer.Typer) -> None:
    """Add this module's verbs."""
    app.command(
        epilog=text.examples(
            "edgecnn convert runs/cats --int8 --data photos/ --max-drop 1.0 --max-class-drop 5",
            "edgecnn convert yolo.tflite --int8 --data cats.zip --labels cats.txt --option decode=yolov8",
        )
    )(convert)
    app.command(
        epilog=text.examples(
            "edgecnn audit runs/cats --data photos/ --page histograms.html",
            "edgecnn audit cats.tflite --data photos/ --samples 512 --mean 127.5 --std 127.5",
        )
    )(audit)
    app.command(
        epilog=text.examples(
            "edgecnn evaluate runs/cats/int8.tflite --data photos/ --against runs/cats/float32.tflite",
            "edgecnn evaluate runs/cats --data photos/ --split val",
        )
    )(evaluate)
    app.command(
        epilog=text.examples(
            "edgecnn diff runs/cats/float32.tflite runs/cats/int8.tflite --data photos/",
            "edgecnn diff float.tflite int8.tflite --data photos/ --mean 127.5 --std 127.5 --page diff.html",
        )
    )(diff)
    app.command(
        epilog=text.examples(
            "edgecnn report runs/", "edgecnn report runs/ --target raspberry_pi_4 --target coral_usb"
        )
    )(report)
    app.command(
        epilog=text.examples("edgecnn quickstart", "edgecnn quickstart --task detection --out boxes --force")
    )(quickstart)


def convert(
    source: Annotated[
        Path, Argument(help="A run, a .keras or .h5 file, a SavedModel folder, or a float .tflite.")
    ],
    float32: Annotated[
        bool, Option("--float32", help="As it was trained; every other scheme starts there.")
    ] = False,
    float16: Annotated[
        bool, Option("--float16", help="Half the bytes; computed in float32 on CPUs.")
    ] = False,
    dynamic: Annotated[bool, Option("--dynamic", help="int8 weights, float inputs and outputs.")] = False,
    weight_only: Annotated[
        bool, Option("--weight-only", help="int8 weights, computed in float32: small, and nearly exact.")
    ] = False,
    int8: Annotated[bool, Option("--int8", help="Everything in int8; needs --data to calibrate.")] = False,
    int16x8: Annotated[
        bool, Option("--int16x8", help="int8 weights, int16 activations: exact, but slow on CPUs.")
    ] = False,
    data: Annotated[str | None, Option(help="Images to calibrate with and to judge on.")] = None,
    unlabelled: Annotated[
        bool, Option("--unlabelled", help="Nobody labelled them: the float model's answers are the truth.")
    ] = False,
    max_drop: Annotated[
        float | None,
        Option(
            min=0, help="Points of accuracy or mAP it may lose; if said, it must be proven. (Default: 1.)"
        ),
    ] = None,
    max_class_drop: Annotated[
        float | None, Option(min=0, help="Likewise, of any one class. (Default: 5; of a detector's, 2.)")
    ] = None,
    ranges: Annotated[
        str | None,
        Option(help="minmax, percentile, mse or entropy, and no other. (Default: each in turn, as needed.)"),
    ] = None,
    keep: Annotated[
        str, Option(help="What int8's worst layers may stay in, if need be: float32, int16 or nothing.")
    ] = "float32",
    allow_training: Annotated[
        bool, Option("--allow-training", help="If nothing else helps: train the run with quantization.")
    ] = False,
    force_uncertified: Annotated[
        bool, Option("--force-uncertified", help="Write a file that does not keep its promise, marked so.")
    ] = False,
    io: Annotated[
        str | None, Option(help="Inputs and outputs: int8, uint8, int16 or float32. (Default: the scheme's.)")
    ] = None,
    weights: Annotated[
        str,
        Option(help="int8 weights have a scale per channel, per channel in convolution only, or per tensor."),
    ] = "channel",
    samples: Annotated[int, Option(min=1, help="Training images to calibrate with.")] = 256,
    judged: Annotated[
        int | None, Option(min=1, help="Validation images to judge on, at most. (Default: all.)")
    ] = None,
    seed: Annotated[int, Option(help="Which training images.")] = 0,
    no_audit: Annotated[
        bool, Option("--no-audit", help="Calibrate without checking the images first.")
    ] = False,
    labels: Annotated[Path | None, Option(help="Label file, for a source without a card.")] = None,
    mean: Annotated[
        str | None, Option(help="For a source without a card: one number, or three with commas.")
    ] = None,
    std: Annotated[str | None, Option(help="For a source without a card.")] = None,
    color: Annotated[str | None, Option(help="rgb, bgr or gray, for a source without a card.")] = None,
    fit: Annotated[
        str | None, Option(help="stretch, letterbox or crop, for a source without a card.")
    ] = None,
    resize: Annotated[
        str | None,
        Option(help="bilinear, area, or corner as MediaPipe does. (Default: the card's, else bilinear.)"),
    ] = None,
    size: Annotated[str | None, Option(help="Input in pixels, WxH, where the source leaves it open.")] = None,
    task: Annotated[
        str | None, Option(help="classification or detection, for a source without a card.")
    ] = None,
    option: Annotated[
        list[str] | None,
        Option(help="key=value for a source without a card, such as decode=yolov8; repeatable."),
    ] = None,
    on: Annotated[
        str | None,
        Option("--target", help="Device: chooses scheme, inputs and outputs, and compiles for it."),
    ] = None,
    max_latency: target.MaxLatency = None,
    max_ram: target.MaxRam = None,
    max_flash: target.MaxFlash = None,
    out: Annotated[Path | None, Option(help="Folder for the files. (Default: the run, or beside.)")] = None,
    force: Annotated[bool, Option("--force", help="Replace files that are there.")] = False,
    as_json: _Json = False,
) -> None:
    """Write .tflite files that keep what they promise: each is judged against the float model first."""
    from edgecnn.cli.conversion import given, show
    from edgecnn.conversion import convert_model

    asked = {"float32": float32, "float16": float16, "dynamic": dynamic, "weight_only": weight_only}
    schemes = [name for name, wanted in {**asked, "int8": int8, "int16x8": int16x8}.items() if wanted]
    limits = target.limits(max_latency, max_ram, max_flash)
    if not schemes and on is None:
        raise typer.BadParameter(
            "say which files: --float32, --float16, --dynamic, --weight-only, --int8, --int16x8; "
            "or a --target"
        )
    if limits and on is None:
        raise typer.BadParameter("the --max- options need a --target")
    words: dict[str, Any] = {
        "schemes": schemes, "data": data, "unlabelled": unlabelled, "max_drop": max_drop,
        "max_class_drop": max_class_drop, "ranges": ranges,
        "keeps": None if keep == "nothing" else keep,
        "allow_training": allow_training, "uncertified": force_uncertified, "io": io, "weights": weights,
        "samples": samples, "judged": judged, "seed": seed, "audited": not no_audit, "out": out,
        "force": force,
        "given": given(labels=labels, mean=mean, std=std, color=color, fit=fit, resize=resize, size=size,
                       task=task, options=option or ()),
        "progress": text.tell, "training_progress": text.progress,
    }  # fmt: skip
    made: Any = ()
    with show(as_json) as results:
        if on is None:
            results += convert_model(source, **words)
        else:
            from edgecnn.targeting.shipping import ship

            made = ship(source, on, limits=limits, converted=results.extend, **words).made
    if as_json:
        for one in made:
            text.show_json(one.as_dict())
    else:
        target.show_shipped(made)


def audit(
    model: Annotated[Path, Argument(help="A float .tflite file, or a run folder with a float32.tflite.")],
    data: Annotated[str, Option(help="Folder, zip or tar of images, or 'drawn'.")],
    samples: Annotated[int, Option(min=1, help="Training images to calibrate with.")] = 256,
    seed: Annotated[int, Option(help="Which training images.")] = 0,
    unlabelled: Annotated[bool, Option("--unlabelled", help="Nobody labelled the images.")] = False,
    page: Annotated[Path | None, Option(help="HTML page to write, with each tensor's histogram.")] = None,
    force: Annotated[bool, Option("--force", help="Replace the page if it is there.")] = False,
    labels: Annotated[Path | None, Option(help="Label file, for a stranger's model.")] = None,
    mean: Annotated[
        str | None, Option(help="For a stranger's model: one number, or three with commas.")
    ] = None,
    std: Annotated[str | None, Option(help="For a stranger's model.")] = None,
    as_json: _Json = False,
) -> None:
    """Say whether images are fit to calibrate int8 with: scale, colours, classes, copies, outliers."""
    from edgecnn.auditing import audit_model, write_histogram_page
    from edgecnn.cli.conversion import show_audit
    from edgecnn.report.difference import refuse_existing

    refuse_existing(page, force)
    words: dict[str, Any] = {"labels": labels, "mean": text.numbers(mean), "std": text.numbers(std)}
    words = {name: word for name, word in words.items() if word is not None}
    words |= {"samples": samples, "seed": seed, "unlabelled": unlabelled}
    found = audit_model(model, data, progress=text.counted("images"), **words)
    if page is not None:
        text.tell(f"page     {write_histogram_page(page, model, data, force=force, **words)}")
    text.show_json(found.as_dict()) if as_json else show_audit(found)
    if found.stops:
        raise typer.Exit(1)


def evaluate(
    model: Annotated[Path, Argument(help="A .tflite file, or a run folder (its Keras model).")],
    data: Annotated[str, Option(help="Folder, zip or tar of images, or 'drawn'.")],
    split: Annotated[
        str | None, Option(help="train, val or test. (Default: test where there is one.)")
    ] = None,
    against: Annotated[Path | None, Option(help="Another model: how often do both agree?")] = None,
    labels: Annotated[Path | None, Option(help="Label file, for a stranger's model.")] = None,
    mean: Annotated[
        str | None, Option(help="For a stranger's model: one number, or three with commas.")
    ] = None,
    std: Annotated[str | None, Option(help="For a stranger's model.")] = None,
    threads: Annotated[int, Option(min=1, help="Threads of the interpreter.")] = 1,
    skip_unreadable: Annotated[bool, Option("--skip-unreadable", help="Leave broken images out.")] = False,
    as_json: _Json = False,
) -> None:
    """Judge a model on labelled images: accuracy or mAP with intervals, per class, agreement with another."""
    from edgecnn.cli.evaluation import show_evaluation
    from edgecnn.measure import evaluate_model

    words: dict[str, Any] = {"labels": labels, "mean": text.numbers(mean), "std": text.numbers(std)}
    found, measured = evaluate_model(
        model, data, split=split, against=against, threads=threads, skip_unreadable=skip_unreadable,
        progress=text.counted("images"), **{name: word for name, word in words.items() if word is not None},
    )  # fmt: skip
    text.show_json({"model": str(model), **measured.metrics}) if as_json else show_evaluation(found)


def diff(
    reference: Annotated[Path, Argument(help="The .tflite file that is right, usually float32.")],
    made: Annotated[Path, Argument(help="The .tflite file made from it that is judged.")],
    data: Annotated[str, Option(help="Folder, zip or tar of images; labels are not looked at.")],
    images: Annotated[int, Option(min=1, help="How many are looked at.")] = 32,
    page: Annotated[Path | None, Option(help="HTML page to write, with the plot.")] = None,
    mean: Annotated[
        str | None, Option(help="For a stranger's model: one number, or three with commas.")
    ] = None,
    std: Annotated[str | None, Option(help="For a stranger's model.")] = None,
    size: Annotated[str | None, Option(help="For a model that takes any size, such as 224x224.")] = None,
    force: Annotated[bool, Option("--force", help="Replace the page if it is there.")] = False,
    as_json: _Json = False,
) -> None:
    """Compare two models tensor by tensor: the first layer that does damage, and why."""
    from edgecnn.cli.difference import show_difference
    from edgecnn.difference import diff_models
    from edgecnn.report.difference import refuse_existing, write_page

    refuse_existing(page, force)
    found = diff_models(
        reference, made, data, images=images, mean=text.numbers(mean), std=text.numbers(std),
        size_wh=text.size_wh(size), progress=text.counted("images"),
    ).as_dict()  # fmt: skip
    if page is not None:
        text.tell(f"page     {write_page(page, found)}")
    text.show_json(found) if as_json else show_difference(found)


def report(
    folders: Annotated[list[Path], Argument(help="Run folders, or folders of them.")],
    out: Annotated[Path | None, Option(help="Where to write. (Default: the first folder.)")] = None,
    target: Annotated[
        list[str] | None,
        Option(help="A device to estimate every file for, beside what was measured; repeatable."),
    ] = None,
    threads: Annotated[
        int | None, Option(min=1, help="Of the estimates. (Default: as measured, else all cores.)")
    ] = None,
) -> None:
    """Write report.html, .md, .json and .csv: accuracy or mAP against latency, and which file to take."""
    from edgecnn.report import write_report

    text.show(str(write_report(folders, out=out or folders[0], targets=target or (), threads=threads)))


def quickstart(
    out: Annotated[Path, Option(help="Folder for everything.")] = Path("quickstart"),
    task: Annotated[str, Option(help="classification or detection.")] = "classification",
    force: Annotated[bool, Option("--force", help="Replace what an earlier quickstart left there.")] = False,
) -> None:
    """Do all of it on built-in scenes, in a few minutes: train, convert, judge, time, report."""
    from edgecnn.quickstart import quickstart as start

    done = start(out, task=task, force=force, progress=text.progress)
    text.show(f"report   {done.report}\npicture  {done.picture}")
