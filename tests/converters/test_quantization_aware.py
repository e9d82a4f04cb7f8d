"""From a network that was trained with int8 in mind to the file that computes the same."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from edgecnn import card as cards
from edgecnn.card import Card, InputSpec
from edgecnn.errors import ConversionError
from edgecnn.graph import read
from edgecnn.runtime.model import load
from edgecnn.zoo import ZOO

pytestmark = pytest.mark.tensorflow

SPEC = InputSpec(32, 32, mean=(127.5,), std=(127.5,))
CARD = Card("any", "classification", SPEC, labels=("a", "b", "c"), options={"scores": "logits"})
QUICK = ("resnet8", "lecture", "mobilenet_v2", "mobilenet_v3_small")


ALIKE = ("efficientnet_lite1", "efficientnet_lite2", "efficientnet_lite3")
"""The blocks of lite0, more of them; lite4, which has the most, stands for them."""


def exported(model, path, spec=SPEC, seed=0):
    """The model with norms that do something, rounded to ranges of noise, saved."""
    from edgecnn.compression.fake_quantize import fake_quantized

    random = np.random.default_rng(seed)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            count = layer.gamma.shape[0]
            spread = [random.uniform(0.5, 1.5, count) for _ in range(2)]
            shifts = [random.normal(0, 0.2, count) for _ in range(2)]
            layer.set_weights([spread[0], *shifts, spread[1]])
    quantized = fake_quantized(model, spec)
    shape = (8, spec.height, spec.width, spec.channels)
    quantized.calibrate([random.uniform(-1, 1, shape).astype(np.float32)])
    quantized.export().save(path, save_format="keras")
    return path


def written(path, card, folder, **chosen):
    from converters.quantization_aware import to_int8

    content = to_int8(path, card, **chosen)
    graph = read(content, "int8.tflite")
    roles = {role: graph.tensors[index].name for role, index in graph.signatures[0].outputs.items()}
    file = folder / "int8.tflite"
    file.write_bytes(content)
    cards.attach(file, replace(card, outputs=roles))
    return file, graph


@pytest.fixture
def small(keras, tmp_path):
    """A saved network of a convolution and a dense layer."""
    layers = keras.layers
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, 2, activation="relu")(image)
    model = keras.Model(image, layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D()(x)))
    return exported(model, tmp_path / "small.keras")


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in ZOO
        if name not in ALIKE
    ],
)
def test_every_network_of_the_zoo_becomes_integers_only(name, tmp_path):
    from converters.quantization_aware import to_int8
    from edgecnn import zoo

    model = zoo.build(name, input_shape=(32, 32, 3), classes=3, width=0.25)
    path = exported(model, tmp_path / "model.keras")
    graph = read(to_int8(path, CARD), name)
    types = {
        graph.tensors[i].dtype
        for operator in graph.ops
        for i in (*operator.inputs, *operator.outputs)
        if i >= 0
    }
    assert types <= {"int8", "int32"}
    assert not [operator for operator in graph.ops if operator.kind in ("QUANTIZE", "DEQUANTIZE")]
    assert graph.signatures[0].inputs.keys() == {"image"}
    assert graph.signatures[0].outputs.keys() == {"scores"}
    weights = [t for t in graph.tensors if t.is_constant and t.dtype == "int8" and len(t.shape) == 4]
    assert weights
    assert all(len(t.scale) > 1 for t in weights if t.shape[t.quantized_dimension] > 1)


def everything(layers, image):
    from edgecnn.zoo.blocks import hard_sigmoid, hard_swish

    x = layers.BatchNormalization()(layers.Rescaling(0.5, 0.1)(image))
    x = hard_swish(layers.SeparableConv2D(8, 3, padding="same")(x), "swish")
    y = layers.LeakyReLU(0.1)(layers.Conv2DTranspose(8, 2, 2)(layers.MaxPooling2D(2)(x)))
    z = layers.UpSampling2D(2)(layers.AveragePooling2D(2)(x))
    w = layers.UpSampling2D(2, interpolation="bilinear")(layers.AveragePooling2D(2)(y))
    x = layers.Concatenate()([x, y, layers.ZeroPadding2D(1)(layers.Cropping2D(1)(z)), w])
    x = layers.Conv2D(8, 1, activation="swish")(x)
    x = layers.Multiply()([x, hard_sigmoid(layers.Conv2D(8, 1, activation="tanh")(x), "gate")])
    x = layers.Subtract()([x, layers.Conv2D(8, 1, activation="sigmoid")(x)])
    x = layers.Maximum()([x, layers.Conv2D(8, 1)(x)])
    return layers.Dense(3, name="logits")(layers.Flatten()(layers.MaxPooling2D(4)(x)))


def test_the_layers_that_tfmot_refuses_become_integers_that_agree(keras, tmp_path):
    from converters.quantization_aware import fake_quantized

    keras.utils.set_random_seed(5)
    image = keras.Input((32, 32, 3))
    model = keras.Model(image, everything(keras.layers, image))
    path = exported(model, tmp_path / "model.keras")
    file, graph = written(path, CARD, tmp_path)
    step = graph.tensors[graph.outputs[0]].scale[0]
    random, home = np.random.default_rng(4), fake_quantized(path, CARD)
    with load(file, threads=1) as device:
        for _ in range(20):
            picture = random.integers(0, 256, (32, 32, 3)).astype(np.uint8)
            found = device.raw(device.prepare(picture)[0])["scores"]
            assert np.abs(found - home(picture)["scores"]).max() < 6.5 * step


def test_trained_with_int8_in_mind_the_file_decides_as_keras_does(make_run, trained, make_squares, tmp_path):
    from converters.quantization_aware import fake_quantized
    from converters.verify import compare, outputs_of
    from edgecnn.compression.quantize import train_quantized

    whole = make_squares(30, seed=1)
    data = tuple(replace(whole, samples=part) for part in (whole.samples[:96], whole.samples[96:]))
    made = train_quantized(make_run(trained), data, out=tmp_path / "qat", epochs=1)
    card = made.read_card()
    file, _ = written(made.model, card, tmp_path)
    with load(file, threads=1) as device:
        shown = (sample.read() for sample in make_squares(50, seed=5).samples)
        found = compare(fake_quantized(made.model, card), outputs_of(device), shown, card)
    assert found.images == 200
    assert found.agreement >= 0.99
    assert found.snr_db > 40


@pytest.mark.slow
def test_on_drawn_scenes_the_file_decides_as_keras_does(tmp_path):
    from converters.quantization_aware import fake_quantized
    from edgecnn.compression.quantize import train_quantized
    from edgecnn.data import open_dataset, training_splits
    from edgecnn.evaluation.agreement import decide
    from edgecnn.training.fit import train
    from edgecnn.training.recipe import Recipe

    splits = tuple(
        replace(part, samples=part.samples[:count])
        for part, count in zip(training_splits("drawn:7?size=32x32"), (960, 96), strict=True)
    )
    recipe = Recipe("resnet8", InputSpec(32, 32), width=0.5, epochs=4, batch=32, rate=0.05)
    run = train(splits, recipe, out=tmp_path / "float")
    made = train_quantized(run.path, splits, out=tmp_path / "qat", epochs=1)
    card = made.read_card()
    file, _ = written(made.model, card, tmp_path)
    home, same = fake_quantized(made.model, card), 0
    shown = list(itertools.islice(open_dataset("drawn:8?size=32x32", split="test").samples, 300))
    with load(file, threads=1) as device:
        for sample in shown:
            picture = sample.read()
            found = device.raw(device.prepare(picture)[0])["scores"]
            label, other = decide(np.stack([home(picture)["scores"], found]))
            same += label == other
    assert same >= 0.99 * len(shown)


@pytest.mark.parametrize(("io", "dtype"), [("int8", "int8"), ("uint8", "uint8"), ("float32", "float32")])
def test_inputs_and_outputs_have_the_type_that_was_asked_for(small, tmp_path, io, dtype):
    _, graph = written(small, CARD, tmp_path, io=io)
    assert {graph.tensors[index].dtype for index in (*graph.inputs, *graph.outputs)} == {dtype}


def test_it_is_told_from_a_float_network_and_from_what_is_none(small, keras, tmp_path):
    from converters.quantization_aware import is_quantization_aware, to_int8

    plain = tmp_path / "plain.keras"
    image = keras.Input((32, 32, 3), name="quantization.fake_quant_with_min_max_args")
    keras.Model(image, keras.layers.Flatten()(image)).save(plain, save_format="keras")
    (tmp_path / "text.keras").write_text("quantization.fake_quant_with_min_max_args")
    run = tmp_path / "run"
    run.mkdir()
    (run / "model.keras").write_bytes(small.read_bytes())
    found = [
        is_quantization_aware(p) for p in (small, run, plain, tmp_path / "text.keras", tmp_path / "none")
    ]
    assert found == [True, True, False, False, False]
    with pytest.raises(ConversionError, match=r"holds no quantization-aware network. Make one with"):
        to_int8(plain, CARD)


def test_a_rounding_that_is_missing_is_named(small, keras, tmp_path):
    """A network in which one layer hands on what was never rounded would stay float there."""
    from converters.quantization_aware import to_int8
    from edgecnn.zoo.keras import tf

    layers = keras.layers
    image = keras.Input((32, 32, 3))
    x = tf.quantization.fake_quant_with_min_max_args(image, min=-1.0, max=1.0)
    x = layers.Conv2D(4, 3, name="first")(x)
    x = layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.ELU(name="odd")(x)))
    model = keras.Model(image, layers.Activation("linear")(x))
    model.save(tmp_path / "model.keras", save_format="keras")
    with pytest.raises(ConversionError, match=r"stayed float: the range|cannot write it in int8"):
        to_int8(tmp_path / "model.keras", CARD)
