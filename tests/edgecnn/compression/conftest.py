"""Functional networks of a layer or two, and data that a network learns in seconds: tinted noise."""

from dataclasses import dataclass

import numpy as np
import pytest

from edgecnn.data.dataset import Dataset, Sample
from edgecnn.results import Classes

LABELS = ("blue", "green", "red")


@dataclass(frozen=True, eq=False)
class Tinted:
    name: str
    pixels: np.ndarray

    def read(self):
        return self.pixels.copy()


def tinted(count, *, seed, labels=LABELS):
    random = np.random.default_rng(seed)
    samples = []
    for index in range(count):
        pixels = random.integers(0, 160, (16, 16, 3)).astype(np.uint8)
        pixels[..., index % 3] += 80
        samples.append(Sample(Tinted(f"{seed}/{index}", pixels), Classes.truth(index % 3, labels)))
    return Dataset("tinted", "classification", labels, samples)


@pytest.fixture(scope="session")
def make_tinted():
    return tinted


@pytest.fixture(scope="session")
def data():
    return tinted(96, seed=1), tinted(24, seed=2)


@pytest.fixture(scope="session")
def keras():
    from edgecnn.zoo.keras import keras

    return keras


@pytest.fixture
def network(keras):
    """A function that makes a model of a function of its input, with weights and norms of noise."""

    def make(build, shape=(8, 8, 4)):
        image = keras.Input(shape, name="image")
        model = keras.Model(image, build(image), name="small")
        random = np.random.default_rng(3)
        for layer in model.layers:
            values = [random.normal(0, 0.5, weight.shape) for weight in layer.get_weights()]
            if isinstance(layer, keras.layers.BatchNormalization):
                values[-1] = random.uniform(0.3, 2.0, values[-1].shape)
            layer.set_weights(values)
        return model

    return make


@pytest.fixture(scope="session")
def run(tmp_path_factory, data, keras):
    """A network that tells the colours apart, and what training says of it."""
    from edgecnn.card import Card, InputSpec
    from edgecnn.image import lookup, prepare
    from edgecnn.runs import Run, write_card
    from edgecnn.training.recipe import Recipe, to_json

    keras.utils.set_random_seed(7)
    layers, spec = keras.layers, InputSpec(16, 16)
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(8, 3, 2, "same", use_bias=False)(image)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.8)(x))
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.Add()([x, layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.8)(y))])
    x = layers.Dropout(0.1, seed=0)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, layers.Dense(3, name="logits")(x))
    table = lookup(spec, np.float32)
    images = np.concatenate([prepare(sample.read(), table, spec)[0] for sample in data[0].samples])
    truths = np.array([sample.truth.label_id for sample in data[0].samples])
    model.compile(keras.optimizers.Adam(1e-2), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, truths, batch_size=16, epochs=12, verbose=0)
    made = Run(tmp_path_factory.mktemp("runs") / "tinted")
    made.path.mkdir()
    model.save(made.model, save_format="keras")
    made.recipe.write_text(to_json(Recipe("resnet8", spec, epochs=12, batch=16)))
    options = {"scores": "logits"}
    card = Card("resnet8", "classification", spec, LABELS, options=options, lineage=("train resnet8",))
    write_card(made, card)
    return made.path


@pytest.fixture(scope="session")
def plain_run(tmp_path_factory, keras):
    """An untrained network of convolutions, some of whose norms turn the sign of a channel."""
    from edgecnn.card import Card, InputSpec
    from edgecnn.runs import Run, write_card
    from edgecnn.training.recipe import Recipe, to_json

    keras.utils.set_random_seed(8)
    layers, spec = keras.layers, InputSpec(16, 16)
    x = image = keras.Input((16, 16, 3), name="image")
    for number, filters in enumerate((8, 16, 18)):
        x = layers.Conv2D(filters, 3, 2, "same", use_bias=False, name=f"conv{number}")(x)
        x = layers.BatchNormalization(momentum=0.8, name=f"norm{number}")(x)
        x = layers.ReLU()(x)
    model = keras.Model(image, layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D()(x)))
    random = np.random.default_rng(3)
    for number in range(3):
        gamma = model.get_layer(f"norm{number}").gamma
        gamma.assign(random.uniform(0.5, 1.5, gamma.shape) * random.choice([1, 1, -1], gamma.shape))
    made = Run(tmp_path_factory.mktemp("runs") / "plain")
    made.path.mkdir()
    model.save(made.model, save_format="keras")
    made.recipe.write_text(to_json(Recipe("resnet8", spec, epochs=12, batch=16, rate=0.1)))
    options = {"scores": "logits"}
    write_card(made, Card("resnet8", "classification", spec, LABELS, options=options, lineage=("train it",)))
    return made.path


@pytest.fixture(scope="session")
def int8_codes():
    """A function: the int8 kernels in the file that a run is converted to, by the end of their names."""

    def codes(run, data):
        from converters.convert import convert
        from edgecnn.graph import read

        convert(run, schemes=["int8"], data=data, uncertified=True, audited=False, force=True)
        graph = read((run / "int8.tflite").read_bytes(), "int8")
        found = {}
        for operator in graph.ops:
            kernels = [
                tensor
                for tensor in (graph.tensors[i] for i in operator.inputs if i >= 0)
                if tensor.is_constant and len(tensor.shape) in (2, 4)
            ]
            for tensor in kernels:
                found[tensor.shape] = np.asarray(graph.data(tensor))
        return found

    return codes
