import numpy as np
import pytest

from edgecnn.adopting import as_run
from edgecnn.errors import CardError, ConversionError
from edgecnn.runs import is_run

pytestmark = pytest.mark.tensorflow

LABELS = ("red", "green", "blue")
WORDS = {"labels": LABELS, "mean": 127.5, "std": 127.5}


@pytest.fixture(scope="module", params=["2", "3"])
def keras(request):
    if request.param == "2":
        from edgecnn.keras import keras as found
    else:
        found = pytest.importorskip("keras")
    return found


def nested(keras):
    """As most people use a pretrained backbone."""
    layers = keras.layers
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu", kernel_regularizer="l2")(image)
    y = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x))
    backbone = keras.Model(image, layers.Add()([x, y]), name="backbone")
    image = keras.Input((16, 16, 3), name="photo")
    x = layers.RandomFlip(name="mirrored")(image)
    x = layers.GlobalAveragePooling2D()(backbone(x, training=False))
    return keras.Model(image, layers.Dense(3, activation="softmax", name="answer")(layers.Dropout(0.2)(x)))


def sequential(keras):
    layers = keras.layers
    stack = [layers.SeparableConv2D(6, 3), layers.LeakyReLU(), layers.Flatten(), layers.Dense(3)]
    return keras.Sequential([keras.Input((16, 16, 3)), *stack, layers.Softmax()])


def logits(keras):
    image = keras.Input((16, 16, 3))
    return keras.Model(image, keras.layers.Dense(3, name="logits")(keras.layers.Flatten()(image)))


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("make", [nested, sequential, logits])
def test_a_strangers_network_answers_as_before_in_a_flat_run_of_keras_2(keras, make, suffix, tmp_path):
    from edgecnn.compression.rewrite import calls
    from edgecnn.training.predict import read_model

    model = make(keras)
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.2, 0.8, weight.shape) for weight in model.get_weights()])
    model.save(tmp_path / f"strange{suffix}")
    run = as_run(tmp_path / f"strange{suffix}", tmp_path / "run", **WORDS)
    made, images = read_model(run.model), random.uniform(-1, 1, (4, 16, 16, 3)).astype(np.float32)
    found, wanted = np.asarray(made(images)), np.asarray(model(images, training=False))
    if make is not logits:
        found = np.exp(found - found.max(1, keepdims=True))
        found /= found.sum(1, keepdims=True)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    names = [type(call.layer).__name__ for call in calls(made)]  # refuses what is not flat
    assert "RandomFlip" not in names
    assert made.input_shape == (None, 16, 16, 3)


def test_the_card_says_where_it_came_from_and_that_it_gives_logits(keras, tmp_path):
    nested(keras).save(tmp_path / "strange.keras")
    told = []
    run = as_run(tmp_path / "strange.keras", tmp_path / "run", **WORDS, name="mine", tell=told.append)
    card = run.read_card()
    assert card.name == "mine"
    assert card.labels == LABELS
    assert card.options["scores"] == "logits"
    assert card.outputs == {"scores": "answer"}
    assert card.lineage[0].startswith("imported from strange.keras sha256 ")
    assert card.lineage[1:] == (
        "import: left out mirrored, which does nothing outside training",
        "import: took the softmax off the end: training wants logits",
    )
    assert any("colours go in as red, green, blue" in line for line in told)


def test_the_run_judges_images_like_any_other(keras, tmp_path):
    from edgecnn.training.predict import predictor

    sequential(keras).save(tmp_path / "strange.keras")
    run = as_run(tmp_path / "strange.keras", tmp_path / "run", **WORDS)
    (result,) = predictor(run)([np.zeros((20, 30, 3), np.uint8)])
    assert result.labels == LABELS
    assert result.score.sum() == pytest.approx(1)


def test_a_sum_of_tensors_becomes_a_layer(tmp_path):
    from edgecnn.keras import keras as keras2
    from edgecnn.keras import tf
    from edgecnn.training.predict import read_model

    layers = keras2.layers
    image = keras2.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, padding="same")(image)
    x = tf.nn.relu(x + layers.Conv2D(4, 3, padding="same")(x))
    keras2.Model(image, layers.Dense(3)(layers.Flatten()(x))).save(tmp_path / "strange.keras")
    run = as_run(tmp_path / "strange.keras", tmp_path / "run", **WORDS)
    kinds = [type(layer).__name__ for layer in read_model(run.model).layers]
    assert kinds == ["InputLayer", "Conv2D", "Conv2D", "Add", "ReLU", "Flatten", "Dense"]


def twice(keras):
    image, layer = keras.Input((16, 16, 3)), keras.layers.Conv2D(3, 3, padding="same", name="again")
    return keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(layer(layer(image)))))


def sigmoid(keras):
    image = keras.Input((16, 16, 3))
    return keras.Model(image, keras.layers.Dense(3, "sigmoid", name="end")(keras.layers.Flatten()(image)))


@pytest.mark.parametrize(
    ("make", "said"),
    [(twice, "layer 'again' is called twice"), (sigmoid, "last layer 'end' is a sigmoid")],
)
def test_what_cannot_be_made_anew_is_refused_by_the_layers_name(keras, make, said, tmp_path):
    make(keras).save(tmp_path / "strange.keras")
    with pytest.raises(ConversionError, match=said):
        as_run(tmp_path / "strange.keras", tmp_path / "run", **WORDS)
    assert not is_run(tmp_path / "run")


def test_code_in_the_file_is_not_run(keras, tmp_path):
    image = keras.Input((16, 16, 3))
    x = keras.layers.Lambda(lambda x: x * 2, name="mine", output_shape=(16, 16, 3))(image)
    keras.Model(image, keras.layers.Flatten()(x)).save(tmp_path / "strange.keras")
    with pytest.raises(ConversionError, match="runs Python code from the file"):
        as_run(tmp_path / "strange.keras", tmp_path / "run", **WORDS)


def test_what_the_file_does_not_say_must_be_said(keras, tmp_path):
    logits(keras).save(tmp_path / "strange.keras")
    with pytest.raises(CardError, match="mean"):
        as_run(tmp_path / "strange.keras", tmp_path / "run", labels=LABELS)


def test_a_detector_is_refused(tmp_path):
    with pytest.raises(ConversionError, match="only classifiers"):
        as_run(tmp_path / "strange.keras", tmp_path / "run", **WORDS, task="detection")


def test_no_folder_is_overwritten_unless_it_is_a_run_and_that_is_wanted(tmp_path):
    from edgecnn.keras import keras as keras2

    logits(keras2).save(tmp_path / "strange.keras")
    run = as_run(tmp_path / "strange.keras", tmp_path / "run", **WORDS)
    with pytest.raises(ConversionError, match="not empty"):
        as_run(tmp_path / "strange.keras", run.path, **WORDS)
    assert (
        as_run(tmp_path / "strange.keras", run.path, **WORDS, name="anew", force=True).read_card().name
        == "anew"
    )
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").touch()
    with pytest.raises(ConversionError, match="not empty"):
        as_run(tmp_path / "strange.keras", tmp_path / "other", **WORDS, force=True)


def test_a_layer_that_means_something_else_is_noticed(tmp_path, monkeypatch):
    from edgecnn.adopting import flat
    from edgecnn.keras import keras as keras2

    monkeypatch.setattr(flat, "_RECTIFIERS", {"nn.relu6": None})  # a mistake of ours
    from edgecnn.keras import tf

    image = keras2.Input((16, 16, 3))
    x = tf.nn.relu6(keras2.layers.Rescaling(100.0)(image))
    keras2.Model(image, keras2.layers.Dense(3)(keras2.layers.Flatten()(x))).save(tmp_path / "strange.keras")
    with pytest.raises(ConversionError, match="its scores differ"):
        as_run(tmp_path / "strange.keras", tmp_path / "run", **WORDS)
