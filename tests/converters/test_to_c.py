"""C++ that says the same as the model, and that a compiler takes."""

import importlib.util
import re
import shutil
import subprocess

import pytest

from converters import to_c as module
from converters.to_c import resolver_names, to_c
from edgecnn import archive, card
from edgecnn.card import Card, InputSpec
from edgecnn.errors import ConversionError, ModelError
from edgecnn.graph import read

LABELS = ("plain", 'quo"ted\\', "näher 9", "what??/")


@pytest.fixture
def model(shared, tmp_path):
    path = tmp_path / "lstm-net.tflite"
    shutil.copy(shared / "models/coral/keras_lstm_mnist_ptq.tflite", path)
    card.attach(path, Card("lstm", "classification", InputSpec(28, 28, color="gray"), labels=LABELS))
    return path


def test_the_array_is_the_model_without_its_card(model, tmp_path):
    made = to_c(model, tmp_path / "c", name="net", arena_bytes=5000)
    bytes_said = re.findall(r"0x([0-9a-f]{2})", made.source.read_text())
    assert bytes(int(byte, 16) for byte in bytes_said) == archive.flatbuffer_bytes(model.read_bytes())
    header = made.header.read_text()
    assert f"kNetBytes = {len(bytes_said)};" in header
    assert "kNetArenaBytes = 5000;" in header
    assert "using NetInputType = uint8_t;" in header
    assert made.operators == (
        "FullyConnected", "Quantize", "Reshape", "Softmax", "UnidirectionalSequenceLSTM",
    )  # fmt: skip
    for name in made.operators:
        assert f"resolver.Add{name}()" in header


def test_scales_are_those_of_the_file(model, tmp_path):
    graph = read(model)
    header = to_c(model, tmp_path, name="net", arena_bytes=16).header.read_text()
    (scale,) = re.findall(r"kNetInputScale = (\S+)f;", header)
    tensor = graph.tensors[graph.inputs[0]]
    assert float(scale) == pytest.approx(float(tensor.scale[0]), rel=1e-9)
    assert f"kNetInputZeroPoint = {tensor.zero_point[0]};" in header


@pytest.mark.skipif(importlib.util.find_spec("tflite_micro") is None, reason="no tflite-micro wheel here")
def test_the_arena_is_measured(model, tmp_path):
    made = to_c(model, tmp_path, name="net")
    assert made.arena_bytes % 16 == 0
    assert 3000 < made.arena_bytes < 6000
    assert f"kNetArenaBytes = {made.arena_bytes};" in made.header.read_text()


@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")
def test_a_compiler_takes_it_and_reads_the_same(model, tmp_path):
    to_c(model, tmp_path, name="net", arena_bytes=5000)
    (tmp_path / "main.cc").write_text(
        """
        #include <cstdio>
        #include "net.h"
        struct Resolver {
          int added = 0;
          int AddFullyConnected() { ++added; return 0; }
          int AddQuantize() { ++added; return 0; }
          int AddReshape() { ++added; return 0; }
          int AddSoftmax() { ++added; return 0; }
          int AddUnidirectionalSequenceLSTM() { ++added; return 0; }
        };
        int main() {
          Resolver resolver;
          if (!AddNetOperators(resolver) || resolver.added != kNetOperatorCount) return 1;
          if (reinterpret_cast<std::size_t>(net) % 16 != 0) return 2;
          for (std::size_t i = 0; i < kNetLabelCount; ++i) std::printf("%s\\n", net_labels[i]);
          std::printf("%u %u", net[4], net[kNetBytes - 1]);
        }
        """
    )
    sources = [str(tmp_path / name) for name in ("main.cc", "net.cc")]
    strict = ["-std=c++11", "-Wall", "-Wextra", "-Werror", "-Wno-sign-compare", "-trigraphs"]
    subprocess.run(["g++", *strict, *sources, "-o", str(tmp_path / "net")], check=True, timeout=60)
    done = subprocess.run([str(tmp_path / "net")], capture_output=True, check=True, timeout=10)
    content = archive.flatbuffer_bytes(model.read_bytes())
    assert done.stdout.decode() == "\n".join([*LABELS, f"{content[4]} {content[-1]}"])


def test_nothing_is_overwritten_unless_forced(model, tmp_path):
    to_c(model, tmp_path, name="net", arena_bytes=16)
    before = (tmp_path / "net.h").read_bytes()
    with pytest.raises(ConversionError, match=r"net\.h is there already.*--force"):
        to_c(model, tmp_path, name="net", arena_bytes=32)
    assert (tmp_path / "net.h").read_bytes() == before
    to_c(model, tmp_path, name="net", arena_bytes=32, force=True)
    assert "kNetArenaBytes = 32;" in (tmp_path / "net.h").read_text()


@pytest.mark.parametrize("name", ["9net", "class", "a b", "x;", "_x"])
def test_a_name_that_cpp_does_not_take_is_refused(model, tmp_path, name):
    with pytest.raises(ConversionError, match="is no name for C"):
        to_c(model, tmp_path / "c", name=name, arena_bytes=16)
    assert not (tmp_path / "c").exists()


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        to_c(tmp_path / "gone.tflite", tmp_path, arena_bytes=16)


def test_resolver_names_follow_the_header_of_tflite_micro(shared):
    graph = read(shared / "models/tasks/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite")
    assert "DetectionPostprocess" in resolver_names(graph)
    spelled = {
        "DEPTHWISE_CONV_2D": "DepthwiseConv2D", "L2_NORMALIZATION": "L2Normalization", "PADV2": "PadV2",
        "BATCH_TO_SPACE_ND": "BatchToSpaceNd", "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighbor",
        "ethos-u": "EthosU",
    }  # fmt: skip
    assert {kind: module._spelled(kind) for kind in spelled} == spelled
