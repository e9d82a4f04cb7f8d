"""The TFLite schema, as far as a reader needs it: operator names, tensor types, the layout of every table.

Only names and numbers: reading them is `edgecnn.graph.reader`, judging them `edgecnn.graph.safety`. A row of
OPTIONS is the layout of one options table (see `edgecnn.flatbuffer.layout`); the row's place is its number in
the union.

Source: tensorflow/lite/schema/schema.fbs, version 3, as of LiteRT 2.3.
"""

from functools import cache
from typing import Final

from edgecnn.flatbuffer import Layout, layout

_NAMES: Final = """
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR
FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC
LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX
SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD
UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE
UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE
BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL
LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT
RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT
UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR
LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK
ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4
NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL
PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS
HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE
READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL
GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2
UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE
STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE
STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE
STABLEHLO_ABS STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG
STABLEHLO_MINIMUM STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT
STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT
STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL
STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE
STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT
STABLEHLO_CASE
"""
OPERATORS: Final = tuple(_NAMES.split())

# name: bytes per element; half a byte is two elements in one, 0 has no fixed size
TENSOR_TYPES: Final = {
    "float32": 4, "float16": 2, "int32": 4, "uint8": 1, "int64": 8, "string": 0, "bool": 1, "int16": 2,
    "complex64": 8, "int8": 1, "float64": 8, "complex128": 16, "uint64": 8, "resource": 0, "variant": 0,
    "uint32": 4, "uint16": 2, "int4": 0.5, "bfloat16": 2, "int2": 0.25, "uint4": 0.5, "float8_e4m3fn": 1,
    "float8_e5m2": 1,
}  # fmt: skip

PADDINGS: Final = ("SAME", "VALID")
ACTIVATIONS: Final = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")

MODEL: Final = layout(
    "version:I operator_codes:[t subgraphs:[t description:s buffers:[t metadata_buffer:[i metadata:[t"
    " signatures:[t external_groups:[t external_buffers:[t"
)
SUBGRAPH: Final = layout("tensors:[t inputs:[i outputs:[i operators:[t name:s")
TENSOR: Final = layout(
    "shape:[i type:b buffer:I name:s quantization:t is_variable:? sparsity:t shape_signature:[i has_rank:?"
    " variant_tensors:[t external_buffer:I"
)
QUANTIZATION: Final = layout("min:[f max:[f scale:[f zero_point:[q details_type:B details:t dimension:i")
BUFFER: Final = layout("data:[B offset:Q size:Q")
OPERATOR: Final = layout(
    "opcode:I inputs:[i outputs:[i options_type:B options:t custom_options:[B custom_format:b mutating:[?"
    " intermediates:[i large_options_offset:Q large_options_size:Q options2_type:B options2:t"
)
OPERATOR_CODE: Final = layout("short_code:b custom_code:s version:i=1 code:i")
METADATA: Final = layout("name:s buffer:I")
SIGNATURE: Final = layout("inputs:[t outputs:[t key:s tag:- subgraph:I")
TENSOR_MAP: Final = layout("name:s tensor:I")
SPARSITY: Final = layout("traversal_order:[i block_map:[i dimensions:[t")
SPARSE_DIMENSION: Final = layout("format:b dense_size:i segments_type:B segments:t indices_type:B indices:t")
SPARSE_DENSE: Final = 0
SPARSE_INDICES: Final = ((), layout("values:[i"), layout("values:[H"), layout("values:[B"))
VARIANT: Final = layout("shape:[i type:b has_rank:?")
BLOCKWISE_NUMBER: Final = 2
BLOCKWISE: Final = layout("scales:i zero_points:i block_size:i")

OPTIONS: Final = """
Conv2D padding:b stride_width:i stride_height:i activation:b dilation_width:i=1 dilation_height:i=1 bias_type:b
DepthwiseConv2D padding:b stride_width:i stride_height:i depth_multiplier:i activation:b dilation_width:i=1 dilation_height:i=1
ConcatEmbeddings num_channels:i columns_per_channel:[i embedding_per_channel:[i
LSHProjection type:b
Pool2D padding:b stride_width:i stride_height:i filter_width:i filter_height:i activation:b
SVDF rank:i activation:b asymmetric_inputs:?
RNN activation:b asymmetric_inputs:?
FullyConnected activation:b weights_format:b keep_dimensions:? asymmetric_inputs:? bias_type:b quantization:[B
Softmax beta:f
Concatenation axis:i activation:b
Add activation:b pot_scale_int16:?=True
L2Norm activation:b
LocalResponseNormalization radius:i bias:f alpha:f beta:f
LSTM activation:b cell_clip:f projection_clip:f kernel_type:b asymmetric_inputs:?
ResizeBilinear new_height:i new_width:i align_corners:? half_pixel_centers:?
Call subgraph:I
Reshape new_shape:[i
SkipGram ngram_size:i max_skip_size:i include_all:?
SpaceToDepth block_size:i
EmbeddingLookupSparse combiner:b
Mul activation:b
Pad
Gather axis:i batch_dimensions:i
BatchToSpaceND
SpaceToBatchND
Transpose
Reducer keep_dimensions:?
Sub activation:b pot_scale_int16:?=True
Div activation:b
Squeeze squeeze_dimensions:[i
SequenceRNN time_major:? activation:b asymmetric_inputs:?
StridedSlice begin_mask:i end_mask:i ellipsis_mask:i new_axis_mask:i shrink_axis_mask:i offset:?
Exp
TopKV2
Split num_splits:i
LogSoftmax
Cast in_type:b out_type:b
Dequantize
MaximumMinimum
ArgMax output_type:b
Less
Neg
PadV2
Greater
GreaterEqual
LessEqual
Select
Slice
TransposeConv padding:b stride_width:i stride_height:i activation:b bias_type:b
SparseToDense validate_indices:?
Tile
ExpandDims
Equal
NotEqual
Shape output_type:b
Pow
ArgMin output_type:b
FakeQuant min:f max:f num_bits:i narrow_range:?
Pack values_count:i axis:i
LogicalOr
OneHot axis:i
LogicalAnd
LogicalNot
Unpack num:i axis:i
FloorDiv
Square
ZerosLike
Fill
BidirectionalSequenceLSTM activation:b cell_clip:f projection_clip:f merge_outputs:? time_major:?=True asymmetric_inputs:?
BidirectionalSequenceRNN time_major:? activation:b merge_outputs:? asymmetric_inputs:?
UnidirectionalSequenceLSTM activation:b cell_clip:f projection_clip:f time_major:? asymmetric_inputs:? diagonal_recurrent:?
FloorMod
Range
ResizeNearestNeighbor align_corners:? half_pixel_centers:?
LeakyRelu alpha:f
SquaredDifference
MirrorPad mode:b
Abs
SplitV num_splits:i
Unique index_type:b=2
ReverseV2
AddN
GatherNd
Cos
Where
Rank
ReverseSequence seq_dimension:i batch_dimension:i
MatrixDiag
Quantize
MatrixSetDiag
HardSwish
If then_subgraph:i else_subgraph:i
While condition_subgraph:i body_subgraph:i
DepthToSpace block_size:i
NonMaxSuppressionV4
NonMaxSuppressionV5
ScatterNd
SelectV2
Densify
SegmentSum
BatchMatMul adjoint_x:? adjoint_y:? asymmetric_inputs:?
Cumsum exclusive:? reverse:?
CallOnce init_subgraph:i
BroadcastTo
Rfft2d
Conv3D padding:b stride_depth:i stride_width:i stride_height:i activation:b dilation_depth:i=1 dilation_width:i=1 dilation_height:i=1
Hashtable table_id:i key_type:b value_type:b
HashtableFind
HashtableImport
HashtableSize
VarHandle container:s shared_name:s
ReadVariable
AssignVariable
Random seed:q seed2:q
Bucketize boundaries:[f
Gelu approximate:?
DynamicUpdateSlice
UnsortedSegmentProd
UnsortedSegmentMax
UnsortedSegmentMin
UnsortedSegmentSum
ATan2
Sign
Bitcast
BitwiseXor
RightShift
"""  # noqa: E501

OPTIONS_2: Final = """
StablehloConcatenate dimension:q
StablehloBroadcastInDim broadcast_dimensions:[q
StablehloSlice start_indices:[q limit_indices:[q strides:[q
StablehloConvolution window_strides:[q padding:[q lhs_dilation:[q rhs_dilation:[q window_reversal:[? input_batch_dimension:q input_feature_dimension:q input_spatial_dimensions:[q kernel_input_feature_dimension:q kernel_output_feature_dimension:q kernel_spatial_dimensions:[q output_batch_dimension:q output_feature_dimension:q output_spatial_dimensions:[q feature_group_count:q batch_group_count:q precision_config:[I
StablehloCustomCall call_target_name:s has_side_effect:? backend_config:s api_version:i called_computations:[i custom_attributes:[B
StablehloReduce dimensions:[q body_subgraph:i
StablehloScatter indices_are_sorted:? update_window_dims:[q inserted_window_dims:[q scatter_dims_to_operand_dims:[q index_vector_dim:q unique_indices:? update_computation_subgraph:i
StablehloCompare comparison_direction:I compare_type:I
StablehloDynamicSlice slice_sizes:[q
StablehloPad edge_padding_low:[q edge_padding_high:[q interior_padding:[q
StablehloIota iota_dimension:q
StablehloDotGeneral lhs_batching_dimensions:[q rhs_batching_dimensions:[q lhs_contracting_dimensions:[q rhs_contracting_dimensions:[q precision_config:[I
StablehloReduceWindow window_dimensions:[q window_strides:[q base_dilations:[q window_dilations:[q padding:[q body_subgraph:i
StablehloSort dimension:q is_stable:? comparator_subgraph:i
StablehloWhile condition_subgraph:i body_subgraph:i
StablehloGather offset_dims:[q collapsed_slice_dims:[q start_index_map:[q index_vector_dim:q slice_sizes:[q indices_are_sorted:?
StablehloTranspose permutation:[q
Dilate
StablehloRngBitGenerator algorithm:b
ReduceWindow reduce_function:i
StablehloComposite name:s decomposition_subgraph:i attributes:[B attributes_format:b version:i
StablehloShiftLeft
StablehloCase branch_subgraphs:[i
"""  # noqa: E501

# Operators whose options table is not called after them; an operator found in neither has none.
_OPTIONS_NAMES: Final = {
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"), "Pool2D"),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_PROD", "REDUCE_MAX", "REDUCE_MIN"), "Reducer"),
    **dict.fromkeys(("REDUCE_ANY", "REDUCE_ALL"), "Reducer"),
    **dict.fromkeys(("MAXIMUM", "MINIMUM"), "MaximumMinimum"),
    **dict.fromkeys(("RANDOM_UNIFORM", "RANDOM_STANDARD_NORMAL", "MULTINOMIAL"), "Random"),
    "L2_NORMALIZATION": "L2Norm",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "SequenceRNN",
    "CONV_3D_TRANSPOSE": "Conv3D",
}
_OPTIONS_BY_NUMBER: Final = tuple(
    tuple(line.partition(" ") for line in rows.strip().splitlines()) for rows in (OPTIONS, OPTIONS_2)
)
_OPTIONS_BY_FOLDED_NAME: Final = {name.lower(): name for rows in _OPTIONS_BY_NUMBER for name, _, _ in rows}


@cache
def options_layout(union: int, number: int) -> tuple[str, Layout] | None:
    """Name and layout of options table `number` of union 1 or 2; None for a number the schema lacks."""
    rows = _OPTIONS_BY_NUMBER[union - 1]
    if not 1 <= number <= len(rows):
        return None
    name, _, text = rows[number - 1]
    return name, layout(text)


@cache
def options_name(operator: str) -> str | None:
    """Which options table the operator carries, or None."""
    return _OPTIONS_NAMES.get(operator) or _OPTIONS_BY_FOLDED_NAME.get(operator.replace("_", "").lower())
