"""The card: what a model's numbers mean. It travels inside the `.tflite` file.

The card is a JSON file in the zip archive behind the flatbuffer (`edgecnn.archive`); what else lies there is
preserved. Knows the format; knows nothing of tasks.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from edgecnn import archive
from edgecnn.errors import CardError

Color: TypeAlias = Literal["rgb", "bgr", "gray"]
Fit: TypeAlias = Literal["stretch", "letterbox", "crop"]
Resize: TypeAlias = Literal["bilinear", "area", "corner"]

ENTRY = "edgecnn_card.json"
FORMAT = 1
MAX_SIDE = 8192
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # would disturb a terminal, or cannot be written


@dataclass(frozen=True)
class InputSpec:
    """How an image becomes the model's input: resize to (height, width), order the colours, (x - mean) / std.

    Attributes:
        height: of the tensor, in pixels.
        width: of the tensor, in pixels.
        color: order of the channels; `gray` has one.
        fit: `stretch` ignores the aspect ratio, `letterbox` keeps it and pads, `crop` keeps it and cuts.
        mean: one number, or one for each channel in the order of `color`; on the 0..255 scale.
        std: likewise; x/255 is mean 0, std 255.
        pad: grey value 0..255 that `letterbox` fills with.
        resize: `bilinear` samples as most other tools do; `area` first halves by averaging 2x2 pixels
            until less than a factor of two is left, so that thin things neither flicker nor get lost;
            `corner` samples pixel i of n at i * side / n, as MediaPipe Tasks does and TensorFlow 1 did (its
            resize_bilinear without align_corners): shifted by up to half a pixel, and nothing is averaged.
    """

    height: int
    width: int
    color: Color = "rgb"
    fit: Fit = "stretch"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (255.0,)
    pad: int = 114
    resize: Resize = "area"

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            value = getattr(self, name)
            many = value if isinstance(value, Sequence) else (value,)
            try:
                object.__setattr__(self, name, tuple(float(v) for v in many))
            except (TypeError, ValueError, OverflowError) as error:
                raise CardError(f"input.{name} must be numbers: {error}") from None
        for name, allowed in (("color", Color), ("fit", Fit), ("resize", Resize)):
            _one_of(getattr(self, name), get_args(allowed), f"input.{name}")
        for name, highest in (("height", MAX_SIDE), ("width", MAX_SIDE), ("pad", 255)):
            value, lowest = getattr(self, name), 0 if name == "pad" else 1
            if type(value) is not int or not lowest <= value <= highest:
                raise CardError(f"input.{name} must be a whole number in {lowest}..{highest}, not {value!r}")
        for name in ("mean", "std"):
            value = getattr(self, name)
            if len(value) not in (1, self.channels):
                raise CardError(
                    f"input.{name} has {len(value)} numbers; {self.color!r} needs 1 or {self.channels}"
                )
            if not all(math.isfinite(v) and abs(v) < 1e6 for v in value) or (name == "std" and 0.0 in value):
                zero = " and not 0" if name == "std" else ""
                raise CardError(f"input.{name} must be finite{zero}, not {value}")

    @property
    def channels(self) -> int:
        """1 for gray, else 3."""
        return 1 if self.color == "gray" else 3


@dataclass(frozen=True)
class Card:
    """What a model's numbers mean.

    Attributes:
        name: of the model, for people.
        task: a key of `edgecnn.tasks.TASKS`.
        input: how an image becomes the input tensor.
        labels: names of the classes, index 0 first.
        outputs: role (such as "scores") to the name of the output tensor that plays it.
        options: the task's own, such as {"scores": "logits"}; JSON values.
        lineage: one line for each step that made the file, oldest first.
        metrics: what was measured, by name, such as {"top1": 0.93}.
        checks: golden inputs and outputs for the self-test; JSON values.
        certificate: what the conversion's gate found, and on which images; {} where nothing was judged. JSON
            values; `converters.gate` writes it.
        format: version of this layout.
    """

    name: str
    task: str
    input: InputSpec
    labels: tuple[str, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    lineage: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    checks: tuple[Mapping[str, Any], ...] = ()
    certificate: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    def __post_init__(self) -> None:
        for name in ("labels", "lineage", "checks"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not all(isinstance(label, str) and label for label in self.labels):
            raise CardError("labels must be non-empty texts")
        texts = (self.name, *self.labels, *self.lineage)
        if _CONTROL.search("".join(texts)):  # one search: a thousand labels are read at every start
            bad = next(text for text in texts if _CONTROL.search(text))
            raise CardError(f"{bad!r} holds a control character; names and labels are plain text")
        if len(set(self.labels)) != len(self.labels) and self.lineage:
            twice = next(label for label in self.labels if self.labels.count(label) > 1)
            raise CardError(f"label {twice!r} stands twice in labels")


def to_json(card: Card) -> str:
    """The card as JSON text, stable from run to run."""
    return json.dumps(asdict(card), indent=1, ensure_ascii=False) + "\n"


def from_json(text: str, where: str) -> Card:
    """Read a card from JSON text.

    Args:
        text: what `to_json` wrote.
        where: named in errors, such as the file's path.

    Raises:
        CardError: not JSON, an unknown or missing field, a field of the wrong type, a newer format.
    """
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CardError(f"{where}: the card is not JSON ({error}). Convert the model again.") from None
    if not isinstance(raw, dict):
        raise CardError(f"{where}: the card must be a JSON object, not {type(raw).__name__}")
    if type(raw.get("format")) is not int or raw["format"] != FORMAT:
        raise CardError(
            f"{where}: card format {raw.get('format')!r}, but this edgecnn reads {FORMAT}. Upgrade edgecnn."
        )
    try:
        body = _checked(raw, Card, "card")
        body["input"] = InputSpec(**_checked(raw.get("input"), InputSpec, "input"))
        return Card(**body)
    except (CardError, TypeError, ValueError) as error:
        raise CardError(f"{where}: {error}") from None


def read(path: Path) -> Card | None:
    """The card inside a `.tflite` file, or None where there is none.

    Raises:
        CardError: there is one, but it cannot be understood.
    """
    entries = archive.read_entries(path)
    if ENTRY not in entries:
        return None
    try:
        text = entries[ENTRY].decode("utf-8")
    except UnicodeDecodeError:
        raise CardError(f"{path}: the card is not UTF-8 text. Convert the model again.") from None
    return from_json(text, str(path))


def attach(path: Path, card: Card) -> None:
    """Write the card into a `.tflite` file, replacing an older card; the model's own bytes do not change.

    Raises:
        CardError: the archive behind the model is damaged.
    """
    entries = {name: data for name, data in archive.read_entries(path).items() if name != ENTRY}
    # Without white space: the entry is stored as it is, because MediaPipe reads no compressed ones.
    text = json.dumps(asdict(card), separators=(",", ":"), ensure_ascii=False)
    archive.write_entries(path, {**entries, ENTRY: text.encode("utf-8")})


def _checked(raw: object, kind: type, what: str) -> dict[str, Any]:
    """The object's fields, each known, each of the JSON type that the dataclass wants."""
    if not isinstance(raw, dict):
        raise CardError(f"{what} must be an object, not {type(raw).__name__}")
    known = {f.name: f for f in fields(kind)}
    if unknown := sorted(set(raw) - set(known)):
        raise CardError(f"{what} has an unknown field {unknown[0]!r}")
    wanted: dict[str, tuple[type, ...]] = {
        **dict.fromkeys(("name", "task", "color", "fit", "resize"), (str,)),
        **dict.fromkeys(("labels", "lineage", "checks", "mean", "std"), (list,)),
        **dict.fromkeys(("outputs", "options", "metrics", "certificate", "input"), (dict,)),
    }
    for name, value in raw.items():
        if name in wanted and not isinstance(value, wanted[name]):
            raise CardError(f"{what}.{name} must be a {wanted[name][0].__name__}, not {type(value).__name__}")
    for name, kind_inside in (("lineage", str), ("checks", dict), ("outputs", str)):
        inside = raw.get(name, ())
        for value in inside.values() if isinstance(inside, dict) else inside:
            if not isinstance(value, kind_inside):
                raise CardError(
                    f"{what}.{name} must hold {kind_inside.__name__} only, not {type(value).__name__}"
                )
    return dict(raw)


def _one_of(value: object, allowed: tuple[str, ...], what: str) -> None:
    if value not in allowed:
        raise CardError(f"{what} must be one of {', '.join(allowed)}, not {value!r}")
