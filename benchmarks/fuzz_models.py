"""Which broken models kill the process, and does `edgecnn.graph.check` refuse every one of them?

    python benchmarks/fuzz_models.py --seeds ../shared/models --count 5000 --seed 1 --keep survivors/

Every mutant is a structurally valid .tflite with one to three fields changed: an index, a shape, a type, a
scale, an option, an operator. A child process checks it, and runs what passes with and without the default
delegate; a child that dies or hangs is replaced, and the mutant counted. Prints one line per killer, then the
totals; exits 1 if there were killers that `check` let pass. With --all the refused ones are run too, which
tells what the check is worth.
"""

import argparse
import copy
import json
import os
import random
import resource
import select
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

INTEGERS = (-(2**31), -65536, -7, -2, -1, 0, 1, 2, 3, 5, 7, 31, 255, 256, 4097, 65536, 2**20, 2**31 - 1)
FLOATS = (0.0, -1.0, 1.0, 1e-30, 1e30, 3e38, float("nan"), float("inf"), float("-inf"), 0.5, 256.0)
PATIENCE_S = 20.0
MEMORY_BYTES = 6 * 2**30


# ---- mutating


def pick_integer(rng: random.Random) -> int:
    """An integer that tends to hurt."""
    return rng.choice(INTEGERS) if rng.random() < 0.7 else rng.randrange(-9, 40)


def replaced(values: Any, place: int, value: Any) -> Any:
    """The list with one element changed."""
    changed = [] if values is None else list(values)
    if changed:
        changed[place % len(changed)] = value
    return changed


def resized(values: Any, rng: random.Random, filler: Any) -> Any:
    """The list with one element less or more, or none, or gone."""
    changed = [] if values is None else list(values)
    way = rng.randrange(4)
    if way == 0 and changed:
        del changed[rng.randrange(len(changed))]
    elif way == 1:
        changed.insert(rng.randrange(len(changed) + 1), filler)
    elif way == 2:
        changed = []
    else:
        return None
    return changed


def change_list(values: Any, rng: random.Random, filler: Any) -> Any:
    """One element changed, or the length."""
    if rng.random() < 0.65 and values is not None and len(values):
        return replaced(values, rng.randrange(len(values)), filler)
    return resized(values, rng, filler)


def a_tensor(graph: Any, rng: random.Random) -> int:
    """An index that may stand where a tensor is expected."""
    count = len(graph.tensors or [])
    way = rng.random()
    if way < 0.25:
        return -1
    if way < 0.9 and count:
        return rng.randrange(count)
    return rng.choice([count, count + 5, -2, 2**31 - 1])


def mutate_wiring(model: Any, rng: random.Random) -> str:
    """Inputs and outputs of an operator or of the graph."""
    graph = rng.choice(model.subgraphs)
    target = rng.choice(
        [graph, *(graph.operators or [])] if rng.random() < 0.3 else (graph.operators or [graph])
    )
    names = ["inputs", "outputs"] + (["intermediates"] if target is not graph and rng.random() < 0.1 else [])
    name = rng.choice(names)
    setattr(target, name, change_list(getattr(target, name), rng, a_tensor(graph, rng)))
    return f"{type(target).__name__}.{name}"


def mutate_options(model: Any, rng: random.Random) -> str:
    """One setting of an operator, or its whole options."""
    from ai_edge_litert import schema_py_generated as schema

    graph = rng.choice(model.subgraphs)
    if not graph.operators:
        return "nothing"
    operator = rng.choice(graph.operators)
    way = rng.random()
    if operator.customOptions is not None and way < 0.6:
        data = bytearray(bytes(np.asarray(operator.customOptions, np.uint8)))
        if rng.random() < 0.3 or not data:
            operator.customOptions = None if rng.random() < 0.5 else []
        elif rng.random() < 0.3:
            operator.customOptions = list(data[: rng.randrange(len(data))])
        else:
            data[rng.randrange(len(data))] = rng.randrange(256)
            operator.customOptions = list(data)
        return "customOptions"
    if way < 0.1:
        operator.builtinOptions, operator.builtinOptionsType = None, 0
        return "options removed"
    if way < 0.16:
        name = rng.choice(list(vars(schema.BuiltinOptions)))
        if name[0] != "_" and name != "NONE":
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
            operator.builtinOptions = getattr(schema, name + "T")()
        return f"options -> {name}"
    settings = [name for name in vars(operator.builtinOptions or object) if name[0] != "_"]
    if not settings:
        return "nothing"
    name = rng.choice(settings)
    value = getattr(operator.builtinOptions, name)
    if isinstance(value, bool):
        value = not value
    elif isinstance(value, float):
        value = rng.choice(FLOATS)
    elif isinstance(value, int):
        value = pick_integer(rng)
        if any(
            word in name.lower() for word in ("padding", "activation", "format", "type", "mode", "outtype")
        ):
            value = value % 7 if rng.random() < 0.7 else value % 256 - 128
    elif isinstance(value, bytes | str) or value is None:
        return "nothing"
    else:
        value = change_list(value, rng, pick_integer(rng))
    setattr(operator.builtinOptions, name, value)
    return f"{type(operator.builtinOptions).__name__}.{name}={value}"


def mutate_code(model: Any, rng: random.Random) -> str:
    """Which operator it is."""
    code = rng.choice(model.operatorCodes)
    if rng.random() < 0.2:
        code.version = rng.choice([0, 1, 2, 3, 5, 9, 99, -1])
        return f"version {code.version}"
    number = rng.randrange(0, 162) if rng.random() < 0.9 else rng.randrange(162, 215)
    code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
    return f"operator {number}"


def mutate_tensor(model: Any, rng: random.Random) -> str:
    """Shape, type, buffer, variable flag of a tensor."""
    graph = rng.choice(model.subgraphs)
    if not graph.tensors:
        return "nothing"
    tensor = rng.choice(graph.tensors)
    way = rng.randrange(10)
    if way < 5:
        value = rng.choice([0, 1, 2, 3, 5, 17, 255]) if rng.random() < 0.8 else pick_integer(rng)
        tensor.shape = change_list(tensor.shape, rng, value)
        return f"shape {tensor.shape}"
    if way < 7:
        tensor.type = rng.randrange(0, 23) if rng.random() < 0.9 else rng.randrange(-128, 128)
        return f"type {tensor.type}"
    if way < 9:
        tensor.buffer = rng.randrange(len(model.buffers)) if rng.random() < 0.9 and model.buffers else 99999
        return f"buffer {tensor.buffer}"
    if tensor.sparsity is not None:
        return mutate_sparsity(tensor.sparsity, rng)
    if rng.random() < 0.6:
        tensor.isVariable = not tensor.isVariable
        return "variable"
    tensor.shapeSignature = change_list(tensor.shape, rng, rng.choice([-1, 0, 7, -2]))
    return "signature"


def mutate_sparsity(sparsity: Any, rng: random.Random) -> str:
    """One number of a compressed tensor's lists."""
    levels = sparsity.dimMetadata
    way = rng.randrange(4)
    if way == 0:
        name = rng.choice(["traversalOrder", "blockMap"])
        setattr(sparsity, name, change_list(getattr(sparsity, name), rng, rng.randrange(-1, 5)))
    elif way == 1 and levels:
        rng.choice(levels).denseSize = pick_integer(rng)
    elif way == 2 and levels:
        sparsity.dimMetadata = resized(levels, rng, rng.choice(levels))
    else:
        lists = [level for level in levels or [] if level.arraySegments is not None]
        if lists:
            part = rng.choice([lists[0].arraySegments, lists[0].arrayIndices])
            part.values = change_list(part.values, rng, pick_integer(rng))
    return "sparsity"


def mutate_quantization(model: Any, rng: random.Random) -> str:
    """Scale, zero point, dimension."""
    from ai_edge_litert import schema_py_generated as schema

    graph = rng.choice(model.subgraphs)
    if not graph.tensors:
        return "nothing"
    tensor = rng.choice(graph.tensors)
    if tensor.quantization is None or rng.random() < 0.1:
        keep = tensor.quantization is None
        tensor.quantization = (
            schema.QuantizationParametersT(scale=[rng.choice(FLOATS)], zeroPoint=[0]) if keep else None
        )
        return "quantization made or removed"
    quantization = tensor.quantization
    way = rng.randrange(5)
    if way < 2:
        quantization.scale = change_list(quantization.scale, rng, rng.choice(FLOATS))
        return f"scale {list(quantization.scale or [])[:4]}"
    if way < 4:
        zero = rng.choice([0, 1, 127, -128, 255, 256, -129, 2**31, -(2**40)])
        quantization.zeroPoint = change_list(quantization.zeroPoint, rng, zero)
        return f"zero point {zero}"
    quantization.quantizedDimension = pick_integer(rng)
    return f"quantized dimension {quantization.quantizedDimension}"


def mutate_data(model: Any, rng: random.Random) -> str:
    """A constant's numbers, or its length."""
    numbers = [
        n
        for n, buffer in enumerate(model.buffers)
        if buffer.data is not None and 0 < len(buffer.data) <= 4096
    ]
    if not numbers:
        return "nothing"
    buffer = model.buffers[rng.choice(numbers)]
    data = bytearray(bytes(np.asarray(buffer.data, np.uint8)))
    way = rng.random()
    if way < 0.6 and len(data) >= 4:
        place = rng.randrange(len(data) // 4) * 4
        data[place : place + 4] = (pick_integer(rng) % 2**32).to_bytes(4, "little")
    elif way < 0.8:
        data[rng.randrange(len(data))] = rng.randrange(256)
    elif way < 0.9:
        del data[rng.randrange(len(data)) :]
    else:
        data += bytes(rng.randrange(1, 9))
    buffer.data = np.frombuffer(bytes(data), np.uint8)
    return "data"


def mutate_order(model: Any, rng: random.Random) -> str:
    """An operator removed, doubled, moved, or made to call another subgraph."""
    graph = rng.choice(model.subgraphs)
    operators = graph.operators
    if not operators:
        return "nothing"
    way, place = rng.randrange(3), rng.randrange(len(operators))
    if way == 0:
        del operators[place]
    elif way == 1:
        operators.insert(rng.randrange(len(operators) + 1), copy.copy(operators[place]))
    else:
        operators.insert(rng.randrange(len(operators)), operators.pop(place))
    return f"order {way}"


MUTATIONS = (
    [mutate_wiring] * 6 + [mutate_options] * 6 + [mutate_tensor] * 6 + [mutate_quantization] * 5
    + [mutate_data] * 3 + [mutate_code] * 2 + [mutate_order] * 1
)  # fmt: skip


def damaged(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """A copy with bytes changed, mostly near the beginning where the tables are, or cut off."""
    if rng.random() < 0.15:
        length = rng.randrange(len(content))
        return content[:length], f"cut to {length} bytes"
    changed = bytearray(content)
    count = rng.choice([1, 1, 2, 4, 16])
    for _ in range(count):
        changed[int(len(changed) * rng.random() ** 3)] = rng.choice([0, 1, 255, rng.randrange(256)])
    return bytes(changed), f"{count} bytes damaged"


def mutant(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """A changed copy, and what was changed."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    while True:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        count = rng.choice([1, 1, 1, 2, 2, 3])
        changes = [rng.choice(MUTATIONS)(model, rng) for _ in range(count)]
        if all(change == "nothing" for change in changes):
            continue
        builder = flatbuffers.Builder(len(content))
        try:
            builder.Finish(model.Pack(builder), b"TFL3")
        except Exception:  # noqa: BLE001  (the writer refuses a number that does not fit its field)
            continue
        return bytes(builder.Output()), "; ".join(changes)


# ---- running


def child(run_refused: bool) -> None:
    """Check and run the files named on stdin; one JSON line before what may kill, and one after."""
    from edgecnn import graph
    from edgecnn.errors import ModelError

    try:
        from ai_edge_litert import interpreter as tflite
    except ModuleNotFoundError:
        from tflite_runtime import interpreter as tflite
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    rng = np.random.default_rng(0)
    for line in sys.stdin:
        path = Path(line.strip())
        content = path.read_bytes()
        try:
            graph.check(graph.read(content))
            verdict = {"check": "passed"}
        except ModelError as error:
            verdict = {"check": "refused", "why": str(error)}
        print(json.dumps(verdict), flush=True)
        if verdict["check"] == "refused" and not run_refused:
            print(json.dumps({"run": "skipped"}), flush=True)
            continue
        result = {"run": "fine"}
        for resolver in (tflite.OpResolverType.AUTO, tflite.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES):
            try:
                run(tflite.Interpreter(model_content=content, experimental_op_resolver_type=resolver), rng)
            except (ValueError, RuntimeError, TypeError, IndexError, MemoryError, OverflowError) as error:
                result = {"run": "error", "why": str(error)[:300]}
        print(json.dumps(result), flush=True)


def run(interpreter: Any, rng: np.random.Generator) -> None:
    """Allocate, fill the inputs, invoke twice, read the outputs."""
    interpreter.allocate_tensors()
    for details in interpreter.get_input_details():
        shape, dtype = tuple(details["shape"]), np.dtype(details["dtype"])
        if dtype.kind == "f":
            values = rng.standard_normal(shape).astype(dtype)
        elif dtype.itemsize == 1 and dtype.kind in "iu":
            values = rng.integers(0, 128, shape).astype(dtype)
        elif dtype.kind in "iub":
            values = rng.integers(0, 3, shape).astype(dtype)
        else:
            continue
        interpreter.set_tensor(details["index"], values)
    for _ in range(2):
        interpreter.invoke()
    for details in interpreter.get_output_details():
        interpreter.get_tensor(details["index"])


class Child:
    """One child process, started again after every death."""

    def __init__(self, python: str, run_refused: bool) -> None:
        self.command = [python, __file__, "--child", *(["--all"] if run_refused else [])]
        self.process: subprocess.Popen[bytes] | None = None

    def ask(self, path: Path) -> tuple[dict[str, str], dict[str, str]]:
        """The check's verdict and the run's result; a death or a hang is a result too."""
        if self.process is None:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
            )
            self.rest = b""
        process = self.process
        assert process.stdin is not None
        process.stdin.write(f"{path}\n".encode())
        answers = [self._line(), {}]
        if "check" in answers[0]:
            answers[1] = self._line()
        if any("died" in answer for answer in answers):
            self.close()
        return answers[0], answers[1]

    def _line(self) -> dict[str, str]:
        process = self.process
        assert process is not None
        assert process.stdout is not None
        while b"\n" not in self.rest:
            if not select.select([process.stdout], [], [], PATIENCE_S)[0]:
                process.kill()
                process.wait()
                return {"died": "hang"}
            piece = os.read(process.stdout.fileno(), 65536)
            if not piece:
                return {"died": f"signal {-process.wait()}"}
            self.rest += piece
        line, _, self.rest = self.rest.partition(b"\n")
        answer: dict[str, str] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the child."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def seeds(folders: list[Path], largest: int) -> Iterator[tuple[str, bytes]]:
    """The files to mutate."""
    for folder in folders:
        for path in sorted(folder.rglob("*.tflite")) if folder.is_dir() else [folder]:
            if path.stat().st_size <= largest:
                yield path.name, path.read_bytes()


def main() -> int:
    """Run the fuzzer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--all", action="store_true", help="run refused mutants too")
    parser.add_argument("--seeds", type=Path, nargs="*", default=[], help="files or folders of .tflite files")
    parser.add_argument("--generated", action="store_true", help="also mutate the one-operator models")
    parser.add_argument("--largest", type=int, default=16_384, help="skip seeds of more bytes")
    parser.add_argument("--count", type=int, default=5000, help="number of mutants")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for the killers that passed the check")
    parser.add_argument("--damage", action="store_true", help="change bytes instead of fields")
    parser.add_argument("--python", default=sys.executable, help="the child's Python: another TFLite runtime")
    parser.add_argument("--verbatim", action="store_true", help="run the seeds as they are")
    options = parser.parse_args()
    if options.child:
        child(options.all)
        return 0
    sources = list(seeds(options.seeds, options.largest))
    if options.generated:
        from one_op_models import models

        sources += models()
    rng = random.Random(options.seed)
    mutate = damaged if options.damage else mutant
    runner, totals, killers = Child(options.python, options.all), Counter[str](), 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutant.tflite"
        for number in range(len(sources) if options.verbatim else options.count):
            name, content = sources[number] if options.verbatim else rng.choice(sources)
            changed, what = (content, "as it is") if options.verbatim else mutate(content, rng)
            path.write_bytes(changed)
            verdict, result = runner.ask(path)
            checked = verdict.get("check", "check " + verdict.get("died", "?"))
            ran = result.get("run") or f"died ({result.get('died', 'not run')})"
            totals[f"{checked}, {ran}"] += 1
            died = result.get("died") if checked == "passed" else None
            if "died" in verdict or died:
                killers += died != "hang"
                print(
                    f"{'HANG' if died == 'hang' else 'KILLER'} {number} {name}: {what}: {verdict} {result}",
                    flush=True,
                )
                if options.keep:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    (options.keep / f"{options.seed}_{number}_{name}").write_bytes(changed)
            elif options.verbatim:
                print(name, verdict, result)
    runner.close()
    for line, count in totals.most_common():
        print(f"{count:7d}  {line}")
    return 1 if killers else 0


if __name__ == "__main__":
    sys.exit(main())
