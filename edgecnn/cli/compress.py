"""`edgecnn compress`: a run in, a smaller run out, and what that bought."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer import Argument, Option

from edgecnn.cli import text


def add_to(app: typer.Typer) -> None:
    """Add this module's verb."""
    app.command(
        epilog=text.examples(
            "edgecnn compress runs/cats --macs 0.5 --data photos/ --out runs/cats-half",
            "edgecnn compress runs/cats --latency 8ms --qat --data photos/ --out runs/cats-8ms",
            "edgecnn compress runs/cats --sensitivity --data photos/ --page sensitivity.html",
        )
    )(compress)


def compress(
    run: Annotated[Path, Argument(help="A run folder that train, pretrained, import or compress made.")],
    data: Annotated[str, Option(help="The images it was trained on: folder, zip, tar, or 'drawn'.")],
    out: Annotated[Path | None, Option(help="The new run folder.")] = None,
    channels: Annotated[
        float | None, Option(help="Remove whole channels until this share of them is left, such as 0.5.")
    ] = None,
    macs: Annotated[
        float | None, Option(help="Remove whole channels until this share of the MACs is left.")
    ] = None,
    latency: Annotated[
        str | None,
        Option(help="Remove whole channels until int8 takes this long here on one thread, such as 8ms."),
    ] = None,
    criterion: Annotated[
        str | None, Option(help="Which channels matter: energy, taylor or magnitude. (Default: energy.)")
    ] = None,
    multiple: Annotated[
        int | None, Option(min=1, help="Sizes of layers become multiples of it. (Default: 8.)")
    ] = None,
    steps: Annotated[int, Option(min=1, help="How often channels go and the rest learns on.")] = 1,
    sparsity: Annotated[
        float | None, Option(help="Share of the weights to set to zero: smaller zipped, not faster.")
    ] = None,
    pattern: Annotated[Literal["any", "2:4", "block"], Option(help="Which weights become zero.")] = "any",
    clusters: Annotated[
        int | None, Option(help="Different weights a layer may have: smaller zipped, not faster.")
    ] = None,
    qat: Annotated[
        bool, Option("--qat", help="Quantization-aware training: learn to compute in int8.")
    ] = False,
    distill: Annotated[Path | None, Option(help="A run whose answers are learned from.")] = None,
    alone: Annotated[
        bool, Option("--alone", help="Learn from the labels only, not from the original.")
    ] = False,
    sensitivity: Annotated[
        bool, Option("--sensitivity", help="Change nothing; say which layers hold the accuracy.")
    ] = False,
    page: Annotated[Path | None, Option(help="HTML page to write, of --sensitivity.")] = None,
    epochs: Annotated[
        int | None, Option(min=1, help="Passes over the images, for each way. (Default: each way's own.)")
    ] = None,
    rate: Annotated[float | None, Option(help="Highest learning rate. (Default: each way's own.)")] = None,
    batch: Annotated[int | None, Option(min=1, help="Images in a step. (Default: the run's own.)")] = None,
    seed: Annotated[
        int | None, Option(min=0, help="Of order and augmentation. (Default: the run's own.)")
    ] = None,
    resume: Annotated[bool, Option("--resume", help="Continue an interrupted run; same options.")] = False,
    force: Annotated[bool, Option("--force", help="Replace the run that is in --out.")] = False,
    skip_unreadable: Annotated[bool, Option("--skip-unreadable", help="Leave broken images out.")] = False,
    no_compare: Annotated[
        bool, Option("--no-compare", help="Neither judge nor time the two runs afterwards.")
    ] = False,
    as_json: Annotated[bool, Option("--json", help="Print the outcome as one JSON object.")] = False,
) -> None:
    """Make a smaller network of a trained one, and say what that bought; the old run stays."""
    if sensitivity:
        _sensitivity(run, data, criterion, page, force=force, as_json=as_json)
        return
    if all(way in (None, False) for way in (channels, macs, latency, sparsity, clusters, qat, distill)):
        raise typer.BadParameter(
            "say how: --channels, --macs, --latency, --sparsity, --clusters, --qat, --distill, --sensitivity"
        )
    if out is None:
        raise typer.BadParameter("say where the new run goes: --out")
    from edgecnn.cli.comparison import show_comparison
    from edgecnn.compressing import compress as compress_run
    from edgecnn.training.progress import line

    made = compress_run(
        run, data, out=out, channels=channels, macs=macs, latency_ms=text.milliseconds(latency),
        criterion=criterion, multiple=multiple, steps=steps, sparsity=sparsity, pattern=pattern,
        clusters=clusters, qat=qat, teacher=distill, alone=alone, epochs=epochs, rate=rate, batch=batch,
        seed=seed, resume=resume, force=force, skip_unreadable=skip_unreadable, compared=not no_compare,
        progress=lambda now: text.progress(line(now)), tell=text.tell,
    )  # fmt: skip
    if as_json:
        text.show_json({"run": str(made.run.path), "comparison": _as_dict(made.comparison)})
        return
    if made.comparison is not None:
        show_comparison(made.comparison)
    text.show(f"{made.run.path}  next: edgecnn convert {made.run.path} --int8 --data {data}")


def _sensitivity(
    run: Path, data: str, criterion: str | None, page: Path | None, *, force: bool, as_json: bool
) -> None:
    from edgecnn.cli.sensitivity import show_sensitivity
    from edgecnn.compressing import find_sensitivity
    from edgecnn.report.difference import refuse_existing
    from edgecnn.report.sensitivity import write_sensitivity_page

    refuse_existing(page, force)
    found = find_sensitivity(run, data, criterion=criterion, progress=text.counted("layers"))
    if page is not None:
        text.tell(f"page     {write_sensitivity_page(page, found, force=force)}")
    text.show_json(found.as_dict()) if as_json else show_sensitivity(found.as_dict())


def _as_dict(comparison: Any) -> Any:
    return None if comparison is None else comparison.as_dict()
