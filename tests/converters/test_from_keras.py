"""Keras to float TFLite."""

import json
import zipfile

import numpy as np
import pytest

from edgecnn.errors import ConversionError
from edgecnn.graph import read
from edgecnn.runtime.interpreter import open_interpreter

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def from_keras():
    from converters import from_keras

    return from_keras


def run(content, tensor):
    interpreter = open_interpreter(content, "model")
    interpreter.write(0, tensor)
    interpreter.invoke()
    return interpreter.read(0)


def saved(model, folder):
    path = folder / "model.keras"
    if type(model).__module__.startswith("keras."):
        model.save(path)
    else:
        model.save(path, save_format="keras")
    return path


def test_one_image_goes_in_and_the_roles_come_out_as_keras_says(from_keras, trained, tmp_path):
    path = saved(trained, tmp_path)
    network = from_keras.read_keras(path, image_shape=(24, 24, 3), roles=("scores",))
    content = from_keras.to_tflite(network)
    graph = read(content, "model")
    (signature,) = graph.signatures
    assert signature.key == "serving_default"
    assert dict(signature.inputs) == {"image": graph.inputs[0]}
    assert dict(signature.outputs) == {"scores": graph.outputs[0]}
    assert graph.tensors[graph.inputs[0]].shape == (1, 24, 24, 3)
    assert not graph.tensors[graph.inputs[0]].is_dynamic
    for image in np.random.default_rng(0).uniform(-1, 1, (5, 1, 24, 24, 3)).astype(np.float32):
        expected = trained(image, training=False).numpy()
        np.testing.assert_allclose(run(content, image), expected, atol=1e-4)
        np.testing.assert_allclose(network(image)["scores"], expected[0], atol=1e-5)


def test_a_size_that_the_network_leaves_open_is_the_cards(from_keras, keras, tmp_path):
    image = keras.Input((None, None, 1))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(image))
    path = saved(keras.Model(image, pooled), tmp_path)
    content = from_keras.to_tflite(from_keras.read_keras(path, image_shape=(20, 12, 1), roles=("scores",)))
    graph = read(content, "model")
    assert graph.tensors[graph.inputs[0]].shape == (1, 20, 12, 1)


def test_a_file_of_keras_3_converts_too(from_keras, tmp_path):
    keras3 = pytest.importorskip("keras", minversion="3")
    image = keras3.Input((16, 16, 3))
    x = keras3.layers.BatchNormalization()(keras3.layers.Conv2D(4, 3, activation="relu")(image))
    x = keras3.layers.Dense(3, activation="softmax")(keras3.layers.GlobalAveragePooling2D()(x))
    model = keras3.Model(image, x)
    path = saved(model, tmp_path)
    content = from_keras.to_tflite(from_keras.read_keras(path, image_shape=(16, 16, 3), roles=("scores",)))
    tensor = np.random.default_rng(0).random((1, 16, 16, 3), np.float32)
    np.testing.assert_allclose(run(content, tensor), np.asarray(model(tensor)), atol=1e-5)


def test_two_outputs_are_named_by_their_roles_in_order(from_keras, keras, tmp_path):
    image = keras.Input((8, 8, 3))
    flat = keras.layers.Flatten()(image)
    model = keras.Model(image, [keras.layers.Dense(2)(flat), keras.layers.Dense(5)(flat)])
    path = saved(model, tmp_path)
    content = from_keras.to_tflite(
        from_keras.read_keras(path, image_shape=(8, 8, 3), roles=("boxes", "scores"))
    )
    graph = read(content, "model")
    shapes = {role: graph.tensors[index].shape for role, index in graph.signatures[0].outputs.items()}
    assert shapes == {"boxes": (1, 2), "scores": (1, 5)}
    with pytest.raises(ConversionError, match="has 2 outputs, but the task has 1: scores"):
        from_keras.read_keras(path, image_shape=(8, 8, 3), roles=("scores",))


def test_a_network_that_takes_no_image_is_refused(from_keras, keras, tmp_path):
    vector = keras.Input((7,))
    path = saved(keras.Model(vector, keras.layers.Dense(2)(vector)), tmp_path)
    with pytest.raises(ConversionError, match=r"takes \[\(None, 7\)\], but edgecnn gives one image"):
        from_keras.read_keras(path, image_shape=(8, 8, 3), roles=("scores",))


def test_a_lambda_layer_is_refused_and_not_run(from_keras, keras, tmp_path):
    image = keras.Input((8, 8, 3))
    model = keras.Model(
        image, keras.layers.Flatten()(keras.layers.Lambda(lambda x: x + 1, name="sneaky")(image))
    )
    with pytest.raises(ConversionError, match="'sneaky' runs Python code from the file"):
        from_keras.read_keras(saved(model, tmp_path), image_shape=(8, 8, 3), roles=("scores",))


def rewritten(path, change):
    """The same archive with its config changed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    change(config)
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config["config"]["layers"].pop(3),
        lambda config: config["config"].pop("layers"),
        lambda config: config["config"]["layers"][1].update(class_name="Conv9D"),
        lambda config: config["config"]["layers"][1]["config"].update(filters=99),
    ],
    ids=["a layer is missing", "no layers", "an unknown layer", "weights of another shape"],
)
def test_a_config_that_contradicts_itself_is_one_line(from_keras, trained, change, tmp_path):
    path = saved(trained, tmp_path)
    rewritten(path, change)
    with pytest.raises(ConversionError, match=r"model\.keras: Keras 2\.\S+ cannot read it: .") as caught:
        from_keras.read_keras(path, image_shape=(24, 24, 3), roles=("scores",))
    assert "\n" not in str(caught.value)


def test_converting_leaves_nothing_in_the_temporary_folder(from_keras, trained, tmp_path, monkeypatch):
    path = saved(trained, tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    from_keras.to_tflite(from_keras.read_keras(path, image_shape=(24, 24, 3), roles=("scores",)))
    assert not list(scratch.iterdir())


def test_converting_says_nothing(from_keras, trained, tmp_path, capfd):
    path = saved(trained, tmp_path)
    capfd.readouterr()
    from_keras.to_tflite(from_keras.read_keras(path, image_shape=(24, 24, 3), roles=("scores",)))
    assert capfd.readouterr() == ("", "")
