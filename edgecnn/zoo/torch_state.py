"""Reads weights that PyTorch saved in its legacy format, without PyTorch and without unpickling.

A legacy file is five pickles (magic number, protocol, system, the state dict, the list of storage keys),
then for each storage its length and its raw values (torch/serialization.py, `_legacy_save`). A pickle is a
program; this module runs the few instructions that a state dict needs, on inert values only: it imports
nothing, calls nothing, and refuses every other instruction before looking at its argument. What the tensors
mean is left to `edgecnn.zoo.pretrained`.
"""

import io
import math
import pickletools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.errors import DataError

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
MAX_FILE_BYTES = 2**30
MAX_INSTRUCTIONS = 250_000  # a state dict takes about 35 for each of its tensors

ORDERED_DICT = "collections OrderedDict"
REBUILD_TENSOR = "torch._utils _rebuild_tensor_v2"
STORAGES: dict[str, np.dtype[Any]] = {
    "torch FloatStorage": np.dtype("<f4"),
    "torch DoubleStorage": np.dtype("<f8"),
    "torch HalfStorage": np.dtype("<f2"),
    "torch IntStorage": np.dtype("<i4"),
    "torch LongStorage": np.dtype("<i8"),
}
GLOBALS = frozenset({ORDERED_DICT, REBUILD_TENSOR, *STORAGES})

INSTRUCTIONS = {
    op.code.encode("latin-1"): op
    for op in pickletools.opcodes
    if op.name
    in {
        "PROTO", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1",
        "BINUNICODE", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "APPEND", "APPENDS",
        "EMPTY_DICT", "SETITEM", "SETITEMS", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET",
        "GLOBAL", "REDUCE", "BUILD", "BINPERSID",
    }
}  # fmt: skip


class _Malformed(ValueError):  # noqa: N818  (never leaves this module)
    """What is wrong, without the file's name."""


@dataclass(frozen=True)
class _Global:
    name: str  # "module attribute", a name and nothing else


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype[Any]
    length: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_state(path: Path) -> dict[str, npt.NDArray[Any]]:
    """All tensors of a state dict, by name.

    Args:
        path: a `.pth` file of at most 1 GiB, of an untrusted origin if need be.

    Returns:
        Read-only arrays, float32, float64, float16, int32 or int64, that share the memory of the file.

    Raises:
        DataError: the file cannot be read, is of another format, damaged, or asks for anything but tensors.
    """
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise DataError(f"{path}: has {size} bytes, more than the {MAX_FILE_BYTES} of any weight file")
        return _parse(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except _Malformed as error:
        raise DataError(f"{path}: {error}") from error


def _parse(data: bytes) -> dict[str, npt.NDArray[Any]]:
    if data.startswith(b"PK\x03\x04"):
        raise _Malformed(
            "is in PyTorch's newer zip format; save it with torch.save(state, file, "
            "_use_new_zipfile_serialization=False)"
        )
    if not data.startswith(b"\x80"):  # PROTO, as every pickle since protocol 2
        raise _Malformed("is no PyTorch weight file")
    file = io.BytesIO(data)
    if not _is(_run(file), MAGIC):
        raise _Malformed("is no PyTorch weight file: the magic number is missing")
    if not _is(_run(file), PROTOCOL):
        raise _Malformed(f"is not in PyTorch's legacy protocol {PROTOCOL}")
    system = _run(file)
    if type(system) is not dict or system.get("little_endian") is not True:
        raise _Malformed("was not saved on a little-endian machine")
    state, keys = _run(file), _run(file)
    if type(state) is not dict or type(keys) is not list:
        raise _Malformed("holds no state dict: save model.state_dict(), not the model")
    for name, tensor in state.items():
        if type(tensor) is not _Tensor:
            raise _Malformed(f"entry {name[:80]!r} is no tensor: save model.state_dict() alone")
    tensors: dict[str, _Tensor] = state
    values = _read_storages(data, file.tell(), keys, [tensor.storage for tensor in tensors.values()])
    return {name: _view(name, tensor, values[tensor.storage.key]) for name, tensor in tensors.items()}


def _read_storages(
    data: bytes, start: int, keys: list[Any], storages: list[_Storage]
) -> dict[str, npt.NDArray[Any]]:
    declared: dict[str, _Storage] = {}
    for storage in storages:
        if declared.setdefault(storage.key, storage) != storage:
            raise _Malformed(f"declares storage {storage.key[:80]!r} twice, differently")
    if not all(type(key) is str for key in keys) or len(set(keys)) != len(keys) or set(keys) != set(declared):
        raise _Malformed("lists other storages than its tensors use")
    values = {}
    for key in keys:
        storage = declared[key]
        length = int.from_bytes(data[start : start + 8], "little", signed=True)
        start += 8
        end = start + length * storage.dtype.itemsize
        if length != storage.length or end > len(data):
            raise _Malformed(f"is cut short or damaged in storage {key[:80]!r}")
        values[key] = np.frombuffer(data, storage.dtype, count=length, offset=start)
        start = end
    if start != len(data):
        raise _Malformed(f"has {len(data) - start} bytes after its last storage")
    return values


def _view(name: str, tensor: _Tensor, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    reach = sum((side - 1) * step for side, step in zip(tensor.shape, tensor.strides, strict=True))
    # More elements than the storage has would overlap: a small file could ask for a huge array.
    if math.prod(tensor.shape) > len(values) or tensor.offset + reach >= len(values):
        raise _Malformed(f"tensor {name[:80]!r} reaches beyond its storage")
    item = tensor.storage.dtype.itemsize
    return np.lib.stride_tricks.as_strided(
        values[tensor.offset :], tensor.shape, tuple(step * item for step in tensor.strides), writeable=False
    )


def _run(file: io.BytesIO) -> Any:
    """Execute one pickle up to its STOP; the value it leaves."""
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    for _ in range(MAX_INSTRUCTIONS):
        name, argument = _fetch(file)
        match name:
            case "PROTO":
                pass
            case "STOP":
                return _pop(stack)
            case "MARK":
                marks.append(len(stack))
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINUNICODE":
                stack.append(argument)
            case "EMPTY_TUPLE" | "EMPTY_LIST" | "EMPTY_DICT":
                stack.append({"EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict}[name]())
            case "TUPLE":
                stack.append(tuple(_pop_to_mark(stack, marks)))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(reversed([_pop(stack) for _ in range(int(name[-1]))])))
            case "APPEND" | "APPENDS":
                items = [_pop(stack)] if name == "APPEND" else _pop_to_mark(stack, marks)
                _top(stack, list).extend(items)
            case "SETITEM" | "SETITEMS":
                items = [_pop(stack), _pop(stack)][::-1] if name == "SETITEM" else _pop_to_mark(stack, marks)
                _set(_top(stack, dict), items)
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = _top(stack, object)
            case "BINGET" | "LONG_BINGET":
                if argument not in memo:
                    raise _Malformed(f"recalls value {argument}, which it never stored")
                stack.append(memo[argument])
            case "GLOBAL":
                if argument not in GLOBALS:
                    raise _Malformed(f"asks to import {argument[:80]!r}: refused, only tensors are read")
                stack.append(_Global(argument))
            case "BINPERSID":
                stack.append(_storage(_pop(stack)))
            case "REDUCE":
                arguments, function = _pop(stack), _pop(stack)
                stack.append(_call(function, arguments))
            case "BUILD":
                _pop(stack)  # the state dict's own attributes (versions of modules): of no use here
                _top(stack, dict)
    raise _Malformed(f"takes more than {MAX_INSTRUCTIONS} instructions")


def _fetch(file: io.BytesIO) -> tuple[str, Any]:
    code = file.read(1)
    if code not in INSTRUCTIONS:
        what = f"pickle instruction {code!r} at byte {file.tell() - 1}" if code else "the end of the file"
        raise _Malformed(f"is no state dict or damaged: {what} is not expected")
    instruction = INSTRUCTIONS[code]
    try:
        return instruction.name, None if instruction.arg is None else instruction.arg.reader(file)
    except ValueError as error:  # pickletools' readers: cut short, or no UTF-8
        raise _Malformed(f"is cut short or damaged at byte {file.tell()}") from error


def _pop(stack: list[Any]) -> Any:
    if not stack:
        raise _Malformed("is damaged: it takes a value from an empty stack")
    return stack.pop()


def _pop_to_mark(stack: list[Any], marks: list[int]) -> list[Any]:
    if not marks:
        raise _Malformed("is damaged: it returns to a mark it never set")
    mark = marks.pop()
    items = stack[mark:]
    del stack[mark:]
    return items


def _top(stack: list[Any], kind: type) -> Any:
    if not stack or not isinstance(stack[-1], kind):
        raise _Malformed(f"is damaged: it needs a {kind.__name__} where there is none")
    return stack[-1]


def _set(target: dict[str, Any], items: list[Any]) -> None:
    names, values = items[::2], items[1::2]
    if len(names) != len(values) or not all(type(name) is str for name in names):
        raise _Malformed("is no state dict or damaged: the keys of a dict must be texts")
    target.update(zip(names, values, strict=True))


def _call(function: Any, arguments: Any) -> Any:
    """What the two functions that a state dict calls would give."""
    if type(function) is _Global and type(arguments) is tuple:
        if function.name == ORDERED_DICT and not arguments:
            return {}
        if function.name == REBUILD_TENSOR and len(arguments) == 6:
            return _tensor(*arguments[:4])
    raise _Malformed("is no state dict or damaged: it calls something with arguments of another kind")


def _storage(key: Any) -> _Storage:
    if type(key) is tuple and len(key) == 6:
        tag, kind, name, _device, length, view = key
        if (
            _is(tag, "storage")
            and type(kind) is _Global
            and kind.name in STORAGES
            and type(name) is str
            and _is_size(length)
            and length > 0
            and view is None
        ):
            return _Storage(name, STORAGES[kind.name], length)
    raise _Malformed("is no state dict or damaged: a storage is described in an unknown way")


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> _Tensor:
    if (
        type(storage) is _Storage
        and _is_size(offset)
        and type(shape) is tuple
        and type(strides) is tuple
        and len(shape) == len(strides) <= 8
        and all(_is_size(n) for n in (*shape, *strides))
        and 0 not in shape
    ):
        return _Tensor(storage, offset, shape, strides)
    raise _Malformed("is no state dict or damaged: a tensor is described in an unknown way")


def _is(value: Any, expected: int | str) -> bool:
    return type(value) is type(expected) and value == expected


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_FILE_BYTES
