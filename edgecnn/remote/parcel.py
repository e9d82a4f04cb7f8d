"""What is sent to the other machine: the device floor, models, images and the work, in one archive."""

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from edgecnn.image import Image
from edgecnn.remote.floor import floor_files

_THERE = Path(__file__).with_name("there.py")


@dataclass(frozen=True)
class Parcel:
    """What to do with which models.

    Attributes:
        models: contents of the `.tflite` files, by the path they get there; see `places`.
        words: how to load and time them: what `edgecnn.runtime.benchmark.benchmark_many` takes.
        images: what they are timed on; None lets the other machine make one.
    """

    models: Mapping[str, bytes]
    words: Mapping[str, Any]
    images: Sequence[Image] | None = None

    def write(self, stream: IO[bytes]) -> None:
        """Write the archive, piece by piece.

        Raises:
            BrokenPipeError: nobody listens any more.
        """
        with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
            for name, content in self._contents().items():
                about = tarfile.TarInfo(name)
                about.size = len(content)
                archive.addfile(about, io.BytesIO(content))

    def _contents(self) -> dict[str, bytes]:
        images = [f"images/{number}.npy" for number in range(len(self.images or ()))]
        work = {"models": list(self.models), "images": images, "words": dict(self.words)}
        contents = {name: path.read_bytes() for name, path in floor_files().items()}
        contents |= {"there.py": _THERE.read_bytes(), "work.json": json.dumps(work).encode()}
        contents |= self.models
        contents |= {name: _npy(image) for name, image in zip(images, self.images or (), strict=True)}
        return contents


def places(files: Sequence[Path]) -> list[str]:
    """Where each file will lie there. Names from here may mean anything to a shell: theirs are plain."""
    return [f"models/{number}.tflite" for number in range(len(files))]


def _npy(image: Image) -> bytes:
    stream = io.BytesIO()
    np.save(stream, image, allow_pickle=False)
    return stream.getvalue()
