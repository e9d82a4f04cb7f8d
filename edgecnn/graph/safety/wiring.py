"""Who writes which tensor, and whether it is written before it is read."""

from edgecnn.graph.safety.call import Unsafe, called
from edgecnn.graph.view import Subgraph


def check_wiring(subgraph: Subgraph) -> None:
    """Refuse a subgraph in which a tensor is read unwritten, written twice, or written though constant."""
    tensors = subgraph.tensors
    # a shape of no dimensions is a list of no numbers: there is nothing to write
    ready = [
        tensor.is_constant
        or tensor.is_variable
        or (tensor.shape == (0,) and tensor.dtype in ("int32", "int64"))
        for tensor in tensors
    ]
    written = [False] * len(tensors)
    for index in subgraph.inputs:
        if tensors[index].is_constant:
            raise Unsafe(f"the input {called(tensors[index])} is a constant")
        ready[index] = written[index] = True
    for operator in subgraph.ops:
        where = f"operator {operator.index} ({operator.label})"
        for index in operator.inputs:
            if index >= 0 and not ready[index]:
                raise Unsafe(f"{where} reads {called(tensors[index])} before anything has written it")
        for index in operator.outputs:
            if index < 0:
                raise Unsafe(f"{where} has an output that is left out")
            if tensors[index].is_constant:
                raise Unsafe(f"{where} writes {called(tensors[index])}, which is a constant")
            if tensors[index].is_variable:
                raise Unsafe(f"{where} writes {called(tensors[index])}, which is a state of the model")
            if written[index]:
                raise Unsafe(f"{where} writes {called(tensors[index])}, which is written already")
            ready[index] = written[index] = True
    for index in subgraph.outputs:
        if not ready[index]:
            raise Unsafe(f"the output {called(tensors[index])} is never written")
