"""What a compression bought, on a terminal: before and after, the classes that lost most, one sentence."""

from typing import Any

from edgecnn.cli import text

_CLASSES_SHOWN = 5


def show_comparison(comparison: Any) -> None:
    """Show a `Comparison`."""
    from edgecnn.comparison import rows

    found = comparison.as_dict()
    text.show(text.table(rows.rows(found), rows.HEADER))
    classes = rows.class_rows(found)
    if classes:
        text.show("")
        text.show(text.table(classes[:_CLASSES_SHOWN], rows.class_header(found)))
    if len(classes) > _CLASSES_SHOWN:
        text.tell(f"{len(classes) - _CLASSES_SHOWN} classes that fared better are in compression.json")
    text.tell(rows.conditions(found))
    text.each_told(found["notes"])
    text.show("")
    text.show(found["verdict"])
