"""What `edgecnn diff` found, on a terminal: every tensor on a line, then who is to blame."""

from collections.abc import Iterator
from typing import Any

from edgecnn.cli import text


def show_difference(found: dict[str, Any]) -> None:
    """Show `Difference.as_dict`."""
    first = found["first_bad"]
    rows = [
        (
            layer["position"],
            layer["operator"],
            layer["name"][-40:],
            text.decibels(layer["sqnr_db"]),
            text.decibels(layer["local_sqnr_db"]),
            "-" if layer["cosine"] is None else f"{layer['cosine']:.4f}",
            "<- first bad" if first and first["position"] == layer["position"] else "bad" * layer["bad"],
        )
        for layer in found["layers"]
    ]
    text.show(text.table(rows, ("", "operator", "tensor", "SQNR dB", "own dB", "cosine", "")))
    text.each_told(_unpaired(found))
    text.each_told(found["notes"])
    text.show("")
    blamed = first or found["weakest"]
    who = f"{blamed['operator']} {blamed['name']} (own error at {text.decibels(blamed['local_sqnr_db'])} dB)"
    if blamed["local_sqnr_db"] is None:
        text.show("no tensor differs")
        return
    if first is None:
        text.show(f"no bad layer; the weakest is {who}")
        return
    text.show(f"first bad layer: {who}, {len(found['bad'])} bad of {len(found['layers'])}")
    text.each_shown(_causes(first))
    worst = found["weakest"]
    if worst["position"] != first["position"]:
        own = text.decibels(worst["local_sqnr_db"])
        text.show(f"worst layer: {worst['operator']} {worst['name']} (own error at {own} dB)")
        text.each_shown(_causes(worst))


def _causes(blamed: dict[str, Any]) -> Iterator[str]:
    for number, cause in enumerate(blamed["causes"]):
        yield f"  {'cause' if number == 0 else 'also'}: {cause['kind']}: {cause['text']}"
        yield f"    do: {cause['remedy']}"


def _unpaired(found: dict[str, Any]) -> Iterator[str]:
    for name, of in (("unpaired", "made"), ("unpaired_reference", "reference")):
        if found[name]:
            yield f"without a partner in {found[of]}: {', '.join(found[name])}"
