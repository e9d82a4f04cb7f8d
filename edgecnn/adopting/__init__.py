"""A stranger's Keras file becomes a run folder, which everything else can work on."""

from edgecnn.adopting.adopt import as_run

__all__ = ["as_run"]
