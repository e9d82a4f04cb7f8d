"""A detector that gives what TFLite_Detection_PostProcess gives: boxes, classes, scores, their count.

Which output is which: by the operator's own outputs, whose order is fixed, however the file reorders them;
where something lies between, by shape, and between classes and scores by name. The operator's class numbers
count from 0 and leave a background out; label files often have one.

Source: tensorflow/lite/kernels/detection_postprocess.cc.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from edgecnn.errors import CardError
from edgecnn.graph import Graph, Operator, Tensor
from edgecnn.graph.flexbuffer import read_settings
from edgecnn.graph.trace import origin
from edgecnn.metadata import Metadata, TensorFacts
from edgecnn.runtime import stranger_labels
from edgecnn.runtime.given import Given
from edgecnn.runtime.stranger_input import listed

Described: TypeAlias = tuple[tuple[str, ...], dict[str, str], dict[str, Any]]
"""Labels, role to the name of its output, options."""

OPERATOR: Final = "TFLite_Detection_PostProcess"
_ROLES: Final = ("boxes", "classes", "scores", "count")  # the operator's outputs, in its order
_NEEDED: Final = _ROLES[:3]
_WORDS: Final = {
    "classes": ("class", "categor", "label"),
    "scores": ("score", "confidence", "probabilit"),
}


def is_like(graph: Graph) -> bool:
    """Whether the outputs come from the operator, or have the shapes of what it gives."""
    if any(_role(graph, index) is not None for index in graph.outputs):
        return True
    shapes = _shapes(graph)
    return len(shapes) in (3, 4) and _boxes_of(shapes) is not None and len(_lists(shapes)) == 2


def has_operator(graph: Graph) -> bool:
    """Whether the file holds the operator."""
    return any(operator.custom_code == OPERATOR for operator in graph.ops)


def describe(
    graph: Graph,
    path: Path,
    said: Metadata | None,
    given: Given,
    order: object,
    assumptions: list[str],
) -> Described:
    """Labels, outputs by role and options of such a detector.

    Args:
        graph: the model's graph.
        path: its file, for what lies behind the model.
        said: its TFLite Metadata.
        given: the caller's word.
        order: the caller's word on which output is which: roles, in the order of the outputs; None where
            nothing is said.
        assumptions: what was assumed is added here.

    Raises:
        CardError: something must be known that nobody said: which option says it.
        DataError: the label file cannot be read.
    """
    positions = _ordered(graph, order) if order is not None else _found(graph, said, assumptions)
    about = said.outputs if said else ()
    classes_at = positions["classes"]
    facts = about[classes_at] if classes_at < len(about) and about[classes_at].label_file else None
    facts = facts or next((one for one in about if one.label_file), None)
    names = stranger_labels.names(path, facts, given, assumptions)
    base = (given.options or {}).get("label_base")
    if base is None:
        labels, base = _numbered(graph, classes_at, names, assumptions)
    else:
        count = _class_count(graph, classes_at)
        if names is None and count is None:
            raise CardError(_NO_NAMES)
        labels = names or stranger_labels.unnamed(count or 0, assumptions)
    return (
        stranger_labels.told_apart(labels),
        {role: graph.tensors[graph.outputs[at]].name for role, at in positions.items()},
        {"decode": "postprocess", "label_base": base, **({} if "count" in positions else {"count": False})},
    )


_NO_NAMES: Final = "nothing says how many classes it knows. Give their names: --labels FILE, one name a line."


def _role(graph: Graph, output: int) -> str | None:
    """What an output is, by the operator that made it; None where it comes from somewhere else."""
    operator, made = origin(graph, output)
    if operator is None or operator.custom_code != OPERATOR or len(operator.outputs) != len(_ROLES):
        return None
    return _ROLES[operator.outputs.index(made)]


def _ordered(graph: Graph, order: object) -> dict[str, int]:
    roles = order.split(",") if isinstance(order, str) else order
    if not isinstance(roles, Sequence) or not all(role in _ROLES for role in roles):
        raise CardError(f"outputs must name roles in their order, of {', '.join(_ROLES)}, not {order!r}")
    if len(roles) != len(graph.outputs) or len(set(roles)) != len(roles) or not set(_NEEDED) <= set(roles):
        raise CardError(
            f"outputs names {', '.join(roles)}, but the model has {len(graph.outputs)} outputs, and each of "
            f"{', '.join(_NEEDED)} is needed once"
        )
    return {role: at for at, role in enumerate(roles)}


def _found(graph: Graph, said: Metadata | None, assumptions: list[str]) -> dict[str, int]:
    """Role to position among the outputs: by the operator, then by shape, then by name."""
    traced = [_role(graph, index) for index in graph.outputs]
    positions = {role: at for at, role in enumerate(traced) if role is not None}
    if set(_NEEDED) <= set(positions):
        return positions
    outputs = [graph.tensors[index] for index in graph.outputs]
    shapes = _shapes(graph)
    open_ = [at for at in range(len(outputs)) if at not in positions.values()]
    boxes = _boxes_of({at: shapes[at] for at in open_ if at in shapes})
    if "boxes" not in positions and boxes is not None:
        positions["boxes"] = boxes
    lists = [at for at in _lists(shapes) if at in open_]
    for role, other in (("classes", "scores"), ("scores", "classes")):
        if role not in positions:
            positions |= _by_name(graph, said, lists, role, other, positions)
    missing = [role for role in _NEEDED if role not in positions]
    if missing:
        raise CardError(
            f"nothing says which of its outputs are {' and '.join(missing)} ({listed(outputs)}). Say the "
            "order: --option outputs=boxes,classes,scores,count"
        )
    count = [at for at in open_ if shapes.get(at) == (1,) and at not in positions.values()]
    if "count" not in positions and len(count) == 1:
        positions["count"] = count[0]
    told = ", ".join(f"{role} {outputs[at].name!r}" for role, at in positions.items())
    assumptions.append(f"by shapes and names the outputs are {told} (--option outputs=… otherwise)")
    return positions


def _by_name(
    graph: Graph,
    said: Metadata | None,
    lists: Sequence[int],
    role: str,
    other: str,
    known: Mapping[str, int],
) -> dict[str, int]:
    """Which of the two lists of numbers are the classes, which the scores."""
    left = [at for at in lists if at not in known.values()]
    if len(left) == 1 and other in known:
        return {role: left[0]}
    for names in _names(graph, said):
        mine = [at for at in left if any(word in names.get(at, "") for word in _WORDS[role])]
        others = [at for at in left if any(word in names.get(at, "") for word in _WORDS[other])]
        if len(mine) == 1 and mine != others:
            return {role: mine[0]}
    whole = [at for at in left if graph.tensors[graph.outputs[at]].dtype in ("int32", "int64")]
    return {"classes": whole[0]} if role == "classes" and len(whole) == 1 < len(left) else {}


def _names(graph: Graph, said: Metadata | None) -> list[dict[int, str]]:
    """Position of an output to a name of it, lower case: by metadata, by signature, by tensor."""
    found = [{at: _said_name(facts) for at, facts in enumerate(said.outputs)}] if said else []
    place = {index: at for at, index in enumerate(graph.outputs)}
    for signature in graph.signatures:
        if signature.subgraph == 0:
            found.append({place[i]: name.lower() for name, i in signature.outputs.items() if i in place})
    found.append({at: graph.tensors[index].name.lower() for index, at in place.items()})
    return found


def _said_name(facts: TensorFacts) -> str:
    return facts.name.lower()


def _shapes(graph: Graph) -> dict[int, tuple[int, ...]]:
    """Position of an output to its shape, where the file states one: files of TensorFlow 1 state none."""
    shapes = {at: graph.tensors[index].shape for at, index in enumerate(graph.outputs)}
    return {at: shape for at, shape in shapes.items() if shape}


def _boxes_of(shapes: Mapping[int, tuple[int, ...]]) -> int | None:
    found = [at for at, shape in shapes.items() if len(shape) == 3 and shape[0] == 1 and shape[2] == 4]
    return found[0] if len(found) == 1 else None


def _lists(shapes: Mapping[int, tuple[int, ...]]) -> list[int]:
    """Outputs of one number for each box."""
    boxes = _boxes_of(shapes)
    count = shapes[boxes][1] if boxes is not None else None
    return [
        at
        for at, shape in shapes.items()
        if len(shape) == 2 and shape[0] == 1 and (count is None or shape[1] == count)
    ]


def _numbered(
    graph: Graph, classes_at: int, names: tuple[str, ...] | None, assumptions: list[str]
) -> tuple[tuple[str, ...], int]:
    """The labels, and the class number of the first of them."""
    count, base = _class_count(graph, classes_at), _added(graph, graph.outputs[classes_at])
    if names is None:
        if count is None:
            raise CardError(_NO_NAMES)
        return stranger_labels.unnamed(count, assumptions), base
    if count is None:
        assumptions.append(
            f"class 0 is {names[0]!r}, the first label (--option label_base=1 where it is class 1)"
        )
        return names, 0
    has_nobody = stranger_labels.is_nobody(names[0])
    if len(names) == count + 1 and has_nobody:
        assumptions.append(
            f"the first label, {names[0]!r}, is no class: {count} classes follow it, class {base} is "
            f"{names[1]!r} (--option label_base={base} keeps it as class {base})"
        )
        return names[1:], base
    if len(names) != count:
        raise CardError(
            f"{len(names)} labels, but {OPERATOR} tells {count} classes apart. Give a label file with "
            f"{count} lines (--labels), or say the class number of the first line: --option label_base=0"
        )
    if has_nobody:
        raise CardError(
            f"the first of {count} labels is {names[0]!r}, and {OPERATOR} tells {count} classes apart. Say "
            f"that class {base} is that (--option label_base={base}), or give --labels without that line"
        )
    assumptions.append(
        f"class {base} is {names[0]!r}: {count} labels for {count} classes (--option label_base="
        f"{1 - base} where it is class {1 - base})"
    )
    return names, base


def _class_count(graph: Graph, classes_at: int) -> int | None:
    """How many classes the operator tells apart; None where there is no such operator."""
    operators = [operator for operator in graph.ops if operator.custom_code == OPERATOR]
    if len(operators) != 1:
        return None
    return int(read_settings(operators[0].custom_options.tobytes())["num_classes"])


def _added(graph: Graph, output: int) -> int:
    """1 where the file adds 1 to the operator's class numbers, else 0."""
    operator, _ = origin(graph, output)
    return int(operator is not None and operator.kind == "ADD" and _is_one_more(graph, operator))


def _is_one_more(graph: Graph, operator: Operator) -> bool:
    constants = [graph.tensors[index] for index in operator.inputs if graph.tensors[index].is_constant]
    others = [index for index in operator.inputs if not graph.tensors[index].is_constant]
    if len(constants) != 1 or len(others) != 1 or _role(graph, others[0]) != "classes":
        return False
    return _is_one(graph, constants[0])


def _is_one(graph: Graph, tensor: Tensor) -> bool:
    values = graph.data(tensor)
    return tensor.dtype in ("float32", "int32", "int64") and values.size == 1 and np.ravel(values)[0] == 1
