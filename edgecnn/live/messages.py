"""What is told to a browser, as plain numbers and texts.

Ages are reckoned here, by the clock that took the time of capture; the browser's clock is another one. Texts
that come from models (labels, names) are sent as they are: the page writes them as text and never as HTML.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from edgecnn.image import Image
from edgecnn.live.ages import STEP_S, WINDOW_S, Minute
from edgecnn.results import Boxes, Classes, Mask, Result, Values
from edgecnn.runtime.seen import Seen

if TYPE_CHECKING:
    from edgecnn.runtime.tracking import zones as around
    from edgecnn.runtime.tracking.tracks import Tracks

MOST_BOXES: Final = 200
MOST_BARS: Final = 5
MOST_PIXELS_SIDE: Final = 1280
"""Larger pictures are made smaller for the page; a snapshot is not."""

_QUALITY: Final = 80
_SNAPSHOT_QUALITY: Final = 95


def picture(seen: Seen) -> bytes:
    """One frame for all viewers: the length of the words (4 bytes, big-endian), the words as JSON, a JPEG."""
    height, width = seen.frame.image.shape[:2]
    words = {
        "name": seen.frame.name,
        "size": [width, height],
        "task": seen.task,
        "delay_ms": round(seen.delay_ms, 2),
        **_shown(seen.result, seen.tracks),
    }
    image = seen.frame.image
    shrink = MOST_PIXELS_SIDE / max(width, height)
    if shrink < 1:
        size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    text = as_json(words).encode()
    return len(text).to_bytes(4, "big") + text + _jpeg(image, _QUALITY)


def snapshot(seen: Seen) -> bytes:
    """The frame as the camera gave it, as a JPEG of its own size."""
    return _jpeg(seen.frame.image, _SNAPSHOT_QUALITY)


def places(zones: "Sequence[around.Zone]", lines: "Sequence[around.Line]") -> list[dict[str, Any]]:
    """Zones and lines: name, points, whether they are closed, whether points are fractions of the image."""
    named = [(zone.name, zone.points, True) for zone in zones]
    named += [(line.name, (line.start, line.end), False) for line in lines]
    return [
        {
            "name": name,
            "points": [[float(x), float(y)] for x, y in points],
            "closed": closed,
            "fractions": all(0 <= value <= 1 for point in points for value in point),
        }
        for name, points, closed in named
    ]


def numbers(statistics: Mapping[str, Any], minute: Minute, age_ms: float | None, stale_ms: float) -> str:
    """Rates, counts, stages and ages.

    Args:
        statistics: `Statistics.as_dict()`; what it does not hold is left out.
        minute: ages of the last minute.
        age_ms: of the newest result, now; None before the first.
        stale_ms: from which age on a result is stale.
    """
    return as_json(
        {
            "kind": "numbers",
            "statistics": dict(statistics),
            "p50_ms": minute.p50_ms,
            "p99_ms": minute.p99_ms,
            "middle_ms": minute.middle_ms,
            "oldest_ms": minute.oldest_ms,
            "step_s": STEP_S,
            "window_s": WINDOW_S,
            "age_ms": None if age_ms is None else round(age_ms, 1),
            "stale_ms": round(stale_ms, 1),
            "is_stale": bool(age_ms is not None and age_ms > stale_ms),
        }
    )


def happening(event: "around.Event") -> str:
    """One line about what a thing did at a zone or line."""
    text = f"{event.label} {event.track_id} {_VERBS[event.kind]} {event.name}"
    if event.direction is not None:
        text += f" {event.direction}"
    if event.inside_s is not None:
        text += f" after {event.inside_s:.1f} s"
    return text


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log: what it is about, a text, and `time.monotonic()`."""

    kind: str
    text: str
    time_s: float


def log(lines: Sequence[Line], now_s: float) -> str:
    """The log, oldest first: kind, text, and how many seconds ago."""
    told = [{"kind": one.kind, "text": one.text, "ago_s": round(now_s - one.time_s, 2)} for one in lines]
    return as_json({"kind": "log", "lines": told})


def as_json(words: Any) -> str:
    """JSON as browsers read it, which know no NaN."""
    return json.dumps(words, allow_nan=False, separators=(",", ":"))


def _shown(result: Result, tracks: "Tracks | None") -> dict[str, Any]:
    if isinstance(result, Boxes):
        if tracks is None:
            return {"boxes": _boxes(result, None, None)}
        return {"boxes": _boxes(tracks.boxes, tracks.track_id.tolist(), tracks.seen.tolist())}
    if isinstance(result, Classes | Mask):
        bars = [(one["label"], one["score"]) for one in result.records(MOST_BARS)]
        return {"bars": [{"label": label, "score": _finite(score)} for label, score in bars]}
    if isinstance(result, Values):
        pairs = zip(result.names, result.value.tolist(), strict=True)
        return {"values": [{"label": name, "value": _finite(value)} for name, value in pairs]}
    length = float(np.linalg.norm(result.vector))
    return {"values": [{"label": "length of the vector", "value": _finite(length)}]}


def _boxes(boxes: Boxes, track_id: list[int] | None, seen: list[bool] | None) -> list[dict[str, Any]]:
    """The best boxes, best first; what no number is becomes 0."""
    score = np.nan_to_num(boxes.score.astype(np.float64)).round(4).tolist()
    xyxy = np.nan_to_num(boxes.xyxy.astype(np.float64)).round(1).tolist()
    label_id = boxes.label_id.tolist()
    told = []
    for i in np.argsort(-boxes.score, kind="stable")[:MOST_BOXES].tolist():
        one = {"xyxy": xyxy[i], "score": score[i], "label": boxes.labels[label_id[i]], "id": label_id[i]}
        if track_id is not None and seen is not None:
            one |= {"track": track_id[i], "guess": not seen[i]}
        told.append(one)
    return told


def _finite(value: Any) -> float:
    return float(np.nan_to_num(float(value)))


def _jpeg(image: Image, quality: int) -> bytes:
    _, encoded = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return bytes(encoded)


_VERBS: Final = {"enter": "enters", "leave": "leaves", "cross": "crosses"}
