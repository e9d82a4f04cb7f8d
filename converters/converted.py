"""What came of converting to one scheme: the file, or why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from converters.ladder import Rung
from converters.verdict import Verdict


@dataclass(frozen=True)
class Converted:
    """What came of one scheme.

    Attributes:
        path: of the file.
        scheme: "float32" or a key of `converters.schemes.SCHEMES`.
        size_bytes: of the file, card included; of the refused content where it was not written.
        agreement: share of the images on which it decides like float32 (float32: like its source); None where
            nothing was compared.
        snr_db: of its outputs against float32's (float32: its source's); inf where nothing was compared.
        images: how many it was compared on.
        seconds: what making, judging and writing it took, calibration included.
        written: it has its name; else it does not keep its promise.
        reused: the file was there before and belongs to the source.
        verdict: what the gate found; None for float32, and where there are no validation images.
        rungs: every rung of the ladder that was tried; () where there was nothing to climb.
        kept_cost: what the kept layers cost against plain int8: bytes, and p50 milliseconds of both files.
    """

    path: Path
    scheme: str
    size_bytes: int
    agreement: float | None
    snr_db: float
    images: int
    seconds: float
    written: bool = True
    reused: bool = False
    verdict: Verdict | None = None
    rungs: tuple[Rung, ...] = ()
    kept_cost: Mapping[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values; an infinite ratio is None."""
        return {
            "path": str(self.path),
            "scheme": self.scheme,
            "size_bytes": self.size_bytes,
            "agreement": self.agreement,
            "snr_db": self.snr_db if isfinite(self.snr_db) else None,
            "images": self.images,
            "seconds": self.seconds,
            "written": self.written,
            "reused": self.reused,
            "certificate": self.verdict.as_dict() if self.verdict else None,
            "rungs": [rung.as_dict() for rung in self.rungs],
            "kept_cost": dict(self.kept_cost),
        }
