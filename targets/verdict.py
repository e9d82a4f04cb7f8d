"""What a device says about one operator: where it runs, and if not on the accelerator, why and what to do.

Knows no device: each delegate's own module (`targets.edge_tpu`, `targets.xnnpack`, …) gives verdicts, and
`targets.support` puts them together.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeAlias

from edgecnn.graph import Graph

CPU: Final = "cpu"  # TFLite's own kernels, built in
NOWHERE: Final = "nowhere"  # no kernel at all: the model does not run there


@dataclass(frozen=True)
class Verdict:
    """Where one operator runs.

    Attributes:
        operator: its place in the main subgraph.
        kind: its name, "CONV_2D", or a custom operator's own name.
        unit: who runs it: a delegate's name ("edge_tpu", "xnnpack", …), "cpu" for the kernels of TFLite
            itself, "nowhere" where there is none.
        reason: why it is not on the delegate; "" where it is.
        remedy: what to do about it; "" where it is on the delegate, or where nothing helps.
        fix: name of the change in `targets.fix` that lifts it; "" where the file alone cannot be mended.
        source: where the rule is written down; "" where the operator simply runs.
    """

    operator: int
    kind: str
    unit: str
    reason: str = ""
    remedy: str = ""
    fix: str = ""
    source: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The verdict as JSON values."""
        return asdict(self)


Judge: TypeAlias = Callable[[Graph, int], tuple[Verdict, ...]]
"""From a model and a delegate's level (Android API level, Edge TPU runtime version; 0 where it has none) to
one verdict for each operator of the main subgraph, in order."""
