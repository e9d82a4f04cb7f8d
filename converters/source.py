"""What a conversion starts from: a run, a Keras file, a SavedModel, or a stranger's float `.tflite`.

Each becomes the same two things: a card that says what the numbers mean, and a float32 `.tflite` of one image
in and the card's roles out. A run brings its card. Of the others, the caller says what the file does not, in
the words of `edgecnn run`; from then on the card carries it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from converters import from_tflite, hdf5_file
from converters.keras_file import is_quantization_aware
from converters.verify import Outputs, outputs_of
from edgecnn import archive
from edgecnn import image as images
from edgecnn.card import Card
from edgecnn.errors import CardError, ConversionError
from edgecnn.graph import check, read
from edgecnn.runs import Run, is_run
from edgecnn.runtime import labels as label_files
from edgecnn.runtime import stranger
from edgecnn.runtime.interpreter import model_bytes, open_interpreter
from edgecnn.runtime.meaning import Meaning, understand
from edgecnn.runtime.model import load
from edgecnn.runtime.stranger import Given
from edgecnn.tasks import TASKS

if TYPE_CHECKING:
    from converters.from_keras import Network

Kind: TypeAlias = Literal["run", "keras", "saved_model", "tflite"]

_SAVED_MODEL = "saved_model.pb"


@dataclass(frozen=True)
class Source:
    """What a conversion starts from.

    Attributes:
        path: the run folder, the file, or the SavedModel's folder.
        kind: which of the four.
        card: complete: input, labels, roles, options; the names of the outputs are those of the float file.
        origin: what the lineage says of it, such as "model.keras sha256 …".
        folder: where files go when nobody says otherwise: the run itself; else beside the source, a folder
            with the source's name without its suffix, and "-tflite" behind it where that is taken.
        assumptions: one sentence for each thing that neither the caller nor the file said.
    """

    path: Path
    kind: Kind
    card: Card
    origin: str
    folder: Path
    assumptions: tuple[str, ...]
    _make: Callable[[], tuple[bytes, Outputs]] = field(repr=False, compare=False)

    @property
    def is_quantization_aware(self) -> bool:
        """Whether this is a run that learned with the rounding of int8 (`edgecnn compress --qat`)."""
        return self.kind == "run" and is_quantization_aware(Run(self.path).model)

    def float32(self) -> tuple[bytes, Outputs]:
        """The float32 `.tflite`, without a card, and the original as a function of an image to compare with.

        The file takes one image, of fixed size, and has float32 weights and the signature `serving_default`:
        image to roles. The original is the Keras model or SavedModel itself, or the `.tflite` as it was.

        Raises:
            ConversionError: it cannot be converted; says why.
            MissingExtra: packages for converting are not installed.
        """
        return self._make()


def open_source(path: Path, given: Given = Given()) -> Source:  # noqa: B008  (frozen)
    """Find out what a path is and what its numbers mean.

    Args:
        path: a run folder; a `.keras` or `.h5` file of Keras 2 or 3; a SavedModel folder; a float `.tflite`.
        given: what the caller says of a model without a card; of a run, only how images are resized.

    Raises:
        ConversionError: nothing that can be converted; says what was found.
        CardError: something must be known that nobody said: which option says it.
        ModelError: a `.tflite` that is damaged, not safe to run, or of a task this version does not know.
        DataError: the folder is neither a run nor a SavedModel; the label file cannot be read.
        MissingExtra: packages for converting are not installed.
    """
    if path.is_dir() and (path / _SAVED_MODEL).is_file():
        return _of_tensorflow(path, "saved_model", given)
    if path.is_dir() or _is_weights_of_run(path):
        return _of_run(path if path.is_dir() else path.parent, given)
    if not path.is_file():
        raise ConversionError(
            f"{path}: there is no such file. Give a run folder, a .keras or .h5 file, a SavedModel folder or "
            "a float .tflite."
        )
    if path.suffix.lower() in (".keras", ".h5", ".hdf5") or hdf5_file.is_hdf5(path):
        return _of_tensorflow(path, "keras", given)
    return _of_tflite(path, given)


def _is_weights_of_run(path: Path) -> bool:
    """Whether this is the Keras file inside a run, whose card says what it means."""
    return is_run(path.parent) and Run(path.parent).model == path


def _of_run(path: Path, given: Given) -> Source:
    run = Run(path)
    card = run.read_card()
    if replace(given, resize=None) != Given():
        raise CardError(
            f"{path}: is a run, whose card says how its network was trained; labels, mean, std, colour, fit, "
            "task, size and the task's options cannot be said again. Leave these options out."
        )
    card = _resized(card, given)
    if not run.model.is_file():
        raise ConversionError(f"{path}: there are no weights ({run.model.name} is missing). Train first.")

    def make() -> tuple[bytes, Outputs]:
        from converters.from_keras import read_keras  # TensorFlow takes seconds to load

        spec = card.input
        shape = (spec.height, spec.width, spec.channels)
        network = read_keras(run.model, image_shape=shape, roles=TASKS[card.task].roles(card.options))
        return _converted(network, card)

    return Source(path, "run", card, _origin(run.model), path, (), make)


def _resized(card: Card, given: Given) -> Card:
    """The card for shipping: what resizes on the device need not be what did in training; the gate judges it.

    The lineage says so, for what was measured before was measured otherwise.
    """
    if given.resize in (None, card.input.resize):
        return card
    spec = replace(card.input, **stranger.input_words(given))
    line = f"ship resize {spec.resize}: trained with {card.input.resize}"
    return replace(card, input=spec, lineage=(*card.lineage, line))


def _of_tensorflow(path: Path, kind: Literal["keras", "saved_model"], given: Given) -> Source:
    task = given.task or "classification"
    if task not in TASKS:
        raise CardError(f"{path}: task {task!r} is unknown; this version knows {', '.join(TASKS)}")
    roles: tuple[str, ...] = TASKS[task].roles(given.options or {})
    from converters import from_keras  # TensorFlow takes seconds to load

    if kind == "keras":
        network = from_keras.read_keras(path, image_shape=None, roles=roles, size_wh=given.size_wh)
    else:
        from converters.from_saved_model import read_saved_model

        network = read_saved_model(path, roles=roles, size_wh=given.size_wh)
    content = from_keras.to_tflite(network)
    # Its graph says what a stranger's would: how many scores, and whether they are probabilities.
    meaning = _of_stranger(content, path, given)

    def make() -> tuple[bytes, Outputs]:
        return content, _outputs(network, meaning.card)

    return _source(path, kind, meaning, make)


def _of_stranger(content: bytes, path: Path, given: Given) -> Meaning:
    """The meaning of a network that brings nothing but its graph."""
    graph = read(content, str(path))
    check(graph)
    card: Card | None = given.card
    assumptions: Sequence[str] = ()
    if card is None:
        unnamed = given.labels is None
        if unnamed:  # behind a .tflite there may be label files, but this path is no .tflite
            count = max(1, stranger.classes_of(graph.tensors[graph.outputs[0]]))
            given = replace(given, labels=label_files.unnamed(count))
        try:
            card, assumptions = stranger.card_of(graph, path, given)
        except CardError as error:
            raise CardError(f"{path}: {error}") from None
        if unnamed:
            assumptions = [*assumptions, "the classes have no names (--labels FILE gives them)"]
    meaning = understand(graph, path, replace(given, card=card))
    return replace(meaning, assumptions=tuple(assumptions))


def _of_tflite(path: Path, given: Given) -> Source:
    content = archive.flatbuffer_bytes(model_bytes(path))
    graph = read(content, str(path))
    check(graph)
    from_tflite.check_float(graph)
    # one that no runtime can run (a custom operator, Flex) is told so before anything is asked about it
    open_interpreter(content, str(path)).close()
    meaning = understand(graph, path, given)
    spec = meaning.card.input
    shape = (1, spec.height, spec.width, spec.channels)
    made = from_tflite.float_file(content, str(path), shape=shape, roles=meaning.roles)
    after = read(made, str(path))
    names = {role: after.tensors[index].name for role, index in after.signatures[0].outputs.items()}
    size_wh = (spec.width, spec.height)
    original = meaning.card

    def make() -> tuple[bytes, Outputs]:
        return made, outputs_of(load(path, card=original, size_wh=size_wh))

    assumptions = meaning.assumptions
    if any(tensor.dtype == "float16" for tensor in graph.tensors):
        assumptions += ("its weights were rounded to float16; they stay so rounded in float32",)
    meaning = replace(meaning, card=replace(meaning.card, outputs=names), assumptions=assumptions)
    return _source(path, "tflite", meaning, make)


def _source(path: Path, kind: Kind, meaning: Meaning, make: Callable[[], tuple[bytes, Outputs]]) -> Source:
    card, assumptions = _with_distinct_labels(meaning.card)
    return Source(path, kind, card, _origin(path), _folder(path), (*meaning.assumptions, *assumptions), make)


def _with_distinct_labels(card: Card) -> tuple[Card, tuple[str, ...]]:
    """A card with a lineage names every class once; ImageNet's lists know two cranes and two maillots."""
    seen: set[str] = set()
    names, renamed = [], []
    for index, label in enumerate(card.labels):
        if label in seen:
            label = f"{label} ({index})"
            renamed.append(label)
        seen.add(label)
        names.append(label)
    if not renamed:
        return card, ()
    shown = ", ".join(repr(label) for label in renamed[:3])
    return replace(card, labels=tuple(names)), (f"labels that occur twice got their number: {shown}",)


def _converted(network: "Network", card: Card) -> tuple[bytes, Outputs]:
    from converters.from_keras import to_tflite

    return to_tflite(network), _outputs(network, card)


def _outputs(network: "Network", card: Card) -> Outputs:
    table = images.lookup(card.input, "float32")

    def outputs(image: images.Image) -> Mapping[str, Any]:
        return network(images.prepare(image, table, card.input)[0])

    return outputs


def _origin(path: Path) -> str:
    """Name and fingerprint; a SavedModel's is over its graph and variables, in the order of their names."""
    try:
        if path.is_file():
            with path.open("rb") as file:
                return f"{path.name} sha256 {file_digest(file, 'sha256').hexdigest()}"
        parts = sha256()
        for part in sorted([path / _SAVED_MODEL, *(path / "variables").glob("*")]):
            with part.open("rb") as file:
                parts.update(file_digest(file, "sha256").digest())
        return f"{path.resolve().name} sha256 {parts.hexdigest()}"
    except OSError as error:
        raise ConversionError(f"{path}: cannot be read ({error.strerror})") from None


def _folder(path: Path) -> Path:
    """Beside the source, and never the source."""
    folder = path.with_suffix("") if path.is_file() else path
    taken = folder == path or (folder.exists() and not folder.is_dir()) or (folder / _SAVED_MODEL).exists()
    return folder.with_name(f"{folder.name}-tflite") if taken else folder
