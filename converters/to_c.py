"""A model as C++ source for a microcontroller: the file as an array, and what a program must know of it.

NAME.cc holds the bytes and the labels, NAME.h the sizes, the scales, and the list of operators for TFLite
Micro's MicroMutableOpResolver. Neither includes TFLite Micro, so they compile anywhere.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from converters.micro import random_inputs, run_micro
from edgecnn import archive, card, files
from edgecnn.card import Card
from edgecnn.errors import ConversionError
from edgecnn.graph import Graph, Tensor, read

_BYTES_IN_LINE: Final = 16
_ALIGNMENT: Final = 16
_KEYWORDS: Final = frozenset(
    """alignas auto bool break case catch char class const continue default delete do double else enum
    explicit export extern false float for friend goto if inline int long namespace new operator private
    protected public register return short signed sizeof static struct switch template this throw true try
    typedef typename union unsigned using virtual void volatile while""".split()  # noqa: SIM905  (eighty lines of one word each read worse)
)
# How MicroMutableOpResolver spells operators; the others are their words with a capital each.
# Source: tensorflow/lite/micro/micro_mutable_op_resolver.h, tensorflow/tflite-micro.
_SPELLED: Final = {
    "BATCH_MATMUL": "BatchMatMul", "CUMSUM": "CumSum", "PADV2": "PadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM",
    "TFLite_Detection_PostProcess": "DetectionPostprocess", "ethos-u": "EthosU",
}  # fmt: skip
_TYPES: Final = {
    "int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "int32": "int32_t", "float32": "float",
    "bool": "bool",
}  # fmt: skip


@dataclass(frozen=True)
class CSource:
    """What was written.

    Attributes:
        header: NAME.h.
        source: NAME.cc.
        arena_bytes: the constant in the header.
        operators: as the resolver spells them, "Conv2D", in alphabetical order.
    """

    header: Path
    source: Path
    arena_bytes: int
    operators: tuple[str, ...]


def to_c(
    model: Path, folder: Path, *, name: str = "", arena_bytes: int | None = None, force: bool = False
) -> CSource:
    """Write NAME.h and NAME.cc.

    Args:
        model: a `.tflite` file that TFLite Micro runs.
        folder: where they go.
        name: of files and symbols; "" takes the model's.
        arena_bytes: size of the arena; None measures it with TFLite Micro on this machine, which is enough
            for a 32-bit device with the reference kernels. A model compiled for an NPU needs it said.
        force: overwrite files that are there.

    Raises:
        ConversionError: a file is there already, the name is no C identifier, an input or output has a type
            that has no name in C, or TFLite Micro does not run the model.
        MissingExtra: tflite-micro is not installed, and no arena is given.
        ModelError: the model cannot be read.
    """
    symbol = name or re.sub(r"\W", "_", model.stem, flags=re.ASCII)
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", symbol) or symbol in _KEYWORDS:
        raise ConversionError(
            f"{symbol!r} is no name for C++: use letters, digits and _, and begin with a letter."
        )
    header, source = folder / f"{symbol}.h", folder / f"{symbol}.cc"
    for path in (header, source):
        if path.exists() and not force:
            raise ConversionError(
                f"{path} is there already. Choose another name, or overwrite it with --force."
            )
    content = archive.flatbuffer_bytes(model.read_bytes()) if model.is_file() else b""
    graph = read(model)
    ports = _ports(graph)
    said = "given"
    if arena_bytes is None:
        run = run_micro(content, random_inputs(graph, 1), name=str(model))
        arena_bytes = -(-run.arena.total_bytes // _ALIGNMENT) * _ALIGNMENT
        said = f"measured with tflite-micro {run.version}, reference kernels, on a 64-bit host"
    operators = resolver_names(graph)
    meaning = card.read(model)
    with files.replacing(header) as head, files.replacing(source) as body:
        head.write_text(
            "\n".join(
                _header(symbol, model.name, len(content), ports, arena_bytes, said, operators, meaning)
            ),
            encoding="utf-8",
        )
        body.write_text("\n".join(_source(symbol, content, meaning)), encoding="utf-8")
    return CSource(header, source, arena_bytes, operators)


def resolver_names(graph: Graph) -> tuple[str, ...]:
    """What the program registers: each operator once, as MicroMutableOpResolver spells it."""
    kinds = {op.label for part in graph.subgraphs for op in part.ops}
    return tuple(sorted(_spelled(kind) for kind in kinds))


def _spelled(kind: str) -> str:
    if kind in _SPELLED:
        return _SPELLED[kind]
    return "".join(word if word in ("2D", "3D") else word.capitalize() for word in kind.split("_"))


def _ports(graph: Graph) -> list[tuple[str, Tensor]]:
    """Names for the constants, and the tensors they tell of."""
    ports = []
    for word, indices in (("Input", graph.inputs), ("Output", graph.outputs)):
        for number, index in enumerate(indices):
            tensor = graph.tensors[index]
            if tensor.dtype not in _TYPES:
                raise ConversionError(
                    f"{graph.name}: {word.lower()} {tensor.name!r} is {tensor.dtype}, which C has not. "
                    "Convert the model to int8."
                )
            ports.append((f"{word}{number if len(indices) > 1 else ''}", tensor))
    return ports


def _header(
    symbol: str,
    file: str,
    size: int,
    ports: Sequence[tuple[str, Tensor]],
    arena: int,
    said: str,
    operators: Sequence[str],
    meaning: Card | None,
) -> Iterator[str]:
    prefix = "".join(word[:1].upper() + word[1:] for word in symbol.split("_"))
    guard = f"EDGECNN_{symbol.upper()}_H_"
    yield f"// Made by edgecnn from {_comment(file)}. Do not edit."
    yield f"#ifndef {guard}\n#define {guard}\n\n#include <cstddef>\n#include <cstdint>\n"
    yield f"extern const unsigned char {symbol}[];"
    yield f"constexpr std::size_t k{prefix}Bytes = {size};"
    yield f"// Tensor arena, {said}. CMSIS-NN kernels ask for more: look at arena_used_bytes()."
    yield f"constexpr std::size_t k{prefix}ArenaBytes = {arena};"
    for port, tensor in ports:
        yield f"\n// {_comment(tensor.name)}: {'x'.join(str(side) for side in tensor.shape) or 'scalar'}"
        yield f"using {prefix}{port}Type = {_TYPES[tensor.dtype]};"
        yield f"constexpr std::size_t k{prefix}{port}Elements = {tensor.elements};"
        if len(tensor.scale) == 1:
            yield f"constexpr float k{prefix}{port}Scale = {float(tensor.scale[0]):.9e}f;"
            yield f"constexpr int k{prefix}{port}ZeroPoint = {int(tensor.zero_point[0])};"
    if meaning is not None:
        yield from _pixels(prefix, meaning)
        yield f"\nconstexpr std::size_t k{prefix}LabelCount = {len(meaning.labels)};"
        if meaning.labels:
            yield f"extern const char* const {symbol}_labels[];"
    yield "\n// tflite::MicroMutableOpResolver<N>, with N at least this."
    yield f"constexpr unsigned int k{prefix}OperatorCount = {len(operators)};"
    yield f"template <typename Resolver>\nbool Add{prefix}Operators(Resolver& resolver) {{"
    added = " &&\n         ".join(f"resolver.Add{name}() == 0" for name in operators) or "true"
    yield f"  return {added};\n}}\n\n#endif  // {guard}\n"


def _pixels(prefix: str, meaning: Card) -> Iterator[str]:
    """How an image becomes the input, as the card says."""
    image = meaning.input
    yield f"\n// {image.color} image, {image.height} rows of {image.width}; (pixel - mean) / std of 0 to 255."
    for name, values in (("Mean", image.mean), ("Std", image.std)):
        listed = ", ".join(f"{value:.9e}f" for value in values)
        yield f"constexpr float k{prefix}{name}[] = {{{listed}}};"


def _source(symbol: str, content: bytes, meaning: Card | None) -> Iterator[str]:
    yield f'// Made by edgecnn. Do not edit.\n#include "{symbol}.h"\n'
    yield f"alignas({_ALIGNMENT}) extern const unsigned char {symbol}[] = {{"
    for start in range(0, len(content), _BYTES_IN_LINE):
        yield "  " + ", ".join(f"0x{byte:02x}" for byte in content[start : start + _BYTES_IN_LINE]) + ","
    yield "};\n"
    if meaning is not None and meaning.labels:
        yield f"extern const char* const {symbol}_labels[] = {{"
        for label in meaning.labels:
            yield f"  {_quoted(label)},"
        yield "};\n"


def _quoted(text: str) -> str:
    """A C string; every byte beyond ASCII as octal, which no following digit can join."""
    return '"' + "".join(_escaped(byte) for byte in text.encode("utf-8")) + '"'


def _escaped(byte: int) -> str:
    return f"\\{byte:03o}" if byte < 32 or byte > 126 or chr(byte) in '"\\?' else chr(byte)


def _comment(text: str) -> str:
    """Text that cannot end or continue a comment line."""
    return re.sub(r"[^ -~]|\\", "?", text)
