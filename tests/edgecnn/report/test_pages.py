import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from edgecnn.errors import DataError, MissingExtra
from edgecnn.report import Picture, write_report

VOID = {"meta", "link", "br", "wbr", "img", "input", "hr", "path"}
HOSTILE = (
    "</script><script>alert(1)</script>",
    "a & b <img src=x onerror=alert(2)>",
    "| pipe ` * _ [x](http://e.vil)",
    '" onload="x',
)


class Page(HTMLParser):
    """Tags, attributes and text as a browser reads them; fails on tags that do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID or tag == "path":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def words(self) -> str:
        return " ".join(" ".join(self.text).replace("\u00a0", " ").split())


def page(path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def written(run, out, **words):
    path = write_report([run.path], out=out, **words)
    return (
        path,
        page(path),
        (out / "report.md").read_text(encoding="utf-8"),
        json.loads((out / "report.json").read_bytes()),
    )


def test_a_run_that_was_only_trained_gives_a_report_that_says_so(a_run, tmp_path):
    run = a_run()
    run.trained()
    _, found, markdown, values = written(run, tmp_path / "out")
    assert "Nothing was measured yet" in found.words()
    assert "Nothing was measured yet" in markdown
    assert values["models"] == []
    assert "12 epochs in 49 s" in found.words()


def test_page_markdown_and_json_say_the_same(whole_run, tmp_path):
    path, found, markdown, values = written(whole_run, tmp_path / "out")
    assert path == tmp_path / "out" / "report.html"
    int8 = next(model for model in values["models"] if model["scheme"] == "int8")
    top1 = f"{100 * int8['accuracy']['metrics']['top1']:.1f} %"
    assert values["recommended"] == "int8.tflite"
    assert (
        values["summary"][0]
        .replace("\u00a0", " ")
        .startswith(f"Take int8.tflite: {top1} of 400 images right")
    )
    for text in (found.words(), markdown.replace("\u00a0", " ")):
        assert top1 in text
        assert "Take int8.tflite" in text
        assert "0.800" in text
        assert "2.00" in text
        assert int8["sha256"] in text
        assert "litert 2.3.0" in text
        assert "train resnet8 on drawn" in text
        for label in whole_run.labels:
            assert label in text
    assert int8["latencies"][0]["total_ms"]["p99"] == pytest.approx(1.2)


def test_what_a_conversion_proved_stands_beside_its_file(whole_run, tmp_path):
    said = {"outcome": "certified", "at_most_points": 0.97, "data": {"images": 307}}
    whole_run.card = replace(whole_run.card, certificate=said)
    whole_run.file("int8")
    write_report([whole_run.path], out=tmp_path / "out")
    page, markdown, raw = ((tmp_path / "out" / f"report.{end}").read_text() for end in ("html", "md", "json"))
    for text in (page, markdown):
        assert text.count("loses at most 0.97 points, by 307 images") == 1
    assert [model["certificate"] for model in json.loads(raw)["models"]] == [{}, said]


def test_the_page_asks_nothing_of_the_network_and_runs_nothing(whole_run, tmp_path):
    picture = Picture("three scenes", np.zeros((30, 40, 3), np.uint8))
    path, found, _, _ = written(whole_run, tmp_path / "out", pictures=[picture])
    assert not {tag for tag, _ in found.tags} & {
        "script",
        "iframe",
        "object",
        "embed",
        "form",
        "base",
        "audio",
        "video",
    }
    links = [
        value
        for _, attributes in found.tags
        for name, value in attributes.items()
        if name in ("src", "href", "action")
    ]
    assert links
    assert all(link.startswith("data:") for link in links)
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"@import|url\(", text)
    outside = set(re.findall(r"https?://[^\s\"'<]+", text))
    assert outside == {"http://www.w3.org/2000/svg"}  # the name of a format, not an address that is asked
    policy = next(a["content"] for tag, a in found.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_light_dark_and_small_screens_are_provided_for(whole_run, tmp_path):
    text = written(whole_run, tmp_path / "out")[0].read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in text
    assert "width=device-width" in text
    assert "max-width: 640px" in text


def test_hostile_names_stay_text(a_run, tmp_path):
    run = a_run("a <b>run</b> & co", HOSTILE)
    run.trained()
    run.card = run.card.__class__(**{**run.card.__dict__, "name": HOSTILE[0], "lineage": (HOSTILE[1],)})
    run.trained()
    run.file("int8")
    run.judged("int8", run.evaluation(0.8))
    run.timed("int8", 1.0, device=HOSTILE[1])
    pictures = [Picture(HOSTILE[3], np.zeros((8, 8, 3), np.uint8))]
    path, found, markdown, _ = written(run, tmp_path / "out", pictures=pictures, title=HOSTILE[2])
    for _, attributes in found.tags:
        assert not any(name.startswith("on") for name in attributes)
    assert [tag for tag, _ in found.tags if tag in ("script", "img")] == ["img"]  # the picture
    assert "<b>run</b>" not in path.read_text(encoding="utf-8")
    for label in HOSTILE:
        assert " ".join(label.split()) in found.words()
    prose = re.sub(r"(?ms)^```\n.*?^```$", "", markdown)  # commands stand as they are, fenced
    body = prose.replace("\\|", "").replace("\\<", "").replace("\\[", "")
    assert "<script" not in body
    assert "<img" not in body
    assert "[x](http" not in body
    table = [line for line in markdown.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table[:3]} == {11}


def test_a_report_is_replaced_and_nothing_else_is_touched(whole_run, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    write_report([whole_run.path], out=out)
    first = (out / "report.html").read_text(encoding="utf-8")
    whole_run.timed("int8", 0.123)
    write_report([whole_run.path], out=out)
    assert "0.123" in (out / "report.html").read_text(encoding="utf-8") != first
    assert sorted(p.name for p in out.iterdir()) == [
        "mine.txt", "report.csv", "report.html", "report.json", "report.md",
    ]  # fmt: skip


def test_a_report_can_stand_in_the_run_itself(whole_run):
    first = write_report([whole_run.path], out=whole_run.path)
    assert first == whole_run.path / "report.html"
    write_report([whole_run.path], out=whole_run.path)


def test_a_file_in_the_place_of_the_folder_is_refused(whole_run, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(DataError, match="out is a file, not a folder"):
        write_report([whole_run.path], out=tmp_path / "out")


def test_notes_say_what_was_left_out(whole_run, tmp_path):
    whole_run.file("int8", 1200)
    _, found, markdown, values = written(whole_run, tmp_path / "out")
    for text in (found.words(), markdown, values["notes"][0]):
        assert "int8.tflite was rewritten since 2 of its 2 measurements" in text


def test_accuracy_alone_and_latency_alone_make_a_report(a_run, tmp_path):
    judged, timed = a_run("judged"), a_run("timed")
    judged.file("int8")
    judged.judged("int8", judged.evaluation(0.9))
    timed.file("int8")
    timed.timed("int8", 0.7)
    assert "edgecnn bench" in written(judged, tmp_path / "1")[1].words()
    assert "edgecnn evaluate" in written(timed, tmp_path / "2")[1].words()
    path = write_report([judged.path, timed.path], out=tmp_path / "3")
    assert "2 runs compared" in page(path).words()


def test_a_thousand_classes_make_a_report_that_still_opens(a_run, tmp_path):
    labels = tuple(f"class {n}" for n in range(1000))
    run = a_run("imagenet", labels)
    run.file("int8")
    run.judged("int8", run.evaluation(0.7, images=3000))
    path, found, _, _ = written(run, tmp_path / "out")
    assert path.stat().st_size < 2_500_000
    assert "The other 970 classes, better known" in found.words()
    assert "too many classes for a table" in found.words()


def test_the_confusion_matrix_shows_every_count(whole_run, tmp_path):
    _, found, _, values = written(whole_run, tmp_path / "out")
    matrix = next(m for m in values["models"] if m["scheme"] == "int8")["accuracy"]["metrics"]["confusion"]
    cells = [a["title"] for tag, a in found.tags if tag == "td" and "title" in a]
    assert len(cells) == 16
    assert cells[1] == f"{matrix[0][1]} of {sum(matrix[0])} images of ball were called box"


def test_a_class_that_suffers_beyond_chance_stands_out(a_run, tmp_path):
    run = a_run()
    run.file("float32")
    run.file("int8")
    run.judged("float32", run.evaluation(0.95))
    run.judged("int8", run.evaluation(0.2))
    _, found, markdown, _ = written(run, tmp_path / "out")
    marks = [a["class"].split() for tag, a in found.tags if "delta" in (a.get("class") or "")]
    assert marks == [["delta", "worse"]] * 4
    assert len(re.findall(r"\*\*−\d+\.\d\*\*", markdown)) == 4
    same = a_run("same")
    same.file("float32")
    same.file("int8")
    same.judged("float32", same.evaluation(0.95))
    same.judged("int8", same.evaluation(0.95, noise=4))
    _, found, markdown, _ = written(same, tmp_path / "2")
    assert not any({"worse", "better"} & set((a.get("class") or "").split()) for _, a in found.tags)
    assert "**−" not in markdown


def test_no_python_shows_through(whole_run, tmp_path):
    path, _, markdown, _ = written(whole_run, tmp_path / "out")
    for text in (path.read_text(encoding="utf-8"), markdown):
        assert not re.search(r"<built-in|&lt;built-in|object at 0x|\bNone\b|\bnan\b|\*\*\*\*", text)


def test_pictures_stand_in_the_page_and_beside_it(whole_run, tmp_path):
    pictures = [
        Picture("one", np.full((30, 40, 3), 200, np.uint8)),
        Picture("two", np.zeros((8, 8, 3), np.uint8)),
    ]
    _, found, markdown, _ = written(whole_run, tmp_path / "out", pictures=pictures)
    images = [attributes for tag, attributes in found.tags if tag == "img"]
    assert [(i["alt"], i["width"], i["height"]) for i in images] == [("one", "40", "30"), ("two", "8", "8")]
    assert (tmp_path / "out" / "picture-2.jpg").read_bytes()[:2] == b"\xff\xd8"
    assert "![one](picture-1.jpg)" in markdown


def test_without_jinja2_the_extra_is_named(whole_run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtra, match=r"pip install 'edgecnn\[report\]'"):
        write_report([whole_run.path], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
