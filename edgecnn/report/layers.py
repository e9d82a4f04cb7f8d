"""The layers of the recommended files: what each computes, holds and costs."""

from collections.abc import Sequence
from typing import Any

from edgecnn.errors import ModelError
from edgecnn.graph import read
from edgecnn.graph.layers import LayerRow, layer_table
from edgecnn.graph.network import network_of
from edgecnn.report.evidence import Variant
from edgecnn.report.words import size


def layer_tables(variants: Sequence[Variant]) -> list[dict[str, Any]]:
    """A table for each file that is there and can be read."""
    found: list[dict[str, Any]] = []
    for variant in variants:
        if variant.file.suffix != ".tflite" or not variant.file.is_file():
            continue
        try:
            table = layer_table(network_of(read(variant.file)))
        except ModelError as error:
            found.append({"name": variant.name, "scheme": variant.scheme, "rows": [], "line": f"{error}"})
            continue
        line = (
            f"{len(table.rows):,} layers, {table.parameters:,} parameters, "
            f"{table.macs:,} multiply-accumulates; values of at most {size(table.peak_bytes)} at once, "
            f"in layer {table.peak_row}"
        )
        rows = [_row(row, table.peak_bytes) for row in table.rows]
        found.append({"name": variant.name, "scheme": variant.scheme, "rows": rows, "line": line})
    return found


def _row(row: LayerRow, peak: int) -> dict[str, Any]:
    layer = row.layer
    kernel = _by(layer.kernel) if layer.kernel else ""
    stride = f"/{_by(layer.stride)}" if kernel and tuple(layer.stride) != (1, 1) else ""
    return {
        "number": row.number,
        "name": layer.name,
        "kind": layer.kind,
        "window": f"{kernel}{stride}",
        "shape": _by(row.out_shape[1:] or row.out_shape),
        "parameters": f"{layer.parameters:,}" if layer.parameters else "–",
        "macs": f"{layer.macs:,}" if layer.macs else "–",
        "live": size(row.live_bytes),
        "share": round(100 * row.live_bytes / peak, 1) if peak else 0,
    }


def _by(sizes: Sequence[int]) -> str:
    return "×".join(str(count) for count in sizes)
