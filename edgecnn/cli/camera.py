"""`edgecnn camera`: a model that watches, without any extra."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from edgecnn.cli import text
from edgecnn.cli.computing import Backend, Delegate, Required, Threads, WithDelegate
from edgecnn.cli.interrupts import Interrupts
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


def add_to(app: typer.Typer) -> None:
    """Add this module's verb."""
    app.command(
        cls=WithDelegate,
        epilog=text.examples(
            "edgecnn camera cones.tflite --source 0 --live 8080 --track --zone gate=0.4,0.2,0.6,0.2,0.6,0.9",
            "edgecnn camera cones.tflite --source clip.mp4 --every-frame --as-fast-as-possible --json -",
        ),
    )(camera)


def camera(
    model: Annotated[Path, Argument(help="A .tflite file, ours or a stranger's.")],
    source: Annotated[
        str,
        Option(
            help="A camera's number, /dev/videoN, picamera2, rtsp:, http:, a clip, a folder, drawn[:seed]."
        ),
    ] = "0",
    camera_size: Annotated[str | None, Option(help="WxH that the camera is asked for.")] = None,
    camera_fps: Annotated[
        float | None, Option(min=0.01, help="Frames per second that the camera is asked for.")
    ] = None,
    show: Annotated[bool, Option("--show", help="A window on this screen; q ends.")] = False,
    live: Annotated[
        str | None, Option(help="[HOST:]PORT of a page for browsers. Needs the extra live.")
    ] = None,
    token: Annotated[str | None, Option(help="What a browser must know to see the page.")] = None,
    save: Annotated[
        Path | None, Option(help="Video with everything drawn in: .mp4; .mkv and .avi survive a power cut.")
    ] = None,
    json: Annotated[str | None, Option(help="JSON lines to a file; - is standard output.")] = None,
    record_low_confidence: Annotated[
        Path | None, Option(help="Folder for hard frames to label: 1 a second, at most 1000 or 1 GB.")
    ] = None,
    mqtt: Annotated[str | None, Option(help="URL of a broker for events. Needs the extra mqtt.")] = None,
    force: Annotated[bool, Option("--force", help="Overwrite files that are there.")] = False,
    fps_cap: Annotated[float | None, Option(min=0.01, help="At most so many results per second.")] = None,
    max_age: Annotated[
        float | None, Option(min=0.1, help="Milliseconds from which a result counts as STALE.")
    ] = None,
    every_frame: Annotated[bool, Option("--every-frame", help="Drop no frame: the source waits.")] = False,
    paced: Annotated[
        bool, Option("--paced/--as-fast-as-possible", help="Clips and drawings in real time, or not.")
    ] = True,
    frames: Annotated[int | None, Option(min=1, help="End after so many results.")] = None,
    seconds: Annotated[float | None, Option(min=0.1, help="End after so long.")] = None,
    track: Annotated[bool, Option("--track", help="Follow things: numbers, speeds.")] = False,
    zone: Annotated[
        list[str] | None,
        Option(help="NAME=x,y,x,y,x,y in pixels or fractions: who enters, leaves; repeatable."),
    ] = None,
    line: Annotated[list[str] | None, Option(help="NAME=x,y,x,y: who crosses; repeatable.")] = None,
    threads: Threads = "auto",
    delegate: Delegate = None,
    require_delegate: Required = None,
    backend: Backend = None,
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
) -> None:
    """Say what a model sees in a camera, a stream or a clip, as it happens, and how old that is.

    Ctrl-C and SIGTERM complete every file, print the report, and exit with 130 and 143.
    """
    from edgecnn.camera import Outputs
    from edgecnn.camera import camera as watch
    from edgecnn.runtime.tracking.places import parse_line, parse_zone

    words = said(
        labels=labels, mean=mean, std=std, color=color, fit=fit, resize=resize, task=task, size=size,
        threshold=threshold, iou=iou, option=option,
    )  # fmt: skip
    words |= {"backend": backend, "delegate": delegate, "require_delegate": require_delegate}
    words |= {"threads": threads, "camera_wh": text.size_wh(camera_size), "camera_fps": camera_fps}
    words |= {"zones": [parse_zone(one) for one in zone or ()], "track": track}
    words |= {"lines": [parse_line(one) for one in line or ()]}
    words |= {"fps_cap": fps_cap, "max_age_ms": max_age, "every_frame": every_frame, "paced": paced}
    outputs = Outputs(show, live, token, save, json, record_low_confidence, mqtt, force)
    with Interrupts() as wish:
        words |= {"on_start": _tell_start, "on_status": _tell_status, "on_notice": _tell_notice}
        report = watch(
            model, source, outputs=outputs, frames=frames, seconds=seconds, stop=wish.reason, **words
        )
    (text.each_told if json == "-" else text.each_shown)(report.lines())
    raise typer.Exit(wish.exit_code)


def _tell_start(eyes: Any, addresses: Any) -> None:
    text.each_told(f"assumed: {assumption}" for assumption in eyes.model.assumptions)
    text.each_told(f"watch it at {address}" for address in addresses)


def _tell_status(statistics: Any, seen: Any) -> None:
    from edgecnn.runtime.outputs.status import status

    text.progress(status(statistics, seen))


def _tell_notice(notice: Any) -> None:
    text.tell(f"edgecnn: {notice.text}")
