"""The process in which a model meets TFLite Micro: a model that it cannot run may end the process.

Started by `converters.micro` as `python -m converters.micro_child MODEL INPUTS OUTPUTS ARENA`; its errors and
its report of the arena go to stderr, where TFLite Micro itself writes.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    """Run every input of one .npz file, and write every output to another.

    Arrays are named "RUN.PORT": number of the run, number of the input or output.
    """
    from tflite_micro.python.tflite_micro import runtime

    model, given, made, arena = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    interpreter = runtime.Interpreter.from_bytes(model.read_bytes(), arena_size=arena)
    outputs: dict[str, Any] = {}
    with np.load(given, allow_pickle=False) as arrays:
        inputs, ports, runs = int(arrays["inputs"]), int(arrays["outputs"]), int(arrays["runs"])
        for run in range(runs):
            interpreter.reset()
            for port in range(inputs):
                interpreter.set_input(arrays[f"{run}.{port}"], port)
            interpreter.invoke()
            for port in range(ports):
                outputs[f"{run}.{port}"] = np.array(interpreter.get_output(port))
    np.savez(made, **outputs)
    interpreter.print_allocations()


if __name__ == "__main__":
    main()
