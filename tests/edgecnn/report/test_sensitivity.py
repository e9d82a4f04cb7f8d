import re
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import pytest

from edgecnn.errors import DataError
from edgecnn.report.sensitivity import html, plot, write_sensitivity_page

SVG = "{http://www.w3.org/2000/svg}"


def layer(name, *scores, macs=50, makers=None):
    shares = (0.25, 0.5, 0.75)
    trials = [
        {"share": share, "removed": round(16 * share), "score": score, "loss": 1 - score}
        for share, score in zip(shares, scores, strict=False)
    ]
    return {"name": name, "makers": makers or [name], "channels": 16, "macs": macs, "trials": trials}


def found(*layers, weightiest=None):
    layers = layers or (
        layer("stem", 0.7, 0.5, 0.1, makers=["stem", "<b>"]),
        layer("cheap", 0.91, 0.9, 0.85, macs=80),
        layer("a_very_long_name_of_a_layer_in_a_user_network", 0.8, 0.7, 0.6),
        layer("last", 0.88, 0.87, 0.8),
    )
    return {
        "run": "runs/cats",
        "data": "photos & more",
        "images": 1024,
        "criterion": "taylor",
        "settled": True,
        "figure": "accuracy",
        "score": 0.9,
        "loss": 0.1,
        "macs": 100,
        "weightiest": weightiest or [one["name"] for one in layers],
        "layers": list(layers),
    }


def parsed(said, **how):
    return ElementTree.fromstring(plot(said, **{"width": 900} | how))


@pytest.mark.parametrize("width", [900, 350])
def test_every_layer_has_a_dot_for_each_share_further_right_the_more_is_lost(width):
    rows = list(parsed(found(), width=width).iter(f"{SVG}g"))
    assert len(rows) == 4
    for row in rows:
        dots = [float(dot.get("cx")) for dot in row.iter(f"{SVG}circle")]
        assert len(dots) == 3
        assert dots == sorted(dots, reverse=True)
        assert max(dots) < width
    by_row = [max(float(dot.get("cx")) for dot in row.iter(f"{SVG}circle")) for row in rows]
    assert by_row[0] == max(by_row)


def test_a_dot_is_at_the_tick_of_what_it_lost():
    drawn = parsed(found(layer("one", 0.8)))
    (dot,) = drawn.iter(f"{SVG}circle")
    ticks = {text.text: float(text.get("x")) for text in drawn.iter(f"{SVG}text") if text.get("text-anchor")}
    assert float(dot.get("cx")) == pytest.approx(ticks["10"], abs=0.01)


def test_a_network_that_got_better_is_drawn_at_no_loss_and_told_with_its_sign():
    drawn = parsed(found(layer("one", 0.8), layer("better", 0.95)))
    dots = [float(dot.get("cx")) for dot in drawn.iter(f"{SVG}circle")]
    start = next(float(text.get("x")) for text in drawn.iter(f"{SVG}text") if text.text == "0")
    assert dots[1] == pytest.approx(start, abs=0.01)
    assert "+5.0 points without 25" in [title.text for title in drawn.iter(f"{SVG}title")][1]


def test_nothing_lost_anywhere_can_be_drawn():
    assert len(list(parsed(found(layer("one", 0.9, 0.9))).iter(f"{SVG}circle"))) == 2


def test_shares_are_told_apart_by_size_and_filling():
    (row, *_) = parsed(found()).iter(f"{SVG}g")
    dots = list(row.iter(f"{SVG}circle"))[::-1]
    radii = [float(dot.get("r")) for dot in dots]
    assert radii == sorted(set(radii))
    assert [dot.get("class") for dot in dots] == ["share", "share some", "share most"]


def test_the_page_says_which_layer_holds_most_and_where_to_begin():
    page = html(found())
    assert "Most hangs on stem: without 8 of its 16 channels the network loses 40.0 points." in page
    assert "begin with cheap: 80.0\u00a0% of the MACs hang on it" in page
    assert "the network loses nothing" in page


def test_what_comes_from_outside_is_escaped_and_nothing_is_loaded():
    page = html(found())
    assert "<b>," not in page
    assert "with &lt;b&gt;" in page
    assert "photos &amp; more" in page
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_a_page_that_is_there_is_replaced_only_by_force(tmp_path):
    page = tmp_path / "page.html"
    said = SimpleNamespace(as_dict=found)
    assert write_sensitivity_page(page, said) == page
    page.write_text("mine")
    with pytest.raises(DataError, match="--force"):
        write_sensitivity_page(page, said)
    assert page.read_text() == "mine"
    write_sensitivity_page(page, said, force=True)
    assert "holds most" in page.read_text("utf-8")


def test_a_page_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_sensitivity_page(tmp_path / "file" / "page.html", SimpleNamespace(as_dict=found))
