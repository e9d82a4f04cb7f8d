"""What a float model sees in an image: one vector, close for images that it finds alike.

It is what the last dense layer reads, or the output itself where there is none; maps are averaged over their
places. Long vectors are projected to `LENGTH` numbers, which keeps distances to within a few percent (Johnson
and Lindenstrauss, 1984).
"""

from collections.abc import Callable
from types import TracebackType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from calibration import editable
from edgecnn import image as images
from edgecnn.card import InputSpec
from edgecnn.graph import Graph, read
from edgecnn.image import Image
from edgecnn.runtime.interpreter import open_interpreter

Vector: TypeAlias = npt.NDArray[np.float32]
Features: TypeAlias = Callable[[Image], Vector]
"""From an image, (h, w, 3) uint8 BGR, to (n,) float32, of the same n for every image."""

LENGTH = 64
"""Of a feature vector, at most."""


class ModelFeatures:
    """A float model as `Features`. A context manager: it holds the model's memory.

    Args:
        content: a float `.tflite` with one input.
        spec: how an image becomes the input.
        name: what to call the model in errors.
        threads: how many the interpreter may use.

    Raises:
        ModelError: the model cannot be run.
    """

    def __init__(self, content: bytes, spec: InputSpec, *, name: str = "the model", threads: int = 1) -> None:
        self._spec = spec
        self._table = images.lookup(spec, np.float32)
        self._interpreter = open_interpreter(_ending_at_features(content, name), name, threads=threads)
        self._projection: Vector | None = None

    def __enter__(self) -> "ModelFeatures":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._interpreter.close()

    def __call__(self, image: Image) -> Vector:
        """The image's vector, (n,) float32, n <= LENGTH.

        Raises:
            ModelError: the model failed while running.
        """
        self._interpreter.write(0, images.prepare(image, self._table, self._spec)[0])
        self._interpreter.invoke()
        values = np.atleast_1d(self._interpreter.read(0))
        vector = values.reshape(-1, values.shape[-1]).mean(0, dtype=np.float32)
        if len(vector) <= LENGTH:
            return np.asarray(vector)
        if self._projection is None:
            random = np.random.default_rng(0)
            self._projection = random.normal(size=(LENGTH, len(vector))).astype(np.float32)
        return np.asarray((self._projection * vector).sum(1))


def _ending_at_features(content: bytes, name: str) -> bytes:
    """The same model with the features as its only output."""
    position = _features(read(content, name))
    model = editable.read(content)
    model.subgraphs[0].outputs = [position]
    model.signatureDefs = []  # they name the outputs that were there before
    return editable.write(model)


def _features(graph: Graph) -> int:
    """The tensor that the last dense layer before the first output reads, or that output."""
    makers = {index: operator for operator in graph.ops for index in operator.outputs}
    index = graph.outputs[0]
    while (maker := makers.get(index)) is not None:
        source = maker.inputs[0]
        if maker.kind == "FULLY_CONNECTED" and source in makers:
            return source
        if len(maker.inputs) > 1 and not all(graph.tensors[one].is_constant for one in maker.inputs[1:]):
            break  # where paths meet, none of them is the answer's own
        index = source
    return graph.outputs[0]
