"""How `edgecnn data info` and `data convert` show what is in a detection data set."""

from collections.abc import Sequence
from typing import Any

from edgecnn.cli import text

_LISTED = 5


def show(found: Any) -> None:
    """An `edgecnn.data.box_info.BoxInfo`, for people."""
    splits = list(found.counts)
    rows = [
        (label, _px(found.median_px[i]), *(_count(found.counts[split], i) for split in splits))
        for i, label in enumerate(found.labels)
    ]
    rows.append(("all", "", *(f"{sum(found.counts[split].boxes):,}" for split in splits)))
    text.show(
        text.table(rows, ("class", "median side, px", *(f"{split}: boxes (images)" for split in splits)))
    )
    for split, counts in found.counts.items():
        ignored = f", {counts.ignored:,} ignored boxes" if counts.ignored else ""
        text.show(f"{split}: {counts.images:,} images, {counts.empty:,} of them without boxes{ignored}")
    if found.sizes:
        common = ", ".join(f"{w}x{h} ({count:,})" for (w, h), count in found.sizes.common[:3])
        text.show(f"image sizes: {found.sizes.distinct} different, most often {common}")
    if found.side_px:
        _show_boxes(found)
    for what, boxes in (
        ("outside the image", found.outside),
        ("without area", found.without_area),
        ("tiny (a side below 2 px)", found.tiny),
        ("twice", found.twice),
        ("under two labels", found.contradictory),
    ):
        _listed(f"boxes {what}", [_box(box) for box in boxes])
    wrong = [f"{name}: {w}x{h}, but has {x}x{y}" for name, (w, h), (x, y) in found.wrong_sizes]
    _listed("annotations with a wrong size", wrong)
    _listed("unreadable", [f"{name}: {reason}" for name, reason in found.unreadable])
    _listed("same image", [" = ".join(group) for group in found.duplicates])
    _listed("leak", [" = ".join(group) for group in found.leaks])
    _listed("near leak", [" ~ ".join(pair) for pair in found.near_leaks])
    text.each_told(f"warning: {warning}" for warning in found.warnings)


def show_written(written: Any, *, as_json: bool) -> None:
    """An `edgecnn.data.write.Written`."""
    if as_json:
        text.show_json({**vars(written), "path": str(written.path)})
        return
    counts = ", ".join(f"{split or 'all'} {count:,}" for split, count in written.images.items())
    text.show(f"{written.path}: {counts} images, {written.boxes:,} boxes")
    if written.dropped:
        text.tell(f"warning: {written.dropped:,} ignored boxes were left out")


def _show_boxes(found: Any) -> None:
    header = ("", "least", "5 %", "25 %", "median", "75 %", "95 %", "most")
    rows = [
        ("side of boxes, px", *(f"{value:.0f}" for value in found.side_px)),
        ("side as share of the image's", *(f"{value:.3f}" for value in found.side_share)),
        ("width / height", *(f"{value:.2f}" for value in found.aspect)),
        ("boxes in an image", *(f"{value:g}" for value in found.per_image)),
    ]
    text.show(text.table(rows, header))
    sizes = ", ".join(f"{count:,} {name}" for name, count in found.coco_sizes.items())
    text.show(f"by COCO's measure: {sizes}")
    text.show(
        f"crowding: {text.percent(found.crowded)} of the boxes overlap another of their class by IoU > 0.5"
    )
    if found.input:
        side = found.input.side
        text.show(
            f"input: begin with {side}x{side}; half of the smallest class, {found.input.label!r}, "
            "then has sides "
            f"above {found.input.side_px:.0f} px (16 are two cells of stride 8)"
        )


def _listed(what: str, lines: Sequence[str]) -> None:
    text.show(f"{what}: {len(lines):,}")
    text.each_shown(f"  {line}" for line in lines[:_LISTED])
    if len(lines) > _LISTED:
        text.show(f"  … and {len(lines) - _LISTED:,} more (--json has all)")


def _count(counts: Any, label_id: int) -> str:
    return f"{counts.boxes[label_id]:,} ({counts.images_with[label_id]:,})"


def _px(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _box(box: Any) -> str:
    return f"{box.image}: {box.label} {', '.join(f'{value:g}' for value in box.box_xyxy)}"
