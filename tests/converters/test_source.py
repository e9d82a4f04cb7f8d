"""What a conversion starts from."""

import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from calibration import editable
from converters import verify
from converters.source import open_source
from edgecnn import card as cards
from edgecnn.card import Card
from edgecnn.errors import CardError, ConversionError, DataError, ModelError
from edgecnn.graph import read
from edgecnn.runtime.model import load
from edgecnn.runtime.stranger import Given

FLOAT = "tasks/mobilenet_v1_0.25_224_1_metadata_1"
HALF = {"mean": 127.5, "std": 127.5}


def pictures(size_wh=(30, 28), count=4):
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (size_wh[1], size_wh[0], 3)).astype(np.uint8) for _ in range(count)]


def compared(source, folder, images):
    """The float file, loaded with the source's card, beside the original; and the file's path."""
    content, original = source.float32()
    path = folder / "made.tflite"
    path.write_bytes(content)
    cards.attach(path, replace(source.card, outputs={}))
    with load(path) as made:
        return verify.compare(original, verify.outputs_of(made), images, source.card)


@pytest.mark.parametrize("name", ["nothing", "nothing.keras", "nothing.tflite", "no/where.h5"])
def test_a_path_that_is_not_there_is_named(tmp_path, name):
    with pytest.raises(ConversionError, match=f"{name}: there is no such file"):
        open_source(tmp_path / name)


def test_an_empty_folder_is_neither_run_nor_saved_model(tmp_path):
    with pytest.raises(DataError, match="is not a run"):
        open_source(tmp_path)


@pytest.mark.tensorflow
@pytest.mark.parametrize(("name", "error"), [("a.tflite", ModelError), ("a.keras", ConversionError)])
def test_an_empty_file_is_damaged(tmp_path, name, error):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(error, match=name):
        open_source(tmp_path / name)


@pytest.mark.tensorflow
def test_a_run_brings_its_card_and_takes_no_other_word(bare_run, tmp_path):
    source = open_source(bare_run)
    assert (source.kind, source.folder, source.assumptions) == ("run", bare_run, ())
    assert source.card.labels == ("red", "green", "blue", "grey")
    assert source.origin.startswith("model.keras sha256 ")
    assert compared(source, tmp_path, pictures()).max_difference < 1e-4
    assert open_source(bare_run / "model.keras") == source
    with pytest.raises(CardError, match="is a run, whose card says"):
        open_source(bare_run, Given(mean=0, std=255))
    with pytest.raises(CardError, match="is a run, whose card says"):
        open_source(bare_run, Given(resize="corner", fit="crop"))


@pytest.mark.tensorflow
def test_a_run_ships_with_another_resize_and_its_lineage_says_so(bare_run):
    plain = open_source(bare_run).card
    shipped = open_source(bare_run, Given(resize="corner")).card
    assert shipped.input == replace(plain.input, resize="corner")
    assert shipped.lineage == (*plain.lineage, "ship resize corner: trained with area")
    assert open_source(bare_run, Given(resize="area")).card == plain
    with pytest.raises(CardError, match=r"input\.resize must be one of"):
        open_source(bare_run, Given(resize="nearest"))


def test_a_run_without_weights_is_told_to_train(tmp_path):
    from edgecnn.card import InputSpec
    from edgecnn.runs import Run, write_card

    write_card(Run(tmp_path), Card("r", "classification", InputSpec(8, 8), ("a", "b")))
    with pytest.raises(ConversionError, match=r"model\.keras is missing"):
        open_source(tmp_path)


@pytest.fixture(scope="module")
def saved(tmp_path_factory, trained):
    """The same network in every form that Keras 2 and TensorFlow have, without a card."""
    from edgecnn.keras import tf

    folder = tmp_path_factory.mktemp("saved")
    trained.save(folder / "net.keras", save_format="keras")
    trained.save(folder / "net.h5", save_format="h5")
    trained.save(folder / "net", save_format="tf")
    (folder / "net.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(trained).convert())
    return folder


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("name", "kind", "folder"),
    [
        ("net.keras", "keras", "net-tflite"),
        ("net.h5", "keras", "net-tflite"),
        ("net", "saved_model", "net-tflite"),
        ("net.tflite", "tflite", "net-tflite"),
    ],
)
def test_a_stranger_states_its_input_once(saved, tmp_path, name, kind, folder):
    with pytest.raises(CardError, match=rf"{name}: nothing says .*--mean 127\.5 --std 127\.5") as caught:
        open_source(saved / name)
    assert "\n" not in str(caught.value)
    source = open_source(saved / name, Given(**HALF, labels=["r", "g", "b", "grey"], fit="crop"))
    assert (source.kind, source.folder) == (kind, saved / folder)
    assert source.card.input == replace(source.card.input, mean=(127.5,), std=(127.5,), fit="crop")
    assert (source.card.input.height, source.card.input.width) == (24, 24)
    assert source.card.labels == ("r", "g", "b", "grey")
    assert source.card.options == {"scores": "logits"}
    assert source.origin.startswith(f"{name} sha256 ")
    assert any("softmax is applied" in line for line in source.assumptions)
    assert any("red, green, blue" in line for line in source.assumptions)
    comparison = compared(source, tmp_path, pictures())
    assert comparison.largest > 0.1
    assert comparison.max_difference < 1e-4


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["net.keras", "net.tflite"])
def test_labels_must_be_as_many_as_scores_and_may_be_left_out(saved, name):
    with pytest.raises(CardError, match="4 scores but 3 labels"):
        open_source(saved / name, Given(**HALF, labels=["a", "b", "c"]))
    source = open_source(saved / name, Given(**HALF))
    assert source.card.labels == ("class 0", "class 1", "class 2", "class 3")
    assert any("--labels" in line for line in source.assumptions)


@pytest.mark.tensorflow
def test_the_origin_of_a_saved_model_changes_with_its_variables(saved, tmp_path):
    first = open_source(saved / "net", Given(**HALF)).origin
    copy = shutil.copytree(saved / "net", tmp_path / "net")
    assert open_source(copy, Given(**HALF)).origin == first
    (copy / "variables" / "more").write_bytes(b"1")
    assert open_source(copy, Given(**HALF)).origin != first


@pytest.mark.tensorflow
@pytest.mark.parametrize(("activation", "kind"), [("softmax", "probabilities"), (None, "logits")])
def test_the_graph_says_what_the_scores_are_and_the_caller_the_open_size(keras, tmp_path, activation, kind):
    image = keras.Input((None, None, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(image))
    keras.Model(image, keras.layers.Dense(3, activation)(x)).save(tmp_path / "open.h5", save_format="h5")
    with pytest.raises(ConversionError, match=r"open\.h5: takes images of any size"):
        open_source(tmp_path / "open.h5", Given(**HALF))
    source = open_source(tmp_path / "open.h5", Given(**HALF, size_wh=(20, 12)))
    assert (source.card.input.width, source.card.input.height) == (20, 12)
    assert source.card.options == {"scores": kind}
    assert compared(source, tmp_path, pictures()).max_difference < 1e-5


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (
            lambda k: k.Model(i := k.Input((3, 8, 8)), k.layers.Dense(2)(k.layers.Flatten()(i))),
            "channels first",
        ),
        (
            lambda k: k.Model([i := k.Input((8, 8, 3)), j := k.Input((8, 8, 3))], k.layers.Add()([i, j])),
            "gives one image",
        ),
        (
            lambda k: k.Model(i := k.Input((8, 8, 3)), [k.layers.Flatten()(i), k.layers.Flatten()(i)]),
            "has 2 outputs, but the task has 1",
        ),
        (
            lambda k: k.Model(i := k.Input(batch_shape=(4, 8, 8, 3)), k.layers.Flatten()(i)),
            "takes 4 images at once",
        ),
        (lambda k: k.Model(i := k.Input((8, 8, 3)), k.layers.Conv2D(2, 3)(i)), "one output with one score"),
        (
            lambda k: k.Model(i := k.Input((8, 8, 3)), k.layers.Lambda(lambda x: x)(i)),
            "runs Python code from the file",
        ),
    ],
)
def test_what_is_no_classifier_of_one_image_is_one_clear_line(keras, tmp_path, build, reason):
    build(keras).save(tmp_path / "net.h5", save_format="h5")
    with pytest.raises((ConversionError, ModelError), match=rf"net\.h5: .*{reason}") as caught:
        open_source(tmp_path / "net.h5", Given(**HALF))
    assert "\n" not in str(caught.value)


def test_a_strangers_float_file_with_metadata_needs_no_word(shared, tmp_path):
    path = shared / "models" / f"{FLOAT}.tflite"
    source = open_source(path)
    assert source.kind == "tflite"
    assert (source.card.input.mean, source.card.input.std) == ((127.5,), (127.5,))
    assert source.card.options == {"scores": "probabilities"}
    assert source.card.labels[0] == "background"
    assert len(set(source.card.labels)) == len(source.card.labels) == 1001  # its file names two cranes
    assert any("'crane (518)'" in line for line in source.assumptions)
    replace(source.card, lineage=("convert",))  # a card with a lineage takes no label twice
    graph = read(source.float32()[0], "made")
    assert source.card.outputs == {"scores": graph.tensors[graph.outputs[0]].name}
    photographs = [cv2.imread(str(file)) for file in sorted((shared / "models/images").iterdir())[:4]]
    assert compared(source, tmp_path, photographs).max_difference < 1e-5


def test_an_old_file_computes_the_same(shared, tmp_path):
    path = shared / "models" / f"{FLOAT}.tflite"
    model = editable.read(path.read_bytes())
    for code in model.operatorCodes:
        code.builtinCode = 0
    model.signatureDefs = model.metadata = None
    (tmp_path / "old.tflite").write_bytes(editable.write(model))
    with pytest.raises(CardError, match=r"old\.tflite: nothing says how pixels"):
        open_source(tmp_path / "old.tflite")
    old = open_source(tmp_path / "old.tflite", Given(**HALF))
    images = pictures((50, 40), 2)
    ours, theirs = old.float32()[1], open_source(path).float32()[1]
    assert compared(old, tmp_path, images).max_difference < 1e-5
    assert verify.compare(theirs, ours, images, old.card).max_difference == 0


@pytest.mark.tensorflow
def test_a_custom_operator_is_refused_before_anything_is_asked(run, tmp_path):
    model = editable.read((run / "float32.tflite").read_bytes())
    (code,) = (
        one for one in model.operatorCodes if one.builtinCode == schema.BuiltinOperator.FULLY_CONNECTED
    )
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = b"MyDense"
    for operator in model.subgraphs[0].operators:
        if model.operatorCodes[operator.opcodeIndex] is code:
            operator.builtinOptionsType, operator.builtinOptions = 0, None
    (tmp_path / "custom.tflite").write_bytes(editable.write(model))
    with pytest.raises(ModelError, match="custom operator 'MyDense'"):
        open_source(tmp_path / "custom.tflite")


@pytest.mark.tensorflow
def test_our_own_float_file_keeps_its_card(run):
    card = cards.read(run / "float32.tflite")
    assert card is not None
    source = open_source(run / "float32.tflite")
    assert replace(source.card, outputs={}) == replace(card, outputs={})
    assert source.folder == run / "float32"
    assert open_source(run / "float32.tflite", Given(mean=0, std=1)).card.input.mean == (0.0,)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("tasks/deeplabv3", "its outputs are 'ResizeBilinear_3'"),
        ("tasks/mobilenet_v1_0.25_224_quant", "is quantized already"),
        ("coral/mobilenet_v1_0.25_128_quant_edgetpu", "is quantized already"),
        ("coral/tf2_mobilenet_v2_1.0_224_ptq", "is quantized already"),
    ],
)
def test_what_cannot_be_converted_is_one_clear_line(shared, name, reason):
    with pytest.raises((ModelError, ConversionError), match=reason) as caught:
        open_source(shared / "models" / f"{name}.tflite", Given(**HALF))
    assert "\n" not in str(caught.value)


def test_a_task_that_nobody_knows_is_refused(tmp_path):
    (tmp_path / "net.keras").write_bytes(b"PK")
    with pytest.raises(CardError, match="task 'poetry' is unknown"):
        open_source(tmp_path / "net.keras", Given(task="poetry"))
