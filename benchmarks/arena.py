"""Predicted working memory beside what TFLite Micro and LiteRT really take.

TFLite Micro says it itself: its recording allocator, in the package tflite-micro. LiteRT does not, but every
tensor's address can be asked for (`Interpreter.tensor`), temporaries included; with the delegate switched off
they lie in one arena, and its extent is what LiteRT took.

    python benchmarks/arena.py --folder /tmp/zoo --shared ../shared/models
    python benchmarks/arena.py net.tflite
"""

import argparse
from pathlib import Path

from ai_edge_litert.interpreter import Interpreter, OpResolverType
from zoo_files import zoo_files

from converters.micro import random_inputs, run_micro
from edgecnn.errors import EdgecnnError
from edgecnn.graph import Graph, read
from targets.memory import memory

LIMIT = 0.10


def litert_arena(path: Path, graph: Graph) -> int:
    """Bytes between the first and the last that LiteRT's kernels write, without XNNPACK.

    Variables lie in an arena of their own, whose extent is added.
    """
    kind = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(str(path), experimental_op_resolver_type=kind, num_threads=1)
    interpreter.allocate_tensors()
    constant = {tensor.index for tensor in graph.tensors if tensor.is_constant}
    variable = {tensor.index for tensor in graph.tensors if tensor.is_variable}
    spans: dict[bool, list[tuple[int, int]]] = {False: [], True: []}
    for entry in interpreter.get_tensor_details():
        index = entry["index"]
        if index in constant:
            continue
        try:
            values = interpreter.tensor(index)()
        except ValueError:  # it has no memory: an optional tensor, or one that another took over
            continue
        if values.nbytes:
            address = values.__array_interface__["data"][0]
            spans[index in variable].append((address, address + values.nbytes))
    return sum(max(end for _, end in of) - min(start for start, _ in of) for of in spans.values() if of)


def micro_arena(path: Path, graph: Graph) -> int:
    return run_micro(path.read_bytes(), random_inputs(graph, 1), name=path.name).arena.total_bytes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", type=Path, help="default: networks of the zoo")
    parser.add_argument("--folder", type=Path, default=Path("zoo"), help="where their files are kept")
    parser.add_argument("--shared", type=Path, help="a folder of models to add, searched throughout")
    arguments = parser.parse_args()
    paths = arguments.models or list(zoo_files(arguments.folder))
    if arguments.shared:
        paths += sorted(arguments.shared.rglob("*.tflite"))
    worst = {"tflite_micro": 0.0, "litert": 0.0}
    count = dict.fromkeys(worst, 0)
    print("| model | runtime | predicted | real | ratio |\n|---|---|---:|---:|---:|")
    for path in paths:
        for runtime, measure in (("tflite_micro", micro_arena), ("litert", litert_arena)):
            try:
                graph = read(path)
                real, predicted = measure(path, graph), memory(graph, runtime=runtime).arena_bytes
            except (EdgecnnError, RuntimeError) as error:  # the runtime refuses the model
                reason = str(error).splitlines()[0].removeprefix(f"{path.name}: ")
                print(f"| {path.stem} | {runtime} | - | - | {reason[:70]} |")
                continue
            worst[runtime] = max(worst[runtime], abs(predicted / real - 1))
            count[runtime] += 1
            print(
                f"| {path.stem} | {runtime} | {predicted:,} | {real:,} | {predicted / real:.4f} |", flush=True
            )
    for runtime, apart in worst.items():
        verdict = "within" if apart <= LIMIT else "NOT within"
        print(f"{runtime}: {count[runtime]} models, at most {apart:.2%} off, {verdict} {LIMIT:.0%}")


if __name__ == "__main__":
    main()
