"""Before and after a compression: what it bought and what it cost, all of it measured.

`compare` judges and times two runs, `Comparison` holds what was found and says it in one sentence,
`write_comparison` leaves it in the new run. Nothing in it is estimated.
"""

from edgecnn.comparison.figures import Comparison
from edgecnn.comparison.measuring import compare, write_comparison

__all__ = ["Comparison", "compare", "write_comparison"]
