"""Delegates: other code than TFLite's own kernels that computes a model, or a part of it.

Knows the names, finds and loads the library, and says afterwards which operators really ran where. A delegate
that was asked for and does not work is an error; nothing here falls back to the processor in silence. What an
interpreter does with a delegate is `edgecnn.runtime.interpreter`'s.
"""

import ctypes
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from edgecnn.errors import ModelError

XNNPACK: Final = "xnnpack"
NONE: Final = "none"

_LIBRARIES: Final[Mapping[str, Mapping[str, str]]] = {
    "edgetpu": {"linux": "libedgetpu.so.1", "darwin": "libedgetpu.1.dylib", "win32": "edgetpu.dll"},
    "gpu": {"linux": "libtensorflowlite_gpu_delegate.so"},
    "nnapi": {},
}

_ADVICE: Final[Mapping[str, str]] = {
    "edgetpu": "Plug the Coral device in, install libedgetpu1-std; `edgecnn doctor` says what is missing.",
    "gpu": "No wheel of LiteRT has it: build TensorFlow's target "
    "//tensorflow/lite/delegates/gpu:libtensorflowlite_gpu_delegate.so and give its path.",
    "nnapi": "NNAPI is a part of Android; Python on Linux has none. Use xnnpack, or give the path of your "
    "hardware's delegate library.",
}
_ADVICE_PATH: Final = (
    "Give the path of a TFLite external delegate, as PATH.so or PATH.so:key=value;key2=value2."
)

NAMES: Final = (XNNPACK, NONE, *_LIBRARIES)
"""The delegates that have a name; any other is the path of a library."""

_FUNCTIONS: Final = ("tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate")
_WORD = re.compile(r"(?P<name>.+?)(?::(?P<options>[^:;=]+=.*))?", re.DOTALL)


@dataclass(frozen=True)
class Asked:
    """A delegate that was asked for.

    Attributes:
        name: one of `NAMES`, or the path of a library.
        options: what the library is told.
    """

    name: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_external(self) -> bool:
        """Whether it is a library of its own: not a part of the runtime."""
        return self.name not in (XNNPACK, NONE)


@dataclass(frozen=True)
class Delegation:
    """Which operators run on which kernels.

    Attributes:
        delegate: what was asked for: "xnnpack", a name or the path of a library; "none" where every operator
            runs on TFLite's own kernels.
        delegated: how many of the file's operators this delegate computes.
        operators: how many operators the file has.
        others: kinds of the operators that stay on TFLite's own kernels, in the order they run.
        partitions: in how many pieces the delegate computes its operators; between them, tensors travel.
        xnnpack: kinds of the operators that XNNPACK computes beside another delegate.
    """

    delegate: str
    delegated: int
    operators: int
    others: tuple[str, ...]
    partitions: int = 0
    xnnpack: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """The share of operators that the delegate computes, 0 to 1."""
        return self.delegated / self.operators if self.operators else 0.0

    @property
    def stayed(self) -> dict[str, int]:
        """How many operators of each kind the delegate does not compute, in the order they run first."""
        counted: dict[str, int] = {}
        for kind in (*self.xnnpack, *self.others):
            counted[kind] = counted.get(kind, 0) + 1
        return counted

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return {
            "delegate": self.delegate, "delegated": self.delegated, "operators": self.operators,
            "share": round(self.share, 4), "partitions": self.partitions, "stayed": self.stayed,
            "on_xnnpack": len(self.xnnpack), "on_builtin_kernels": len(self.others),
            "said": str(self),
        }  # fmt: skip

    def __str__(self) -> str:
        """One line: how many of the operators ran where."""
        if self.delegate == NONE:
            return f"{self.operators} of {self.operators} operators on built-in kernels"
        said = f"{self.delegated} of {self.operators} operators on {self.delegate}"
        said += f" in {self.partitions} parts" if self.partitions > 1 else ""
        said += f", {len(self.xnnpack)} on xnnpack" if self.xnnpack else ""
        return said + (f", {len(self.others)} on built-in kernels" if self.others and self.delegated else "")


def asked(word: str | None) -> Asked | None:
    """What a word asks for: `NAME` or `PATH.so`, either with `:key=value;key2=value2`.

    Raises:
        ModelError: it is no delegate.
    """
    if word is None:
        return None
    match = _WORD.fullmatch(word) if isinstance(word, str) else None
    if match is None:
        raise ModelError(f"delegate {word!r} is unknown; there are {', '.join(NAMES)}. {_ADVICE_PATH}")
    name, options = match["name"], {}
    if name not in NAMES and not re.search(r"\.(so|dylib|dll)(\.|$)|[/\\]", name):
        raise ModelError(f"delegate {name!r} is unknown; there are {', '.join(NAMES)}. {_ADVICE_PATH}")
    for pair in filter(None, (match["options"] or "").split(";")):
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise ModelError(f"delegate {name}: {pair!r} is no option. {_ADVICE_PATH}")
        options[key.strip()] = value.strip()
    if options and name in (XNNPACK, NONE):
        raise ModelError(f"delegate {name} takes no options. Set threads with threads=N or --threads N.")
    return Asked(name, options)


def share(required: float | None) -> float | None:
    """The share of operators that must run on the delegate, above 0 and up to 1; None: any.

    Raises:
        ModelError: it is no such share.
    """
    if required is not None and (isinstance(required, bool) or not 0 < required <= 1):
        raise ModelError(f"the share of operators a delegate must run is above 0 and up to 1, not {required}")
    return required


def open_delegate(wanted: Asked, module: Any) -> Any:
    """Load an external delegate.

    Args:
        wanted: which.
        module: the runtime's interpreter module.

    Raises:
        ModelError: it cannot be loaded: what was tried, what the system said, what to do.
    """
    advice = _ADVICE.get(wanted.name, _ADVICE_PATH)
    library = wanted.name
    if library in _LIBRARIES:
        there = _LIBRARIES[library].get(sys.platform)
        if there is None:
            raise ModelError(f"delegate {library}: there is none for {sys.platform}. {advice}")
        library = there
    elif not Path(library).is_file():
        raise ModelError(f"delegate {library}: there is no such file. {advice}")
    try:
        # looked at first: the runtimes leave half an object behind, which complains when it is collected
        found = ctypes.CDLL(library)
    except OSError as error:
        raise ModelError(f"delegate {_of(wanted, library)}: cannot be loaded ({error}). {advice}") from None
    missing = [function for function in _FUNCTIONS if not hasattr(found, function)]
    if missing:
        raise ModelError(
            f"delegate {_of(wanted, library)}: is no external delegate, it has no {missing[0]}. {advice}"
        )
    try:
        return module.load_delegate(library, dict(wanted.options))
    except (ValueError, RuntimeError) as error:
        said = " ".join(str(error).split("\n", 1)[-1].split()) or "it did not say why"
        raise ModelError(
            f"delegate {_of(wanted, library)}: was loaded, but cannot be created ({said}). {advice}"
        ) from None


def delegation(
    nodes: Sequence[Mapping[str, Any]], outputs: Sequence[int], wanted: Asked | None, first: int
) -> Delegation:
    """Which operators run where, as the runtime's list of nodes shows it.

    A replaced operator stays in the list, so what runs is what one meets walking back from the outputs, where
    a delegate's node, later in the list, hides the operators that used to make its tensors. What it replaces
    is what lies between its outputs and its inputs.

    Args:
        nodes: the runtime's, in order of "index".
        outputs: tensors of the model's outputs.
        wanted: the delegate that was asked for.
        first: how many of the delegates' nodes belong to an external delegate; they come first, XNNPACK's
            after them.
    """
    plain = [node for node in nodes if node["op_name"] != "DELEGATE"]
    replacing = [node for node in nodes if node["op_name"] == "DELEGATE"]
    met = _behind(outputs, (), nodes)
    others = tuple(str(node["op_name"]) for node in plain if node["index"] in met)
    running = [node for node in replacing if node["index"] in met]
    if wanted is None or not wanted.is_external:
        name = XNNPACK if running else NONE
        delegated = len(plain) - len(others) if running else 0
        return Delegation(name, delegated, len(plain), others, len(running))
    own = [node for node in running if node in replacing[:first]]
    xnnpack = {
        index
        for node in running
        if node not in own
        for index in _behind(node["outputs"], node["inputs"], plain)
    }
    return Delegation(
        wanted.name,
        len(plain) - len(others) - len(xnnpack),
        len(plain),
        others,
        len(own),
        tuple(str(node["op_name"]) for node in plain if node["index"] in xnnpack),
    )


def require(found: Delegation, wanted: Asked | None, least: float | None, model: str) -> None:
    """Refuse a delegate that computes less than it must; one of its own library at least one operator.

    Raises:
        ModelError: says which operators stayed behind, and how many.
    """
    name = found.delegate if wanted is None else wanted.name
    delegated = found.delegated if name == found.delegate else 0
    nothing = delegated == 0 and wanted is not None and wanted.is_external
    if not nothing and (least is None or delegated >= least * found.operators):
        return
    wants = f"{least:.0%} are required" if least is not None else "it would all run on the processor"
    kinds = ", ".join(f"{count} {kind}" for kind, count in found.stayed.items())
    stayed = f"; these stay behind: {kinds}" if kinds else ""
    raise ModelError(
        f"{model}: delegate {name} computes {delegated} of {found.operators} operators, but {wants}{stayed}. "
        f"Use a model made for it, or {'ask for less' if least is not None else 'leave the delegate out'}."
    )


def _behind(
    tensors: Sequence[int], until: Sequence[int], nodes: Sequence[Mapping[str, Any]]
) -> frozenset[int]:
    """Indices of the nodes that `tensors` are computed by, not looking behind those in `until`."""
    producer = {int(tensor): node for node in nodes for tensor in node["outputs"]}
    met: set[int] = set()
    ends = {int(tensor) for tensor in until}
    ahead = [int(tensor) for tensor in tensors]
    while ahead:
        tensor = ahead.pop()
        node = None if tensor in ends else producer.get(tensor)
        if node is not None and node["index"] not in met:
            met.add(node["index"])
            ahead.extend(int(one) for one in node["inputs"])
    return frozenset(met)


def _of(wanted: Asked, library: str) -> str:
    return wanted.name if wanted.name == library else f"{wanted.name} ({library})"
