"""Small models to time a device with: one operator, or a chain of them, in float32 and int8."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from calibration import editable

_TYPES: Final = {"float32": schema.TensorType.FLOAT32, "int8": schema.TensorType.INT8}
_SCALE: Final = 0.05


class MicroModel:
    """A model in the making: each operator takes the map that the last one gave."""

    def __init__(self, dtype: str, height: int, width: int, channels: int) -> None:
        self._dtype = dtype
        self._model = schema.ModelT(version=3, operatorCodes=[], buffers=[schema.BufferT()])
        self._graph = schema.SubGraphT(tensors=[], operators=[], inputs=[], outputs=[], name="main")
        self._model.subgraphs = [self._graph]
        self._random = np.random.default_rng(0)
        self._shape = (1, height, width, channels)
        self._last = self._map(self._shape)
        self._graph.inputs = [self._last]

    def conv(self, out: int, kernel: int = 1) -> "MicroModel":
        """A convolution over all channels, stride 1, padding SAME."""
        channels = self._shape[3]
        weights = self._weights((out, kernel, kernel, channels), axis=0)
        options = schema.Conv2DOptionsT(strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1)
        self._shape = (*self._shape[:3], out)
        return self._add("CONV_2D", [self._last, weights, self._bias(out)], options, version=3)

    def depthwise(self, kernel: int = 3) -> "MicroModel":
        """A depthwise convolution, stride 1, padding SAME."""
        channels = self._shape[3]
        weights = self._weights((1, kernel, kernel, channels), axis=3)
        options = schema.DepthwiseConv2DOptionsT(
            strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1, depthMultiplier=1
        )
        return self._add("DEPTHWISE_CONV_2D", [self._last, weights, self._bias(channels)], options, version=3)

    def add(self) -> "MicroModel":
        """The map added to itself."""
        return self._add("ADD", [self._last, self._last], schema.AddOptionsT(), version=2)

    def hard_swish(self) -> "MicroModel":
        """An operator on each value that XNNPACK leaves to TFLite's own kernels in int8."""
        return self._add("HARD_SWISH", [self._last], schema.HardSwishOptionsT(), version=1)

    def content(self) -> bytes:
        """The file."""
        self._graph.outputs = [self._last]
        return editable.write(self._model)

    def _add(self, kind: str, inputs: Sequence[int], options: Any, version: int) -> "MicroModel":
        code = getattr(schema.BuiltinOperator, kind)
        self._model.operatorCodes.append(
            schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=code, version=version)
        )
        made = self._map(self._shape)
        operator = schema.OperatorT(opcodeIndex=len(self._model.operatorCodes) - 1)
        operator.inputs, operator.outputs, operator.builtinOptions = list(inputs), [made], options
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self._graph.operators.append(operator)
        self._last = made
        return self

    def _map(self, shape: Sequence[int]) -> int:
        return self._tensor(shape, self._dtype, None, [_SCALE])

    def _weights(self, shape: tuple[int, ...], axis: int) -> int:
        values = self._random.integers(-127, 128, shape, np.int8)
        if self._dtype == "float32":
            return self._tensor(shape, "float32", values.astype(np.float32) / 1000, [])
        # Small enough that sums stay in range whatever the map holds.
        scale = 1 / (127 * float(np.prod(shape) / shape[axis]))
        return self._tensor(shape, "int8", values, [scale] * shape[axis], axis)

    def _bias(self, out: int) -> int:
        if self._dtype == "float32":
            return self._tensor((out,), "float32", np.zeros(out, np.float32), [])
        weights = self._graph.tensors[-1].quantization.scale
        return self._tensor((out,), "int32", np.zeros(out, np.int32), _SCALE * np.asarray(weights))

    def _tensor(
        self, shape: Sequence[int], dtype: str, values: Any, scale: Sequence[float] | Any, axis: int = 0
    ) -> int:
        buffer = 0
        if values is not None:
            self._model.buffers.append(schema.BufferT(data=np.frombuffer(values.tobytes(), np.uint8)))
            buffer = len(self._model.buffers) - 1
        kind = schema.TensorType.INT32 if dtype == "int32" else _TYPES[dtype]
        made = schema.TensorT(
            shape=list(shape), type=kind, buffer=buffer, name=f"t{len(self._graph.tensors)}"
        )
        if dtype != "float32":
            made.quantization = schema.QuantizationParametersT(
                scale=np.asarray(scale, np.float32), zeroPoint=np.zeros(len(scale), np.int64),
                quantizedDimension=axis,
            )  # fmt: skip
        self._graph.tensors.append(made)
        return len(self._graph.tensors) - 1
