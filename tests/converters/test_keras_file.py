"""What a .keras file would do when loaded."""

import io
import json
import zipfile

import h5py
import pytest

from converters.keras_file import keras_version
from edgecnn.errors import ConversionError

DENSE = {
    "module": "keras.layers",
    "class_name": "Dense",
    "config": {"name": "d", "units": 3},
    "registered_name": None,
}


def weights():
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["many"] = "many numbers"
        file.create_dataset("layers/d/vars/0", data=[1.0, 2.0])
    return buffer.getvalue()


def keras_file(path, *layers, version="2.21.0", members=(), without=()):
    config = {"module": "keras", "class_name": "Functional", "config": {"name": "m", "layers": list(layers)}}
    content = {
        "metadata.json": json.dumps({"keras_version": version}),
        "config.json": json.dumps(config),
        "model.weights.h5": weights(),
        **dict(members),
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in content.items():
            if name not in without:
                archive.writestr(name, text)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.keras"


def function(name, module="builtins"):
    entry = {"module": module, "class_name": "function", "config": name, "registered_name": "function"}
    return {**DENSE, "config": {"name": "d", "activation": entry}}


@pytest.mark.parametrize("version", ["2.21.0", "3.15.1"])
def test_a_harmless_file_gives_its_version(path, version):
    assert keras_version(keras_file(path, version=version)) == version
    assert keras_version(keras_file(path, DENSE, version=version)) == version


@pytest.mark.parametrize(
    "layer",
    [
        function("relu"),
        function("relu6", "keras.activations"),
        {**DENSE, "module": "keras.src.layers.core.dense", "registered_name": "keras>Dense"},
        {
            **DENSE,
            "class_name": "TFOpLambda",
            "config": {"name": "tf.math.multiply", "function": "math.multiply"},
        },
        {**DENSE, "class_name": "TFOpLambda", "config": {"name": "add", "function": "__operators__.add"}},
        {"module": "keras.initializers", "class_name": "HeNormal", "config": {"seed": None}},
        {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}},
        {"class_name": "__tuple__", "items": [1, 1]},
    ],
)
def test_what_networks_are_built_from_passes(path, layer):
    assert keras_version(keras_file(path, layer)) == "2.21.0"


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        ({**DENSE, "class_name": "Lambda"}, "'d' runs Python code from the file"),
        ({"class_name": "__lambda__", "config": {"value": "4wEA"}}, "is Python code in the file"),
        ({**DENSE, "class_name": "TFSMLayer"}, "loads another model from a path"),
        (
            {**DENSE, "class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}},
            "may read its words",
        ),
        ({**DENSE, "class_name": "TorchModuleWrapper"}, "holds a network of another framework"),
        ({**DENSE, "class_name": "TensorFlowOpLayer"}, "runs an operation of TensorFlow"),
        ({"class_name": "Mine>Dense", "config": {}}, r"is a class of someone's own \(Mine>Dense\)"),
        ({**DENSE, "module": "mypackage.layers"}, r"comes from the module 'mypackage\.layers'"),
        ({**DENSE, "module": "os"}, "comes from the module 'os'"),
        ({**DENSE, "module": "keras.utils"}, r"comes from the module 'keras\.utils'"),
        ({**DENSE, "module": "kerasy.layers"}, "comes from the module"),
        ({**DENSE, "module": 7}, "comes from the module 7"),
        ({**DENSE, "registered_name": "Mine>Dense"}, r"is a class of someone's own \(Mine>Dense\)"),
        (function("exec"), "'exec' is a function that is no activation"),
        (function(["a"]), "is a function that is no activation"),
        (function("get_file", "keras.utils"), r"is a function from 'keras\.utils'"),
        (function("system", "os"), "is a function from 'os'"),
        (
            {**DENSE, "class_name": "TFOpLambda", "config": {"function": "io.write_file"}},
            r"calls tf\.io\.write_file",
        ),
        (
            {**DENSE, "class_name": "TFOpLambda", "config": {"function": "py_function"}},
            r"calls tf\.py_function",
        ),
        ({**DENSE, "class_name": "TFOpLambda", "config": {}}, r"calls tf\.None"),
        ({**DENSE, "config": {"nested": [{"deep": {**DENSE, "class_name": "Lambda"}}]}}, "runs Python code"),
    ],
)
def test_what_would_run_code_is_refused_by_name(path, layer, reason):
    with pytest.raises(ConversionError, match=rf"model\.keras: .*{reason}.* standard Keras layers"):
        keras_version(keras_file(path, DENSE, layer))


def test_pickled_weights_are_refused(path):
    keras_file(path, members={"model.weights.npz": "pickles"}.items())
    with pytest.raises(ConversionError, match=r"holds 'model\.weights\.npz'"):
        keras_version(path)


def test_weights_that_lie_in_another_file_are_refused(path):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["layers"] = h5py.ExternalLink("secret.h5", "/")
    keras_file(path, DENSE, members={"model.weights.h5": buffer.getvalue()}.items())
    with pytest.raises(ConversionError, match=r"'layers' takes its numbers from another file \(secret\.h5\)"):
        keras_version(path)


def test_a_path_that_leaves_the_archive_is_refused(path):
    keras_file(path, members={"../../etc/cron.d/x": "code"}.items())
    with pytest.raises(ConversionError, match=r"holds '../../etc/cron.d/x'"):
        keras_version(path)


@pytest.mark.parametrize("name", ["config.json", "metadata.json", "model.weights.h5"])
def test_an_incomplete_archive_is_no_keras_model(path, name):
    with pytest.raises(ConversionError, match=f"there is no {name} in it"):
        keras_version(keras_file(path, without=(name,)))


@pytest.mark.parametrize("version", ["1.0", "4.0.0", 3, None, ""])
def test_a_keras_of_another_time_is_refused(path, version):
    with pytest.raises(ConversionError, match="written by Keras"):
        keras_version(keras_file(path, version=version))


def test_a_missing_file_is_named(path):
    with pytest.raises(ConversionError, match=r"model\.keras: there is no such file"):
        keras_version(path)


def test_a_folder_is_no_model(tmp_path):
    with pytest.raises(ConversionError, match="cannot be read"):
        keras_version(tmp_path)


@pytest.mark.parametrize("keep", [0, 1, 30, 200, -1, -100])
def test_a_file_cut_short_is_damaged(path, keep):
    content = keras_file(path, DENSE).read_bytes()
    path.write_bytes(content[:keep])
    with pytest.raises(ConversionError, match=r"model\.keras: damaged"):
        keras_version(path)


def test_a_file_with_a_flipped_bit_is_damaged(path):
    content = bytearray(keras_file(path, DENSE).read_bytes())
    content[content.index(b"many numbers")] ^= 1
    path.write_bytes(content)
    with pytest.raises(ConversionError, match="damaged"):
        keras_version(path)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\udcff"])
def test_a_config_that_is_not_json_is_damaged(path, text):
    keras_file(path, members={"config.json": text.encode("utf-8", "surrogateescape")}.items())
    with pytest.raises(ConversionError, match="damaged"):
        keras_version(path)


def test_an_absurdly_large_config_is_not_read(path, monkeypatch):
    monkeypatch.setattr("converters.keras_file._MAX_CONFIG_BYTES", 50)
    with pytest.raises(ConversionError, match=r"config\.json has \d+ bytes"):
        keras_version(keras_file(path, DENSE))
