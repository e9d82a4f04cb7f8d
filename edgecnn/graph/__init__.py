"""A .tflite file as plain values (`read`), and whether it is safe to run (`check`)."""

from edgecnn.graph.reader import read
from edgecnn.graph.safety import check
from edgecnn.graph.view import Graph, Operator, Signature, Subgraph, Tensor

__all__ = ["Graph", "Operator", "Signature", "Subgraph", "Tensor", "check", "read"]
