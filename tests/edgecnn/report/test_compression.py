import json
from html import unescape

import pytest

from edgecnn.comparison.figures import Change, ClassChange, Comparison, File, Network, Side
from edgecnn.errors import DataError
from edgecnn.report.gather import gather
from edgecnn.report.pages import write_report


def side(run, *, macs, p50, sha256="", is_own=False):
    files = {
        scheme: File(
            scheme, 1000, 900, 500, {"p50": p50, "p90": 2 * p50, "p99": 3 * p50}, 0.9, (0.88, 0.92), {},
            "certified", is_own, sha256,
        )
        for scheme in ("float32", "int8")
    }  # fmt: skip
    return Side(run, "net", Network(5000, macs, 0.0, 5000), files, ("train",))


def comparison(**own):
    change = Change(-0.004, (-0.008, -0.001), 0.97, 0.62, (0.61, 0.63))
    return Comparison(
        task="classification",
        figure="top1",
        before=side("runs/<old>", macs=1000, p50=0.245),
        after=side("runs/new", macs=500, p50=0.152, **own),
        changes={"float32": change, "int8": change},
        classes=(ClassChange("<cat>", 100, 0.9, 0.8, -0.1, (-0.16, -0.04)),),
        conditions={
            "device": "A Processor", "threads": 1, "runtime": "litert", "runtime_version": "2.3.0",
            "delegate": "xnnpack", "images": 1000, "split": "test", "data": "cats",
        },
        notes=("int8 of runs/new was made for this comparison",),
    )  # fmt: skip


@pytest.fixture
def compressed(whole_run):
    def write(found):
        (whole_run.path / "compression.json").write_text(json.dumps(found), encoding="utf-8")
        return whole_run.path

    return write


def test_a_run_that_was_not_compressed_has_no_section(whole_run, tmp_path):
    page = write_report([whole_run.path], out=tmp_path / "report").read_text(encoding="utf-8")
    assert "Before and after" not in page


def test_page_and_markdown_show_before_after_and_the_verdict(compressed, tmp_path):
    found = comparison()
    page = write_report([compressed(found.as_dict())], out=tmp_path / "report")
    html, markdown = page.read_text(encoding="utf-8"), page.with_suffix(".md").read_text(encoding="utf-8")
    assert found.verdict in unescape(html)
    for text in (html, markdown):
        assert "Before and after" in text
        for shown in ("0.245 ms", "0.152 ms", "0.62x (0.61 to 0.63)", "-0.40 points (-0.8 to -0.1)", "0.50x"):
            assert shown in text
    assert "<cat>" not in html
    assert "&lt;cat&gt;" in html
    told = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    assert told["runs"][0]["compression"]["verdict"] == found.verdict


def test_a_comparison_of_a_file_that_was_rewritten_since_is_left_out_and_said_to_be(compressed):
    found = gather([compressed(comparison(is_own=True, sha256="0" * 64).as_dict())])
    assert found.runs[0].compression == {}
    assert any("that comparison is left out" in note for note in found.notes)


@pytest.mark.parametrize("damage", [[], {}, {"before": {}}, "text", None])
def test_a_malformed_file_is_named(compressed, damage):
    with pytest.raises(DataError, match=r"compression\.json: malformed"):
        gather([compressed(damage)])


def test_zero_times_are_malformed(compressed):
    found = comparison().as_dict()
    found["before"]["files"]["int8"]["latency_ms"]["p50"] = 0
    with pytest.raises(DataError, match="malformed"):
        gather([compressed(found)])
