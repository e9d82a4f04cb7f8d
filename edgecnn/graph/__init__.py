"""A .tflite file as plain values (`read`), and whether it is safe to run (`check`).

Knows the file; not what its numbers mean (the card does), nor how to run it (`edgecnn.runtime` does). What it
costs is told by `edgecnn.graph.summary` and, layer by layer, `edgecnn.graph.layers`.
"""

from edgecnn.graph.reader import read
from edgecnn.graph.safety import check
from edgecnn.graph.view import Graph, Operator, Signature, Subgraph, Tensor

__all__ = ["Graph", "Operator", "Signature", "Subgraph", "Tensor", "check", "read"]
