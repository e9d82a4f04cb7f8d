"""Small networks of the zoo as .tflite files, float and int8, for measurements that need no training.

Weights are fresh (seed 0): sizes, arenas and cycles do not depend on them.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

NETWORKS = {
    "lecture": ((32, 32, 3), 1.0),
    "resnet8": ((32, 32, 3), 1.0),
    "mobilenet_v1": ((96, 96, 3), 0.25),
    "mobilenet_v2": ((96, 96, 3), 0.35),
    "mobilenet_v3_small": ((96, 96, 3), 0.5),
    "mobilenet_v3_small_minimalistic": ((96, 96, 3), 0.5),
    "efficientnet_lite0": ((96, 96, 3), 1.0),
}
"""Shape of an image, and width."""
OTHER = ((96, 96, 3), 0.25)
"""Of networks that are not listed: operators depend on neither."""


def zoo_files(folder: Path, *names: str) -> Iterator[Path]:
    """Write NAME_float32.tflite and NAME_int8.tflite of each network where they are not, and yield them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or tuple(NETWORKS):
        paths = [folder / f"{name}_{scheme}.tflite" for scheme in ("float32", "int8")]
        if not all(path.exists() for path in paths):
            for path, content in zip(paths, _made(name), strict=True):
                path.write_bytes(content)
        yield from paths


def _made(name: str) -> tuple[bytes, bytes]:
    from calibration.observe import observe
    from calibration.ranges import Ranges
    from converters.quantize import quantize
    from edgecnn.graph import read
    from edgecnn.zoo import build
    from edgecnn.zoo.keras import tf

    shape, width = NETWORKS.get(name, OTHER)
    model = build(name, input_shape=shape, classes=10, width=width)
    function = tf.function(lambda image: {"scores": model(image, training=False)})
    concrete = function.get_concrete_function(tf.TensorSpec((1, *shape), tf.float32, name="image"))
    floating = bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete], model).convert())
    random = np.random.default_rng(0)
    images = [random.uniform(-1, 1, (1, *shape)).astype(np.float32) for _ in range(8)]
    found = observe(floating, images)
    graph = read(floating, name)
    found[graph.tensors[graph.inputs[0]].name] = (-1.0, 1.0)
    return floating, quantize(
        floating, "int8", name=name, ranges=Ranges(found, "minmax", len(images), ""), io="int8"
    )
