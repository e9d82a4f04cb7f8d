"""A model that answers: load a `.tflite`, give it an image, get a result.

Puts the pieces together and holds the interpreter: `edgecnn.graph` says whether the file is safe to run,
`runtime.meaning` what its numbers mean, `image` makes the tensor, the task reads the outputs.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np

from edgecnn import image as images
from edgecnn.card import Card, Color, Fit, Resize
from edgecnn.errors import ModelError
from edgecnn.graph import Graph, Tensor, check, read
from edgecnn.image import Array, Image, View
from edgecnn.results import Result
from edgecnn.runtime.delegates import Delegation
from edgecnn.runtime.given import Given
from edgecnn.runtime.interpreter import Backend, Interpreter, model_bytes
from edgecnn.runtime.meaning import Meaning, check_options, understand
from edgecnn.runtime.threads import Choice, Choosing, open_with
from edgecnn.tasks import TASKS
from edgecnn.tasks.stored import Steps, real


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of one image went, in milliseconds of wall time."""

    prepare_ms: float
    invoke_ms: float
    decode_ms: float

    @property
    def total_ms(self) -> float:
        """From the image to the result."""
        return self.prepare_ms + self.invoke_ms + self.decode_ms


def load(
    path: Path | str,
    *,
    threads: int | Literal["auto"] = 1,
    backend: str | None = None,
    delegate: str | None = None,
    require_delegate: float | None = None,
    card: Card | None = None,
    labels: Path | str | Sequence[str] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    color: Color | None = None,
    fit: Fit | None = None,
    task: str | None = None,
    size_wh: tuple[int, int] | None = None,
    resize: Resize | None = None,
    options: Mapping[str, Any] | None = None,
) -> "Model":
    """Load a model, with or without a card.

    What is given here comes first, then the card inside the file, then TFLite Metadata, then defaults that
    are no guess; `Model.assumptions` says which were taken.

    Args:
        path: a `.tflite` file. It is read once: the model keeps working when the file changes or vanishes.
        threads: how many the interpreter may use. One leaves the other cores to the rest of the robot, and is
            the fastest for small models; measure, or give "auto": the first second of work then tries more
            threads, in turns with one, and `Model.threads_choice` says what came of it.
        backend: "litert" or "tflite-runtime"; None takes the first that is installed.
        delegate: what computes: "xnnpack" (the runtime's own, which it takes by itself), "none" (TFLite's own
            kernels), "edgetpu", "gpu", "nnapi" or the path of a delegate's library; the latter with options
            behind it: "edgetpu:device=usb:0", "/opt/npu.so:key=value;key2=value2".
        require_delegate: the share of operators, above 0 and up to 1, that must run on it. Even without, a
            delegate that computes nothing is refused, but for the runtime's own.
        card: instead of the one in the file.
        labels: a label file (one name for each line, or Coral's numbered lines), or the names themselves.
        mean: subtracted from a pixel 0..255; one number, or one for each channel.
        std: what the difference is then divided by.
        color: "rgb", "bgr" or "gray".
        fit: "stretch", "letterbox" or "crop".
        task: a key of `edgecnn.tasks.TASKS`.
        size_wh: width and height of the image, for a model that takes any.
        resize: "bilinear", "area" or "corner"; see `edgecnn.card.InputSpec`.
        options: of the task, over those of the card, such as {"threshold": 0.4} for a detector.

    Raises:
        ModelError: the file cannot be read, would not run safely, or takes or gives what edgecnn does not
            know; the delegate cannot be loaded, or computes too little.
        CardError: the card does not fit the model, or something must be known that nobody said.
        DataError: the label file cannot be read.
        MissingExtra: the backend asked for is not installed.
    """
    path = Path(path)
    given = Given(card, labels, mean, std, color, fit, task, size_wh, resize, options)
    content = model_bytes(path)
    graph = read(content, str(path))
    check(graph)
    size_is_open = any(graph.tensors[index].is_dynamic for index in graph.inputs)
    words = {"backend": backend, "delegate": delegate, "require_delegate": require_delegate}
    opening = partial(open_with, content, graph, str(path), threads, **words)
    # a model that cannot run at all should be told so before anything else is asked about it
    opened = None if size_is_open else opening()
    meaning = understand(graph, path, given)
    spec = meaning.card.input
    shapes = {0: (1, spec.height, spec.width, spec.channels)}
    return Model(path, graph, meaning, opened or opening(shapes=shapes))


class Model:
    """A loaded model. Call it with an image; use it in a `with` block, or close it.

    Several threads may call it: they take turns. One model in each thread is faster.

    Attributes:
        path: the file it came from.
        graph: operators and tensors of the file.
        card: what its numbers mean.
        assumptions: one sentence for each thing about it that nobody said.
    """

    def __init__(self, path: Path, graph: Graph, meaning: Meaning, interpreter: Interpreter) -> None:
        self.path = path
        self.graph = graph
        self.card: Card = meaning.card
        self.assumptions: tuple[str, ...] = meaning.assumptions
        self._interpreter = interpreter
        self._lock = threading.Lock()
        self._input = graph.tensors[graph.inputs[0]]
        scale, zero_point = _quantization(self._input)
        if self._input.dtype == "uint8" and not scale:
            scale = 1.0  # without quantization the integers are the real numbers
        table = images.lookup(self.card.input, self._input.dtype, scale=scale, zero_point=zero_point)
        # one column where all are equal: found out here, not again for every frame
        self._table = table if (table != table[:, :1]).any() else np.ascontiguousarray(table[:, :1])
        spec = self.card.input
        self._tensor = np.empty((1, spec.height, spec.width, spec.channels), self._table.dtype)
        tensors = {role: graph.tensors[graph.outputs[position]] for role, position in meaning.roles.items()}
        self._outputs = [
            (role, position, _to_real(tensors[role])) for role, position in meaning.roles.items()
        ]
        self._steps = {role: _steps(one) for role, one in tensors.items() if _has_steps(one)}
        self._decode = TASKS[self.card.task].decoder(self.card, self._steps)

    def __call__(self, image: Image) -> Result:
        """What the model says about an image.

        Args:
            image: uint8, (h, w, 3) BGR or (h, w) grey, any size; not changed.

        Raises:
            DataError: not such an image.
            ModelError: the model is closed, or failed while running.
        """
        return self._run(image)[0]

    def timed(self, image: Image) -> tuple[Result, Timings]:
        """What the model says about an image, and where the time went. Raises as calling the model does."""
        result, start, prepared, invoked, end = self._run(image)
        return result, Timings((prepared - start) * 1e3, (invoked - prepared) * 1e3, (end - invoked) * 1e3)

    def map(self, images: Iterable[Image]) -> Iterator[Result]:
        """The result of each image, in order, computed when asked for."""
        return map(self, images)

    def prepare(self, image: Image) -> tuple[Array, View]:
        """The input tensor of an image, new, and where the image lies in it: see `edgecnn.image.prepare`."""
        return images.prepare(image, self._table, self.card.input)

    def answer(self, tensor: Array, view: View) -> tuple[Result, Timings]:
        """What the model says about an image that `prepare` has made a tensor of, and where the time went.

        One thread may prepare the next image while another waits here: preparing takes no turn.

        Raises:
            ModelError: the model is closed, or failed while running.
        """
        with self._lock:
            start = perf_counter()
            self._interpreter.write(0, tensor)
            self._interpreter.invoke()
            invoked = perf_counter()
            result = self._decode(self._read(), view)
            end = perf_counter()
        return result, Timings(0.0, (invoked - start) * 1e3, (end - invoked) * 1e3)

    def adjust(self, **options: Any) -> None:
        """Change options of the task from the next image on, such as threshold=0.4; the card tells them.

        Raises:
            CardError: no such option, or no such value; nothing has changed then.
        """
        with self._lock:
            card = replace(self.card, options={**self.card.options, **options})
            check_options(card)
            self._decode = TASKS[card.task].decoder(card, self._steps)
            self.card = card

    def raw(self, tensor: Array) -> dict[str, Array]:
        """Outputs by role for an input tensor.

        Args:
            tensor: of the input's own shape and dtype, such as `prepare` gives.

        Returns:
            Real numbers, float32, without the batch axis; integers without quantization stay integers.

        Raises:
            ModelError: another shape or dtype, or the model is closed or failed while running.
        """
        mine = self._tensor
        if tensor.shape != mine.shape or tensor.dtype != mine.dtype:
            raise ModelError(
                f"{self.path}: takes {mine.dtype} {mine.shape}, not {tensor.dtype} {tensor.shape}"
            )
        with self._lock:
            self._interpreter.write(0, tensor)
            self._interpreter.invoke()
            return real(self._read(), self._steps)

    def invoke(self) -> None:
        """Run the bare interpreter again on the input it has: what a benchmark compares with."""
        with self._lock:
            self._interpreter.invoke()

    @property
    def backend(self) -> Backend:
        """The runtime that computes, and its version."""
        return self._interpreter.backend

    @property
    def threads(self) -> int:
        """How many threads the interpreter may use."""
        return self._interpreter.threads

    @property
    def threads_choice(self) -> Choice | None:
        """What trying numbers of threads gave so far; None where a number was given."""
        return self._interpreter.choice if isinstance(self._interpreter, Choosing) else None

    def delegation(self) -> Delegation:
        """Which operators run on which kernels."""
        with self._lock:
            return self._interpreter.delegation()

    def close(self) -> None:
        """Give the memory back. A closed model refuses to work; closing twice does no harm."""
        with self._lock:
            self._interpreter.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Model {self.path} ({self.card.task}, {len(self.card.labels)} labels, {self.backend.name})>"

    def _run(self, image: Image) -> tuple[Result, float, float, float, float]:
        with self._lock:
            start = perf_counter()
            tensor, view = images.prepare(image, self._table, self.card.input, out=self._tensor)
            self._interpreter.write(0, tensor)
            prepared = perf_counter()
            self._interpreter.invoke()
            invoked = perf_counter()
            result = self._decode(self._read(), view)
            return result, start, prepared, invoked, perf_counter()

    def _read(self) -> dict[str, Array]:
        """Outputs by role: those with `Steps` as they are stored, the others in real numbers."""
        return {
            role: to_real(_one(self._interpreter.read(position))) for role, position, to_real in self._outputs
        }


def _quantization(tensor: Tensor) -> tuple[float, int]:
    """Scale and zero point of an integer input or output; (0.0, 0) where its numbers are real as they are."""
    if tensor.dtype not in ("int8", "uint8", "int16") or not len(tensor.scale):
        return 0.0, 0
    return float(tensor.scale[0]), int(tensor.zero_point[0])


def _has_steps(output: Tensor) -> bool:
    return output.dtype in ("int8", "uint8") and _quantization(output)[0] > 0


def _steps(output: Tensor) -> Steps:
    stored = np.arange(256, dtype=np.uint8).view(output.dtype)
    return Steps(stored.dtype, _dequantized(stored, *_quantization(output)))


def _to_real(output: Tensor) -> Callable[[Array], Array]:
    """What is done to an output as it is read."""
    scale, zero_point = _quantization(output)
    if not scale or _has_steps(output):
        return _unchanged
    return lambda stored: _dequantized(stored, scale, zero_point)


def _dequantized(stored: Array, scale: float, zero_point: int) -> Array:
    # widen before subtracting: int8 -128 minus a zero point of 10 does not fit int8
    return (stored.astype(np.int32) - zero_point).astype(np.float32) * np.float32(scale)


def _one(stored: Array) -> Array:
    """Without the batch axis; a single number, such as a count, has none."""
    return stored[0] if stored.ndim > 1 else stored


def _unchanged(stored: Array) -> Array:
    return stored
