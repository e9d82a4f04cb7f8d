import numpy as np
import pytest

from edgecnn.zoo.blocks import hard_sigmoid, hard_swish, inverted_residual, relu6, scaled
from edgecnn.zoo.keras import keras, tf

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize(
    ("filters", "width", "divisor", "expected"),
    [
        (32, 1.0, 8, 32),
        (32, 0.25, 8, 8),
        (16, 0.35, 8, 8),  # 5.6: never below the divisor
        (24, 0.35, 8, 8),
        (32, 0.35, 8, 16),  # 11.2 would round to 8, which is more than 10 % down
        (1280, 1.4, 8, 1792),
        (112, 1.1, 8, 120),  # 123.2
        (10, 0.25, 1, 3),  # 2.5
        (1, 0.01, 1, 1),
    ],
)
def test_widths_are_rounded_as_in_the_reference_code(filters, width, divisor, expected):
    assert scaled(filters, width, divisor) == expected


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (relu6, lambda x: np.clip(x, 0, 6)),
        (hard_sigmoid, lambda x: np.clip(x + 3, 0, 6) / 6),
        (hard_swish, lambda x: x * np.clip(x + 3, 0, 6) / 6),
    ],
)
def test_activations_follow_their_formula(activation, expected):
    x = np.linspace(-8, 8, 65, dtype=np.float32)[None]
    image = keras.Input((65,))
    np.testing.assert_allclose(
        keras.Model(image, activation(image, "a"))(x), expected(x), rtol=1e-6, atol=1e-6
    )


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated.*:UserWarning")
def test_hard_swish_becomes_one_operator_in_tflite():
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, use_bias=False)(image)
    x = hard_swish(keras.layers.BatchNormalization()(x), "swish")
    model = keras.Model(image, keras.layers.Conv2D(2, 1)(x))
    interpreter = tf.lite.Interpreter(model_content=tf.lite.TFLiteConverter.from_keras_model(model).convert())
    operators = [detail["op_name"] for detail in interpreter._get_ops_details()]
    assert [name for name in operators if name != "DELEGATE"] == ["CONV_2D", "HARD_SWISH", "CONV_2D"]


@pytest.mark.parametrize(
    ("filters", "stride", "expanded", "has"),
    [
        (8, 1, 8, {"b_depthwise", "b_project", "b_add"}),  # nothing to widen
        (8, 1, 48, {"b_expand", "b_depthwise", "b_project", "b_add"}),
        (8, 2, 48, {"b_expand", "b_depthwise", "b_project"}),  # another size: no sum
        (16, 1, 48, {"b_expand", "b_depthwise", "b_project"}),  # other channels: no sum
    ],
)
def test_an_inverted_residual_widens_and_adds_only_where_it_can(filters, stride, expanded, has):
    image = keras.Input((6, 6, 8))
    out = inverted_residual(image, filters, name="b", expanded=expanded, stride=stride)
    names = {layer.name for layer in keras.Model(image, out).layers}
    assert {name for name in names if name.count("_") == 1 and name.startswith("b_")} == has
    assert out.shape[1:] == (6 // stride, 6 // stride, filters)
