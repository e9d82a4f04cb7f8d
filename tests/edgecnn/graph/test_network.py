from pathlib import Path
from types import ModuleType

import pytest

from edgecnn.graph import read
from edgecnn.graph.layers import LayerTable, layer_table
from edgecnn.graph.network import network_of


def table_of(path: Path) -> LayerTable:
    return layer_table(network_of(read(path)))


def test_a_network_of_inputs_alone(write: ModuleType) -> None:
    from ai_edge_litert import schema_py_generated as generated

    made = write.empty_model()
    tensors = [write.tensor(write.T((1, 2)), "x", made.buffers)]
    made.subgraphs = [generated.SubGraphT(tensors=tensors, inputs=[0], outputs=[0], operators=[])]
    assert [row.layer.kind for row in layer_table(network_of(read(write.pack(made)))).rows] == ["input"]


@pytest.mark.parametrize(
    ("name", "parameters", "macs", "field", "peak"),
    [
        # published: 300 M MACs, 3.5 M parameters (arXiv 1801.04381); receptive field 491 (Araujo 2019);
        # the largest pair of tensors is 112 x 112 x 96 beside 56 x 56 x 96
        ("coral/tf2_mobilenet_v2_1.0_224_ptq", 3_489_097, 300_775_552, 491, 112 * 112 * 96 + 56 * 56 * 96),
        ("coral/mobilenet_v2_1.0_224_quant", 3_489_097, 300_775_552, 491, 112 * 112 * 96 + 56 * 56 * 96),
        # published: 41 M MACs, 0.47 M parameters; receptive field 315
        ("tasks/mobilenet_v1_0.25_224_quant", 467_593, 41_030_528, 315, 112 * 112 * (8 + 16)),
        ("tasks/mobilenet_v1_0.25_224_1_metadata_1", 467_593, 41_030_528, 315, 4 * 112 * 112 * (8 + 16)),
    ],
)
def test_published_networks_have_their_published_size(
    shared: Path, name: str, parameters: int, macs: int, field: int, peak: int
) -> None:
    table = table_of(shared / "models" / f"{name}.tflite")
    assert (table.parameters, table.macs, table.peak_bytes) == (parameters, macs, peak)
    before_the_mean = next(row for row in table.rows if row.out_shape[1:3] == (1, 1)).number - 1
    assert table.rows[before_the_mean].receptive_field == (field, field)


def test_an_uneven_padding_is_shown_as_it_is(shared: Path) -> None:
    first = table_of(shared / "models" / "coral" / "tf2_mobilenet_v2_1.0_224_ptq.tflite").rows[2]
    assert (first.layer.kind, first.layer.kernel, first.layer.filters) == ("CONV_2D", (3, 3), 32)
    assert (first.layer.stride, first.layer.padding) == ((2, 2), ((0, 1), (0, 1)))
    assert (first.in_shape, first.out_shape, first.rest) == ((1, 224, 224, 3), (1, 112, 112, 32), (0, 0))
    assert first.layer.parameters == (3 * 3 * 3 + 1) * 32
    assert first.layer.quantization == "int8, weights int8 per channel"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("coral/mobilenet_v1_0.25_128_quant", "uint8, weights uint8 per tensor"),
        ("tasks/deeplabv3", "float32"),
    ],
)
def test_quantization_is_told_in_words(shared: Path, name: str, words: str) -> None:
    rows = table_of(shared / "models" / f"{name}.tflite").rows
    assert next(row for row in rows if row.layer.kind == "CONV_2D").layer.quantization == words


def test_a_kernel_that_does_not_fit_leaves_a_rest(write: ModuleType) -> None:
    content = write.one(
        "MAX_POOL_2D", [write.T((1, 7, 7, 1))], [write.T((1, 3, 3, 1))], "Pool2D",
        strideW=2, strideH=2, filterWidth=2, filterHeight=2, padding=1,
    )  # fmt: skip
    assert layer_table(network_of(read(content))).rows[1].rest == (1, 1)


def test_a_state_is_kept_all_the_time(shared: Path) -> None:
    network = network_of(read(shared / "models" / "coral" / "keras_lstm_mnist_ptq.tflite"))
    assert network.state_bytes == 20 + 2 * 20


def test_unpacked_weights_are_weights(write: ModuleType) -> None:
    """float16 files store half the bytes and unpack them by an operator of their own."""
    from ai_edge_litert import schema_py_generated as generated

    made = write.empty_model()
    specs = {
        "x": write.T((1, 4)), "half": write.T((3, 4), "float16", data=1), "full": write.T((3, 4)),
        "y": write.T((1, 3)),
    }  # fmt: skip
    tensors = [write.tensor(spec, name, made.buffers) for name, spec in specs.items()]
    unpack = write.operator(made, "DEQUANTIZE", "Dequantize", {})
    unpack.inputs, unpack.outputs = [1], [2]
    dense = write.operator(made, "FULLY_CONNECTED", "FullyConnected", {})
    dense.inputs, dense.outputs = [0, 2, -1], [3]
    made.subgraphs = [
        generated.SubGraphT(tensors=tensors, inputs=[0], outputs=[3], operators=[unpack, dense])
    ]
    table = layer_table(network_of(read(write.pack(made))))
    assert [row.layer.kind for row in table.rows] == ["input", "FULLY_CONNECTED"]
    assert (table.parameters, table.macs, table.peak_bytes) == (12, 12, 4 * 4 + 3 * 4)
    assert table.rows[1].layer.quantization == "float32, weights float16"


@pytest.mark.parametrize(
    ("name", "kernel", "zoom", "sees_all"),
    [
        ("mean", (6, 6), (1, 1), False),
        ("resize_bilinear", None, (1.5, 1.5), False),
        ("transpose_conv", (3, 3), (2, 2), False),
        ("depth_to_space", None, (2, 2), False),
        ("space_to_depth", (2, 2), (1, 1), False),
        ("dense", None, (1, 1), True),
        ("softmax", None, (1, 1), False),
    ],
)
def test_operators_are_described_by_what_they_see(
    write: ModuleType, name: str, kernel: tuple[int, int] | None, zoom: tuple[float, float], sees_all: bool
) -> None:
    content = dict(write.models())[f"{name}_float32"]
    layer = network_of(read(content)).layers[-1]
    assert (layer.kernel, layer.zoom, layer.sees_all) == (kernel, zoom, sees_all)
