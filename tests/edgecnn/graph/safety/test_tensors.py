from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as generated


@pytest.fixture
def conv(write: ModuleType) -> bytes:
    """An int8 convolution whose weights (tensor 1) have a scale per channel."""
    t = write.T
    content: bytes = write.one(
        "CONV_2D",
        [
            t((1, 4, 4, 3), "int8", scale=0.02),
            t((2, 1, 1, 3), "int8", data=1, scale=[0.1, 0.2]),
            t((2,), "int32", data=0, scale=[0.002, 0.004]),
        ],
        [t((1, 4, 4, 2), "int8", scale=0.02)],
        "Conv2D", strideW=1, strideH=1,
    )  # fmt: skip
    return content


def quantization(index: int, **fields: Any) -> Callable[[Any], None]:
    def change(made: Any) -> None:
        for name, value in fields.items():
            setattr(made.subgraphs[0].tensors[index].quantization, name, value)

    return change


def test_sound_quantization_passes(conv: bytes, refusal: Callable[..., str]) -> None:
    assert refusal(conv) == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (quantization(0, scale=[0.0]), "tensor 0 (in0) has the scale 0.0"),
        (quantization(0, scale=[-1.0]), "has the scale -1.0"),
        (quantization(0, scale=[1e-38]), "a scale is a positive number"),
        (quantization(0, scale=[float("nan")]), "has the scale nan"),
        (quantization(1, scale=[0.1, float("inf")]), "tensor 1 (in1) has the scale inf"),
        (quantization(1, zeroPoint=[0]), "2 scales but 1 zero points"),
        (quantization(1, scale=[0.1] * 3, zeroPoint=[0] * 3), "3 scales for 2 channels"),
        (quantization(1, quantizedDimension=4), "quantized along dimension 4"),
        (quantization(1, quantizedDimension=-1), "quantized along dimension -1"),
        (quantization(0, zeroPoint=[128]), "a zero point outside the -128 to 127 of int8"),
        (quantization(0, zeroPoint=[-(2**40)]), "a zero point outside"),
    ],
)
def test_impossible_quantization_is_named(
    conv: bytes, refusal: Callable[..., str], change: Callable[[Any], None], reason: str
) -> None:
    assert reason in refusal(conv, change)


def test_weights_that_are_all_0_may_have_the_scale_0(conv: bytes, refusal: Callable[..., str]) -> None:
    """As TensorFlow writes them for a channel that was pruned away."""
    assert refusal(conv, quantization(1, scale=[0.1, 0.0])) == ""


@pytest.mark.parametrize("bytes_", [0, 1, 5, 7])
def test_a_constant_needs_as_many_bytes_as_its_shape_says(
    conv: bytes, refusal: Callable[..., str], bytes_: int
) -> None:
    reason = refusal(conv, lambda made: setattr(made.buffers[1], "data", np.zeros(bytes_, np.uint8)))
    if bytes_:
        assert f"type int8 takes 6 bytes, but the file holds {bytes_}" in reason
    else:
        assert "before anything has written it" in reason


@pytest.mark.parametrize("shape", [[2**31 - 1, 2], [2**16, 2**16, 2**8]])
def test_a_tensor_larger_than_any_memory_is_refused(
    conv: bytes, refusal: Callable[..., str], shape: list[int]
) -> None:
    assert "takes" in refusal(conv, lambda made: setattr(made.subgraphs[0].tensors[0], "shape", shape))


def test_a_resource_cannot_enter_a_model(conv: bytes, refusal: Callable[..., str]) -> None:
    resource = generated.TensorType.RESOURCE
    assert "is a resource" in refusal(
        conv, lambda made: setattr(made.subgraphs[0].tensors[0], "type", resource)
    )


@pytest.mark.parametrize(
    ("subgraph", "tensor", "reason"), [(3, 0, "names subgraph 3"), (0, 99, "names tensor 99 of 4")]
)
def test_a_signature_that_leads_nowhere_is_named(
    conv: bytes, refusal: Callable[..., str], subgraph: int, tensor: int, reason: str
) -> None:
    entry = generated.TensorMapT(name="x", tensorIndex=tensor)
    signature = generated.SignatureDefT(inputs=[entry], outputs=[], signatureKey="s", subgraphIndex=subgraph)
    assert reason in refusal(conv, lambda made: setattr(made, "signatureDefs", [signature]))


def strings(*words: bytes) -> bytes:
    """A string tensor's bytes: count, offsets, characters."""
    first = 4 * (len(words) + 2)
    offsets = np.cumsum([first, *map(len, words)])
    return np.array([len(words), *offsets], np.int32).tobytes() + b"".join(words)


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        (strings(b"a", b"bc"), ""),
        (b"", "before anything"),
        (b"\1", "holds -1 strings"),
        (strings(b"a"), "holds 1 strings"),
        (strings(b"a", b"bc")[:-1], "lead outside"),
        (np.array([2, 16, 99, 19], np.int32).tobytes() + b"abc", "lead outside"),
    ],
)
def test_strings_must_lie_inside_their_buffer(
    write: ModuleType, refusal: Callable[..., str], stored: bytes, reason: str
) -> None:
    content = write.one("EQUAL", [write.T((2,), data=1), write.T((2,))], [write.T((2,), "bool")])

    def change(made: Any) -> None:
        for tensor in made.subgraphs[0].tensors[:2]:
            tensor.type = generated.TensorType.STRING
        made.buffers[1].data = np.frombuffer(stored, np.uint8)

    found = refusal(content, change)
    assert reason in found if reason else found == ""
