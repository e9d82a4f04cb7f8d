"""What every operator of a converted file computes in, beside the float model it was made from."""

from collections.abc import Iterator
from typing import Final

from converters.schemes import Keep
from edgecnn.errors import ConversionError
from edgecnn.graph import Graph, Operator

_BORDERS: Final = ("QUANTIZE", "DEQUANTIZE")


def pairs(made: Graph, source: Graph) -> Iterator[tuple[Operator, Operator]]:
    """Every operator of a converted file with the one of the float model it was made from.

    Converters add QUANTIZE and DEQUANTIZE, and leave the others in their order.

    Raises:
        ConversionError: the operators are not the same.
    """
    ours, theirs = ([one for one in graph.ops if one.kind not in _BORDERS] for graph in (made, source))
    if [one.kind for one in ours] != [one.kind for one in theirs]:
        raise ConversionError(
            f"{source.name}: ai-edge-quantizer changed the operators, not only their types. Use the version "
            "that edgecnn was tested with."
        )
    yield from zip(ours, theirs, strict=True)


def types(made: Graph, operator: Operator) -> set[str]:
    """The types of everything that an operator reads and writes."""
    return {made.tensors[index].dtype for index in (*operator.inputs, *operator.outputs) if index >= 0}


def in_float(made: Graph, source: Graph) -> tuple[str, ...]:
    """The operators of a converted file that compute in float32, by the name of their first output."""
    return tuple(
        source.tensors[origin.outputs[0]].name
        for operator, origin in pairs(made, source)
        if "float32" in types(made, operator)
    )


def check(made: Graph, source: Graph, integers: str, keep: Keep) -> None:
    """Every operator computes in the integers of the scheme, or in what it is kept in.

    Args:
        made: the converted file.
        source: the float model it was made from.
        integers: type of the activations, "int8" or "int16".
        keep: what is kept.

    Raises:
        ConversionError: an operator computes in something else, or stands before an output of a type that no
            kernel turns its own into.
    """
    for operator in made.ops:
        if operator.kind == "QUANTIZE" and {"int16", "uint8"} == types(made, operator):
            raise ConversionError(
                f"{source.name}: no runtime turns int16 into uint8. Keep the last operator in float32, or "
                "give the model int8 or float32 outputs."
            )
    for operator, origin in pairs(made, source):
        tensor = source.tensors[origin.outputs[0]].name
        floating = {source.tensors[i].dtype for i in (*origin.inputs, *origin.outputs) if i >= 0}
        if "float32" not in floating:
            continue  # it counts, or computes a shape
        wanted, found = keep.get(tensor, integers), types(made, operator)
        if ("float32" in found) != (wanted == "float32") or ("int16" in found) != (wanted == "int16"):
            advice = "" if tensor in keep else ". Keep it in float32, replace it, or use --float16"
            raise ConversionError(
                f"{source.name}: {operator.label} ({tensor}) has no {wanted} version in ai-edge-quantizer, "
                f"so the model would stay partly {'float' if 'float32' in found else 'int8'}{advice}."
            )
