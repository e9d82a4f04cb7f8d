"""What both machines are asked beside the commands: which kernels compute, and the prepared tensors.

    python device.py OUT.npz MODEL IMAGE...

Writes the input tensor of each image; prints one JSON object: machine, runtime, delegation. Part of
raspberry_pi.py; needs only what a device has.
"""

import json
import platform
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

import edgecnn
from edgecnn import image_file


def main() -> None:
    out, path, *images = sys.argv[1:]
    with edgecnn.load(path) as model:
        tensors = {Path(image).name: model.prepare(image_file.read(Path(image)))[0] for image in images}
        # a delegate shows after the first run at the latest
        model.raw(next(iter(tensors.values())))
        found = {
            "machine": platform.machine(),
            "runtime": f"{model.backend.name} {model.backend.version}",
            "delegation": asdict(model.delegation()),
        }
    np.savez(out, **tensors)
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main()
