"""What a Keras model's weights look like: how many, how many are zero, how many differ."""

from pathlib import Path
from typing import Any, Final

import numpy as np

from edgecnn.comparison.figures import Network
from edgecnn.image import Array

_SHARE: Final = 0.9  # of all values in kernels: first and last layers are often left out of a compression


def network_of(path: Path, *, macs: int) -> Network:
    """Count a run's Keras model.

    Args:
        path: of the `.keras` file.
        macs: multiply-accumulates of one image, counted in its float file: the same for every kind of layer.

    Raises:
        ModelError: the file is missing or cannot be read.
    """
    from edgecnn.training.predict import read_model  # TensorFlow takes seconds to load

    model = read_model(path)
    kernels = _kernels(model)
    return Network(
        params=int(model.count_params()), macs=macs, zeros=zeros_of(kernels), distinct=distinct_of(kernels)
    )


def zeros_of(kernels: list[Array]) -> float:
    """The share of values that are exactly 0, in [0, 1]; 0 without kernels."""
    total = sum(kernel.size for kernel in kernels)
    return sum(int((kernel == 0).sum()) for kernel in kernels) / total if total else 0.0


def distinct_of(kernels: list[Array]) -> int:
    """The least number of different values that kernels with nine tenths of all values do with.

    0 without kernels.
    """
    counts = sorted((len(np.unique(kernel)), kernel.size) for kernel in kernels)
    total, seen = sum(size for _, size in counts), 0
    for count, size in counts:
        seen += size
        if seen >= _SHARE * total:
            return count
    return 0


def _kernels(model: Any) -> list[Array]:
    """Weights that multiply: of two axes or more; biases, norms and scales have one."""
    return [np.asarray(weight) for weight in model.get_weights() if np.ndim(weight) >= 2]
