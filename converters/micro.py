"""What the real TFLite Micro makes of a model: its outputs, and the arena that it used.

The interpreter of the PyPI package tflite-micro runs in a child process, with the reference kernels that a
microcontroller without CMSIS-NN would use. Its outputs are compared with LiteRT's reference kernels.
"""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.errors import ConversionError, MissingExtra
from edgecnn.graph import Graph, check, read

Array: TypeAlias = npt.NDArray[Any]
_TIMEOUT_S: Final = 600
_ROOM: Final = 8 << 20  # beyond the tensors: kernels' data, and what the planner needs while it plans


@dataclass(frozen=True)
class Arena:
    """What TFLite Micro's recording allocator said, in bytes.

    Attributes:
        total_bytes: how large the array must be; on this host, whose pointers are wider than a
            microcontroller's.
        activations_bytes: its head: tensors and scratch buffers, the same on every machine.
        persistent_bytes: its tail: the interpreter's own structures.
    """

    total_bytes: int
    activations_bytes: int
    persistent_bytes: int


@dataclass(frozen=True, eq=False)
class MicroRun:
    """What came of running a model.

    Attributes:
        version: of the package tflite-micro.
        arena: how much memory it used.
        outputs: for each run, one array for each output.
    """

    version: str
    arena: Arena
    outputs: tuple[tuple[Array, ...], ...]


@dataclass(frozen=True)
class Agreement:
    """TFLite Micro's outputs beside LiteRT's, of the same inputs.

    Attributes:
        runs: how many inputs were run.
        values: how many output values were compared.
        equal: how many of them are the same, to the bit.
        largest: greatest difference; in steps of an integer output, in its own unit of a float one.
        arena: how much memory TFLite Micro used.
        version: of the package tflite-micro.
    """

    runs: int
    values: int
    equal: int
    largest: float
    arena: Arena
    version: str

    @property
    def is_equal(self) -> bool:
        """Whether every value is the same."""
        return self.equal == self.values

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return {**asdict(self), "is_equal": self.is_equal}


def run_micro(content: bytes, inputs: Sequence[Sequence[Array]], *, name: str = "the model") -> MicroRun:
    """Run a model in TFLite Micro.

    Args:
        content: the `.tflite` file.
        inputs: for each run, one array for each input, in the type and shape of the file.
        name: what to call the model in errors.

    Raises:
        ConversionError: TFLite Micro has no kernel for an operator, or fails; the message names the operator.
        MissingExtra: tflite-micro is not installed.
    """
    if importlib.util.find_spec("tflite_micro") is None:
        raise MissingExtra("tflite-micro", "micro")
    graph = read(content, name)
    arrays: dict[str, Array] = {
        "inputs": np.array(len(graph.inputs)), "outputs": np.array(len(graph.outputs)),
        "runs": np.array(len(inputs)),
    }  # fmt: skip
    for run, ports in enumerate(inputs):
        arrays |= {f"{run}.{port}": array for port, array in enumerate(ports)}
    with TemporaryDirectory(prefix="edgecnn-micro-") as folder:
        model, given, made = (Path(folder) / part for part in ("model.tflite", "inputs.npz", "outputs.npz"))
        model.write_bytes(content)
        np.savez(given, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the names for its own options
        said = _child(model, given, made, _generous(graph), name, graph)
        with np.load(made, allow_pickle=False) as found:
            outputs = tuple(
                tuple(found[f"{run}.{port}"] for port in range(len(graph.outputs)))
                for run in range(len(inputs))
            )
    return MicroRun(version("tflite-micro"), _arena(said, name), outputs)


def compare_with_litert(
    content: bytes, inputs: Sequence[Sequence[Array]], *, name: str = "the model"
) -> Agreement:
    """Whether TFLite Micro computes what LiteRT's reference kernels compute, value by value.

    Args:
        content: the `.tflite` file.
        inputs: for each run, one array for each input, in the type and shape of the file.
        name: what to call the model in errors.

    Raises:
        ConversionError: TFLite Micro cannot run it.
        MissingExtra: tflite-micro is not installed.
        ModelError: the file would not run safely.
    """
    check(read(content, name))
    micro = run_micro(content, inputs, name=name)
    values, equal, largest = 0, 0, 0.0
    for ours, theirs in zip(micro.outputs, _reference(content, inputs), strict=True):
        for mine, other in zip(ours, theirs, strict=True):
            values += other.size
            equal += int(np.count_nonzero(mine == other))
            apart = np.abs(mine.astype(np.float64) - other.astype(np.float64))
            largest = max(largest, float(apart.max(initial=0.0)))
    return Agreement(len(inputs), values, equal, largest, micro.arena, micro.version)


def random_inputs(graph: Graph, count: int, *, seed: int = 0) -> list[tuple[Array, ...]]:
    """Inputs that use the whole range of their type: any integer, or floats in [-1, 1].

    Raises:
        ConversionError: an input is neither an integer nor a float.
    """
    random = np.random.default_rng(seed)
    return [tuple(_random(graph, index, random) for index in graph.inputs) for _ in range(count)]


def _random(graph: Graph, index: int, random: np.random.Generator) -> Array:
    tensor = graph.tensors[index]
    if tensor.dtype == "float32":
        return random.uniform(-1, 1, tensor.shape).astype(np.float32)
    if tensor.dtype not in ("int8", "uint8", "int16", "int32"):
        raise ConversionError(
            f"{graph.name}: input {tensor.name!r} is {tensor.dtype}, of which no random values are made. "
            "Give inputs of your own."
        )
    limits = np.iinfo(tensor.dtype)
    return random.integers(limits.min, limits.max, tensor.shape, dtype=tensor.dtype, endpoint=True)


def _reference(content: bytes, inputs: Sequence[Sequence[Array]]) -> list[tuple[Array, ...]]:
    """What LiteRT's reference kernels say; XNNPACK and the optimized kernels may be a step away from them."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF, num_threads=1
    )
    interpreter.allocate_tensors()
    ports = [entry["index"] for entry in interpreter.get_input_details()]
    results = [entry["index"] for entry in interpreter.get_output_details()]
    found = []
    for arrays in inputs:
        interpreter.reset_all_variables()
        for port, array in zip(ports, arrays, strict=True):
            interpreter.set_tensor(port, array)
        interpreter.invoke()
        found.append(tuple(interpreter.get_tensor(index) for index in results))
    return found


def _generous(graph: Graph) -> int:
    """An arena that cannot be too small: each tensor in a place of its own, and scratch buffers."""
    tensors = sum(
        tensor.bytes for part in graph.subgraphs for tensor in part.tensors if not tensor.is_constant
    )
    largest = max((tensor.bytes for tensor in graph.tensors if not tensor.is_constant), default=0)
    return tensors + 8 * largest + 2048 * (len(graph.tensors) + len(graph.ops)) + _ROOM


def _child(model: Path, given: Path, made: Path, arena: int, name: str, graph: Graph) -> str:
    """Start the process.

    Returns:
        What it wrote to stderr.
    """
    command = [
        sys.executable,
        "-P",
        "-m",
        "converters.micro_child",
        str(model),
        str(given),
        str(made),
        str(arena),
    ]
    # The child must find this package where its parent found it.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise ConversionError(
            f"{name}: TFLite Micro took more than {_TIMEOUT_S} s. Give it fewer inputs."
        ) from None
    if done.returncode != 0:
        raise ConversionError(_explained(name, done.stderr, done.returncode, graph))
    return done.stderr


def _explained(name: str, said: str, status: int, graph: Graph) -> str:
    if missing := re.search(r"Didn't find op for builtin opcode '(\w+)'", said):
        kind = missing[1]
        places = [str(op.index) for op in graph.ops if op.kind == kind]
        return (
            f"{name}: TFLite Micro has no kernel for {kind} (operator {', '.join(places[:5])}). "
            "Replace the layer by one that it has."
        )
    if failed := re.search(r"Node (\w+) \(number (\d+)\w*\) failed to (\w+)", said):
        why = said[: failed.start()].strip().splitlines()
        reason = f": {why[-1].removeprefix('tensorflow/lite/micro/kernels/').rstrip('.')}" if why else ""
        # what it cannot prepare is a type or a setting; what it cannot run depends on the values
        advice = " Convert the model to int8, with int8 inputs and outputs." if failed[3] == "prepare" else ""
        return (
            f"{name}: TFLite Micro's kernel of {failed[1]} (operator {failed[2]}) refuses to {failed[3]}"
            f"{reason}.{advice}"
        )
    if status < 0:
        return (
            f"{name}: TFLite Micro ended with signal {-status}. Look at its operators with "
            "`edgecnn inspect --target cortex_m7`."
        )
    last = (said.strip().splitlines() or [f"exit status {status}"])[-1]
    return f"{name}: TFLite Micro cannot run it ({last})."


def _arena(said: str, name: str) -> Arena:
    found = dict(re.findall(r"Arena allocation (\w+) (\d+) bytes", said))
    if not {"total", "head", "tail"} <= set(found):
        raise ConversionError(
            f"{name}: tflite-micro {version('tflite-micro')} does not say how much arena it used. "
            "Install another version of tflite-micro."
        )
    return Arena(int(found["total"]), int(found["head"]), int(found["tail"]))
