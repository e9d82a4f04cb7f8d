"""What TFLite Micro and Vela make of int8 models: equal outputs, arena, cycles, memory, and who runs what.

TFLite Micro's outputs are compared with those of LiteRT's reference kernels, over random inputs of the whole
int8 range. Vela's cycles and times are its own estimate, with its default memories.

    python benchmarks/micro_and_vela.py --folder /tmp/zoo --configs ethos-u55-128 ethos-u65-256
    python benchmarks/micro_and_vela.py net.tflite --inputs 64
    python benchmarks/micro_and_vela.py --operators     # both judges on every one-operator model
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from one_op_models import models
from zoo_files import zoo_files

from converters.micro import compare_with_litert, random_inputs, run_micro
from converters.to_ethosu import CONFIGS, compile_ethosu
from edgecnn.errors import ConversionError, EdgecnnError
from edgecnn.graph import Graph, read
from targets import ethos_u, tflite_micro
from targets.verdict import NOWHERE


def networks(paths: list[Path], configs: list[str], inputs: int) -> None:
    print("| model | equal outputs | largest difference | arena | persistent |\n|---|---:|---:|---:|---:|")
    for path in paths:
        content = path.read_bytes()
        try:
            found = compare_with_litert(
                content, random_inputs(read(content, path.name), inputs), name=path.name
            )
        except EdgecnnError as error:
            print(f"| {path.stem} | - | - | - | {error} |")
            continue
        arena = found.arena
        print(
            f"| {path.stem} | {found.equal} of {found.values} | {found.largest:g} | {arena.total_bytes:,} | "
            f"{arena.persistent_bytes:,} |",
            flush=True,
        )
    print("\n| model | NPU | operators on NPU | cycles | ms | SRAM | DRAM | flash | judge |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---|")
    for path in paths:
        for config in configs:
            try:
                _, report = compile_ethosu(path, config=config)
            except EdgecnnError as error:
                print(f"| {path.stem} | {config} | {error} |")
                continue
            wrong = ethos_u.mispredicted(report, ethos_u.judge(read(path)))
            print(
                f"| {path.stem} | {config} | {report.operators - len(report.on_cpu)} of {report.operators} | "
                f"{report.cycles:,} | {report.inference_ms:.2f} | {report.sram_bytes:,} | "
                f"{report.dram_bytes:,} | {report.flash_bytes:,} | "
                f"{'agrees' if not wrong else f'differs on {wrong}'} |",
                flush=True,
            )


def operators() -> None:
    """Judges beside the interpreter and the compiler, on every one-operator model."""
    tried = dict.fromkeys(("tflite_micro", "ethos_u"), 0)
    refused = 0
    with TemporaryDirectory() as folder:
        path = Path(folder) / "one.tflite"
        for name, content in models():
            graph = read(content, name)
            if len(graph.ops) != 1 or len(graph.subgraphs) > 1:
                continue
            says = tflite_micro.judge(graph)[0].unit != NOWHERE
            tried["tflite_micro"] += 1
            try:
                run_micro(content, [_zeros(graph)], name=name)
                runs = True
            except ConversionError as error:
                runs, why = False, str(error)
            if says != runs:
                print(f"tflite_micro {name}: we say {says}; {'it runs' if runs else why}", flush=True)
            path.write_bytes(content)
            try:
                _, report = compile_ethosu(path, config="ethos-u55-128")
            except ConversionError:  # Vela stops on some operators, instead of leaving them to the Cortex-M
                refused += 1
                if (verdict := ethos_u.judge(graph)[0]).unit != NOWHERE:
                    print(f"ethos_u {name}: {verdict}; Vela stops", flush=True)
                continue
            tried["ethos_u"] += 1
            if wrong := ethos_u.mispredicted(report, ethos_u.judge(graph)):
                print(f"ethos_u {name}: {ethos_u.judge(graph)[wrong[0]]}; Vela: {report.on_cpu}", flush=True)
    print(f"{tried} models judged; Vela stopped on {refused} more")


def _zeros(graph: Graph) -> tuple[np.ndarray, ...]:
    """Inputs that are within the bounds of every operator that looks something up."""
    tensors = [graph.tensors[index] for index in graph.inputs]
    return tuple(np.zeros(tensor.shape, tensor.dtype) for tensor in tensors)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", type=Path, help="default: int8 networks of the zoo")
    parser.add_argument("--folder", type=Path, default=Path("zoo"), help="where their files are kept")
    parser.add_argument("--configs", nargs="+", default=["ethos-u55-128"], choices=CONFIGS)
    parser.add_argument("--inputs", type=int, default=32, help="how many random inputs (default: 32)")
    parser.add_argument("--operators", action="store_true", help="judges on one-operator models instead")
    arguments = parser.parse_args()
    if arguments.operators:
        operators()
        return
    paths = arguments.models or [path for path in zoo_files(arguments.folder) if "int8" in path.stem]
    networks(paths, arguments.configs, arguments.inputs)


if __name__ == "__main__":
    main()
