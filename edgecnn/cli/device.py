"""`edgecnn run`, `bench`, `doctor`: what works on the device, without any extra."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from edgecnn.cli import text
from edgecnn.cli.computing import Backend, Delegate, Required, Threads, WithDelegate
from edgecnn.cli.elsewhere import (
    Adb,
    RemotePython,
    Ssh,
    Tool,
    WithPlace,
    bench_on_phone,
    bench_over_ssh,
    check_places,
)
from edgecnn.cli.meaning import (
    Color,
    Fit,
    Iou,
    Labels,
    Mean,
    Options,
    Resize,
    Size,
    Std,
    Task,
    Threshold,
    said,
)

_Json = Annotated[bool, Option("--json", help="One JSON object per line.")]


def add_to(app: typer.Typer) -> None:
    """Add this module's verbs."""
    app.command(
        cls=WithDelegate,
        epilog=text.examples(
            "edgecnn run cats.tflite photo.jpg clip.mp4",
            "edgecnn run stranger.tflite photos/ --labels names.txt --mean 127.5 --std 127.5 --json",
        ),
    )(run)
    app.command(
        cls=WithPlace,
        epilog=text.examples(
            "edgecnn bench runs/cats --threads auto",
            "edgecnn bench runs/cats --ssh pi@raspberrypi",
            "edgecnn bench cats_edgetpu.tflite --delegate edgetpu --require-delegate 0.9 --minutes 30",
        ),
    )(bench)
    app.command(
        cls=WithDelegate,
        epilog=text.examples(
            "edgecnn selftest cats.tflite", "edgecnn selftest cats_edgetpu.tflite --delegate edgetpu"
        ),
    )(selftest)
    app.command(epilog=text.examples("edgecnn doctor", "edgecnn doctor --json"))(doctor)


def run(
    model: Annotated[Path, Argument(help="A .tflite file, ours or a stranger's.")],
    sources: Annotated[list[str], Argument(help="Images, folders, patterns, videos.")],
    top: Annotated[
        int | None, Option(min=1, help="Results per image. (Default: 5 classes, or every box.)")
    ] = None,
    save: Annotated[Path | None, Option(help="Folder for annotated pictures.")] = None,
    force: Annotated[bool, Option("--force", help="Overwrite pictures that are there.")] = False,
    labels: Labels = None,
    mean: Mean = None,
    std: Std = None,
    color: Color = None,
    fit: Fit = None,
    resize: Resize = None,
    task: Task = None,
    size: Size = None,
    threshold: Threshold = None,
    iou: Iou = None,
    option: Options = None,
    threads: Threads = 1,
    delegate: Delegate = None,
    require_delegate: Required = None,
    backend: Backend = None,
    as_json: _Json = False,
) -> None:
    """Say what a model sees in images, folders and videos."""
    from edgecnn.runtime.loop import run as run_model
    from edgecnn.runtime.model import load

    words = said(
        labels=labels, mean=mean, std=std, color=color, fit=fit, resize=resize, task=task, size=size,
        threshold=threshold, iou=iou, option=option,
    )  # fmt: skip
    words |= {"backend": backend, "threads": threads}
    words |= {"delegate": delegate, "require_delegate": require_delegate}
    refused = text.Refused()
    with load(model, **words) as loaded:
        most = top or (_TOP_CLASSES if loaded.card.task == "classification" else None)
        text.each_told(f"assumed: {assumption}" for assumption in loaded.assumptions)
        for seen in run_model(loaded, sources, save=save, force=force, on_error=refused):
            text.show_json(seen.as_dict(top=most)) if as_json else _show_seen(seen, most, loaded.card)
    refused.end()


def bench(
    models: Annotated[
        list[Path], Argument(help=".tflite files or run folders; timed in turns, so that ratios hold.")
    ],
    image: Annotated[Path | None, Option(help="Time it on this image. (Default: 640x480 noise.)")] = None,
    runs: Annotated[
        int | None, Option(min=1, help="Images per model. (Default: what fits into --seconds.)")
    ] = None,
    seconds: Annotated[float, Option(min=0.1, help="For each model.")] = 5.0,
    warmup: Annotated[int, Option(min=0, help="Images before the first that counts.")] = 10,
    minutes: Annotated[
        float | None,
        Option(min=0.001, help="Run one model for so long instead, and tell how its speed lasts."),
    ] = None,
    threads: Threads = 1,
    delegate: Delegate = None,
    require_delegate: Required = None,
    backend: Backend = None,
    ssh: Ssh = None,
    remote_python: RemotePython = "python3",
    adb: Adb = None,
    benchmark_model: Tool = None,
    as_json: _Json = False,
) -> None:
    """Measure latency and memory, here or elsewhere; a run folder gets a line for each of its models."""
    from edgecnn.image_file import read
    from edgecnn.measure import bench_models

    check_places(ssh, adb, minutes=minutes, image=image, threads=threads, backend=backend)
    pictures = [read(image)] if image else None
    words: Any = {"threads": threads, "delegate": delegate, "require_delegate": require_delegate}
    if minutes is not None:
        _bench_long(models, minutes, pictures, as_json, words | {"backend": backend})
        return
    words |= {"runs": runs, "seconds": seconds, "warmup": warmup}
    if adb is not None:
        bench_on_phone(models, adb, benchmark_model, as_json=as_json, words=words)
        return
    words |= {"images": pictures, "backend": backend}
    if ssh is not None:
        found = bench_over_ssh(models, ssh, remote_python, words)
    else:
        found = bench_models(models, **words)
    _show_bench([timed for timed, _ in found], as_json)
    if any(one.parity.get("passed") is False for one, _ in found):
        text.tell("the delegate does NOT compute what the processor computes: its speed is worth nothing")
        raise typer.Exit(1)


def selftest(
    model: Annotated[Path, Argument(help="A .tflite file that `edgecnn convert` made.")],
    threads: Threads = 1,
    delegate: Delegate = None,
    require_delegate: Required = None,
    backend: Backend = None,
    as_json: _Json = False,
) -> None:
    """Prove that this device computes what was computed when the file was made; exits 1 if not."""
    from edgecnn.runtime.selftest import selftest as prove

    words: Any = {"threads": threads, "backend": backend}
    found = prove(model, delegate=delegate, require_delegate=require_delegate, **words)
    text.show_json(found.as_dict()) if as_json else _show_selftest(found)
    if not found.passed:
        raise typer.Exit(1)


def doctor(as_json: _Json = False) -> None:
    """Say what is installed, what computes, and what is in the way."""
    from edgecnn.runtime.doctor import doctor as examine

    checks = examine()
    for check in checks:
        if as_json:
            text.show_json(check.as_dict())
        else:
            text.show(f"{_MARK[check.status]} {check.name}: {check.found}")
            text.each_shown([f"    {check.advice}"] if check.advice else [])
    if any(check.status == "problem" for check in checks):
        raise typer.Exit(1)


_TOP_CLASSES = 5
_MARK = {"ok": "[ok]  ", "note": "[note]", "problem": "[!]   "}


def _show_seen(seen: Any, top: int | None, card: Any) -> None:
    records = seen.result.records(top)
    text.show(f"{seen.frame.name}  {seen.timings.total_ms:.2f} ms")
    text.each_shown(f"  {r['score']:7.2%}  {r['label']}{_place(r)}" for r in records)
    if not records:
        text.show(f"  no box over {card.options.get('threshold', 0.3):.2f}")
    text.each_shown([f"  {seen.picture}"] if seen.picture else [])


def _place(record: Any) -> str:
    """Left, top, right and bottom in pixels of the original image."""
    return "".join(f" {value:.0f}" for value in record["box_xyxy"]) if "box_xyxy" in record else ""


def _show_selftest(found: Any) -> None:
    for row in found.rows:
        where = f"image {row.image}: " if row.image else ""
        text.show(f"{_MARK['ok' if row.passed else 'problem']} {where}{row.stage}: {row.found}")
        text.each_shown([f"    {row.advice}"] if row.advice else [])
    same = "computes what it computed at home" + (", to the last bit" if found.equal else "")
    verdict = same if found.passed else "does NOT compute what it computed at home"
    text.show(f"{found.model}: {verdict} ({found.backend}; at home {found.computed_by})")


def _show_bench(found: list[Any], as_json: bool) -> None:
    if as_json:
        for one in found:
            text.show_json(one.as_dict())
        return
    header = (
        "model",
        "bytes",
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "prepare",
        "invoke",
        "decode",
        "bare invoke",
        "MiB",
    )
    stages = ("prepare", "invoke", "decode", "bare_invoke")
    rows = []
    for one in found:
        total = one.latency_ms["total"]
        spread = (total.p50, total.p90, total.p99, *(one.latency_ms[stage].p50 for stage in stages))
        memory = one.memory_mib.get("model")
        rows.append(
            (
                one.model,
                one.size_bytes,
                *(f"{ms:.3f}" for ms in spread),
                "-" if memory is None else f"{memory:.1f}",
            )
        )
    text.show(text.table(rows, header))
    text.tell(
        f"{found[0].environment['device']}, {found[0].threads} thread(s), {found[0].warmup} warm-up, "
        f"{found[0].runs} runs; stages are medians; models took turns"
    )
    for one in found:
        _tell_how(one)


def _tell_how(timed: Any) -> None:
    """Which operators ran where, whether they compute the same, and how the threads were chosen."""
    ran = timed.delegation
    kinds = ", ".join(f"{count} {kind}" for kind, count in ran["stayed"].items())
    text.tell(
        f"{timed.model}: {ran['said']}" + (f"; not on it: {kinds}" if kinds and ran["delegated"] else "")
    )
    if timed.parity:
        text.tell(timed.parity.get("said") or f"not compared with the processor: {timed.parity['failed']}")
    for trial in timed.threads_choice.get("trials", ()):
        text.tell("{} threads {:.3f} ms, {} threads {:.3f} ms".format(
            trial["threads"][0], trial["median_ms"][0], trial["threads"][1], trial["median_ms"][1]
        ) if not trial["failed"] else f"{trial['threads'][1]} threads: {trial['failed']}")  # fmt: skip


def _bench_long(models: list[Path], minutes: float, pictures: Any, as_json: bool, words: Any) -> None:
    from edgecnn.runtime.sustained import sustained

    if len(models) != 1 or models[0].is_dir():
        raise typer.BadParameter("--minutes times one model: give one .tflite file")
    found = sustained(models[0], minutes=minutes, images=pictures, on_interval=_tell_interval, **words)
    text.show_json(found.as_dict()) if as_json else text.show(f"{found.model}: {found}")
    if found.was_interrupted:
        raise typer.Exit(130)


def _tell_interval(one: Any) -> None:
    said = f"{one.until_s / 60:6.2f} min  p50 {one.p50:.3f}  p90 {one.p90:.3f}  p99 {one.p99:.3f} ms"
    said += "" if one.clock_mhz is None else f"  {one.clock_mhz:.0f} MHz"
    said += "" if one.temperature_c is None else f"  {one.temperature_c:.1f} °C"
    text.tell(said + (f"  held back: {', '.join(one.throttled)}" if one.throttled else ""))
