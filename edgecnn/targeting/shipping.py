"""Convert for a device: scheme, inputs and outputs that suit it, and what its own compiler makes of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration.ranges import Ranges
from converters import quantize
from converters.converted import Converted
from converters.evidence import Data
from converters.micro import random_inputs, run_micro
from converters.schemes import SCHEMES
from converters.to_c import CSource, to_c
from converters.to_edgetpu import HOW_TO_GET, find_compiler, to_edgetpu
from converters.to_ethosu import to_ethosu
from edgecnn.conversion import convert_model
from edgecnn.errors import TargetError
from edgecnn.graph import read
from edgecnn.targeting.answer import Answer, answer, content_of
from targets import edge_tpu, ethos_u
from targets.budget import Limits
from targets.profile import Profile, profile
from targets.support import refuse_unrunnable

FLOAT = "float32"
_NO_LIMITS = Limits()


@dataclass(frozen=True)
class Made:
    """What was made for the device of one converted file.

    Attributes:
        scheme: of the file.
        answer: what the device would do with it.
        files: what was written besides: the compiled file, C++ source.
        said: what else to know, one paragraph each.
        figures: of the device's compiler or interpreter, as JSON values.
    """

    scheme: str
    answer: Answer
    files: tuple[Path, ...]
    said: tuple[str, ...]
    figures: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "scheme": self.scheme,
            "answer": self.answer.as_dict(),
            "files": [str(path) for path in self.files],
            "said": list(self.said),
            "figures": self.figures,
        }


@dataclass(frozen=True)
class Shipped:
    """What came of converting for a device.

    Attributes:
        profile: the device.
        converted: the files, as `edgecnn.conversion.convert_model` says.
        made: for each of them.
    """

    profile: Profile
    converted: tuple[Converted, ...]
    made: tuple[Made, ...]


def ship(
    source: Path | str,
    target: str | Profile,
    *,
    schemes: Sequence[str] = (),
    data: Data = None,
    out: Path | None = None,
    force: bool = False,
    limits: Limits = _NO_LIMITS,
    converted: Callable[[Sequence[Converted]], object] = lambda results: None,
    progress: Callable[[str], None] = lambda line: None,
    **words: Any,
) -> Shipped:
    """Write the files that suit a device.

    Before images are looked at, the network is judged as it would be after conversion; what does not run
    there, or is over budget, ends here with the reason.

    Args:
        source: a run folder, a Keras file, a SavedModel, or a float `.tflite`.
        target: a profile, its name, or the path of a profile of your own.
        schemes: which; () is the one that suits the device best.
        data: images to calibrate with and to judge on.
        out: folder for the files; None is the run, or beside the source.
        force: replace files that are there.
        limits: what a file may take on the device.
        converted: told what the conversion made, before the device's own compiler is asked.
        progress: told what begins, one line each.
        words: see `edgecnn.conversion.convert_model`.

    Raises:
        TargetError: the device takes no such scheme, does not run an operator, or runs nothing on its
            accelerator.
        OverBudget: a file takes more than is allowed.
        EdgecnnError: see `edgecnn.conversion.convert_model`.
    """
    device = target if isinstance(target, Profile) else profile(target)
    chosen = tuple(schemes) or device.schemes[:1]
    if unfit := [scheme for scheme in chosen if scheme not in device.schemes]:
        raise TargetError(f"{device.name} takes {', '.join(device.schemes)}, not {unfit[0]}. {_best(device)}")
    words = _suited(device, chosen, words)
    plain = {**words, "io": None}
    (base,) = convert_model(
        source, schemes=[FLOAT], data=data, out=out, force=force, progress=progress, **plain
    )
    for scheme in chosen:
        draft = _draft(base.path, scheme, words)
        expected = answer(draft, device, name=f"{source} as {scheme}")
        refuse_unrunnable(expected.support, f"{source} as {scheme}")
        _refuse_useless(expected, f"{source} as {scheme}")
        if device.delegate != "ethos_u":  # Vela's figures come with the file
            expected.refuse_over(limits)
    results = convert_model(
        source, schemes=chosen, data=data, out=out, force=force, progress=progress, **words
    )
    converted(results)
    made = tuple(_made(one, device, progress, force=force) for one in results)
    for one in made:
        one.answer.refuse_over(limits)
    return Shipped(device, tuple(results), made)


def _best(device: Profile) -> str:
    return (
        f"Its best is {device.schemes[0]}: say --{device.schemes[0].replace('_', '-')}, or no scheme at all."
    )


def _suited(device: Profile, schemes: Sequence[str], words: dict[str, Any]) -> dict[str, Any]:
    """What the caller left open, as the device likes it."""
    suited = dict(words)
    integer = [SCHEMES[scheme] for scheme in schemes if scheme in SCHEMES and SCHEMES[scheme].integer]
    asked = suited.get("io")
    if asked is None and len(integer) == 1:
        both = [io for io in device.io if io in integer[0].ends]
        suited["io"] = both[0] if both else None
    elif integer and asked is not None and asked not in device.io:
        raise TargetError(
            f"{device.name} takes {', '.join(device.io)} inputs, not {asked}. Say --io {device.io[0]}."
        )
    if suited.get("weights", "channel") == "channel" and not device.ops.per_channel_dense:
        suited["weights"] = "convolution"
    return suited


def _draft(path: Path, scheme: str, words: dict[str, Any]) -> bytes:
    """The file as it will be but for its numbers: operators and types do not depend on the ranges."""
    content = content_of(path)
    if scheme == FLOAT:
        return content
    graph = read(content, str(path))
    names = [tensor.name for tensor in graph.tensors if tensor.dtype == "float32" and not tensor.is_constant]
    ranges = Ranges(dict.fromkeys(names, (-1.0, 1.0)), "none", 0, "")
    return quantize.quantize(
        content, scheme, name=str(path), ranges=ranges, io=words.get("io"),
        weights=words.get("weights", "channel"),
    )  # fmt: skip


def _refuse_useless(expected: Answer, name: str) -> None:
    found = expected.support
    if found.delegate in found.units or not found.left:
        return
    first = found.left[0]
    raise TargetError(
        f"{name}: nothing of it would run on {expected.profile.name}: operator {first.operator} "
        f"({first.kind}): {first.reason}. {first.remedy}"
    )


def _made(one: Converted, device: Profile, progress: Callable[[str], None], *, force: bool) -> Made:
    if device.delegate == "edge_tpu":
        return _for_edge_tpu(one, device, progress, force=force)
    if device.delegate == "ethos_u":
        return _for_ethos_u(one, device, progress, force=force)
    if device.delegate == "tflite_micro":
        return _for_micro(one, device, progress, force=force)
    return Made(one.scheme, answer(one.path, device), (), (), {})


def _for_edge_tpu(one: Converted, device: Profile, progress: Callable[[str], None], *, force: bool) -> Made:
    expected = answer(one.path, device)
    if find_compiler() is None:
        checked = f"{one.path} is checked and ready for it.\n{HOW_TO_GET}"
        return Made(one.scheme, expected, (), (checked,), {"compiled": False})
    place = one.path.with_name(f"{one.path.stem}_edgetpu.tflite")
    progress(f"compiling {one.path} with edgetpu_compiler")
    older = device.ops.level if device.ops.level < edge_tpu.NEWEST else 0
    report = to_edgetpu(one.path, place, runtime=older, force=force)
    wrong = edge_tpu.mispredicted(report, expected.support.verdicts)
    said = [
        f"{kind}: {mapped} on the Edge TPU, predicted {predicted}"
        for kind, (predicted, mapped) in wrong.items()
    ]
    figures = {
        "compiled": True,
        **report.as_dict(),
        "mispredicted": {kind: list(two) for kind, two in wrong.items()},
    }
    return Made(one.scheme, expected, (place,), tuple(said), figures)


def _for_ethos_u(one: Converted, device: Profile, progress: Callable[[str], None], *, force: bool) -> Made:
    place = one.path.with_name(f"{one.path.stem}_vela.tflite")
    progress(f"compiling {one.path} with Vela for {device.ops.config}")
    report = to_ethosu(one.path, place, config=device.ops.config, force=force)
    expected = answer(one.path, device, vela=report)
    wrong = ethos_u.mispredicted(report, expected.support.verdicts)
    said = [
        f"operator {place_} ({expected.support.verdicts[place_].kind}): Vela decides otherwise than predicted"
        for place_ in wrong
    ]
    source = to_c(
        place, one.path.parent, arena_bytes=report.sram_bytes + report.dram_bytes or None, force=force
    )
    figures = {**report.as_dict(), "operators_in_c": list(source.operators)}
    said.append(_registered(source))
    return Made(one.scheme, expected, (place, source.header, source.source), tuple(said), figures)


def _for_micro(one: Converted, device: Profile, progress: Callable[[str], None], *, force: bool) -> Made:
    progress(f"running {one.path} in TFLite Micro")
    content = content_of(one.path)
    run = run_micro(content, random_inputs(read(content, str(one.path)), 1), name=str(one.path))
    arena = -(-run.arena.total_bytes // 16) * 16
    source = to_c(one.path, one.path.parent, arena_bytes=arena, force=force)
    figures = {
        "tflite_micro": run.version,
        "arena_bytes_measured": run.arena.total_bytes,
        "operators_in_c": list(source.operators),
    }
    said = f"arena {run.arena.total_bytes:,} bytes, measured with tflite-micro {run.version} on this host"
    found = answer(one.path, device)
    return Made(one.scheme, found, (source.header, source.source), (said, _registered(source)), figures)


def _registered(source: CSource) -> str:
    return f"operators for the resolver: {', '.join(source.operators)}"
