"""What came of a conversion, as text: files, rungs, the worst classes, reasons; and of an audit before it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgecnn.cli import text

_CLASSES_SHOWN = 5


@contextmanager
def show(as_json: bool) -> Iterator[list[Any]]:
    """Takes the results of a conversion and shows them, also when some were refused."""
    from edgecnn.errors import NotCertified

    results: list[Any] = []
    try:
        yield results
    except NotCertified as error:
        results += error.results
        raise
    finally:
        if results:
            _show(results, as_json)


def given(
    *,
    labels: Path | None,
    mean: str | None,
    std: str | None,
    color: str | None,
    fit: str | None,
    resize: str | None,
    size: str | None,
    task: str | None,
    options: Sequence[str],
) -> Any:
    """What the command line says about a source that is no run, and how images are resized."""
    from edgecnn.runtime.stranger import Given

    words: dict[str, Any] = {"labels": labels, "color": color, "fit": fit, "resize": resize, "task": task}
    words["options"] = text.options(options) or None
    return Given(mean=text.numbers(mean), std=text.numbers(std), size_wh=text.size_wh(size), **words)


def _show(results: Sequence[Any], as_json: bool) -> None:
    if as_json:
        for one in results:
            text.show_json(one.as_dict())
        return
    rows = [
        (
            one.path if one.written else f"{one.path} (not written)",
            one.size_bytes,
            one.verdict.outcome if one.verdict else "-",
            f"{one.verdict.drop:.2f}" if one.verdict else "-",
            text.percent(one.agreement),
            f"{one.snr_db:.1f}",
            one.images,
            f"{one.seconds:.1f}",
        )
        for one in results
    ]
    header = ("file", "bytes", "verdict", "drop", "agreement", "SNR dB", "images", "seconds")
    text.show(text.table(rows, header))
    for one in results:
        if one.verdict:
            _show_verdict(one)
    text.tell("drop in points; drop, agreement and SNR: against float32 (float32: against its source)")


def _show_verdict(one: Any) -> None:
    verdict = one.verdict
    text.show(f"\n{verdict.header(one.path.name)}")
    if len(one.rungs) > 1:
        rows = [
            (rung.candidate.rung, rung.verdict.outcome, f"{rung.verdict.drop:.2f}",
             text.percent(rung.verdict.agreement.share), f"{rung.verdict.signal.snr_db:.1f}",
             len(rung.candidate.content), f"{rung.seconds:.1f}")
            for rung in one.rungs
        ]  # fmt: skip
        text.show(text.table(rows, ("rung", "verdict", "drop", "agreement", "SNR dB", "bytes", "seconds")))
        text.each_shown(str(look) for rung in one.rungs for look in rung.passed_over)
    if one.kept_cost:
        cost = one.kept_cost
        text.show(
            f"what is kept costs {cost['bytes']:,} bytes and "
            f"{cost['kept_p50_ms'] - cost['plain_p50_ms']:.3f} ms "
            f"({cost['plain_p50_ms']:.3f} to {cost['kept_p50_ms']:.3f} ms, 1 thread)"
        )
    if one.written and verdict.outcome == "certified":
        text.show(", ".join(f"{what} {much}" for what, much in verdict.figures()))
        return
    text.show(text.table(verdict.table(_CLASSES_SHOWN), verdict.columns))
    text.each_shown(verdict.reasons)


def show_audit(found: Any) -> None:
    """What was found about the images that calibrate."""
    for one in found.findings:
        text.show(f"[{one.severity}] {one.what}")
        text.each_shown(f"    {name}" for name in one.where)
        text.show(f"    {one.advice}")
    curve = "  ".join(f"{count}: {width:.0%}" for count, width in found.growth.curve)
    text.show(f"width of the ranges by number of images  {curve}")
    usable = "usable" if found.findings else "nothing found"
    verdict = "do not calibrate with these" if found.stops else usable
    text.show(f"{found.images} images of {found.data}, {found.validation} of validation: {verdict}")
