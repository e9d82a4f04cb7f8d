"""Learning's door to TensorFlow: `edgecnn.keras`, after a look whether this process has Keras 2 at all.

Raises:
    MissingExtra: tensorflow or tf-keras is not installed.
    TrainingError: this process has TensorFlow running with Keras 3, and models of the two don't mix.
"""

import os
import sys

from edgecnn.errors import TrainingError

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

if os.environ["TF_USE_LEGACY_KERAS"] not in ("1", "true", "True"):
    raise TrainingError(
        f"TF_USE_LEGACY_KERAS is {os.environ['TF_USE_LEGACY_KERAS']!r}, which gives Keras 3, "
        "but edgecnn trains with Keras 2. Unset the variable or set it to 1."
    )

from edgecnn.keras import keras, tf

__all__ = ["keras", "tf"]
