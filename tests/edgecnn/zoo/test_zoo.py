import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors import TrainingError
from edgecnn.zoo import ZOO, build, features, find

# Lite0 with more rows: test_count.py builds them.
DEEPER = ("efficientnet_lite1", "efficientnet_lite2", "efficientnet_lite3", "efficientnet_lite4")
SMALL = {name: max(32, network.smallest) for name, network in ZOO.items()}


def test_the_list_of_networks_is_there_without_tensorflow():
    code = "import sys, edgecnn.zoo; print(sorted({'tensorflow', 'tf_keras', 'cv2'} & set(sys.modules)))"
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **path}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_every_entry_stands_under_its_own_name_and_fits_gray_images_too():
    for name, network in ZOO.items():
        assert network.name == name
        assert min(network.input.height, network.input.width) >= network.smallest
        assert len(network.input.mean) == len(network.input.std) == 1


def test_the_pretrained_networks_are_normalized_as_they_were_trained():
    for name in ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"):
        spec = ZOO[name].input
        assert (spec.color, spec.mean, spec.std) == ("rgb", (127.0,), (128.0,))


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(
        TrainingError, match=r"no network is called 'mobilnet_v2'\. Did you mean mobilenet_v2"
    ):
        find("mobilnet_v2")
    with pytest.raises(TrainingError, match="There are: lecture, vgg16"):
        find("zzz")


@pytest.mark.parametrize(
    ("name", "shape", "classes", "width", "seed", "says"),
    [
        ("vgg16", (24, 64, 3), 10, 1.0, 0, "vgg16 shrinks .* at least 32x32 pixels, got 64x24"),
        ("lecture", (15, 15, 3), 10, 1.0, 0, "lecture shrinks .* at least 16x16 pixels, got 15x15"),
        ("resnet8", (32, 32), 10, 1.0, 0, r"images of \(height, width, channels\), got \(32, 32\)"),
        ("resnet8", (32, 32, 0), 10, 1.0, 0, "images of"),
        ("resnet8", (None, 32, 3), 10, 1.0, 0, "images of"),
        ("resnet8", (32, 32, 3), 0, 1.0, 0, "at least 1 class, got 0"),
        ("resnet8", (32, 32, 3), 10, 0.0, 0, r"must be in \(0, 16\], got 0.0"),
        ("resnet8", (32, 32, 3), 10, float("nan"), 0, "got nan"),
        ("resnet8", (32, 32, 3), 10, 1.0, -1, "a seed is 0 or more, got -1"),
    ],
)
@pytest.mark.tensorflow
def test_what_cannot_be_built_is_refused(name, shape, classes, width, seed, says):
    with pytest.raises(TrainingError, match=says):
        build(name, input_shape=shape, classes=classes, width=width, seed=seed)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", [name for name in ZOO if name not in DEEPER])
def test_every_network_gives_logits_for_any_batch_from_standard_layers(name: str):
    side = SMALL[name]
    model = build(name, input_shape=(side, side, 1), classes=3, width=0.25)
    assert model.name == name
    assert model.layers[-1].name == "logits"
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"tf_keras"}
    images = np.random.default_rng(0).normal(size=(2, side, side, 1)).astype(np.float32)
    logits = model(images).numpy()
    assert logits.shape == (2, 3)
    assert np.isfinite(logits).all()
    assert not np.allclose(logits.sum(axis=1), 1.0)  # nobody has put a softmax behind them
    assert not np.allclose(logits[0], logits[1], rtol=1e-4)  # and the image matters


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["lecture", "resnet8", "mobilenet_v1"])
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(name: str):
    def weights(seed: int) -> list[np.ndarray]:
        side = SMALL[name]
        model = build(name, input_shape=(side, side, 3), classes=3, width=0.25, seed=seed)
        return model.get_weights()

    first, again, other = weights(5), weights(5), weights(6)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    kernels = [(a, b) for a, b in zip(first, other, strict=True) if a.ndim > 1]
    assert kernels
    assert not any(np.array_equal(a, b) for a, b in kernels)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("name", "strides", "deepest"),
    [
        ("lecture", [1, 2, 4, 8, 16], 256),
        ("vgg16", [1, 2, 4, 8, 16, 32], 512),
        ("resnet8", [1, 2, 4], 64),
        ("mobilenet_v1", [2, 4, 8, 16, 32], 1024),
        ("efficientnet_lite0", [2, 4, 8, 16, 32], 192),
    ],
)
def test_features_come_by_stride_for_a_detector_to_build_on(name, strides, deepest):
    from edgecnn.zoo.keras import keras, tf

    # In a graph no weights are allocated. 70 is no multiple of the strides.
    with tf.Graph().as_default():
        maps = features(name, keras.Input((64, 70, 3)))
        assert list(maps) == strides
        for stride, tensor in maps.items():
            pooled = name in ("lecture", "vgg16")
            expected = 70 // stride if pooled else -(-70 // stride)
            assert tensor.shape[1:3] == (64 // stride, expected)
        assert maps[strides[-1]].shape[-1] == deepest


@pytest.mark.tensorflow
def test_a_saved_model_opens_and_computes_the_same_where_edgecnn_is_not_installed(tmp_path: Path):
    image = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype(np.float32)
    np.save(tmp_path / "image.npy", image)
    names = ("vgg16", "resnet8", "mobilenet_v3_small")
    expected = []
    for name in names:
        model = build(name, input_shape=(32, 32, 3), classes=4, width=0.1)
        model.save(tmp_path / f"{name}.keras")
        expected.append(model(image).numpy())
    code = (
        "import sys, numpy as np\n"
        "sys.modules['edgecnn'] = None\n"
        "import tf_keras\n"
        "image = np.load('image.npy')\n"
        f"models = [tf_keras.models.load_model(name + '.keras') for name in {names}]\n"
        "np.save('logits.npy', [model(image).numpy() for model in models])\n"
    )
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), expected, rtol=1e-5, atol=1e-6)


def test_networks_with_dropout_can_be_built_after_a_training_made_operators_deterministic():
    code = (
        "from edgecnn.zoo.keras import tf\n"
        "tf.config.experimental.enable_op_determinism()\n"
        "from edgecnn.zoo import structure\n"
        "for name in ('vgg16', 'mobilenet_v3_small', 'efficientnet_lite0'):\n"
        "    structure(name, input_shape=(64, 64, 3), classes=2)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
