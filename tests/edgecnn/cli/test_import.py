import pytest
from typer.testing import CliRunner

from edgecnn.cli.app import app
from edgecnn.runs import Run

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    from edgecnn.zoo.keras import keras

    layers = keras.layers
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, 2, activation="relu")(image)
    x = layers.Conv2D(16, 3, 2, activation="relu")(x)
    model = keras.Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))
    path = tmp_path_factory.mktemp("own") / "my.keras"
    model.save(path, save_format="keras")
    path.with_name("labels.txt").write_text("blue\ngreen\nred\n")
    return path


def test_a_file_becomes_a_run_with_what_was_said_of_it(file, tmp_path):
    out = tmp_path / "mine"
    words = ["--labels", str(file.with_name("labels.txt")), "--mean", "0", "--std", "255", "--out", str(out)]
    ended = CliRunner().invoke(app, ["import", str(file), *words])
    assert ended.exit_code == 0, ended.output
    assert "edgecnn compress" in ended.stdout
    card = Run(out).read_card()
    assert card.labels == ("blue", "green", "red")
    assert (card.input.width, card.input.std) == (16, (255.0,))


def test_what_is_no_keras_file_is_refused_in_one_line(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"TFL3")
    ended = CliRunner().invoke(app, ["import", str(path), "--out", str(tmp_path / "new")])
    assert ended.exit_code == 1
    assert ".keras and .h5" in ended.output
    assert not (tmp_path / "new").exists()
