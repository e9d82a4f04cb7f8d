"""A model and a device: what would happen there, what can be mended in the file, and files made for it."""

from edgecnn.targeting.answer import Answer, answer
from edgecnn.targeting.mending import Mended, mend
from edgecnn.targeting.shipping import Shipped, ship

__all__ = ["Answer", "Mended", "Shipped", "answer", "mend", "ship"]
