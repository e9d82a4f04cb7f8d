"""What is inside a model: a `.tflite` by its own operators, a run that is not converted yet by Keras."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgecnn import card as cards
from edgecnn.card import Card
from edgecnn.graph import check, read
from edgecnn.graph.layers import LayerTable, layer_table
from edgecnn.graph.network import network_of
from edgecnn.graph.summary import Summary, summarize
from edgecnn.runs import Run


@dataclass(frozen=True)
class Inspection:
    """What is inside a model.

    Attributes:
        path: the file that was read.
        table: layer by layer, and the totals.
        summary: of a `.tflite`: scheme, operators, inputs and outputs; None of a Keras model.
        card: what the numbers mean; None where the file has none.
    """

    path: Path
    table: LayerTable
    summary: Summary | None
    card: Card | None

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return {
            "path": str(self.path),
            "summary": None if self.summary is None else self.summary.as_dict(),
            "card": None if self.card is None else asdict(self.card),
            "layers": self.table.as_dict(),
        }


def inspect_model(path: Path | str) -> Inspection:
    """Look into a model without running it.

    Args:
        path: a `.tflite` file, or a run folder: its float32.tflite where there is one, else its Keras model.

    Raises:
        ModelError: the file cannot be read, or would not run safely.
        CardError: its card cannot be understood.
        DataError: the folder is no run.
        MissingExtra: only the Keras model is there, and TensorFlow is not installed.
    """
    path = Path(path)
    if not path.is_dir():
        return _tflite(path)
    run = Run(path)
    card = run.read_card()
    if run.tflite("float32").is_file():
        return _tflite(run.tflite("float32"))
    from edgecnn.zoo.keras_layers import read_layers

    return Inspection(run.model, layer_table(read_layers(run.model)), None, card)


def _tflite(path: Path) -> Inspection:
    graph = read(path)
    check(graph)
    return Inspection(path, layer_table(network_of(graph)), summarize(graph), cards.read(path))
