import json
from pathlib import Path
from types import ModuleType

import pytest

from edgecnn.graph import read
from edgecnn.graph.summary import summarize


def test_a_model_that_multiplies_nothing_has_no_scheme(write: ModuleType) -> None:
    summary = summarize(read(write.one("RELU", [write.T((1, 2))], [write.T((1, 2))])))
    assert (summary.scheme, summary.weights, summary.parameters, summary.macs) == ("unknown", None, 0, 0)
    assert summary.operators == {"RELU": 1}


@pytest.mark.parametrize(
    ("name", "scheme", "weights"),
    [
        ("coral/tf2_mobilenet_v2_1.0_224_ptq", "int8", "per_channel"),
        ("coral/mobilenet_v2_1.0_224_quant", "uint8", "per_tensor"),
        ("coral/posenet_mobilenet_v1_075_353_481_16_quant_decoder", "int8", "per_channel"),
        ("tasks/deeplabv3", "float32", None),
        ("coral/split_concat_edgetpu", "unknown", None),
    ],
)
def test_the_scheme_of_real_models(shared: Path, name: str, scheme: str, weights: str | None) -> None:
    summary = summarize(read(shared / "models" / f"{name}.tflite"))
    assert (summary.scheme, summary.weights) == (scheme, weights)


def dense(write: ModuleType, value: object, weights: object, made: object) -> bytes:
    content: bytes = write.one("FULLY_CONNECTED", [value, weights, None], [made], "FullyConnected")
    return content


@pytest.mark.parametrize(
    ("value", "weights", "scale", "scheme"),
    [
        ("float32", "float32", None, "float32"),
        ("float32", "int8", 0.1, "dynamic"),
        ("int8", "int8", 0.1, "int8"),
        ("int16", "int8", 0.1, "int16x8"),
        ("uint8", "uint8", 0.1, "uint8"),
        ("float32", "float16", None, "float16"),
    ],
)
def test_the_scheme_follows_from_values_and_weights(
    write: ModuleType, value: str, weights: str, scale: float | None, scheme: str
) -> None:
    t, value_scale = write.T, None if value == "float32" else 0.1
    inputs = t((1, 4), value, scale=value_scale), t((3, 4), weights, data=1, scale=scale)
    summary = summarize(read(dense(write, *inputs, t((1, 3), value, scale=value_scale))))
    assert summary.scheme == scheme


def test_weights_unpacked_by_an_operator_are_stored_small_only(write: ModuleType) -> None:
    from ai_edge_litert import schema_py_generated as generated

    made = write.empty_model()
    specs = [write.T((1, 4)), write.T((3, 4), "int8", data=1, scale=0.1), write.T((3, 4)), write.T((1, 3))]
    tensors = [write.tensor(spec, str(n), made.buffers) for n, spec in enumerate(specs)]
    unpack = write.operator(made, "DEQUANTIZE", "Dequantize", {})
    unpack.inputs, unpack.outputs = [1], [2]
    multiply = write.operator(made, "FULLY_CONNECTED", "FullyConnected", {})
    multiply.inputs, multiply.outputs = [0, 2, -1], [3]
    made.subgraphs = [
        generated.SubGraphT(tensors=tensors, inputs=[0], outputs=[3], operators=[unpack, multiply])
    ]
    summary = summarize(read(write.pack(made)))
    assert (summary.scheme, summary.weights, summary.weight_bytes) == ("weight_only", "per_tensor", 12)


def test_a_real_summary_says_what_goes_in_and_out(shared: Path) -> None:
    path = shared / "models" / "coral" / "tf2_mobilenet_v2_1.0_224_ptq.tflite"
    summary = summarize(read(path))
    assert summary.size_bytes == path.stat().st_size
    assert summary.operators["CONV_2D"] == 36
    (image,), (scores,) = summary.inputs, summary.outputs
    assert (image.shape, image.dtype, image.zero_point) == ((1, 224, 224, 3), "uint8", 127)
    assert image.scale == pytest.approx(1 / 127.5, rel=1e-3)
    assert (scores.shape, scores.dtype) == ((1, 1001), "uint8")
    assert json.loads(json.dumps(summary.as_dict()))["inputs"][0]["name"] == image.name
