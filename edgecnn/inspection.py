"""What is inside a model: a `.tflite` by its own operators, a run that is not converted yet by Keras."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from converters.mediapipe import refused_by_mediapipe
from edgecnn import card as cards
from edgecnn.card import Card
from edgecnn.errors import TargetError
from edgecnn.graph import Graph, check, read
from edgecnn.graph.layers import LayerTable, layer_table
from edgecnn.graph.network import network_of
from edgecnn.graph.shared_scale import shared_scales
from edgecnn.graph.summary import Summary, summarize
from edgecnn.runs import Run
from edgecnn.targeting.answer import Answer, answer


@dataclass(frozen=True)
class Inspection:
    """What is inside a model.

    Attributes:
        path: the file that was read.
        table: layer by layer, and the totals.
        summary: of a `.tflite`: scheme, operators, inputs and outputs; None of a Keras model.
        card: what the numbers mean; None where the file has none.
        advice: what to do about it, one sentence each; () where there is nothing.
        mediapipe: why MediaPipe Tasks would not run the file, or not feed it what its card says; () where it
            would, and None where the file has no card or is of another task.
        answer: what the target would do with it; None where none was named.
    """

    path: Path
    table: LayerTable
    summary: Summary | None
    card: Card | None
    advice: tuple[str, ...] = ()
    mediapipe: tuple[str, ...] | None = None
    answer: Answer | None = None

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return {
            "path": str(self.path),
            "summary": None if self.summary is None else self.summary.as_dict(),
            "card": None if self.card is None else asdict(self.card),
            "advice": list(self.advice),
            "mediapipe": None if self.mediapipe is None else list(self.mediapipe),
            "layers": self.table.as_dict(),
            "target": None if self.answer is None else self.answer.as_dict(),
        }


def inspect_model(path: Path | str, *, target: str | None = None) -> Inspection:
    """Look into a model without running it.

    Args:
        path: a `.tflite` file, or a run folder: its float32.tflite where there is one, else its Keras model.
        target: a device to judge it for: a name of `targets.profile.PROFILES`, or the path of a profile.

    Raises:
        ModelError: the file cannot be read, or would not run safely.
        CardError: its card cannot be understood.
        DataError: the folder is no run.
        MissingExtra: only the Keras model is there, and TensorFlow is not installed.
        TargetError: the target is not known, or the run has no `.tflite` file yet.
    """
    path = Path(path)
    if not path.is_dir():
        return _judged(_tflite(path), target)
    run = Run(path)
    card = run.read_card()
    if run.tflite("float32").is_file():
        return _judged(_tflite(run.tflite("float32")), target)
    if target is not None:
        raise TargetError(
            f"{path}: has no .tflite file yet. Make one: edgecnn convert {path} --target {target}"
        )
    from edgecnn.zoo.keras_layers import read_layers

    return Inspection(run.model, layer_table(read_layers(run.model)), None, card)


def _judged(found: Inspection, target: str | None) -> Inspection:
    return found if target is None else replace(found, answer=answer(found.path, target))


def has_legacy_weights(graph: Graph) -> bool:
    """Whether weights are uint8 around a zero point, as TensorFlow 1 quantized them.

    Today's kernels are written for int8 weights around zero, one scale for each channel.
    """
    return any(
        weights.is_constant and weights.dtype == "uint8" and weights.is_quantized
        for operator in graph.ops
        if operator.kind in _WEIGHTED and len(operator.inputs) > 1
        for weights in [graph.tensors[operator.inputs[1]]]
    )


_WEIGHTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"})
_LEGACY = (
    # MobileNet V1 0.25, 224 pixels, LiteRT 2.3, one x86 core: 3.6 ms against 1.7 ms
    "its uint8 weights are of TensorFlow 1 and run at about half the speed of int8. Quantize again from the "
    "float file it came from: edgecnn convert FLOAT.tflite --int8 --data IMAGES"
)


def _tflite(path: Path) -> Inspection:
    graph = read(path)
    check(graph)
    advice = [_LEGACY] if has_legacy_weights(graph) else []
    advice += [shared.in_words() for shared in shared_scales(graph)]
    card = cards.read(path)
    known = card is not None and card.task in ("classification", "detection")
    mediapipe = refused_by_mediapipe(graph, card) if card and known else None
    return Inspection(path, layer_table(network_of(graph)), summarize(graph), card, tuple(advice), mediapipe)
