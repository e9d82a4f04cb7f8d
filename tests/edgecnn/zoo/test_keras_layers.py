from pathlib import Path

import pytest

from edgecnn.errors import ModelError
from edgecnn.graph import read
from edgecnn.graph.layers import LayerTable, layer_table
from edgecnn.graph.network import network_of
from edgecnn.zoo import structure
from edgecnn.zoo.count import count
from edgecnn.zoo.keras import keras, tf
from edgecnn.zoo.keras_layers import layers_of, read_layers

pytestmark = pytest.mark.tensorflow
layers = keras.layers


def table_of(model: keras.Model) -> LayerTable:
    return layer_table(layers_of(model))


def converted(model: keras.Model) -> LayerTable:
    """The same model through TFLiteConverter."""
    shape = (1, *model.input_shape[1:])
    call = tf.function(model).get_concrete_function(tf.TensorSpec(shape, tf.float32))
    content = tf.lite.TFLiteConverter.from_concrete_functions([call], model).convert()
    return layer_table(network_of(read(content)))


def test_a_model_of_an_input_alone_has_one_row():
    image = keras.Input((4, 4, 1))
    table = table_of(keras.Model(image, image))
    assert [row.layer.kind for row in table.rows] == ["input"]
    assert (table.parameters, table.macs, table.peak_bytes) == (0, 0, 64)


def test_the_lectures_layer_has_its_numbers():
    image = keras.Input((7, 7, 4))
    row = table_of(keras.Model(image, layers.Conv2D(3, 3, strides=2)(image))).rows[1]
    assert (row.layer.kernel, row.layer.stride, row.layer.filters) == ((3, 3), (2, 2), 3)
    assert (row.out_shape, row.layer.parameters, row.rest) == ((1, 3, 3, 3), 111, (0, 0))


def test_norm_activation_and_dropout_join_the_layer_they_follow():
    image = keras.Input((4, 4, 3))
    x = layers.Conv2D(8, 3, use_bias=False, name="stem")(image)
    x = layers.Dropout(0.1)(layers.ReLU()(layers.BatchNormalization()(x)))
    table = table_of(keras.Model(image, layers.Add()([x, x])))
    assert [row.layer.kind for row in table.rows] == ["input", "Conv2D + BatchNormalization + ReLU", "Add"]
    assert table.rows[1].layer.parameters == 3 * 3 * 3 * 8 + 4 * 8


def test_an_activation_beside_another_reader_is_a_row_of_its_own():
    image = keras.Input((4, 4, 3))
    x = layers.Conv2D(8, 1)(image)
    table = table_of(keras.Model(image, layers.Add()([x, layers.ReLU()(x)])))
    assert [row.layer.kind for row in table.rows] == ["input", "Conv2D", "ReLU", "Add"]


def test_a_layer_called_twice_has_its_parameters_once_and_its_macs_twice():
    image = keras.Input((4, 4, 3))
    shared = layers.Conv2D(3, 1)
    table = table_of(keras.Model(image, shared(shared(image))))
    assert [row.layer.parameters for row in table.rows] == [0, 12, 0]
    assert table.macs == 2 * 4 * 4 * 9


def test_a_model_inside_a_model_is_unfolded():
    inner_image = keras.Input((4, 4, 3))
    inner = keras.Model(inner_image, layers.Conv2D(8, 3, padding="same")(inner_image))
    image = keras.Input((4, 4, 3))
    table = table_of(keras.Model(image, layers.Flatten()(inner(image))))
    assert [row.layer.kind for row in table.rows] == ["input", "Conv2D", "Flatten"]


@pytest.mark.parametrize(
    ("name", "side"),
    [("lecture", 32), ("resnet8", 32), pytest.param("mobilenet_v2", 64, marks=pytest.mark.slow)],
)
def test_keras_rows_and_tflite_rows_agree(name: str, side: int):
    model = structure(name, input_shape=(side, side, 3), classes=10)
    ours, theirs = table_of(model), converted(model)
    counts = count(model)
    assert ours.macs == theirs.macs == counts.macs
    assert ours.parameters == counts.params
    heavy = [
        [(row.layer.kernel, row.layer.stride, row.layer.padding, row.layer.filters, row.out_shape[1:])
         for row in table.rows if row.layer.macs]
        for table in (ours, theirs)
    ]  # fmt: skip
    assert sorted(heavy[0], key=str) == sorted(heavy[1], key=str)
    last = [[row.receptive_field for row in table.rows if row.layer.macs][-1] for table in (ours, theirs)]
    assert last[0] == last[1]


def test_a_plain_chain_needs_as_much_memory_in_keras_as_in_tflite():
    model = structure("lecture", input_shape=(32, 32, 3), classes=10)
    assert table_of(model).peak_bytes == converted(model).peak_bytes


@pytest.mark.parametrize(
    ("layer", "kernel", "zoom", "out_shape"),
    [
        (layers.AveragePooling2D(2), (2, 2), (1, 1), (1, 3, 3, 4)),
        (layers.GlobalAveragePooling2D(), (6, 6), (1, 1), (1, 4)),
        (layers.UpSampling2D(2), None, (2, 2), (1, 12, 12, 4)),
        (layers.Conv2DTranspose(5, 3, strides=2, padding="same"), (3, 3), (2, 2), (1, 12, 12, 5)),
        (layers.ZeroPadding2D(((0, 1), (2, 3))), None, (1, 1), (1, 7, 11, 4)),
    ],
)
def test_other_layers_are_described(layer, kernel, zoom, out_shape):
    image = keras.Input((6, 6, 4))
    row = table_of(keras.Model(image, layer(image))).rows[1]
    assert (row.layer.kernel, row.layer.zoom, row.out_shape) == (kernel, zoom, out_shape)


def test_an_open_size_is_named():
    image = keras.Input((None, None, 3))
    with pytest.raises(ModelError, match="has the open size"):
        layers_of(keras.Model(image, layers.Conv2D(1, 1)(image)))


def test_a_layer_of_unknown_cost_is_named():
    image = keras.Input((4, 4, 3))
    with pytest.raises(ModelError, match="'odd' is a SeparableConv2D"):
        layers_of(keras.Model(image, layers.SeparableConv2D(1, 1, name="odd")(image)))


def test_a_model_written_as_a_class_is_refused():
    class Written(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ModelError, match="neither functional nor sequential"):
        layers_of(Written())


def test_a_saved_model_is_read(tmp_path: Path):
    structure("resnet8", input_shape=(32, 32, 3), classes=10).save(tmp_path / "model.keras")
    assert layer_table(read_layers(tmp_path / "model.keras")).macs == 12_501_632


def test_a_file_that_is_no_model_is_named(tmp_path: Path):
    (tmp_path / "model.keras").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"model\.keras: cannot be read as a Keras model"):
        read_layers(tmp_path / "model.keras")
