"""TFLite Metadata: what others wrote into a .tflite about its inputs, outputs and labels.

A FlatBuffer of its own lies in the model's buffer "TFLITE_METADATA"; label files lie in a zip behind the
model, as the card does (`edgecnn.archive.read_entries` reads both). This module reports the facts and refuses
impossible ones. What follows from them for an image (a colour order, a scale) is decided where a card is
made.

Sources: metadata_schema.fbs 1.1.0, https://github.com/tensorflow/tflite-support, and 1.5.0,
https://github.com/google-ai-edge/mediapipe
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final, Literal, TypeAlias

from edgecnn.errors import CardError
from edgecnn.flatbuffer import Flatbuffer, FlatbufferError, Table, layout
from edgecnn.graph.view import Graph, Tensor

FileKind: TypeAlias = Literal[
    "unknown", "descriptions", "axis_labels", "value_labels", "axis_score_calibration", "vocabulary"
]
Content: TypeAlias = Literal["unknown", "feature", "image", "bounding_box"]
ColorSpace: TypeAlias = Literal["unknown", "rgb", "grayscale"]

BUFFER: Final = "TFLITE_METADATA"
_IDENTIFIER: Final = b"M001"
_LARGEST: Final = 1e6  # of a mean, a standard deviation; pixels end at 255
_SMALLEST_STD: Final = 1e-6
_FILE_KINDS: Final[tuple[FileKind, ...]] = (
    "unknown",
    "descriptions",
    "axis_labels",
    "value_labels",
    "axis_score_calibration",
    "vocabulary",
)
_CONTENTS: Final[tuple[Content, ...]] = ("unknown", "feature", "image", "bounding_box")
_COLOR_SPACES: Final[tuple[ColorSpace, ...]] = ("unknown", "rgb", "grayscale")
_NORMALIZATION: Final = 1  # its number among the process units
_IMAGE: Final = 2  # its number among the contents

_MODEL: Final = layout(
    "name:s description:s version:s subgraphs:[t author:s license:s files:[t min_parser_version:s"
)
_SUBGRAPH: Final = layout(
    "name:s description:s inputs:[t outputs:[t files:[t input_units:- output_units:- input_groups:- "
    "output_groups:- custom:[t"
)
_TENSOR: Final = layout("name:s description:s dimension_names:[s content:t process_units:[t stats:t files:[t")
_CONTENT: Final = layout("kind:B properties:t range:t")
_IMAGE_PROPERTIES: Final = layout("color_space:b default_size:t")
_PROCESS_UNIT: Final = layout("kind:B options:t")
_NORMALIZATION_OPTIONS: Final = layout("mean:[f std:[f")
_STATS: Final = layout("maximum:[f minimum:[f")
_FILE: Final = layout("name:s description:s kind:b locale:s")
_CUSTOM: Final = layout("name:s data:[B")


@dataclass(frozen=True)
class AssociatedFile:
    """A file that belongs to the model: an entry of the zip behind it."""

    name: str
    description: str
    kind: FileKind
    locale: str


@dataclass(frozen=True)
class TensorFacts:
    """What the metadata says of one input or output.

    Attributes:
        name: for people; not the tensor's name in the model.
        description: for people.
        content: what the numbers are.
        color_space: of an image; "unknown" where nothing is said.
        mean: subtracted from every value, one number or one per channel; () where nothing is said.
        std: divides what is left; () where nothing is said. For a quantized model too these are the numbers
            of the float model: its scale and zero point come on top.
        minimum: smallest value, for people.
        maximum: largest value, for people.
        files: what belongs to it, such as its labels.
    """

    name: str
    description: str
    content: Content
    color_space: ColorSpace
    mean: tuple[float, ...]
    std: tuple[float, ...]
    minimum: tuple[float, ...]
    maximum: tuple[float, ...]
    files: tuple[AssociatedFile, ...]

    @property
    def label_file(self) -> AssociatedFile | None:
        """The first file of labels: of the places along an axis, or of the values."""
        return next((file for file in self.files if file.kind in ("axis_labels", "value_labels")), None)


@dataclass(frozen=True)
class Metadata:
    """What the metadata says of the model; inputs and outputs in the model's order."""

    name: str
    description: str
    version: str
    author: str
    license: str
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    files: tuple[AssociatedFile, ...]


def read(graph: Graph) -> Metadata | None:
    """The metadata of a model; None if it has none.

    Raises:
        CardError: it is damaged, does not fit the model, or states an impossible number.
    """
    try:
        fields = _model(graph)
        return None if fields is None else _metadata(graph, fields)
    except FlatbufferError as error:
        raise _unreadable(graph, error) from None


def custom(graph: Graph, name: str) -> bytes | None:
    """Bytes of one's own that somebody put into the metadata under a name; None if there are none.

    Raises:
        CardError: the metadata is damaged.
    """
    try:
        fields = _model(graph)
        every = [one.read(_CUSTOM) for one in _main(fields)["custom"]] if fields else []
    except FlatbufferError as error:
        raise _unreadable(graph, error) from None
    return next((bytes(one["data"]) for one in every if one["name"] == name), None)


def labels(graph: Graph, metadata: Metadata, output: int, entries: Mapping[str, bytes]) -> tuple[str, ...]:
    """The labels of one output, as its label file lists them, one a line; () if it has none.

    Args:
        graph: the model, for the output's size.
        metadata: what `read` gave.
        output: number of the output among the model's outputs.
        entries: the files behind the model, from `edgecnn.archive.read_entries`.

    Raises:
        CardError: the file is missing, is no text, or does not name as many classes as the output has.
    """
    facts = metadata.outputs[output] if output < len(metadata.outputs) else None
    file = facts.label_file if facts else None
    if file is None:
        return ()
    if file.name not in entries:
        raise CardError(f"{graph.name}: its metadata names the label file {file.name!r}, which is not in it.")
    try:
        text = entries[file.name].decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CardError(f"{graph.name}: {file.name}: not UTF-8 at byte {error.start}.") from None
    names = tuple(line.strip() for line in text.rstrip().splitlines())
    shape = graph.tensors[graph.outputs[output]].shape
    if file.kind == "axis_labels" and shape and len(names) != shape[-1]:
        raise CardError(
            f"{graph.name}: {file.name} lists {len(names)} labels, but output {output} has {shape[-1]}."
            " Give the right list with --labels."
        )
    return names


def _model(graph: Graph) -> Mapping[str, Any] | None:
    """The fields of the whole; None where there is no metadata."""
    if BUFFER not in graph.metadata:
        return None
    content = memoryview(graph.metadata[BUFFER].data)
    return Flatbuffer(content, _IDENTIFIER).root().read(_MODEL)


def _unreadable(graph: Graph, error: FlatbufferError) -> CardError:
    return CardError(
        f"{graph.name}: the TFLite Metadata cannot be read: {error}. Attach a card to say what it should."
    )


def _main(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of the first subgraph, which is the only one that a model has."""
    return fields["subgraphs"][0].read(_SUBGRAPH) if fields["subgraphs"] else _NOTHING


_NOTHING: Final = {field.name: field.default for field in _SUBGRAPH}


def _metadata(graph: Graph, fields: Mapping[str, Any]) -> Metadata:
    main = _main(fields)
    return Metadata(
        name=fields["name"] or "",
        description=fields["description"] or "",
        version=fields["version"] or "",
        author=fields["author"] or "",
        license=fields["license"] or "",
        inputs=_tensors(graph, main["inputs"], graph.inputs, "input"),
        outputs=_tensors(graph, main["outputs"], graph.outputs, "output"),
        files=_files((*fields["files"], *main["files"])),
    )


def _tensors(
    graph: Graph, tables: Sequence[Table], indices: Sequence[int], what: str
) -> tuple[TensorFacts, ...]:
    if not tables:
        return ()
    if len(tables) != len(indices):
        raise CardError(
            f"{graph.name}: its metadata describes {len(tables)} {what}s, but the model has {len(indices)}."
        )
    facts = []
    for number, (table, index) in enumerate(zip(tables, indices, strict=True)):
        made = _facts(table.read(_TENSOR))
        _check_normalization(made, graph.tensors[index], f"{graph.name}: the metadata of {what} {number}")
        facts.append(made)
    return tuple(facts)


def _facts(fields: Mapping[str, Any]) -> TensorFacts:
    content: Mapping[str, Any] = fields["content"].read(_CONTENT) if fields["content"] else {"kind": 0}
    color_space = 0
    if content["kind"] == _IMAGE and content["properties"] is not None:
        color_space = content["properties"].read(_IMAGE_PROPERTIES)["color_space"]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    for unit in fields["process_units"]:
        process = unit.read(_PROCESS_UNIT)
        if process["kind"] == _NORMALIZATION and process["options"] is not None:
            options = process["options"].read(_NORMALIZATION_OPTIONS)
            mean, std = _floats(options["mean"]), _floats(options["std"])
    stats = fields["stats"].read(_STATS) if fields["stats"] else {"maximum": (), "minimum": ()}
    return TensorFacts(
        name=fields["name"] or "",
        description=fields["description"] or "",
        content=_named(_CONTENTS, content["kind"]),
        color_space=_named(_COLOR_SPACES, color_space),
        mean=mean,
        std=std,
        minimum=_floats(stats["minimum"]),
        maximum=_floats(stats["maximum"]),
        files=_files(fields["files"]),
    )


def _check_normalization(facts: TensorFacts, tensor: Tensor, where: str) -> None:
    channels = tensor.shape[-1] if tensor.shape else 1
    for what, values in (("mean", facts.mean), ("standard deviation", facts.std)):
        if len(values) not in (0, 1, channels):
            raise CardError(f"{where} has a {what} of {len(values)} numbers for {channels} channels.")
        for value in values:
            least = _SMALLEST_STD if values is facts.std else -_LARGEST
            if not isfinite(value) or not least <= value <= _LARGEST:
                raise CardError(
                    f"{where} states a {what} of {value:g}. Say what is right with --mean and --std."
                )
    if bool(facts.mean) != bool(facts.std):
        raise CardError(f"{where} states only one of mean and standard deviation. Say both: --mean, --std.")


def _files(tables: Sequence[Table]) -> tuple[AssociatedFile, ...]:
    files = []
    for table in tables:
        fields = table.read(_FILE)
        kind = _named(_FILE_KINDS, fields["kind"])
        files.append(
            AssociatedFile(fields["name"] or "", fields["description"] or "", kind, fields["locale"] or "")
        )
    return tuple(files)


def _floats(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _named(names: tuple[Any, ...], number: int) -> Any:
    # a kind that a newer schema may add is unknown to us, as it is to the schema's own readers
    return names[number] if 0 <= number < len(names) else names[0]
