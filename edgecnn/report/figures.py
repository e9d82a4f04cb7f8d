"""How a training went, as a figure."""

from collections.abc import Callable, Sequence

from edgecnn.report.evidence import Epoch
from edgecnn.report.grid import BOTTOM, LEFT, RIGHT, TOP, below, lines
from edgecnn.report.svg import Axis, drawing, element, path


def curve(
    history: Sequence[Epoch],
    what: str,
    *,
    width: int,
    height: int,
    shares: tuple[str, str] = ("validation", "training"),
) -> str:
    """How a training went, epoch by epoch.

    Args:
        history: at least one epoch.
        what: "accuracy" or "loss".
        width: of the figure, px.
        height: of the figure, px.
        shares: what the accuracies of validation and of training images are called: of a detector they are
            two different figures.
    """
    share = what == "accuracy"
    both = {
        "training": [(e.epoch, e.accuracy if share else e.loss) for e in history],
        "validation": [(e.epoch, e.val_accuracy if share else e.val_loss) for e in history],
    }
    values = [value for line in both.values() for _, value in line]
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.05
    last = history[-1].epoch
    x = Axis(min(0, history[0].epoch - 1), max(last, 1), LEFT, width - RIGHT)
    y = Axis(max(0.0, low - room), min(1.0, high + room) if share else high + room, height - BOTTOM, TOP + 16)
    write: Callable[[float], str] = (lambda v: f"{100 * v:g} %") if share else (lambda v: f"{v:g}")
    parts = [lines(y, 4, width, write)]
    parts += [below(x.place(t), height, f"{t:g}") for t in x.ticks(5) if t == int(t)]
    parts.append(
        element(
            "text",
            x=(LEFT + width - RIGHT) / 2,
            y=height - 8,
            class_="axis",
            text_anchor="middle",
            text="epoch",
        )
    )
    for name, line in both.items():
        points = [(x.place(epoch), y.place(value)) for epoch, value in line]
        parts.append(element("path", d=path(points), class_=f"curve {name}"))
        if len(points) == 1:
            parts.append(element("circle", cx=points[0][0], cy=points[0][1], r=3.0, class_=f"dot {name}"))
    best = max(history, key=lambda e: (e.val_accuracy, -e.val_loss))
    value = best.val_accuracy if share else best.val_loss
    names = shares if share else ("validation", "training")
    told = f"best epoch {best.epoch}: {names[0]} {write(round(value, 4))}"
    parts.append(
        element(
            "circle",
            element("title", text=told),
            cx=x.place(best.epoch),
            cy=y.place(value),
            r=4.5,
            class_="dot validation",
        )
    )
    legend = (("validation", names[0], LEFT), ("training", names[1], LEFT + 34 + 6.2 * len(names[0])))
    for look, name, left in legend:
        parts.append(element("path", d=path([(left, 12.0), (left + 18, 12.0)]), class_=f"curve {look}"))
        parts.append(element("text", x=left + 24, y=16, class_="tick", text=name))
    return drawing(width, height, f"{what.capitalize()} by epoch; {told}", *parts)
