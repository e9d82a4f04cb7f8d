"""Writing a report: one page that opens anywhere, and its Markdown, JSON and CSV twins.

What stands in it is `edgecnn.report.content`, how its figures are drawn `edgecnn.report.figures`. Every text
that comes from outside (labels, names, lineage) is escaped by the template engine or by `edgecnn.report.svg`.
"""

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import edgecnn
from edgecnn import files
from edgecnn.errors import DataError, MissingExtra
from edgecnn.image import Image
from edgecnn.report import classes, commands, compression, content, figures, layers, matrix
from edgecnn.report.advice import Advice, advise
from edgecnn.report.estimates import with_estimates
from edgecnn.report.evidence import AXES, FIGURES, Condition, Evidence, Variant
from edgecnn.report.gather import gather
from edgecnn.report.plots import plots
from edgecnn.report.svg import marker, scheme_class
from edgecnn.report.verdict import Verdict, judge
from edgecnn.report.words import listed

FORMAT = 1
"""Of report.json."""


@dataclass(frozen=True)
class Picture:
    """A sample picture: what it shows, and its pixels, (h, w, 3) uint8 BGR."""

    caption: str
    image: Image


def write_report(
    folders: Sequence[Path],
    *,
    out: Path,
    pictures: Sequence[Picture] = (),
    title: str | None = None,
    targets: Sequence[str | Path] = (),
    threads: int | None = None,
) -> Path:
    """Put the measurements of runs together: report.html, and the same as report.md, .json and .csv.

    A report that is there is replaced: it can always be written again from the runs. Nothing else is touched.

    Args:
        folders: runs, or folders that hold runs.
        out: folder to write into.
        pictures: shown in the page, and written beside it as picture-1.jpg and so on.
        title: of the page; None finds one.
        targets: devices to estimate every file for: names of profiles, or paths of your own.
        threads: of the estimates; None: as the device was measured with, else all of its cores.

    Returns:
        The path of report.html.

    Raises:
        DataError: a folder is missing or holds nothing, a file in it is malformed, `out` is a file.
        CardError: the card of a run cannot be understood.
        TargetError: a target is not known, or has fewer cores than `threads`.
        MissingExtra: jinja2 is not installed.
    """
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file, not a folder. Choose another place for the report.")
    evidence = with_estimates(gather(folders), targets, threads=threads)
    verdict, advices = judge(evidence), advise(evidence)
    shown = _context(evidence, verdict, advices, title or _title(evidence))
    shown["commands"] = commands.commands(evidence, folders, targets)
    encoded = [_jpeg(picture.image) for picture in pictures]
    shown["pictures"] = [
        _shown(*both, f"picture-{n}.jpg") for n, both in enumerate(zip(pictures, encoded, strict=True), 1)
    ]
    html, markdown = _rendered(shown)
    for picture, pixels in zip(shown["pictures"], encoded, strict=True):
        files.write_bytes(out / picture["file"], pixels)
    files.write_text(out / "report.json", _json(evidence, verdict, advices, shown))
    files.write_text(out / "report.csv", matrix.written(evidence, advices))
    files.write_text(out / "report.md", markdown)
    files.write_text(out / "report.html", html)
    return out / "report.html"


def _context(evidence: Evidence, verdict: Verdict, advices: Sequence[Advice], title: str) -> dict[str, Any]:
    best = content.best_judged(evidence, verdict)
    models = content.model_rows(evidence, verdict)
    conditions = [c for c in evidence.conditions if c.source == "measured"] or evidence.conditions
    closer = content.closer(evidence, advices)
    judged = [v for v in evidence.variants if v.accuracy]
    tables = [closer, judged] if len(closer) < len(judged) else [judged]
    stages = [{"condition": c.name, "rows": content.stage_rows(evidence, c)} for c in conditions]
    return {
        "version": edgecnn.__version__,
        "written": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        "title": title,
        "subtitle": _subtitle(evidence, best),
        "sentences": verdict.sentences,
        "tiles": content.tiles(evidence, verdict),
        "notes": evidence.notes,
        "plots": plots(evidence, advices, matrix.numbers(evidence)),
        "advices": [content.advice_shown(advice) for advice in advices],
        "matrix": matrix.matrix(evidence, advices),
        "devices": content.devices(evidence),
        "layers": layers.layer_tables(closer),
        "models": models,
        "several_conditions": len(conditions) > 1,
        "figure": FIGURES[evidence.figure],
        "axis": AXES[evidence.figure],
        "same": content.SAME[evidence.figure],
        "second": "mAP@0.5" if evidence.figure == "map" else "in best five",
        "class_figure": "recall" if evidence.figure == "top1" else evidence.figure,
        "class_counts": classes.CLASS_FIGURES[evidence.figure][0],
        "any_second": any(row["second"] != "–" for row in models),
        "any_agreement": any(row["agreement"] != "–" for row in models),
        "any_certificate": any(row["certificate"] != "–" for row in models),
        "any_memory": any(row["memory"] != "–" for row in models),
        "data_line": _data_line(best, conditions),
        "stages": [block for block in stages if block["rows"]],
        "class_tables": [
            rows for variants in tables if (rows := classes.class_rows(evidence, best, variants))
        ],
        "most_classes": classes.MOST_CLASSES,
        "best": best,
        "confusion": classes.confusion(best),
        "mistakes": classes.mistakes(best),
        "trainings": [_training(run) for run in content.trainings(evidence)],
        "compressions": compression.comparisons([(run.name, run.compression) for run in evidence.runs]),
        "conditions": content.conditions(evidence),
        "lineages": content.lineages(evidence),
    }


def _shown(picture: Picture, encoded: bytes, file: str) -> dict[str, Any]:
    height, width = picture.image.shape[:2]
    data = "data:image/jpeg;base64," + base64.b64encode(encoded).decode("ascii")
    return {"caption": picture.caption, "file": file, "data": data, "width": width, "height": height}


def _title(evidence: Evidence) -> str:
    if len(evidence.runs) > 1:
        return f"{len(evidence.runs)} runs compared"
    run = evidence.runs[0]
    return run.card.name if run.card else run.name


def _subtitle(evidence: Evidence, best: Variant | None) -> str:
    names = [run.name for run in evidence.runs]
    parts = [listed(names if len(names) <= 6 else [*names[:5], "others"])] if len(names) > 1 else []
    if best and best.accuracy:
        parts.append(f"judged on {content.judged_images(best.accuracy)}")
    for verb, source in (("timed on", "measured"), ("estimated for", "estimated")):
        found = [one.device for one in evidence.conditions if one.source == source]
        parts.append(f"{verb} {listed(list(dict.fromkeys(found)))}" if found else "")
    return " · ".join(filter(None, parts))


def _data_line(best: Variant | None, conditions: Sequence[Condition]) -> str:
    parts = []
    if best and best.accuracy:
        how = "a tie for the highest score counts as wrong"
        if best.accuracy.figure != "top1":
            how = "the intervals come from drawing the images again"
        parts.append(
            f"Judged on the same {best.accuracy.metrics['images']:,} images; small numbers are 95 % "
            f"intervals; {how}."
        )
    if conditions:
        where = conditions[0].name if len(conditions) == 1 else "several conditions"
        parts.append(f"Time for a whole image, from pixels to answer, on {where}; p90: 90 of 100 are faster.")
    return " ".join(parts) or "Nothing was measured yet."


def _training(run: dict[str, Any]) -> dict[str, Any]:
    names = run["names"] or ("validation", "training")
    curves = {
        what: figures.curve(run["history"], what, width=440, height=230, shares=names)
        for what in ("accuracy", "loss")
    }
    return {**run, **curves}


def _rendered(shown: dict[str, Any]) -> tuple[str, str]:
    """The page and its Markdown twin."""
    try:
        import jinja2
        from markupsafe import Markup
    except ImportError:
        raise MissingExtra("jinja2", "report") from None
    templates = package_files("edgecnn.report") / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (templates / name).read_text(encoding="utf-8")),
        autoescape=lambda name: name is not None and ".html" in name,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters["md"] = _markdown
    environment.filters["drawn"] = Markup  # edgecnn.report.svg has escaped every text in it
    page = environment.get_template("report.html.j2").render(
        **shown,
        style=Markup((templates / "report.css").read_text(encoding="utf-8")),
        marker=lambda scheme, hollow=False: Markup(marker(scheme, 0.0, 0.0, hollow=hollow)),
        scheme_class=scheme_class,
    )
    return page, environment.get_template("report.md.j2").render(**shown)


def _markdown(text: object) -> str:
    """Text from outside, so that it is text in Markdown too: no markup, no HTML, no second line."""
    one_line = " ".join(str(text).split())
    return re.sub(r"([\\`*_{}\[\]<>#|&~!])", r"\\\1", one_line)


def _json(evidence: Evidence, verdict: Verdict, advices: Sequence[Advice], shown: dict[str, Any]) -> str:
    models = [
        {
            "name": v.name,
            "run": v.run,
            "file": str(v.file),
            "scheme": v.scheme,
            "size_bytes": v.size_bytes,
            "sha256": v.sha256,
            "lineage": v.lineage,
            "certificate": v.certificate,
            "accuracy": asdict(v.accuracy) if v.accuracy else None,
            "latencies": [asdict(latency) for latency in v.latencies],
            "unfit": dict(v.unfit),
        }
        for v in evidence.variants
    ]
    runs = [
        {
            "name": r.name,
            "path": str(r.path),
            "history": [asdict(e) for e in r.history],
            "training": r.training,
            "compression": r.compression,
        }
        for r in evidence.runs
    ]
    whole = {
        "format": FORMAT,
        "edgecnn": edgecnn.__version__,
        "written": shown["written"],
        "title": shown["title"],
        "recommended": verdict.recommended.name if verdict.recommended else None,
        "condition": asdict(verdict.condition) if verdict.condition else None,
        "summary": verdict.sentences,
        "recommendations": [content.advice_shown(advice) for advice in advices],
        "notes": evidence.notes,
        "commands": shown["commands"],
        "models": models,
        "runs": runs,
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _jpeg(image: Image) -> bytes:
    fine, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])
    if not fine:
        raise DataError(f"a picture of shape {image.shape} cannot be encoded. Give (h, w, 3) uint8 BGR.")
    return bytes(np.asarray(encoded))
