"""What an .h5 file says of itself, and whether all of it is in it."""

import json

import h5py
import numpy as np
import pytest

from converters.hdf5_file import check_own, is_hdf5, read_config
from converters.keras_file import keras_version
from edgecnn.errors import ConversionError

CONFIG = {
    "class_name": "Functional",
    "config": {"layers": [{"class_name": "Dense", "config": {"name": "d"}}]},
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.h5"


def h5_file(path, config=CONFIG, version="2.21.0"):
    with h5py.File(path, "w") as file:
        if config is not None:
            file.attrs["model_config"] = json.dumps(config)
        if version is not None:
            file.attrs["keras_version"] = version
        file.create_dataset("model_weights/d/kernel", data=np.ones(3, np.float32))
    return path


def test_an_empty_file_is_not_hdf5(path):
    path.write_bytes(b"")
    assert not is_hdf5(path)
    assert not is_hdf5(path.with_name("nothing"))


@pytest.mark.parametrize("version", ["2.2.4-tf", "2.21.0", "3.15.1"])
def test_config_and_version_come_out(path, version):
    assert is_hdf5(h5_file(path, version=version))
    assert read_config(path) == (CONFIG, version)
    assert keras_version(path) == version


def test_weights_alone_are_no_network(path):
    with pytest.raises(ConversionError, match=r"model\.h5: holds weights only"):
        read_config(h5_file(path, config=None))


@pytest.mark.parametrize("version", [None, "1.2.2"])
def test_a_keras_of_another_time_is_refused(path, version):
    with pytest.raises(ConversionError, match="written by Keras"):
        keras_version(h5_file(path, version=version))


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"class_name": "Lambda", "config": {"name": "mine"}}, "'mine' runs Python code"),
        ({"class_name": "Mine>Layer", "config": {"name": "own"}}, r"class of someone's own \(Mine>Layer\)"),
        (
            {"class_name": "TensorFlowOpLayer", "config": {"name": "op", "node_def": "{}"}},
            "that the file desc",
        ),
        ({"class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}}, "words from a path"),
    ],
)
def test_what_would_run_code_or_read_files_is_refused(path, entry, reason):
    config = {"class_name": "Functional", "config": {"layers": [entry]}}
    with pytest.raises(ConversionError, match=reason):
        keras_version(h5_file(path, config))


@pytest.mark.parametrize("keep", [8, 100, 600, -1])
def test_a_file_cut_short_is_damaged(path, keep):
    path.write_bytes(h5_file(path).read_bytes()[:keep])
    with pytest.raises(ConversionError, match=r"model\.h5: damaged"):
        read_config(path)


@pytest.mark.parametrize("config", ["{", "[" * 100_000])
def test_a_config_that_is_not_json_is_damaged(path, config):
    with h5py.File(path, "w") as file:
        file.create_dataset("config", data=config)  # too long for an attribute
        file.attrs["model_config"] = config[:60_000]
    with pytest.raises(ConversionError, match="damaged"):
        read_config(path)


def external_link(file):
    file["model_weights/d/bias"] = h5py.ExternalLink("secret.h5", "/x")


def external_data(file):
    file.create_dataset("model_weights/d/bias", (4,), np.uint8, external=[("secret.bin", 0, 4)])


def virtual_data(file):
    layout = h5py.VirtualLayout((4,), np.uint8)
    layout[:] = h5py.VirtualSource("secret.h5", "x", (4,))
    file.create_virtual_dataset("model_weights/d/bias", layout)


@pytest.mark.parametrize("point", [external_link, external_data, virtual_data])
def test_weights_from_another_file_are_refused(path, point):
    with h5py.File(h5_file(path), "a") as file:
        point(file)
    with pytest.raises(ConversionError, match=r"'bias' takes its numbers from another file \(secret"):
        check_own(path, str(path))


def test_links_in_circles_end(path):
    with h5py.File(h5_file(path), "a") as file:
        file["model_weights/d/again"] = file["model_weights"]
        file["model_weights/soft"] = h5py.SoftLink("/model_weights/d")
    check_own(path, str(path))
