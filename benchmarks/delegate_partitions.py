"""What we say XNNPACK takes, beside what LiteRT really gives it: pieces, and the operators in each.

The interpreter's list of nodes shows what it did when it allocated its tensors: a delegate's node stands for
every operator that lies between its outputs and its inputs. Operators that nothing reads are in no such list,
and are left out on both sides. A file with a custom operator that LiteRT lacks cannot run, but its nodes tell
what was delegated before the interpreter gave up.

    python benchmarks/delegate_partitions.py --folder /tmp/zoo --shared ../shared/models
    python benchmarks/delegate_partitions.py net.tflite
    python benchmarks/delegate_partitions.py --operators    # every one-operator model, in each type
"""

import argparse
import contextlib
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from ai_edge_litert.interpreter import Interpreter
from one_op_models import models, of_type
from zoo_files import zoo_files

from calibration.observe import observe
from calibration.ranges import Ranges
from converters.micro import random_inputs
from converters.quantize import SCHEMES, quantize
from edgecnn.errors import ConversionError
from edgecnn.graph import Graph, read
from targets.partition import pieces
from targets.xnnpack import UNIT, judge

Pieces = tuple[frozenset[int], ...]

MORE = {
    "vgg16": ((32, 32, 3), 0.25, "zoo"),
    **{f"efficientnet_lite{number}": ((64, 64, 3), 1.0, "zoo") for number in (1, 2, 3, 4)},
    "mobilenet_v1": ((96, 96, 3), 0.25, "centroids"),
    "mobilenet_v2": ((96, 96, 3), 0.35, "detector"),
}
"""Networks of the zoo by name: shape of an image, width, and what they tell of it."""


def really(content: bytes) -> Pieces:
    """Operators in each piece that the default interpreter delegates.

    Raises:
        ValueError, RuntimeError: it cannot load the file, and delegated nothing.
    """
    interpreter = Interpreter(model_content=content)
    try:
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        if "unresolved custom op" not in str(error):
            raise
    nodes = interpreter._get_ops_details()
    plain = [node for node in nodes if node["op_name"] != "DELEGATE"]
    return tuple(_behind(node, plain) for node in nodes if node["op_name"] == "DELEGATE")


def _behind(delegate: dict[str, Any], plain: list[dict[str, Any]]) -> frozenset[int]:
    producer = {int(tensor): node for node in plain for tensor in node["outputs"]}
    ends = {int(tensor) for tensor in delegate["inputs"]}
    ahead, met = [int(tensor) for tensor in delegate["outputs"]], set()
    while ahead:
        tensor = ahead.pop()
        node = None if tensor in ends else producer.get(tensor)
        if node is not None and node["index"] not in met:
            met.add(int(node["index"]))
            ahead.extend(int(one) for one in node["inputs"])
    return frozenset(met)


def predicted(graph: Graph) -> Pieces:
    """Operators in each piece that we say is delegated, without those that nothing reads."""
    live = _live(graph)
    found = (frozenset(piece) & live for piece in pieces(graph, judge(graph), UNIT))
    return tuple(piece for piece in found if piece)


def _live(graph: Graph) -> frozenset[int]:
    wanted, found = set(graph.outputs), set()
    for op in reversed(graph.ops):
        if wanted & set(op.outputs):
            found.add(op.index)
            wanted.update(op.inputs)
    return frozenset(found)


def zoo(folder: Path) -> Iterator[Path]:
    """The zoo's networks in every scheme; integer ones with integers and with floats at their ends."""
    for path in (*zoo_files(folder), *more(folder)):
        yield path
        if not path.stem.endswith("_float32"):
            continue
        content = path.read_bytes()
        graph = read(content, path.name)
        images = [inputs[0] for inputs in random_inputs(graph, 8)]
        found = observe(content, images) | {graph.tensors[graph.inputs[0]].name: (-1.0, 1.0)}
        ranges = Ranges(found, "minmax", len(images), "")
        for scheme, told in SCHEMES.items():
            for end in told.ends or (None,):
                name = path.stem.replace("float32", scheme + (f"_{end}_ends" if end else ""))
                made = folder / f"{name}.tflite"
                try:
                    if not made.exists():
                        made.write_bytes(quantize(content, scheme, name=name, ranges=ranges, io=end))
                except ConversionError as error:  # an operator has no version in that scheme: no such file
                    print(f"not made: {error}", file=sys.stderr)
                    continue
                yield made


def more(folder: Path) -> Iterator[Path]:
    """What `zoo_files` leaves out, with fresh weights: the other networks, and both kinds of detectors."""
    for name, (shape, width, kind) in MORE.items():
        made = folder / f"{name}{'' if kind == 'zoo' else '_' + kind}_float32.tflite"
        if not made.exists():
            made.write_bytes(_floating(name, shape, width, kind))
        yield made


def _floating(name: str, shape: tuple[int, int, int], width: float, kind: str) -> bytes:
    from importlib import import_module

    from edgecnn.zoo.keras import tf

    builder = import_module("edgecnn.zoo" if kind == "zoo" else f"edgecnn.zoo.{kind}").build
    model = builder(name, input_shape=shape, classes=10, width=width)
    function = tf.function(lambda image: model(image, training=False))
    concrete = function.get_concrete_function(tf.TensorSpec((1, *shape), tf.float32, name="image"))
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete], model).convert())


def compare(paths: Iterable[Path]) -> bool:
    """Print one row for each file; whether all are equal."""
    print("| model | operators | predicted | real | equal |\n|---|---:|---|---|---|")
    tried = wrong = 0
    for path in paths:
        tried += 1
        graph = read(path)
        ours, theirs = predicted(graph), really(path.read_bytes())
        wrong += ours != theirs
        print(
            f"| {path.stem} | {len(graph.ops)} | {_told(ours)} | {_told(theirs)} | "
            f"{'yes' if ours == theirs else 'NO'} |",
            flush=True,
        )
    print(f"\n{tried - wrong} of {tried} equal: pieces, and which operators are in each")
    return not wrong


def _told(found: Pieces) -> str:
    sizes = ", ".join(str(len(piece)) for piece in found)
    return f"{len(found)}: {sizes}" if found else "0"


def operators() -> bool:
    """The same on every one-operator model that LiteRT loads; prints those that differ."""
    tried = wrong = taken = 0
    for name, content in (*models(), *of_type("float16")):
        with contextlib.suppress(RuntimeError, ValueError):  # LiteRT has no kernel for that type
            theirs = really(content)
            graph = read(content, name)
            ours = predicted(graph)
            tried += 1
            taken += bool(theirs)
            if ours != theirs:
                wrong += 1
                print(f"{name}: {_told(ours)} predicted, {_told(theirs)} real")
    print(f"{tried} one-operator models that LiteRT loads, {taken} delegated; {tried - wrong} as predicted")
    return not wrong


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", type=Path, help="default: networks of the zoo")
    parser.add_argument("--folder", type=Path, default=Path("zoo"), help="where their files are kept")
    parser.add_argument("--shared", type=Path, help="a folder of models to add, searched throughout")
    parser.add_argument("--operators", action="store_true", help="one-operator models instead")
    asked = parser.parse_args()
    if asked.operators:
        raise SystemExit(0 if operators() else 1)
    paths = asked.models or zoo(asked.folder)
    shared = sorted(asked.shared.rglob("*.tflite")) if asked.shared else []
    raise SystemExit(0 if compare(chain(paths, shared)) else 1)


if __name__ == "__main__":
    main()
