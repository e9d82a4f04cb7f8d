"""What a `.keras` or `.h5` file says it will do when loaded, and whether that is only building layers.

Loading such a file builds whatever its config names: modules are imported, functions called with arguments
from the file (CVE-2025-1550), pickles read (from `.npz` weights), other files opened (CVE-2025-12058). So the
config is walked first, and only what Keras itself builds networks from passes. Nothing is executed here.
"""

import builtins
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from converters import hdf5_file
from edgecnn.errors import ConversionError

_MEMBERS = {"config.json", "metadata.json", "model.weights.h5"}
_MAX_CONFIG_BYTES = 64 * 2**20
_BUILDS_NETWORKS = re.compile(
    r"(tf_)?keras(\.src)?(\.(layers|models|engine|initializers|regularizers|constraints|activations"
    r"|dtype_policies|mixed_precision)(\..*)?)?"
)
_RUNS_CODE = {
    "Lambda": "runs Python code from the file",
    "__lambda__": "is Python code in the file",
    "TFSMLayer": "loads another model from a path",
    **dict.fromkeys(("StringLookup", "IntegerLookup", "TextVectorization"), "may read its words from a path"),
    **dict.fromkeys(("TorchModuleWrapper", "JaxLayer", "FlaxLayer"), "holds a network of another framework"),
    "TensorFlowOpLayer": "runs an operation of TensorFlow that the file describes",
}
# Calls of TensorFlow functions inside a Keras 2 model. Others than these may reach for files.
_CALLS = ("TFOpLambda", "SlicingOpLambda", "ClassMethod")
_ARITHMETIC = re.compile(
    r"(math|nn|__operators__)\.\w+|reshape|concat|clip_by_value|cast|pad|transpose|squeeze|expand_dims"
    r"|quantization\.fake_quant_with_min_max_args"
)

FAKE_QUANTIZATION = "quantization.fake_quant_with_min_max_args"
"""The function that Keras' config names at each rounding."""


def keras_version(path: Path) -> str:
    """The version of Keras that wrote the file, such as "2.21.0", once the file is known to be harmless.

    Raises:
        ConversionError: no such file, damaged, not a Keras model, or one whose loading would run code.
    """
    is_archive = not hdf5_file.is_hdf5(path)
    config, version = _read(path) if is_archive else hdf5_file.read_config(path)
    for entry in _objects(config):
        if reason := _refusal(entry):
            raise ConversionError(
                f"{path}: {_name(entry)!r} {reason}, so the model is not loaded. Build it from standard "
                "Keras layers, such as Rescaling or Activation, and save it again."
            )
    if not isinstance(version, str) or version.split(".")[0] not in ("2", "3"):
        raise ConversionError(
            f"{path}: written by Keras {version!r}; Keras 2 and 3 can be read. Save it again."
        )
    if is_archive:
        with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as weights:
            hdf5_file.check_own(weights, str(path))
    return version


def is_quantization_aware(path: Path) -> bool:
    """Whether a `.keras` file, or a run's, holds a network that was trained quantization-aware.

    Looks into the config only; no model is built. False for what is no such archive.
    """
    path = path / "model.keras" if path.is_dir() else path
    try:
        with zipfile.ZipFile(path) as archive:
            config = archive.read("config.json")
            if FAKE_QUANTIZATION.encode() not in config:
                return False
            layers = json.loads(config)["config"]["layers"]
            return any(_function(layer) == FAKE_QUANTIZATION for layer in layers)
    except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError, NotImplementedError):
        return False


def _read(path: Path) -> tuple[Any, Any]:
    """Config and version of an archive whose checksums are right and that holds nothing unexpected."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            unread = _unread({info.filename for info in infos})
            if unread is None:
                if any(info.flag_bits & 1 for info in infos):
                    raise zipfile.BadZipFile("encrypted")
                damaged = archive.testzip()
                if damaged is not None:
                    raise zipfile.BadZipFile(f"{damaged} fails its checksum")
                config, metadata = _json(archive, "config.json"), _json(archive, "metadata.json")
                return config, metadata.get("keras_version") if isinstance(metadata, dict) else None
    except FileNotFoundError:
        raise ConversionError(f"{path}: there is no such file. Give a run that was trained.") from None
    except OSError as error:
        raise ConversionError(f"{path}: cannot be read ({error.strerror})") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise ConversionError(
            f"{path}: damaged, not readable as a Keras model ({error}). Copy it again, or train again."
        ) from None
    raise ConversionError(f"{path}: {unread}. Save the model again with model.save().")


def _unread(names: set[str]) -> str | None:
    """Why an archive with these members is not read; None where it may be."""
    if missing := sorted(_MEMBERS - names):
        return f"not a Keras 2 or 3 model: there is no {missing[0]} in it"
    if more := sorted(names - _MEMBERS):
        return f"holds {more[0]!r}, which a network of standard layers does not need and which is not read"
    return None


def _json(archive: zipfile.ZipFile, name: str) -> Any:
    size = archive.getinfo(name).file_size
    if size > _MAX_CONFIG_BYTES:
        raise ValueError(f"{name} has {size} bytes")
    try:
        return json.loads(archive.read(name))
    except RecursionError:
        raise ValueError(f"{name} is nested too deeply") from None


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in the config but those that only training needs; they are not built."""
    ahead = [value]
    while ahead:
        entry = ahead.pop()
        if isinstance(entry, dict):
            yield entry
            ahead.extend(part for key, part in entry.items() if key != "compile_config")
        elif isinstance(entry, list):
            ahead.extend(entry)


def _refusal(entry: dict[str, Any]) -> str | None:
    """Why an object must not be built; None where it may."""
    kind, module, config = entry.get("class_name"), entry.get("module"), entry.get("config")
    registered = entry.get("registered_name")
    if isinstance(kind, str) and ">" in kind:  # where an .h5 keeps what is registered
        registered = kind
    if kind in _RUNS_CODE:
        return _RUNS_CODE[str(kind)]
    if kind == "function":
        if not isinstance(config, str) or hasattr(builtins, config):
            return "is a function that is no activation"
        if module not in (None, "builtins") and not re.fullmatch(
            r"(tf_)?keras(\.src)?\.activations.*", str(module)
        ):
            return f"is a function from {module!r}, where no activation is"
        return None
    if module is not None and not _BUILDS_NETWORKS.fullmatch(str(module)):
        return f"comes from the module {module!r}, whose code is not run"
    if isinstance(registered, str) and ">" in registered and not registered.startswith("keras>"):
        return f"is a class of someone's own ({registered})"
    if kind in _CALLS:
        function = config.get("function") if isinstance(config, dict) else None
        if not isinstance(function, str) or not _ARITHMETIC.fullmatch(function):
            return f"calls tf.{function}, which is not known to be arithmetic"
    return None


def _name(entry: dict[str, Any]) -> str:
    """What the person who built the model calls the object."""
    config = entry.get("config")
    named = config.get("name") if isinstance(config, dict) else config if isinstance(config, str) else None
    return str(named or entry.get("class_name"))


def _function(layer: Any) -> Any:
    """The TensorFlow function that a layer of the config calls; None of an ordinary layer."""
    return layer["config"].get("function") if layer["class_name"] == "TFOpLambda" else None
