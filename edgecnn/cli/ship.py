"""`edgecnn convert`, `evaluate`, `report`, `quickstart`: from a run to a file you can trust."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from edgecnn.cli import text

_Json = Annotated[bool, Option("--json", help="One JSON object.")]


def add_to(app: typer.Typer) -> None:
    """Add this module's verbs."""
    app.command(
        epilog=text.examples(
            "edgecnn convert runs/cats --float32 --int8 --data photos/",
            "edgecnn convert runs/cats --float16 --dynamic --int8 --io uint8 --data photos/",
        )
    )(convert)
    app.command(
        epilog=text.examples(
            "edgecnn audit runs/cats --data photos/", "edgecnn audit cats.tflite --data photos/ --samples 512"
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
        epilog=text.examples("edgecnn report runs/", "edgecnn report runs/cats runs/dogs --out compare/")
    )(report)
    app.command(epilog=text.examples("edgecnn quickstart", "edgecnn quickstart --out first --force"))(
        quickstart
    )


def convert(
    run: Annotated[Path, Argument(help="A run folder that `edgecnn train` made.")],
    float32: Annotated[
        bool, Option("--float32", help="As it was trained; every other scheme starts there.")
    ] = False,
    float16: Annotated[
        bool, Option("--float16", help="Half the bytes; computed in float32 on CPUs.")
    ] = False,
    dynamic: Annotated[bool, Option("--dynamic", help="int8 weights, float inputs and outputs.")] = False,
    int8: Annotated[bool, Option("--int8", help="Everything in int8; needs --data to calibrate.")] = False,
    io: Annotated[str, Option(help="Inputs and outputs of int8: int8, uint8 or float32.")] = "int8",
    data: Annotated[str | None, Option(help="Images to calibrate with and to compare on.")] = None,
    samples: Annotated[int, Option(min=1, help="Training images to calibrate with.")] = 256,
    seed: Annotated[int, Option(help="Which training images.")] = 0,
    out: Annotated[Path | None, Option(help="Folder for the files. (Default: the run.)")] = None,
    force: Annotated[bool, Option("--force", help="Replace files that are there.")] = False,
    as_json: _Json = False,
) -> None:
    """Write .tflite files from a run; each is loaded and compared with the float model before it counts."""
    from converters.convert import convert as convert_run

    asked = {"float32": float32, "float16": float16, "dynamic": dynamic, "int8": int8}
    schemes = [scheme for scheme, wanted in asked.items() if wanted]
    if not schemes:
        raise typer.BadParameter("say which files: --float32, --float16, --dynamic, --int8")
    words: dict[str, Any] = {"io": io, "samples": samples, "seed": seed, "out": out, "force": force}
    made = convert_run(run, schemes=schemes, data=data, progress=text.tell, **words)
    _show_converted(made, as_json)


def audit(
    model: Annotated[Path, Argument(help="A float .tflite file, or a run folder with a float32.tflite.")],
    data: Annotated[str, Option(help="Folder, zip or tar of images, or 'drawn'.")],
    samples: Annotated[int, Option(min=1, help="Training images to calibrate with.")] = 256,
    seed: Annotated[int, Option(help="Which training images.")] = 0,
    unlabelled: Annotated[bool, Option("--unlabelled", help="Nobody labelled the images.")] = False,
    labels: Annotated[Path | None, Option(help="Label file, for a stranger's model.")] = None,
    mean: Annotated[
        str | None, Option(help="For a stranger's model: one number, or three with commas.")
    ] = None,
    std: Annotated[str | None, Option(help="For a stranger's model.")] = None,
    as_json: _Json = False,
) -> None:
    """Say whether images are fit to calibrate int8 with: scale, colours, classes, copies, outliers."""
    from edgecnn.auditing import audit_model

    words: dict[str, Any] = {"labels": labels, "mean": text.numbers(mean), "std": text.numbers(std)}
    found = audit_model(
        model, data, samples=samples, seed=seed, unlabelled=unlabelled, progress=text.counted("images"),
        **{name: word for name, word in words.items() if word is not None},
    )  # fmt: skip
    text.show_json(found.as_dict()) if as_json else _show_audit(found)
    if found.stops:
        raise typer.Exit(1)


def evaluate(
    model: Annotated[Path, Argument(help="A .tflite file, or a run folder (its Keras model).")],
    data: Annotated[str, Option(help="Folder, zip or tar of images, or 'drawn'.")],
    split: Annotated[
        str | None, Option(help="train, val or test. (Default: test where there is one.)")
    ] = None,
    against: Annotated[Path | None, Option(help="Another model: on how many images do both agree?")] = None,
    labels: Annotated[Path | None, Option(help="Label file, for a stranger's model.")] = None,
    mean: Annotated[
        str | None, Option(help="For a stranger's model: one number, or three with commas.")
    ] = None,
    std: Annotated[str | None, Option(help="For a stranger's model.")] = None,
    threads: Annotated[int, Option(min=1, help="Threads of the interpreter.")] = 1,
    skip_unreadable: Annotated[bool, Option("--skip-unreadable", help="Leave broken images out.")] = False,
    as_json: _Json = False,
) -> None:
    """Judge a model on labelled images: top-1 with its interval, top-5, per class, confusion, agreement."""
    from edgecnn.measure import evaluate_model

    words: dict[str, Any] = {"labels": labels, "mean": text.numbers(mean), "std": text.numbers(std)}
    found, measured = evaluate_model(
        model, data, split=split, against=against, threads=threads, skip_unreadable=skip_unreadable,
        progress=text.counted("images"), **{name: word for name, word in words.items() if word is not None},
    )  # fmt: skip
    text.show_json({"model": str(model), **measured.metrics}) if as_json else _show_evaluation(found)


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
) -> None:
    """Write report.html, report.md and report.json: accuracy against latency, per class, conditions."""
    from edgecnn.report import write_report

    text.show(str(write_report(folders, out=out or folders[0])))


def quickstart(
    out: Annotated[Path, Option(help="Folder for everything.")] = Path("quickstart"),
    force: Annotated[bool, Option("--force", help="Replace what an earlier quickstart left there.")] = False,
) -> None:
    """Do all of it on built-in scenes, in a few minutes: train, convert, judge, time, report."""
    from edgecnn.quickstart import quickstart as start

    done = start(out, force=force, progress=text.progress)
    text.show(f"report   {done.report}\npicture  {done.picture}")


def _show_converted(made: Any, as_json: bool) -> None:
    if as_json:
        for one in made:
            text.show_json(one.as_dict())
        return
    header = ("file", "bytes", "agreement", "SNR dB", "images", "seconds")
    rows = [
        (
            one.path,
            one.size_bytes,
            text.percent(one.agreement),
            f"{one.snr_db:.1f}",
            one.images,
            f"{one.seconds:.1f}",
        )
        for one in made
    ]
    text.show(text.table(rows, header))
    text.tell("agreement and SNR: float32 against Keras, the others against float32")


def _show_audit(found: Any) -> None:
    for one in found.findings:
        text.show(f"[{one.severity}] {one.what}")
        text.each_shown(f"    {name}" for name in one.where)
        text.show(f"    {one.advice}")
    curve = "  ".join(f"{count}: {width:.0%}" for count, width in found.growth.curve)
    text.show(f"width of the ranges by number of images  {curve}")
    usable = "usable" if found.findings else "nothing found"
    verdict = "do not calibrate with these" if found.stops else usable
    text.show(f"{found.images} images of {found.data}, {found.validation} of validation: {verdict}")


def _show_evaluation(found: Any) -> None:
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
    text.each_told(f"left out: {line}" for line in found.unreadable)
