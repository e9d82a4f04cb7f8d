"""The devices edgecnn knows: one TOML file each, every figure with its source.

A profile is data. What an operator may do there is decided by the delegate's module it names
(`targets.support`), how long it takes by its cost constants (`targets.cost`).
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

from edgecnn.errors import TargetError
from targets.constants import Cost, read_cost

Delegate = Literal["xnnpack", "edge_tpu", "nnapi", "gpu", "core_ml", "tflite_micro", "ethos_u"]
Bundle = Literal["python", "android", "ios", "browser", "c"]
Scheme = Literal["float32", "float16", "dynamic", "weight_only", "int8", "int16x8"]
Io = Literal["float32", "int8", "uint8", "int16"]

FOLDER: Final = Path(__file__).parent / "profiles"


@dataclass(frozen=True)
class Ops:
    """What decides which operators run.

    Attributes:
        level: Android API level for NNAPI, Edge TPU runtime version; 0 where the delegate has none.
        per_channel_dense: whether it takes one weight scale for each output of a dense layer.
        static_shapes: whether every size must be known before the model runs.
        config: what the delegate's own compiler calls the device ("ethos-u55-128"); "" where there is none.
    """

    level: int = 0
    per_channel_dense: bool = True
    static_shapes: bool = False
    config: str = ""


@dataclass(frozen=True)
class Memory:
    """How much there is, in bytes; 0 where it is the host's, or not known.

    Attributes:
        ram_bytes: working memory, the smallest variant that is sold.
        flash_bytes: where the model lies, if not in a file system.
        on_chip_bytes: the accelerator's own memory.
    """

    ram_bytes: int = 0
    flash_bytes: int = 0
    on_chip_bytes: int = 0


@dataclass(frozen=True)
class Profile:
    """One device.

    Attributes:
        name: "raspberry_pi_4"; the file's name.
        title: "Raspberry Pi 4 Model B".
        family: devices whose figures are read together: "raspberry_pi", "coral", "android", …
        arch: of the processor the runtime runs on: "aarch64", "x86_64", "armv7e-m", "wasm32".
        cpu: what that processor is called.
        cores: how many the model can use.
        clock_mhz: of the fastest core; 0 where not fixed.
        delegate: who runs the operators it can; the rest stays on the CPU.
        schemes: best first; the others are refused.
        io: types for inputs and outputs, best first.
        bundle: how a model gets there.
        notes: what to know before choosing it, such as a deprecation, one sentence each.
        memory: how much.
        ops: which operators.
        cost: how fast; None where nobody has published enough to say.
        sources: where each figure comes from, by "table.key".
    """

    name: str
    title: str
    family: str
    arch: str
    cpu: str
    cores: int
    delegate: Delegate
    schemes: tuple[Scheme, ...]
    bundle: Bundle
    clock_mhz: int = 0
    io: tuple[Io, ...] = ("float32",)
    notes: tuple[str, ...] = ()
    memory: Memory = field(default_factory=Memory)
    ops: Ops = field(default_factory=Ops)
    cost: Cost | None = None
    sources: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The profile as JSON values."""
        return asdict(self)


PROFILES: Final[Mapping[str, Path]] = {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}


def profile(name: str | Path) -> Profile:
    """The profile of a device by its name, or one of your own by its path.

    Args:
        name: "raspberry_pi_4", or a path that ends in .toml.

    Raises:
        TargetError: there is none of that name, or its file says what no profile says.
    """
    text = str(name)
    if text.endswith(".toml"):
        return read_profile(Path(text))
    if text not in PROFILES:
        near = difflib.get_close_matches(text, PROFILES, n=3, cutoff=0.4)
        meant = f" Did you mean {' or '.join(near)}?" if near else ""
        raise TargetError(f"target {text!r} is not known.{meant} `edgecnn targets` lists them all.")
    return read_profile(PROFILES[text])


def read_profile(path: Path) -> Profile:
    """Read one profile, and refuse what it does not understand.

    Raises:
        TargetError: it cannot be read, has an unknown or missing key, a value of the wrong kind, or a figure
            without a source.
    """
    try:
        with path.open("rb") as file:
            found = tomllib.load(file)
    except OSError as error:
        raise TargetError(f"{path}: cannot be read ({error.strerror}).") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TargetError(f"{path}: not TOML ({error}).") from None
    try:
        return _profile(path.stem, found)
    except ValueError as error:
        raise TargetError(f"{path}: {error}") from None


_TEXTS: Final = ("title", "family", "arch", "cpu")
_CLOSED: Final = {"delegate": get_args(Delegate), "bundle": get_args(Bundle)}
_LISTS: Final = {"schemes": get_args(Scheme), "io": get_args(Io), "notes": None}
_NUMBERS: Final = ("cores", "clock_mhz")
_TABLES: Final = ("memory", "ops", "cost", "sources")
_NEEDED: Final = (*_TEXTS, "delegate", "bundle", "schemes", "io", "cores")


def _profile(name: str, found: Mapping[str, Any]) -> Profile:
    refuse_unknown("", found, (*_TEXTS, *_CLOSED, *_LISTS, *_NUMBERS, *_TABLES))
    if missing := [key for key in _NEEDED if key not in found]:
        raise ValueError(f"{' and '.join(missing)} not said.")
    values: dict[str, Any] = {"name": name}
    for key in _TEXTS:
        values[key] = checked(key, found[key], str)
    for key, allowed in _CLOSED.items():
        values[key] = _one_of(key, found[key], allowed)
    for key, allowed_many in _LISTS.items():
        items = checked(key, found.get(key, []), list)
        values[key] = tuple(_one_of(key, item, allowed_many) for item in items)
    for key in _NUMBERS:
        values[key] = checked(key, found.get(key, 0), int)
    if not values["schemes"] or not values["io"]:
        raise ValueError("schemes and io each need at least one entry.")
    values["memory"] = _table("memory", found, Memory)
    values["ops"] = _table("ops", found, Ops)
    values["cost"] = read_cost(checked("cost", found["cost"], dict)) if "cost" in found else None
    values["sources"] = _sources(found)
    return Profile(**values)


def _one_of(key: str, value: Any, allowed: tuple[str, ...] | None) -> str:
    text: str = checked(key, value, str)
    if allowed is not None and text not in allowed:
        raise ValueError(f"{key} is {text!r}; it may be {', '.join(allowed)}.")
    return text


def _table(name: str, found: Mapping[str, Any], kind: Any) -> Any:
    table = checked(name, found.get(name, {}), dict)
    defaults = asdict(kind())
    refuse_unknown(f"{name}.", table, tuple(defaults))
    return kind(**{key: checked(f"{name}.{key}", value, type(defaults[key])) for key, value in table.items()})


def _sources(found: Mapping[str, Any]) -> dict[str, str]:
    """Every figure has a source, and every source belongs to something that is said."""
    sources = {key: checked(f"sources.{key}", value, str) for key, value in found.get("sources", {}).items()}
    figures = {"clock_mhz"} & set(found)
    figures |= {f"memory.{key}" for key in found.get("memory", {})}
    figures |= {"ops"} & set(found) | {"cost"} & set(found)
    if bare := sorted(figures - set(sources)):
        raise ValueError(f"no source for {', '.join(bare)}; add it under [sources].")
    said = set(found) | figures
    if stray := sorted(set(sources) - said):
        raise ValueError(f"a source for {', '.join(stray)}, which the profile does not say.")
    return sources


def refuse_unknown(where: str, found: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Raise ValueError for the first key that no profile has."""
    for key in found:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            meant = f" Did you mean {near[0]}?" if near else f" Known are {', '.join(known)}."
            raise ValueError(f"unknown key {where}{key}.{meant}")


def checked(key: str, value: Any, kind: type) -> Any:
    """The value, if it is of the kind; a whole number is a float too, but a truth value is no number."""
    wanted: Any = (int, float) if kind is float else kind
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{key} is {value!r}; it must be a {_KINDS[kind]}.")
    if kind in (int, float) and value < 0:
        raise ValueError(f"{key} is {value!r}; it cannot be negative.")
    return float(value) if kind is float else value


_KINDS: Final[Mapping[type, str]] = {
    str: "text", int: "whole number", float: "number", bool: "true or false", list: "list", dict: "table",
}  # fmt: skip
