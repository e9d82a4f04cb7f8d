"""The one seam between edgecnn and a TFLite runtime: tensors in, numbers out.

Knows which runtimes there are (LiteRT, then tflite-runtime), opens one, and turns whatever it raises into a
`ModelError` of one line. Knows nothing of images, cards or tasks. A fake of `Interpreter` is all that a test
needs to do without a runtime.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from edgecnn.errors import MissingExtra, ModelError
from edgecnn.runtime import delegates
from edgecnn.runtime.delegates import Asked
from edgecnn.runtime.delegates import Delegation as Delegation

Array: TypeAlias = npt.NDArray[Any]
BackendName: TypeAlias = Literal["litert", "tflite-runtime"]

BACKENDS: tuple[BackendName, ...] = get_args(BackendName)
"""The runtimes, in the order they are tried."""

_PACKAGES = {"litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}
_NUMPY_1 = tuple(f"2.{minor}." for minor in range(15))  # releases built for NumPy 1; others built later ones
_UNRESOLVED = re.compile(r"unresolved custom op: (?P<custom>\S+?)\.?(\s|$)|\((?P<flex>Flex\w+)\)")


@dataclass(frozen=True)
class Backend:
    """The runtime that computes: its name in `BACKENDS` and its version."""

    name: str
    version: str


class Interpreter(Protocol):
    """A model that is loaded and ready to run. Not for two threads at once."""

    @property
    def backend(self) -> Backend:
        """What computes."""

    @property
    def threads(self) -> int:
        """How many threads it may use."""

    def write(self, position: int, tensor: Array) -> None:
        """Copy a tensor, of the input's own shape and dtype, into the input at `position`."""

    def invoke(self) -> None:
        """Compute the outputs. Releases the GIL.

        Raises:
            ModelError: the model failed while running.
        """

    def read(self, position: int) -> Array:
        """A copy of the output at `position`, in its own dtype, with the batch axis."""

    def delegation(self) -> Delegation:
        """Which operators run on which kernels: what the runtime did, not what it logged."""

    def close(self) -> None:
        """Give the memory back."""


def installed() -> tuple[BackendName, ...]:
    """The runtimes that are installed, in the order they are tried; none of them is imported."""
    return tuple(name for name in BACKENDS if find_spec(_PACKAGES[name]) is not None)


def model_bytes(path: Path) -> bytes:
    """A model file's content.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path}: there is no such file. Give the path of a .tflite file.") from None
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read ({error.strerror}). Give the path of a .tflite file."
        ) from None


def choose(wanted: str | None = None) -> Backend:
    """Import the runtime asked for, or the first that is installed, and say which it is.

    Raises:
        ModelError: no runtime is installed, or this one cannot be imported.
        MissingExtra: the runtime asked for is not installed.
    """
    return _runtime(wanted)[0]


def open_interpreter(
    content: bytes,
    name: str,
    *,
    threads: int = 1,
    backend: str | None = None,
    shapes: Mapping[int, Sequence[int]] | None = None,
    delegate: str | None = None,
    require_delegate: float | None = None,
) -> Interpreter:
    """Load a model.

    The caller has checked the bytes (`edgecnn.graph`): a runtime trusts a file more than it should, and a
    damaged one may end the process.

    Args:
        content: the `.tflite` file. Kept, never copied: the file on disk may change or vanish meanwhile.
        name: what to call the model in errors.
        threads: how many it may use, 1 or more.
        backend: one of `BACKENDS`; None takes the first that is installed.
        shapes: the size of an input, by position, where it differs from the file's.
        delegate: what computes, see `edgecnn.runtime.delegates.asked`; None: what the runtime takes.
        require_delegate: the share of operators that must run on it.

    Raises:
        ModelError: no runtime, or this one cannot load or allocate the model; the delegate cannot be loaded,
            or computes too little.
        MissingExtra: the runtime asked for is not installed.
    """
    if type(threads) is not int or threads < 1:
        raise ModelError(f"threads must be a whole number from 1, not {threads!r}")
    wanted, least = delegates.asked(delegate), delegates.share(require_delegate)
    chosen, module = _runtime(backend)
    opened = _TFLite(module, chosen, content, name, threads, shapes or {}, wanted)
    if least is not None or (wanted is not None and wanted.is_external):
        delegates.require(opened.delegation(), wanted, least, name)
    return opened


def _runtime(wanted: str | None) -> tuple[Backend, Any]:
    """The backend asked for, or the first that is installed, and its interpreter module."""
    if wanted is not None and wanted not in BACKENDS:
        raise ModelError(f"backend {wanted!r} is unknown; there are {', '.join(BACKENDS)}")
    there = installed()
    if wanted is not None and wanted not in there:
        if wanted == "tflite-runtime":
            raise MissingExtra("tflite-runtime", "tflite-runtime")
        raise ModelError("ai-edge-litert is not installed. Install it with: pip install ai-edge-litert")
    if not there:
        raise ModelError(
            "no TFLite runtime is installed. Install one with: pip install ai-edge-litert (a board without a "
            "wheel for it: pip install 'edgecnn[tflite-runtime]')"
        )
    name = wanted or there[0]
    package = _PACKAGES[name]
    try:
        version = str(getattr(import_module(package), "__version__", "unknown"))
        module = import_module(f"{package}.interpreter")
    except (ImportError, OSError, AttributeError) as error:  # OSError: a wheel for another C library
        raise ModelError(
            f"{name} is installed but cannot be imported ({_one_line(error)}). `edgecnn doctor` says why."
        ) from None
    if name == "tflite-runtime" and version.startswith(_NUMPY_1) and int(np.__version__.split(".")[0]) >= 2:
        # it imports, prints forty lines, and fails on the first model with a SystemError
        raise ModelError(
            f"tflite-runtime {version} needs NumPy below 2, but NumPy {np.__version__} is installed. "
            "pip install 'numpy<2', or pip install ai-edge-litert"
        )
    return Backend(name, version), module


class _TFLite:
    """LiteRT or tflite-runtime: they share one interface."""

    def __init__(
        self,
        module: Any,
        backend: Backend,
        content: bytes,
        name: str,
        threads: int,
        shapes: Mapping[int, Sequence[int]],
        wanted: Asked | None,
    ) -> None:
        self.backend = backend
        self.threads = threads
        self._name = name
        self._wanted = wanted
        words: dict[str, Any] = {}
        if wanted is not None and wanted.is_external:
            words["experimental_delegates"] = [delegates.open_delegate(wanted, module)]
        elif wanted is not None and wanted.name == delegates.NONE:
            words["experimental_op_resolver_type"] = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        try:
            self._interpreter = module.Interpreter(model_content=content, num_threads=threads, **words)
            # an external delegate takes its operators now, XNNPACK the others when tensors are allocated
            self._taken = sum(node["op_name"] == "DELEGATE" for node in self._nodes()) if words else 0
            for position, shape in shapes.items():
                index = self._interpreter.get_input_details()[position]["index"]
                self._interpreter.resize_tensor_input(index, list(shape))
            self._interpreter.allocate_tensors()
            self._inputs = [details["index"] for details in self._interpreter.get_input_details()]
            self._outputs = [details["index"] for details in self._interpreter.get_output_details()]
        except (ValueError, RuntimeError) as error:
            what = "cannot be loaded"
            what += f" with delegate {wanted.name}" if wanted is not None and wanted.is_external else ""
            raise ModelError(_explained(name, what, error)) from None

    def write(self, position: int, tensor: Array) -> None:
        # A copy of 3 µs for 150 kB. Writing into the interpreter's memory would save it, but a view that
        # survives in the traceback of somebody's exception makes every later invoke() fail.
        try:
            self._open().set_tensor(self._inputs[position], tensor)
        except ValueError as error:
            raise ModelError(_explained(self._name, "refused its input", error)) from None

    def invoke(self) -> None:
        try:
            self._open().invoke()
        except (ValueError, RuntimeError) as error:
            raise ModelError(_explained(self._name, "failed while running", error)) from None

    def read(self, position: int) -> Array:
        tensor: Array = self._open().get_tensor(self._outputs[position])
        return tensor

    def delegation(self) -> Delegation:
        return delegates.delegation(self._nodes(), self._outputs, self._wanted, self._taken)

    def close(self) -> None:
        self._interpreter = None

    def _nodes(self) -> Any:
        # The only account of the delegation that Python gets to see; the same in both runtimes.
        try:
            return self._open()._get_ops_details()
        except ValueError as error:  # such as a tensor's name that is not UTF-8
            raise ModelError(_explained(self._name, "does not tell its operators", error)) from None

    def _open(self) -> Any:
        if self._interpreter is None:
            raise ModelError(f"{self._name}: the model is closed. Load it again.")
        return self._interpreter


def _explained(name: str, what: str, error: Exception) -> str:
    """One line: the model, what happened, and what to do about it."""
    found = _UNRESOLVED.search(str(error))
    if found is None:
        other = "delegate" if "delegate" in what else "runtime"
        return f"{name} {what}: {_one_line(error)}. Convert the model again, or try another {other}."
    kind = found["custom"] or found["flex"]
    if kind == "edgetpu-custom-op":
        return (
            f"{name} is compiled for a Coral Edge TPU and cannot run on this processor. Use the file it was "
            "compiled from (its name has no _edgetpu), or a Coral device: delegate edgetpu."
        )
    if kind.startswith("Flex"):
        return (
            f"{name} needs TensorFlow's own operator {kind.removeprefix('Flex')}, which no device runtime "
            "has. Convert the model without SELECT_TF_OPS."
        )
    return (
        f"{name} needs the custom operator {kind!r}, which this runtime does not have. Use a build of the "
        "runtime with that operator, or convert the model without it."
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
