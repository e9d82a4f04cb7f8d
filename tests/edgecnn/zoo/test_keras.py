import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.tensorflow


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_door_gives_keras_2_and_tensorflow_agrees():
    done = python(
        "from edgecnn.zoo.keras import keras, tf\n"
        "import os\n"
        "print(keras.__version__[0], tf.keras.Model is keras.Model, os.environ['TF_CPP_MIN_LOG_LEVEL'])"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["2", "True", "2"]


def test_a_process_that_already_runs_keras_3_is_refused():
    done = python("import tensorflow\nimport edgecnn.zoo.keras")
    assert "TrainingError: TensorFlow was imported before edgecnn and runs with Keras 3" in done.stderr


def test_tensorflow_imported_first_with_keras_2_is_welcome():
    # Bare modules stand for both: TensorFlow shows the version of Keras 3 only.
    done = python(
        "import sys, types\n"
        "sys.modules['tensorflow'] = types.ModuleType('tensorflow')\n"
        "sys.modules['tensorflow'].config = types.SimpleNamespace(get_visible_devices=list)\n"
        "sys.modules['tf_keras'] = types.ModuleType('tf_keras')\n"
        "import edgecnn.zoo.keras"
    )
    assert done.returncode == 0, done.stderr


def test_an_environment_that_asks_for_keras_3_is_refused_before_tensorflow_is_loaded():
    done = python("import edgecnn.zoo.keras", TF_USE_LEGACY_KERAS="0")
    assert "TrainingError: TF_USE_LEGACY_KERAS is '0'" in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize(("module", "package"), [("tensorflow", "tensorflow"), ("tf_keras", "tf-keras")])
def test_an_absent_package_names_the_pip_command(module: str, package: str):
    # A None in sys.modules is how Python itself marks "not importable"; an empty module stands for the other.
    done = python(
        "import sys, types\n"
        "sys.modules['tensorflow'] = types.ModuleType('tensorflow')\n"
        f"sys.modules[{module!r}] = None\n"
        "import edgecnn.zoo.keras"
    )
    assert (
        f"MissingExtra: {package} is not installed. Install it with: pip install 'edgecnn[train]'"
        in done.stderr
    )


def test_loading_tensorflow_writes_nothing_to_the_terminal():
    done = python("from edgecnn.zoo.keras import tf\ntf.constant(1.0)")
    assert (done.stdout, done.stderr) == ("", "")
