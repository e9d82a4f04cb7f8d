"""The one door to TensorFlow, for both wings: `tf`, and `keras`, which is Keras 2 (`tf_keras`).

TensorFlow decides between Keras 2 and 3 once, from `TF_USE_LEGACY_KERAS`, while it is imported, and
tensorflow-model-optimization needs Keras 2. This is therefore the only module of edgecnn whose import has a
side effect: it sets that variable, and quiets TensorFlow's start, unless the environment says otherwise.

Raises:
    MissingExtra: tensorflow or tf-keras is not installed.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from edgecnn.errors import MissingExtra

__all__ = ["keras", "tf"]

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@contextmanager
def _quiet_start() -> Iterator[None]:
    """Keep what is said to standard error from the terminal; on an exception it is said after all.

    TensorFlow writes lines about oneDNN and missing GPU drivers before it reads any log level.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(kept, said.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


try:
    with _quiet_start():
        import tensorflow as tf
        import tf_keras as keras

        tf.config.get_visible_devices()  # looks for GPUs, and says so
except ModuleNotFoundError as error:
    if error.name not in ("tensorflow", "tf_keras"):
        raise
    raise MissingExtra(error.name.replace("_", "-"), "train") from error
