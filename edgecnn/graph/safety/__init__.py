"""Whether running a model would kill the process.

LiteRT checks that a file is a well-formed FlatBuffer and trusts it from there: an index of -1, a scale of
zero or a missing option ends the process, and no `except` sees it; tflite-runtime does not even check the
FlatBuffer. `check` looks at everything that their kernels take for granted. What a kernel reports itself is
left to it: it comes as an ordinary error. A loop that never ends, or a division by an input that is 0, cannot
be seen here.

Found, and kept complete, by benchmarks/fuzz_models.py: a kernel that learns a new way to die gets a rule
here.
"""

from edgecnn.errors import ModelError
from edgecnn.graph.safety.arity import check_arity
from edgecnn.graph.safety.call import Call, Unsafe
from edgecnn.graph.safety.control import check_calls, check_depth
from edgecnn.graph.safety.kernels import check_kernel
from edgecnn.graph.safety.tensors import check_ends, check_tensor
from edgecnn.graph.safety.wiring import check_wiring
from edgecnn.graph.view import Graph, Operator, Subgraph


def check(graph: Graph) -> None:
    """Refuse a model that would kill the interpreter's process.

    Raises:
        ModelError: says what is wrong, and at which operator or tensor.
    """
    try:
        for subgraph in graph.subgraphs:
            for tensor in subgraph.tensors:
                check_tensor(graph, tensor)
            check_wiring(subgraph)
            for operator in subgraph.ops:
                _check_operator(graph, subgraph, operator)
        check_ends(graph)
        check_depth(graph)
    except Unsafe as error:
        raise ModelError(f"{graph.name}: {error}. Running it could crash; convert it again.") from None


def _check_operator(graph: Graph, subgraph: Subgraph, operator: Operator) -> None:
    try:
        check_arity(operator)
        inputs = [subgraph.tensors[index] if index >= 0 else None for index in operator.inputs]
        call = Call(graph, operator, inputs, [subgraph.tensors[index] for index in operator.outputs])
        check_calls(call)
        check_kernel(call)
    except Unsafe as error:
        within = f" of subgraph {subgraph.index}" if subgraph.index else ""
        raise Unsafe(f"operator {operator.index}{within} ({operator.label}): {error}") from None
