"""SavedModels: what they would run is looked at before anything is loaded."""

import shutil

import numpy as np
import pytest

from edgecnn.errors import ConversionError
from edgecnn.graph import read
from edgecnn.runtime.interpreter import open_interpreter

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def tf():
    from edgecnn.keras import tf

    return tf


@pytest.fixture(scope="module")
def load():
    from converters.from_saved_model import read_saved_model

    return lambda path, **words: read_saved_model(path, roles=("scores",), **words)


@pytest.fixture
def save(tf, tmp_path):
    """A function that saves a function of an image as a SavedModel."""

    def make(function, *, shape=(None, 8, 8, 3), dtype=None, signatures=None, module=None):
        module = module or tf.Module()
        module.weights = tf.Variable(np.full((3,), 0.5, np.float32))
        module.function = tf.function(lambda image: {"y": function(image * module.weights)})
        concrete = module.function.get_concrete_function(tf.TensorSpec(shape, dtype or tf.float32, name="x"))
        chosen = {"serving_default": concrete} if signatures is None else signatures(concrete)
        tf.saved_model.save(module, str(tmp_path / "net"), signatures=chosen)
        return tmp_path / "net"

    return make


def run(content, tensor):
    interpreter = open_interpreter(content, "model")
    interpreter.write(0, tensor)
    interpreter.invoke()
    return interpreter.read(0)


def test_an_empty_folder_is_no_saved_model(load, tmp_path):
    with pytest.raises(ConversionError, match=r"is no SavedModel, there is no saved_model\.pb"):
        load(tmp_path)


@pytest.mark.parametrize("content", [b"\x01\x02\x03", b"\xff" * 100])
def test_damage_is_named(load, tmp_path, content):
    (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(ConversionError, match=r"saved_model\.pb: damaged"):
        load(tmp_path)


def test_variables_that_are_missing_are_an_error_of_one_line(load, save, tf):
    path = save(lambda image: tf.reduce_mean(image, (1, 2)))
    shutil.rmtree(path / "variables")
    with pytest.raises(ConversionError, match="net: TensorFlow cannot load it") as caught:
        load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("how", ["keras 2 save", "keras 2 export", "keras 3 export"])
def test_a_network_computes_what_keras_computes(load, how, trained, tmp_path):
    from converters.from_keras import to_tflite

    if how == "keras 3 export":
        keras3 = pytest.importorskip("keras", minversion="3")
        image = keras3.Input((24, 24, 3))
        x = keras3.layers.Dropout(0.5)(keras3.layers.Conv2D(4, 3, activation="relu")(image))
        model = keras3.Model(image, keras3.layers.Dense(3)(keras3.layers.GlobalAveragePooling2D()(x)))
        model.export(tmp_path / "net", verbose=False)
    elif how == "keras 2 export":
        model = trained
        model.export(tmp_path / "net")
    else:
        model = trained
        model.save(tmp_path / "net", save_format="tf")
    network = load(tmp_path / "net")
    content = to_tflite(network)
    (signature,) = read(content, "model").signatures
    assert (list(signature.inputs), list(signature.outputs)) == (["image"], ["scores"])
    for tensor in np.random.default_rng(0).uniform(-1, 1, (3, 1, 24, 24, 3)).astype(np.float32):
        expected = np.asarray(model(tensor, training=False))
        np.testing.assert_allclose(network(tensor)["scores"], expected[0], atol=1e-4)
        np.testing.assert_allclose(run(content, tensor), expected, atol=1e-4)


def test_an_open_size_is_the_callers(load, save, tf):
    path = save(lambda image: tf.reduce_mean(image, (1, 2)), shape=(None, None, None, 3))
    assert load(path, size_wh=(12, 20)).shape == (1, 20, 12, 3)
    with pytest.raises(ConversionError, match="any size"):
        load(path)


def test_one_signature_of_another_name_will_do_and_several_are_listed(load, save, tf, tmp_path):
    def mean(image):
        return tf.reduce_mean(image, (1, 2))

    assert load(save(mean, signatures=lambda one: {"classify": one})).shape == (1, 8, 8, 3)
    shutil.rmtree(tmp_path / "net")
    with pytest.raises(ConversionError, match="has the signatures a, b"):
        load(save(mean, signatures=lambda one: {"a": one, "b": one}))
    shutil.rmtree(tmp_path / "net")
    with pytest.raises(ConversionError, match="has no signature"):
        load(save(mean, signatures=lambda one: {}))


def test_a_fixed_batch_and_integers_are_refused(load, save, tf, tmp_path):
    with pytest.raises(ConversionError, match="takes 4 images at once"):
        load(save(lambda image: tf.reduce_mean(image, (1, 2)), shape=(4, 8, 8, 3)))
    shutil.rmtree(tmp_path / "net")
    module = tf.Module()
    module.function = tf.function(
        lambda x: tf.cast(x, tf.float32), input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.uint8)]
    )
    tf.saved_model.save(module, str(tmp_path / "net"), signatures=module.function)
    with pytest.raises(ConversionError, match="takes uint8 images"):
        load(tmp_path / "net")


def attack(tf, name, target):
    """A harmless mean of the image, and something else on the way."""

    def function(image):
        mean = tf.reduce_mean(image, (1, 2))
        if name == "WriteFile":
            with tf.control_dependencies([tf.io.write_file(str(target), "owned")]):
                return tf.identity(mean)
        if name == "ReadFile":
            return mean + tf.cast(tf.strings.length(tf.io.read_file(str(target))), tf.float32)
        if name == "PrintV2":
            with tf.control_dependencies([tf.print("owned", output_stream=f"file://{target}")]):
                return tf.identity(mean)
        if name == "EagerPyFunc":
            return tf.ensure_shape(tf.py_function(lambda x: x, [mean], tf.float32), (None, 3))
        return tf.cond(
            tf.reduce_sum(mean) > 0,
            lambda: mean + tf.cast(tf.strings.length(tf.io.read_file(str(target))), tf.float32),
            lambda: mean,
        )

    return function


@pytest.mark.parametrize("name", ["WriteFile", "ReadFile", "PrintV2", "EagerPyFunc", "hidden ReadFile"])
def test_what_is_not_arithmetic_is_refused_before_it_runs(load, save, tf, tmp_path, name):
    target = tmp_path / "target.txt"
    path = save(attack(tf, name, target))
    operation = name.removeprefix("hidden ")
    if operation == "EagerPyFunc":
        operation = r"EagerPyFunc|StringFormat"
    if operation == "PrintV2":
        operation = "PrintV2|StringFormat"
    with pytest.raises(ConversionError, match=f"its graph runs the operation ({operation}|StringLength)"):
        load(path)
    assert not target.exists()


def test_a_table_read_from_a_file_is_refused(load, save, tf, tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("a\nb\n")
    module = tf.Module()
    module.table = tf.lookup.StaticVocabularyTable(
        tf.lookup.TextFileInitializer(
            str(words), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER,
        ),
        1,
    )  # fmt: skip
    path = save(lambda image: tf.reduce_mean(image, (1, 2)), module=module)
    with pytest.raises(ConversionError, match=r"holds a |its graph runs the operation"):
        load(path)


def test_a_saved_model_of_tensorflow_1_is_refused(load, tf, tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        image = tf.compat.v1.placeholder(tf.float32, (None, 8, 8, 3))
        inputs, outputs = {"x": image}, {"y": tf.reduce_mean(image, (1, 2))}
        tf.compat.v1.saved_model.simple_save(session, str(tmp_path / "net"), inputs, outputs)
    with pytest.raises(ConversionError, match="is of TensorFlow 1"):
        load(tmp_path / "net")
