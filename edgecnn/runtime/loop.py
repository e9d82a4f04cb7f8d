"""Frames through a model, one after the other: what `edgecnn run` does, for any program.

with edgecnn.load("cats.tflite") as model:
    for seen in edgecnn.run(model, "photos/"):
        print(seen.frame.name, seen.result.label, seen.timings.total_ms)
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic

import cv2

from edgecnn import files
from edgecnn.errors import DataError
from edgecnn.image import Image
from edgecnn.runtime.frames import Frame, frames
from edgecnn.runtime.model import Model
from edgecnn.runtime.seen import Seen


def run(
    model: Model,
    source: Path | str | Sequence[Path | str],
    *,
    save: Path | None = None,
    force: bool = False,
    on_error: Callable[[DataError], object] | None = None,
) -> Iterator[Seen]:
    """Run every image of the sources through the model, each when it is asked for.

    Args:
        model: stays open.
        source: see `edgecnn.runtime.frames.frames`.
        save: a folder for annotated pictures, `<name>.jpg`; made if missing.
        force: overwrite pictures that are there.
        on_error: told what is wrong with a file, which is then left out; None raises it.

    Raises:
        DataError: a source does not exist or cannot be read, a picture is there already, or would lie among
            the originals.
        ModelError: the model failed while running.
    """
    taken: set[str] = set()
    for frame in frames(source, on_error=on_error):
        result, timings = model.timed(frame.image)
        seen = Seen(frame, model.card.task, result, timings, monotonic())
        if save is not None:
            picture = _picture(save, frame, taken, force)
            write_picture(picture, seen.drawn())
            seen = replace(seen, picture=picture)
        yield seen


def write_picture(path: Path, image: Image) -> None:
    """Write an image as JPEG, in one step.

    Raises:
        DataError: OpenCV cannot encode it.
    """
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 92])
    if not done:
        raise DataError(f"{path}: an image of shape {image.shape} cannot be written as JPEG")
    files.write_bytes(path, data.tobytes())


def _picture(folder: Path, frame: Frame, taken: set[str], force: bool) -> Path:
    """A name for the frame's picture, unlike those of the frames before."""
    stem = Path(frame.name).name.replace("#", "-").removesuffix(".jpg")
    name, number = f"{stem}.jpg", 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}.jpg"
    taken.add(name)
    path = folder / name
    if folder.resolve() == Path(frame.name).parent.resolve():
        raise DataError(f"{folder} holds the originals. Choose another folder for the pictures.")
    if path.exists() and not force:
        raise DataError(f"{path} is there already. Choose another folder, or overwrite with force (--force).")
    return path
