"""The page of histograms."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from calibration.histogram import Histograms, Tally
from calibration.ranges import METHODS, Ranges, ranges_of
from edgecnn.errors import DataError
from edgecnn.report.histograms import figure, write_histograms

NAMES = ("first;relu:0", "<b>second</b>", "still", "answer")


def histogram_of(values):
    tally = Tally()
    tally.watch(np.asarray(values, np.float32))
    return tally.histogram()


@pytest.fixture(scope="module")
def histograms():
    random = np.random.default_rng(0)
    values = (
        random.standard_t(2, 9000),
        np.maximum(random.normal(size=900), 0),
        np.full(7, 2.5),
        [-3.0, 8.0],
    )
    tensors = dict(zip(NAMES, map(histogram_of, values), strict=True))
    return Histograms(tensors, {"image": (0.0, 1.0)}, frozenset({"answer"}), 7, "ab" * 32)


@pytest.fixture(scope="module")
def page(histograms, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "made" / "histograms.html"
    by_method = {method: ranges_of(histograms, method, percentile=99.9) for method in METHODS}
    return write_histograms(path, histograms, by_method, title="Cats & dogs").read_text("utf-8")


def test_without_tensors_there_is_still_a_page(tmp_path):
    empty = Histograms({}, {}, frozenset(), 0, "")
    content = write_histograms(tmp_path / "empty.html", empty, {}).read_text("utf-8")
    assert "0 tensors" in content
    assert "<svg" not in content


def test_every_tensor_is_there_in_the_order_it_is_computed(page):
    headings = re.findall(r"<h3>(.*?)</h3>", page)
    expected = ["1. first;relu:0", "2. &lt;b&gt;second&lt;/b&gt;", "3. still", "4. answer"]
    assert headings == expected


def test_names_from_a_file_stay_text_and_nothing_is_loaded_from_elsewhere(page):
    assert "<b>second" not in page
    assert "Cats &amp; dogs" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "<script" not in page


def test_light_and_dark_and_narrow_screens_are_served(page):
    assert "prefers-color-scheme: dark" in page
    assert page.count('class="broad"') == page.count('class="narrow"') == 3  # the still tensor has no figure


def test_every_method_says_what_it_clips(page, histograms):
    sections = page.split("<section")[1:]
    for section, (name, histogram) in zip(sections, histograms.tensors.items(), strict=True):
        if name == "still":
            continue
        for method in METHODS:
            ranges = ranges_of(histograms, method, percentile=99.9).low_high[name]
            assert f"{method}: {ranges[0]:.4g} to {ranges[1]:.4g}" in section
            share = 100 * histogram.share_outside(*ranges)
            assert (f"{share:.3f}\u00a0%" if share else "clips nothing") in section
    assert "clips nothing" in sections[3]
    assert "never clipped" in sections[3]


@pytest.mark.parametrize("width", [900, 350])
def test_marks_stand_where_the_values_are(histograms, width):
    histogram = histograms.tensors["first;relu:0"]
    middle = (histogram.low + histogram.high) / 2
    ranges = {"whole": (histogram.low, histogram.high), "upper": (middle, histogram.high)}
    drawn = ElementTree.fromstring(figure(histogram, ranges, width=width, description="d"))
    svg = "{http://www.w3.org/2000/svg}"
    bars = [node.get("d") for node in drawn.iter(f"{svg}path") if node.get("class") == "range"]
    ends = [[float(x) for x in re.findall(r"[ML]([\d.]+) ", bar)] for bar in bars]
    (first, last), (start, end) = ends
    assert 0 < first < last < width
    assert (start, end) == pytest.approx(((first + last) / 2, last), abs=0.02)
    (shape,) = [node.get("d") for node in drawn.iter(f"{svg}path") if node.get("class") == "columns"]
    points = [float(x) for x in re.findall(r"[ML]([\d.]+) ", shape)]
    assert (min(points), max(points)) == pytest.approx((first, last), abs=0.02)


def test_ten_times_as_many_values_are_one_decade_higher():
    few, many = np.full(10, 0.3), np.full(1000, 0.7)
    drawn = figure(histogram_of([0.0, 1.0, *few, *many]), {}, width=900, description="d")
    (shape,) = re.findall(r'<path d="([^"]*)" class="columns"', drawn)
    points = np.array(
        [[float(part) for part in point.split()] for point in re.findall(r"[ML]([\d. ]+)", shape)]
    )
    share = (points[:, 0] - points[:, 0].min()) / np.ptp(points[:, 0])
    floor = points[:, 1].max()
    heights = [floor - points[np.abs(share - at) < 0.01, 1].min() for at in (0.3, 0.7)]
    assert heights[1] / heights[0] == pytest.approx(np.log(1000 / 0.5) / np.log(10 / 0.5), rel=0.02)


def test_ranges_of_another_model_are_refused(histograms, tmp_path):
    foreign = {"minmax": Ranges({"other": (0.0, 1.0)}, "minmax", 1, "")}
    with pytest.raises(DataError, match="the minmax ranges lack first;relu:0"):
        write_histograms(tmp_path / "page.html", histograms, foreign)
    assert not (tmp_path / "page.html").exists()


def test_a_folder_is_no_page(histograms, tmp_path):
    with pytest.raises(DataError, match="is a folder"):
        write_histograms(tmp_path, histograms, {})
