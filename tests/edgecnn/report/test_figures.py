import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import pytest

from edgecnn.report import figures
from edgecnn.report import scatter as plot
from edgecnn.report.evidence import Epoch
from edgecnn.report.gather import gather
from edgecnn.report.matrix import numbers
from edgecnn.report.svg import Axis, element, marker

SVG = "{http://www.w3.org/2000/svg}"


def classes(drawing: str) -> list[str]:
    return [node.get("class", "") for node in ElementTree.fromstring(drawing).iter()]


def scatter(run, **changed):
    found = gather([run.path])
    words = {"recommended": found.variants[-1], "width": 900, "height": 400} | changed
    return plot.scatter(found.variants, found.conditions[:1], numbers=numbers(found), **words)


def test_an_axis_places_its_ends_at_its_ends():
    for axis in (Axis(2, 10, 50, 450), Axis(2, 10, 450, 50), Axis(0.1, 100, 0, 300, logarithmic=True)):
        assert axis.place(axis.low) == pytest.approx(axis.start)
        assert axis.place(axis.high) == pytest.approx(axis.end)
    assert Axis(0.1, 10, 0, 100, logarithmic=True).place(1) == pytest.approx(50)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.83, 0.955), (0, 0.042), (0, 12_345), (-3, 7)])
def test_ticks_are_round_inside_and_evenly_spaced(low, high):
    ticks = Axis(low, high, 0, 100).ticks(5)
    assert 3 <= len(ticks) <= 9
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
    steps = [b - a for a, b in pairwise(ticks)]
    assert max(steps) == pytest.approx(min(steps))
    assert f"{steps[0]:.0e}"[0] in "125"


def test_ticks_of_a_logarithmic_axis_are_one_two_and_five():
    ticks = Axis(0.3, 40, 0, 100, logarithmic=True).ticks(5)
    assert ticks == pytest.approx([0.5, 1, 2, 5, 10, 20])


def test_text_cannot_leave_its_element():
    drawn = element("text", text="</text><script>alert(1)</script>", title='a" onload="x')
    (node,) = [ElementTree.fromstring(drawn)]
    assert (node.tag, len(node), node.text) == ("text", 0, "</text><script>alert(1)</script>")
    assert node.attrib == {"title": 'a" onload="x'}


@pytest.mark.parametrize("scheme", ["float32", "float16", "dynamic", "int8", "keras", "", "<b>"])
def test_every_scheme_has_a_mark(scheme):
    assert "mark s-" in marker(scheme, 10.0, 10.0)
    assert "<b>" not in marker(scheme, 10.0, 10.0)


def test_every_file_with_both_numbers_has_a_mark_and_a_name(whole_run):
    whole_run.file("float16")
    whole_run.judged("float16", whole_run.evaluation(0.9))
    drawing = scatter(whole_run)
    assert sum(name.startswith("mark") for name in classes(drawing)) == 2
    names = [
        node.text
        for node in ElementTree.fromstring(drawing).iter(f"{SVG}text")
        if "name" in node.get("class")
    ]
    assert sorted(names) == ["float32.tflite", "int8.tflite"]
    assert classes(drawing).count("ring") == 1
    assert not any("hollow" in name for name in classes(drawing))


def test_marks_stand_where_their_numbers_say(whole_run):
    drawing = ElementTree.fromstring(scatter(whole_run))
    found = gather([whole_run.path])
    circle = next(node for node in drawing.iter(f"{SVG}circle") if "mark" in node.get("class"))
    square = next(node for node in drawing.iter(f"{SVG}polygon"))
    corners = [tuple(map(float, point.split(","))) for point in square.get("points").split()]
    left, right = (float(circle.get("cx")), sum(x for x, _ in corners) / 4)
    assert (left - 54) / (right - 54) == pytest.approx(0.8 / 2.0, abs=0.01)  # the axis begins with 0, at 54
    higher = found.variants[1].accuracy.value >= found.variants[0].accuracy.value
    assert (float(circle.get("cy")) <= sum(y for _, y in corners) / 4) == higher


def test_estimates_are_hollow_and_apart(whole_run):
    whole_run.timed("int8", 5.0, device="A Phone", source="estimated")
    found = gather([whole_run.path])
    drawings = [
        plot.scatter(
            found.variants, [condition], recommended=None, numbers=numbers(found), width=350, height=330
        )
        for condition in found.conditions
    ]
    assert [sum("hollow" in name for name in classes(d)) for d in drawings] == [0, 1]
    assert [sum(name.startswith("mark") for name in classes(d)) for d in drawings] == [2, 1]


def test_one_file_alone_can_be_drawn(a_run):
    run = a_run()
    run.file("int8")
    run.judged("int8", run.evaluation(1.0))
    run.timed("int8", 0.8)
    assert "100" in scatter(run)


def test_latencies_far_apart_are_drawn_on_a_logarithmic_axis(whole_run):
    whole_run.timed("float32", 900.0)
    xs = [float(node.get("cx")) for node in ElementTree.fromstring(scatter(whole_run)).iter(f"{SVG}circle")]
    assert min(xs) > 80  # not squeezed against the edge


def test_names_do_not_cover_each_other(a_run):
    run = a_run()
    for scheme in ("float32", "float16", "dynamic", "int8"):
        run.file(scheme)
        run.judged(scheme, run.evaluation(0.9))
        run.timed(scheme, 1.0 + 0.01 * len(scheme))
    drawing = ElementTree.fromstring(scatter(run))
    boxes = []
    for node in drawing.iter(f"{SVG}text"):
        if "name" in node.get("class"):
            x, y, wide = float(node.get("x")), float(node.get("y")), 6.9 * len(node.text)
            left = {"start": x, "end": x - wide, "middle": x - wide / 2}[node.get("text-anchor")]
            boxes.append((left, y - 11, left + wide, y + 4))
    assert len(boxes) == 4
    assert not any(
        a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
        for i, a in enumerate(boxes)
        for b in boxes[:i]
    )


@pytest.mark.parametrize("epochs", [1, 2, 200])
@pytest.mark.parametrize("what", ["accuracy", "loss"])
def test_a_training_of_any_length_can_be_drawn(epochs, what):
    history = [Epoch(n, 2 / n, 1 - 1 / n, 2.1 / n, 0.9 - 0.8 / n) for n in range(1, epochs + 1)]
    drawing = figures.curve(history, what, width=440, height=230)
    assert classes(drawing).count("curve validation") == 2  # the curve and the legend
    assert f"best epoch {epochs}" in drawing
    assert "nan" not in drawing


def test_a_training_that_stands_still_can_be_drawn():
    assert "curve" in figures.curve(
        [Epoch(n, 1.0, 0.0, 1.0, 0.0) for n in (1, 2)], "accuracy", width=440, height=230
    )
