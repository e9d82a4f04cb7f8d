"""`edgecnn targets`, `estimate`, `calibrate-target`, and what `inspect` and `convert` say of a device."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from edgecnn.cli import text

_Json = Annotated[bool, Option("--json", help="One JSON object.")]
MaxLatency = Annotated[
    str | None, Option(help="What a run may take on the target, such as 30ms; exit code 3 above.")
]
MaxRam = Annotated[
    str | None, Option(help="Working memory, such as 320k (of 1,024 bytes); exit code 3 above.")
]
MaxFlash = Annotated[str | None, Option(help="Size of the file, such as 1M; exit code 3 above.")]
_REASONS = 12


def add_to(app: typer.Typer) -> None:
    """Add this module's verbs."""
    app.command(epilog=text.examples("edgecnn targets", "edgecnn targets raspberry_pi_4"))(targets)
    app.command(
        epilog=text.examples(
            "edgecnn estimate runs/cats/int8.tflite --target raspberry_pi_4 --threads 4",
            "edgecnn estimate int8.tflite --target coral_usb --json",
        )
    )(estimate)
    app.command(
        "calibrate-target",
        epilog=text.examples("edgecnn calibrate-target my_pi.toml --base raspberry_pi_4"),
    )(calibrate_target)


def targets(
    name: Annotated[str | None, Argument(help="One of them, for all that is known of it.")] = None,
    as_json: _Json = False,
) -> None:
    """List the devices that models can be judged for, or show one with the source of each figure."""
    from targets.profile import PROFILES, profile

    if name is not None:
        found = profile(name)
        text.show_json(found.as_dict()) if as_json else _show_profile(found)
        return
    every = [profile(each) for each in PROFILES]
    if as_json:
        text.show_json([each.as_dict() for each in every])
        return
    rows = [
        (each.name, each.title, each.delegate, each.schemes[0], "yes" if each.cost else "no")
        for each in every
    ]
    text.show(text.table(rows, ("name", "device", "delegate", "best scheme", "latency estimate")))


def estimate(
    model: Annotated[Path, Argument(help="A .tflite file.")],
    target: Annotated[str, Option(help="Device, a name of `edgecnn targets`, or a .toml of your own.")],
    threads: Annotated[
        int | None, Option(min=1, help="Threads of the interpreter. (Default: the device's cores.)")
    ] = None,
    max_latency: MaxLatency = None,
    max_ram: MaxRam = None,
    max_flash: MaxFlash = None,
    as_json: _Json = False,
) -> None:
    """Estimate a model's latency and memory on a device, layer by layer, with the error to expect."""
    from edgecnn.targeting.answer import answer

    found = answer(model, target, threads=threads)
    if as_json:
        text.show_json(found.as_dict())
    else:
        _show_layers(found)
        show_figures(found)
    found.refuse_over(limits(max_latency, max_ram, max_flash))


def calibrate_target(
    out: Annotated[Path, Argument(help="Profile to write, such as my_pi.toml.")],
    base: Annotated[str, Option(help="The profile that is nearest to this device.")],
    seconds: Annotated[float, Option(min=1, help="How long the measurements may take.")] = 60.0,
    force: Annotated[bool, Option("--force", help="Replace the profile if it is there.")] = False,
) -> None:
    """Fit a profile to the device this runs on: a minute of small measurements."""
    from targets.device_calibration import calibrate

    calibrate(base, out, seconds=seconds, force=force, progress=text.progress)
    text.show(f"profile  {out}")


def limits(latency: str | None, ram: str | None, flash: str | None) -> Any:
    """The budget as the command line says it."""
    from targets.budget import Limits

    return Limits(text.milliseconds(latency), text.byte_count(ram), text.byte_count(flash))


def show_answer(found: Any) -> None:
    """What a device would do with a model, for `inspect` and `convert`."""
    support = found.support
    text.show(f"\n{found.profile.title}: {_counts(support)}")
    reasons: dict[tuple[str, ...], list[Any]] = {}
    for one in support.left:
        reasons.setdefault((one.unit, one.reason, one.remedy), []).append(one)
    for (unit, reason, remedy), those in list(reasons.items())[:_REASONS]:
        counts = Counter(one.kind for one in those)
        kinds = ", ".join(kind if count == 1 else f"{kind} x{count}" for kind, count in counts.items())
        where = ", ".join(str(one.operator) for one in those[:6]) + (" …" if len(those) > 6 else "")
        text.show(f"  {kinds} on {unit} (operator {where}): {reason}. {remedy}".rstrip())
    if len(reasons) > _REASONS:
        text.show(f"  … and {len(reasons) - _REASONS} more reasons (--json has all)")
    if support.fixes:
        text.show(f"  can be mended in the file (--fix): {', '.join(support.fixes)}")
    if support.minimum_runtime:
        text.show(f"  Edge TPU runtime {support.minimum_runtime} or newer")
    if support.cache:
        cache = support.cache
        text.show(
            f"  parameters (estimated): {text.size(cache.parameter_bytes)}, "
            f"{text.size(cache.cached_bytes)} kept on the chip, "
            f"{text.size(cache.streamed_bytes)} streamed in every run"
        )
    show_figures(found)
    text.each_told(f"note: {note}" for note in found.profile.notes)


def show_figures(found: Any) -> None:
    """Latency and memory, each with what it is."""
    if found.vela is not None:
        text.show(
            f"  latency {found.vela.inference_ms:.2f} ms, {found.vela.cycles:,} cycles of the NPU "
            f"(estimated by Vela {found.vela.version}, {found.vela.system_config})"
        )
    elif found.estimate is not None:
        made = found.estimate
        text.show(
            f"  latency {made.latency_ms:.2f} ms estimated, likely {made.low_ms:.2f} to "
            f"{made.high_ms:.2f} ms, threads {made.threads} ({made.basis})"
        )
    ram = "" if found.ram_bytes is None else f"memory {text.size(found.ram_bytes)} estimated, "
    text.show(f"  {ram}file {text.size(found.flash_bytes)}")
    text.each_told(f"not known: {line}" for line in found.unknown)


def show_mended(found: Any) -> None:
    """What `inspect --fix` did."""
    if found.out is None:
        text.show("  nothing in the file can be mended")
        return
    text.each_shown(f"  mended: {line}" for line in found.done)
    text.show(f"  before {_counts(found.before)}; after {_counts(found.after)}")
    text.show(f"  largest change of an output on random inputs: {found.largest:.2%} of its range")
    text.show(f"  written {found.out}")


def show_shipped(made: Sequence[Any]) -> None:
    """What `convert --target` made."""
    for one in made:
        show_answer(one.answer)
        text.each_shown(f"  {line}" for line in one.said)
        text.each_shown(f"  written {path}" for path in one.files)


def _counts(support: Any) -> str:
    units = ", ".join(f"{count} on {unit}" for unit, count in support.units.items())
    parts = f"{len(support.partitions)} part{'s' if len(support.partitions) != 1 else ''}"
    return f"{len(support.verdicts)} operators: {units}; {parts}"


def _show_layers(found: Any) -> None:
    if found.estimate is None:
        return
    total = found.estimate.latency_ms or 1.0
    rows = [
        (
            one.operator,
            one.kind,
            one.unit,
            f"{one.milliseconds:.3f}",
            text.percent(one.milliseconds / total),
            one.bound,
        )
        for one in found.estimate.layers
    ]
    text.show(text.table(rows, ("#", "operator", "on", "ms (est.)", "share", "bound by")))


def _show_profile(found: Any) -> None:
    rows = [
        ("device", found.title),
        ("processor", f"{found.cpu}, {found.cores} core{'s' if found.cores > 1 else ''}, {found.arch}"),
        ("clock", f"{found.clock_mhz} MHz" if found.clock_mhz else "-"),
        ("delegate", found.delegate + (f", level {found.ops.level}" if found.ops.level else "")),
        ("schemes", ", ".join(found.schemes)),
        ("inputs", ", ".join(found.io)),
        ("RAM", text.size(found.memory.ram_bytes) if found.memory.ram_bytes else "-"),
        ("flash", text.size(found.memory.flash_bytes) if found.memory.flash_bytes else "-"),
        ("on chip", text.size(found.memory.on_chip_bytes) if found.memory.on_chip_bytes else "-"),
        ("latency", found.cost.basis if found.cost else "no estimate; `edgecnn calibrate-target` fits one"),
    ]
    text.show(text.table(rows, (found.name, "")))
    text.each_shown(f"note: {note}" for note in found.notes)
    text.each_shown(f"source of {key}: {source}" for key, source in found.sources.items())
