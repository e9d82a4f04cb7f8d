"""The one door to TensorFlow: everything that learns imports `tf` and `keras` from here.

Knows that edgecnn learns with Keras 2 (`tf_keras`), because tensorflow-model-optimization does, and that
TensorFlow decides between Keras 2 and 3 once, from `TF_USE_LEGACY_KERAS`, while it is imported. This is
therefore the only module of edgecnn whose import has a side effect: it sets that variable, and quiets
TensorFlow's start-up messages (`TF_CPP_MIN_LOG_LEVEL=2`), unless the environment already says otherwise.

Raises:
    MissingExtra: tensorflow or tf-keras is not installed.
    TrainingError: this process has TensorFlow running with Keras 3, and models of the two don't mix.
"""

import os
import sys

from edgecnn.errors import MissingExtra, TrainingError

if "tensorflow" in sys.modules:
    # Ask before the variable is set below: `tf.keras` is resolved lazily and would follow the new value,
    # while the optimizers that TensorFlow loaded at its own import stay Keras 3.
    _running = getattr(sys.modules["tensorflow"], "keras", None)
    if getattr(_running, "__version__", "").startswith("3"):
        raise TrainingError(
            "TensorFlow was imported before edgecnn and runs with Keras 3; edgecnn trains with Keras 2. "
            "Import edgecnn.zoo.keras first, or set TF_USE_LEGACY_KERAS=1 before Python starts."
        )

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

if os.environ["TF_USE_LEGACY_KERAS"] not in ("1", "true", "True"):
    raise TrainingError(
        f"TF_USE_LEGACY_KERAS is {os.environ['TF_USE_LEGACY_KERAS']!r}, which gives Keras 3, "
        "but edgecnn trains with Keras 2. Unset the variable or set it to 1."
    )

try:
    import tensorflow as tf
    import tf_keras as keras
except ModuleNotFoundError as error:
    if error.name not in ("tensorflow", "tf_keras"):
        raise
    raise MissingExtra(error.name.replace("_", "-"), "train") from error

__all__ = ["keras", "tf"]
