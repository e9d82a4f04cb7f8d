"""A golden check: a small image, and what a model made of it at home, as it is kept in the card.

Knows the format, and takes nothing in it on trust: a card may come from anywhere. What is compared with it,
and how closely, is `edgecnn.runtime.selftest`; which images are taken, `converters.golden`.
"""

import base64
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

import cv2
import numpy as np

from edgecnn import image_file
from edgecnn.card import Card
from edgecnn.errors import CardError, DataError
from edgecnn.graph import Graph
from edgecnn.image import Array, Image, View
from edgecnn.runtime import stored, untrusted
from edgecnn.runtime.stored import Stored
from edgecnn.tasks import TASKS

MOST_CHECKS: Final = 16
MOST_SIDE: Final = 64
"""Of the image as it is stored, in pixels."""

MOST_SHOWN: Final = 4096
"""Of the image as it is shown, in pixels."""

_MOST_RECORDS: Final = 5


@dataclass(frozen=True, eq=False)
class Golden:
    """One image and what became of it, stage by stage.

    Attributes:
        image: (h, w, 3) uint8 BGR, as it is stored.
        tiled: how often it is repeated, down and across, before it is shown: so that a small image fills one
            as large as a camera's, and passes through the same halvings.
        tensor_sha256: of the prepared tensor's bytes.
        sampled: (n,) some of its values, see `stored.sample`.
        level: by how much a value of the tensor changes with one grey level, at most.
        outputs: role to output.
        records: the result's best entries, such as label and score; may be none of a detector's.
        labels_sha256: of the card's labels, see `of_labels`.
        weights_sha256: of the file's constants, see `of_weights`.
        computed_by: runtime, version and processor.
    """

    image: Image
    tiled: int
    tensor_sha256: str
    sampled: Array
    level: float
    outputs: Mapping[str, Stored]
    records: tuple[Mapping[str, Any], ...]
    labels_sha256: str
    weights_sha256: str
    computed_by: str

    def shown(self) -> Image:
        """The image as it is shown to the model."""
        return np.tile(self.image, (self.tiled, self.tiled, 1))


def to_json(golden: Golden) -> dict[str, Any]:
    """The check as JSON values, for `Card.checks`.

    Raises:
        DataError: the image cannot be stored.
    """
    done, png = cv2.imencode(".png", golden.image, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    if not done:
        raise DataError("OpenCV cannot write a PNG. Install a build of OpenCV that can.")
    return {
        "image": base64.b64encode(png.tobytes()).decode("ascii"),
        "tiled": golden.tiled,
        "tensor": {
            "sha256": golden.tensor_sha256,
            "level": golden.level,
            "sampled": stored.array_to_json(golden.sampled),
        },
        "outputs": {role: stored.to_json(one) for role, one in golden.outputs.items()},
        "records": [dict(record) for record in golden.records],
        "labels": golden.labels_sha256,
        "weights": golden.weights_sha256,
        "computed_by": golden.computed_by,
    }


def from_json(raw: Mapping[str, Any], where: str) -> Golden:
    """A check out of a card.

    Raises:
        CardError: it is none: says what is wrong with it.
    """
    try:
        tensor = untrusted.mapping(raw, "tensor")
        outputs = {
            untrusted.text(role): stored.from_json(one)
            for role, one in untrusted.mapping(raw, "outputs").items()
            if isinstance(one, Mapping) or untrusted.wrong(f"outputs.{role} is no object")
        }
        image = _image(raw)
        tiled = untrusted.number(raw, "tiled", 1, MOST_SHOWN // max(image.shape[:2]))
        return Golden(
            image=image,
            tiled=int(tiled),
            tensor_sha256=untrusted.text(tensor.get("sha256")),
            sampled=stored.array_from_json(untrusted.mapping(tensor, "sampled")),
            level=untrusted.number(tensor, "level", 0, 1e30),
            outputs=outputs,
            records=_records(raw),
            labels_sha256=untrusted.text(raw.get("labels")),
            weights_sha256=untrusted.text(raw.get("weights")),
            computed_by=untrusted.text(raw.get("computed_by")),
        )
    except (CardError, DataError) as error:
        raise CardError(f"{where}: cannot be read: {error}. Convert the model again.") from None


def best(outputs: Mapping[str, Array], view: View, card: Card) -> tuple[dict[str, Any], ...]:
    """The best entries of a result: one class, or up to five boxes.

    Boxes are decoded as they are judged, unlikely ones too: in a drawn image there are no others. Soft
    suppression changes scores, so that they could not be found among `candidates`; hard takes its place.

    Args:
        outputs: real numbers by role.
        view: where the image lies in the tensor.
        card: says what they mean.

    Raises:
        EdgecnnError: they cannot be decoded.
    """
    return candidates(outputs, view, card)[: _MOST_RECORDS if card.task == "detection" else 1]


def candidates(
    outputs: Mapping[str, Array], view: View, card: Card, *, suppressed: bool = True
) -> tuple[dict[str, Any], ...]:
    """All entries of the result of which `best` gives the first.

    Args:
        outputs: as for `best`.
        view: likewise.
        card: likewise.
        suppressed: without the weaker of boxes that overlap. Which of two equals survives is decided by the
            last bit.
    """
    task = TASKS[card.task]
    options = {**card.options, **task.JUDGING}
    if not suppressed:
        options["nms"] = "none"
    elif options.get("nms") == "soft":
        options["nms"] = "hard"
    return tuple(task.decode(outputs, view, replace(card, options=options)).records())


def of_labels(labels: tuple[str, ...]) -> str:
    """The fingerprint of names in their order."""
    return sha256("\0".join(labels).encode()).hexdigest()


def of_weights(graph: Graph) -> str:
    """The fingerprint of all constants of the main subgraph and of every scale and zero point.

    Not of the file: TFLite Metadata and the card may be rewritten without changing what is computed.
    """
    digest = sha256()
    for tensor in graph.tensors:
        digest.update(f"{tensor.dtype} {tensor.shape}".encode())
        digest.update(np.ascontiguousarray(tensor.scale).tobytes())
        digest.update(np.ascontiguousarray(tensor.zero_point).tobytes())
        if tensor.is_constant:
            digest.update(graph.buffers[tensor.buffer].data)
    return digest.hexdigest()


def _records(raw: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    found = raw.get("records", [raw.get("record")])  # before detection, a check held one
    if not isinstance(found, list) or len(found) > _MOST_RECORDS:
        raise CardError(f"records is no list of at most {_MOST_RECORDS}")
    objects = [untrusted.mapping({"record": one}, "record") for one in found]
    return tuple({name: untrusted.plain(name, value) for name, value in one.items()} for one in objects)


def _image(raw: Mapping[str, Any]) -> Image:
    png = untrusted.base64_bytes(raw.get("image"), "image")
    if png[:8] != b"\x89PNG\r\n\x1a\n" or len(png) < 24:
        raise CardError("the image is no PNG")
    # before anything is unpacked: a few bytes can stand for gigapixels
    width, height = struct.unpack_from(">II", png, 16)
    if not (0 < width <= MOST_SIDE and 0 < height <= MOST_SIDE):
        raise CardError(f"the image has {width} x {height} pixels; {MOST_SIDE} x {MOST_SIDE} is the most")
    return image_file.decode(png, "the image")
