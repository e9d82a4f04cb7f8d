"""One page that says which file to take, and its Markdown and JSON twins: `write_report`."""

from edgecnn.report.pages import Picture, write_report

__all__ = ["Picture", "write_report"]
