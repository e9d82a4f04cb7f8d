"""The oracle is LiteRT's own generated schema, which the product never imports (687 KB)."""

import inspect
import re
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as generated

from edgecnn.flatbuffer import Layout
from edgecnn.graph import schema

LETTERS = {
    "Int8": "b", "Uint8": "B", "Bool": "?", "Int16": "h", "Uint16": "H", "Int32": "i", "Uint32": "I",
    "Int64": "q", "Uint64": "Q", "Float32": "f", "Float64": "d",
}  # fmt: skip


def names_of(enumeration: Any) -> list[str]:
    """An enumeration's names in order; they must be numbered from 0."""
    numbered = {number: name for name, number in vars(enumeration).items() if isinstance(number, int)}
    assert sorted(numbered) == list(range(len(numbered)))
    return [numbered[number] for number in range(len(numbered))]


def generated_fields(table: Any) -> dict[int, tuple[str, Any]]:
    """Slot, type letters and default of every field of a generated table class, read from its source."""
    fields: dict[int, tuple[str, Any]] = {}
    for name, method in vars(table).items():
        if not inspect.isfunction(method) or name.endswith(("AsNumpy", "Length", "IsNone")):
            continue
        source = inspect.getsource(method)
        slot = re.search(r"self\._tab\.Offset\((\d+)\)", source)
        if slot is None:
            continue
        types = [word for word in re.findall(r"number_types\.(\w+)Flags", source) if word != "UOffsetT"]
        kind = LETTERS[types[0]] if types else "s" if "_tab.String" in source else "t"
        if len(inspect.signature(method).parameters) > 1:
            kind = "[" + kind
        default = re.findall(r"return (\S+)$", source, re.M)[-1]
        fields[(int(slot[1]) - 4) // 2] = (kind, default)
    return fields


def assert_same(table: Any, layout: Layout) -> None:
    for slot, (kind, default) in generated_fields(table).items():
        if slot >= len(layout):  # newer fields may be passed over at the end
            continue
        field = layout[slot]
        if field.kind == "-":
            continue
        assert field.kind == kind, (table.__name__, field)
        if kind in LETTERS.values():
            assert float(field.default) == float({"True": 1, "False": 0}.get(default, default)), (
                table,
                field,
            )


def test_operators_are_numbered_as_in_the_schema() -> None:
    assert list(schema.OPERATORS) == names_of(generated.BuiltinOperator)


def test_tensor_types_are_numbered_as_in_the_schema() -> None:
    assert [name.upper() for name in schema.TENSOR_TYPES] == names_of(generated.TensorType)


def test_paddings_and_activations_are_numbered_as_in_the_schema() -> None:
    assert list(schema.PADDINGS) == names_of(generated.Padding)
    assert list(schema.ACTIVATIONS) == names_of(generated.ActivationFunctionType)


@pytest.mark.parametrize(
    ("union", "number"), [(1, n) for n in range(1, 127)] + [(2, n) for n in range(1, 24)]
)
def test_an_options_table_has_the_fields_of_the_schema(union: int, number: int) -> None:
    known = schema.options_layout(union, number)
    assert known is not None
    name = names_of(generated.BuiltinOptions if union == 1 else generated.BuiltinOptions2)[number]
    assert name.lower() == known[0].lower() + "options"
    table = getattr(generated, name)
    assert_same(table, known[1])
    slots = generated_fields(table)
    assert len(known[1]) >= len(slots)


@pytest.mark.parametrize(
    ("table", "layout"),
    [
        ("Model", schema.MODEL),
        ("SubGraph", schema.SUBGRAPH),
        ("Tensor", schema.TENSOR),
        ("QuantizationParameters", schema.QUANTIZATION),
        ("Buffer", schema.BUFFER),
        ("Operator", schema.OPERATOR),
        ("OperatorCode", schema.OPERATOR_CODE),
        ("Metadata", schema.METADATA),
        ("SignatureDef", schema.SIGNATURE),
        ("TensorMap", schema.TENSOR_MAP),
        ("SparsityParameters", schema.SPARSITY),
        ("DimensionMetadata", schema.SPARSE_DIMENSION),
        ("VariantSubType", schema.VARIANT),
        ("BlockwiseQuantization", schema.BLOCKWISE),
    ],
)
def test_a_table_has_the_fields_of_the_schema(table: str, layout: Layout) -> None:
    assert_same(getattr(generated, table), layout)


def test_options_of_an_unknown_number_are_unknown() -> None:
    assert schema.options_layout(1, 0) is None
    assert schema.options_layout(1, 127) is None
    assert schema.options_layout(2, 24) is None


@pytest.mark.parametrize(
    ("operator", "name"),
    [
        ("CONV_2D", "Conv2D"),
        ("MAX_POOL_2D", "Pool2D"),
        ("REDUCE_ALL", "Reducer"),
        ("MINIMUM", "MaximumMinimum"),
        ("SPACE_TO_BATCH_ND", "SpaceToBatchND"),
        ("STABLEHLO_COMPOSITE", "StablehloComposite"),
        ("RELU", None),
        ("LOGISTIC", None),
        ("BUILTIN_999", None),
    ],
)
def test_an_operator_knows_its_options(operator: str, name: str | None) -> None:
    assert schema.options_name(operator) == name
