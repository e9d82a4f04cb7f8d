import xml.etree.ElementTree as ElementTree

import pytest

from edgecnn.errors import DataError
from edgecnn.report.difference import html, plot, refuse_existing, write_page

SVG = "{http://www.w3.org/2000/svg}"


def layer(position, own, gathered, *, bad=False, name="block/Conv2D"):
    return {
        "position": position,
        "bad": bad,
        "operator": "CONV_2D",
        "name": name,
        "tensor": name,
        "sqnr_db": gathered,
        "local_sqnr_db": own,
        "cosine": 0.99,
        "used": [-1.0, 2.0],
        "written": None if position == 0 else [-1.5, 2.5],
        "paired_by": "name",
    }


def found(**changed):
    cause = {
        "kind": "swish",
        "tensor": "t",
        "gain_db": 9.0,
        "text": "it <is> so",
        "remedy": "do & it",
        "figures": {},
    }
    blamed = {"position": 1, "operator": "CONV_2D", "name": "<b>", "local_sqnr_db": 9.0, "causes": [cause]}
    return {
        "reference": "runs/float32.tflite",
        "made": "runs/int8.tflite",
        "data": "photos",
        "images": 3,
        "notes": ["a note"],
        "bad_db": 25.0,
        "first_bad": blamed,
        "weakest": blamed,
        "bad": [blamed],
        "layers": [layer(0, None, None), layer(1, 9.0, 8.5, bad=True, name="<b>"), layer(2, 40.0, 8.0)],
        "unpaired": ["odd"],
        "unpaired_reference": [],
    } | changed


def test_the_plot_has_a_dot_with_a_title_for_every_tensor_and_one_marked_bad():
    drawn = ElementTree.fromstring(plot(found()))
    dots = list(drawn.iter(f"{SVG}circle"))
    assert [dot.get("class") for dot in dots] == ["own", "own bad", "own"]
    assert [dot.find(f"{SVG}title").text for dot in dots][1] == "1 CONV_2D <b>: own 9.0 dB, gathered 8.5 dB"
    heights = [float(dot.get("cy")) for dot in dots]
    assert heights[0] < heights[2] < heights[1]  # no error at the top, the worst at the bottom
    assert "first bad layer" in [text.text for text in drawn.iter(f"{SVG}text")]


@pytest.mark.parametrize("layers", [[layer(0, None, None)], [layer(0, -40.0, -60.0), layer(1, 200.0, 150.0)]])
def test_the_plot_holds_any_ratio_inside_its_frame(layers):
    drawn = ElementTree.fromstring(plot(found(layers=layers, bad=[], first_bad=None)))
    for dot in drawn.iter(f"{SVG}circle"):
        assert 0 <= float(dot.get("cx")) <= 940
        assert 0 <= float(dot.get("cy")) <= 360


def test_the_page_tells_the_cause_and_loads_nothing():
    page = html(found())
    assert "The first bad layer is CONV_2D &lt;b&gt;" in page
    assert "it &lt;is&gt; so" in page
    assert "do &amp; it" in page
    assert "without a partner in int8.tflite: odd" in page
    assert "<b>:" not in page
    assert "<script" not in page
    assert "src=" not in page


def test_a_healthy_file_is_told_to_be_healthy():
    page = html(found(first_bad=None, bad=[], notes=[], unpaired=[]))
    assert "No bad layer. The weakest is" in page
    assert 'class="notes"' not in page


def test_a_page_that_is_there_is_not_replaced_unasked(tmp_path):
    page = tmp_path / "diff.html"
    refuse_existing(None, False)
    refuse_existing(page, False)
    assert write_page(page, found()) == page
    with pytest.raises(DataError, match="--force"):
        refuse_existing(page, False)
    refuse_existing(page, True)


def test_a_page_that_cannot_be_written_is_an_error_of_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_page(tmp_path / "file" / "diff.html", found())


def test_bad_layers_are_listed_the_worst_first():
    one = found()["first_bad"]
    page = html(found(bad=[one, one | {"position": 2, "name": "later", "local_sqnr_db": 3.0}]))
    listed = page.split("Bad layers, the worst first")[1]
    assert listed.index("later") < listed.index("&lt;b&gt;")
    assert "2 of 3 tensors lie below 25.0 dB" in page
