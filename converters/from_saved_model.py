"""A SavedModel of TensorFlow 2 as a network, after its operations have been looked at.

A SavedModel is a program: its graph may read and write files, print, and call back into Python. So the file
is read as data first. What loading or calling could run must be arithmetic, by a list of what is; and nothing
but functions and variables may be restored.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from converters.from_keras import REFUSALS, Network, first_line, fix
from converters.input_shape import complete
from edgecnn.errors import ConversionError
from edgecnn.keras import tf

FILE: Final = "saved_model.pb"
_SERVING: Final = "serving_default"
_INTERNAL: Final = "__saved_model_init_op"
_RESTORED: Final = frozenset({"user_object", "function", "bare_concrete_function", "variable", "constant"})
_RESTORED_NAMES: Final = {"resource": "a table or an iterator", "asset": "a file of its own"}

_NAMES: Final = """
Abs Add AddN AddV2 All Any ArgMax ArgMin Atan2 AvgPool BatchMatMul BatchMatMulV2 BatchMatMulV3
BatchToSpaceND BiasAdd BroadcastArgs BroadcastTo Cast Ceil ClipByValue ConcatV2 Concat Const Conv2D
Conv2DBackpropInput Cos Cumsum DepthToSpace DepthwiseConv2dNative Div DivNoNan Einsum Elu EnsureShape
Equal Erf Exp ExpandDims Fill Floor FloorDiv FloorMod FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3
Gather GatherNd GatherV2 Greater GreaterEqual Identity IdentityN Inv InvertPermutation IsFinite IsInf
IsNan L2Loss LeakyRelu Less LessEqual LinSpace Log Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr MatMul
Max MaxPool MaxPoolV2 Maximum Mean Min Minimum MirrorPad Mul MulNoNan Neg NextIteration NoOp NotEqual
OneHot OnesLike Pack Pad PadV2 ParallelConcat Placeholder PlaceholderWithDefault Pow PreventGradient Prod
Range Rank RealDiv Reciprocal Relu Relu6 Reshape ResizeArea ResizeBicubic ResizeBilinear
ResizeNearestNeighbor ReverseV2 Rint Round Rsqrt Select SelectV2 Selu Shape ShapeN Sigmoid Sign Sin Size
Slice Snapshot Softmax Softplus Softsign SpaceToBatchND SpaceToDepth Split SplitV Sqrt Square
SquaredDifference Squeeze StopGradient StridedSlice Sub Sum Tan Tanh TensorScatterUpdate Tile TopKV2
Transpose TruncateDiv TruncateMod Unpack Where Xdivy ZerosLike
FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel
RandomUniform RandomStandardNormal RandomUniformInt StatelessRandomUniform StatelessRandomUniformV2
StatelessRandomNormalV2 StatelessRandomGetKeyCounter StatelessRandomGetAlg StatelessRandomUniformIntV2
ReadVariableOp AssignVariableOp AssignAddVariableOp AssignSubVariableOp VarHandleOp VarIsInitializedOp
PartitionedCall StatefulPartitionedCall If StatelessIf While StatelessWhile Case StatelessCase
"""
_ARITHMETIC: Final = frozenset(_NAMES.split())
"""Operations that compute from tensors or use the model's own variables; dropout draws numbers."""


def read_saved_model(path: Path, *, roles: Sequence[str], size_wh: tuple[int, int] | None = None) -> Network:
    """Load the signature `serving_default`, or the only one there is.

    Args:
        path: the folder.
        roles: names for the outputs, in the signature's order.
        size_wh: size of an image for a network that leaves it open.

    Raises:
        ConversionError: damaged, from TensorFlow 1, it would do more than arithmetic, or its inputs or
            outputs are not these.
    """
    key = _checked_signature(path)
    try:
        loaded = tf.saved_model.load(str(path))
        function = loaded.signatures[key]
        specs = function.structured_input_signature[1]
    except REFUSALS as error:
        raise ConversionError(f"{path}: TensorFlow cannot load it: {first_line(error)}") from None
    if len(specs) != 1:
        listed = ", ".join(f"{name!r} {tuple(spec.shape or ())}" for name, spec in specs.items())
        raise ConversionError(f"{path}: takes {len(specs)} inputs ({listed}); edgecnn feeds one image")
    ((word, spec),) = specs.items()
    if not spec.dtype.is_floating:
        raise ConversionError(
            f"{path}: takes {spec.dtype.name} images; only float32 can be converted. Export the network "
            "without the cast before it."
        )
    shape = (1, *complete(tuple(spec.shape) if spec.shape.rank else (), str(path), size_wh=size_wh))
    outputs = function.structured_outputs
    if len(outputs) != len(roles):
        raise ConversionError(
            f"{path}: has {len(outputs)} outputs ({', '.join(outputs)}), but the task has {len(roles)}: "
            f"{', '.join(roles)}."
        )

    def call(image: Any) -> Any:
        return function(**{word: tf.cast(image, spec.dtype)})

    network = fix(path, call, shape, roles=roles, variables=function.variables)
    network.owner.loaded = _Kept(loaded)  # a function does not keep the variables that it reads
    return network


class _Kept:
    """Holds an object that TensorFlow must not look into when it saves the owner."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _checked_signature(path: Path) -> str:
    """The name of the signature to call, once nothing that will be run does more than arithmetic."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it has none
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    file = path / FILE
    try:
        content = SavedModel.FromString(file.read_bytes())
    except FileNotFoundError:
        raise ConversionError(f"{path}: is no SavedModel, there is no {FILE} in it") from None
    except OSError as error:
        raise ConversionError(f"{file}: cannot be read ({error.strerror})") from None
    except DecodeError:
        raise ConversionError(f"{file}: damaged, not readable as a SavedModel. Copy it again.") from None
    graphs = [graph for graph in content.meta_graphs if "serve" in graph.meta_info_def.tags]
    if len(graphs) != 1 or len(content.meta_graphs) != 1:
        raise ConversionError(
            f"{path}: holds {len(content.meta_graphs)} graphs, {len(graphs)} of them for serving; one is "
            "wanted. Export the network with model.export()."
        )
    graph = graphs[0]
    if not graph.HasField("object_graph_def"):
        raise ConversionError(
            f"{path}: is of TensorFlow 1, whose loading runs the graph. Load it with TensorFlow 2 where it "
            "came from, and save it again."
        )
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    for operation, place in _operations(functions, graph.object_graph_def.concrete_functions):
        if operation not in _ARITHMETIC:
            raise ConversionError(
                f"{path}: its graph runs the operation {operation} (in {place}), which is not known to be "
                "harmless arithmetic, so the model is not loaded. Export the network alone, without it."
            )
    for node in graph.object_graph_def.nodes:
        kind = node.WhichOneof("kind")
        if kind not in _RESTORED or node.saveable_objects or node.registered_saver:
            what = _RESTORED_NAMES.get(kind, "an object with code for its own restoring")
            raise ConversionError(
                f"{path}: holds {what}, which an image network does not need and which is not loaded. "
                "Export the network alone."
            )
    return _signature(path, [key for key in graph.signature_def if key != _INTERNAL])


def _signature(path: Path, keys: Sequence[str]) -> str:
    if _SERVING in keys:
        return _SERVING
    if len(keys) == 1:
        return keys[0]
    found = f"the signatures {', '.join(sorted(keys))}" if keys else "no signature"
    raise ConversionError(
        f"{path}: has {found}, but {_SERVING!r} is wanted. Save it with "
        "signatures={'serving_default': …}, or use model.export()."
    )


def _operations(functions: Mapping[str, Any], begin: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Every operation that can run once one of these functions is called, and the function it stands in."""
    ahead, seen = list(begin), set()
    while ahead:
        name = ahead.pop()
        if name in seen:
            continue
        seen.add(name)
        if name not in functions:
            yield "of a function that is missing", name
            continue
        for node in functions[name].node_def:
            for value in node.attr.values():
                called = [value.func, *value.list.func] if value.HasField("func") else list(value.list.func)
                ahead.extend(function.name for function in called)
            if node.op in functions:
                ahead.append(node.op)
            else:
                yield node.op, name
