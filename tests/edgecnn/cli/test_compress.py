import json

import pytest
import typer
from typer.testing import CliRunner

from edgecnn.cli import text
from edgecnn.cli.app import app

pytestmark = pytest.mark.tensorflow

DATA = "drawn:7?size=32x32&train=120&val=40&test=40"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    words = ["train", DATA, "--model", "resnet8", "--epochs", "1", "--out", str(out)]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 0, ended.output
    return out


def invoke(*words):
    return CliRunner().invoke(app, ["compress", *(str(word) for word in words)])


@pytest.mark.parametrize("extra", [(), ("--epochs", "2")])
def test_without_a_word_how_nothing_is_compressed(tmp_path, extra):
    ended = invoke(tmp_path, "--data", "drawn", "--out", "new", *extra)
    assert ended.exit_code == 2
    assert "--qat" in ended.output


def test_without_a_place_for_the_new_run_nothing_is_compressed(tmp_path):
    ended = invoke(tmp_path, "--data", "drawn", "--qat")
    assert ended.exit_code == 2
    assert "--out" in ended.output


def test_a_folder_that_is_no_run_is_named(tmp_path):
    ended = invoke(tmp_path, "--qat", "--data", "drawn", "--out", tmp_path / "new")
    assert ended.exit_code == 1
    assert "is not a run: it has no card.json" in ended.output
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--macs", "0.5", "--channels", "0.5"), "not channels and macs"),
        (("--macs", "1.5"), "between 0 and 1, not 1.5"),
        (("--sparsity", "0.5", "--clusters", "16"), "choose one"),
        (("--sparsity", "0.5", "--pattern", "stripes"), "stripes"),
    ],
)
def test_words_that_do_not_go_together_are_refused_in_one_line(whole, tmp_path, words, message):
    ended = invoke(whole, *words, "--data", DATA, "--out", tmp_path / "new", "--epochs", 1)
    assert ended.exit_code in (1, 2)
    assert message in ended.output
    assert not (tmp_path / "new").exists()


def test_pruned_and_compared_the_verdict_is_printed(whole, tmp_path):
    out = tmp_path / "half"
    ended = invoke(whole, "--macs", "0.5", "--epochs", 1, "--data", DATA, "--out", out)
    assert ended.exit_code == 0, ended.output
    for word in ("MACs", "zipped", "p50", "accuracy", "edgecnn convert"):
        assert word in ended.stdout
    said = json.loads((out / "compression.json").read_text())
    assert said["verdict"] in " ".join(ended.stdout.split())


def test_two_ways_leave_the_run_between_and_json_has_the_outcome(whole, tmp_path):
    out = tmp_path / "both"
    ended = invoke(
        whole, "--macs", "0.6", "--qat", "--epochs", 1, "--data", DATA, "--out", out, "--json", "--no-compare"
    )
    assert ended.exit_code == 0, ended.output
    assert json.loads(ended.stdout) == {"run": str(out), "comparison": None}
    assert (tmp_path / "both-channels" / "pruning.json").is_file()
    lineage = json.loads((out / "card.json").read_text())["lineage"]
    assert len(lineage) == 3
    assert "of the MACs stay" in lineage[1]
    assert "quantization-aware" in lineage[2]


def test_sensitivity_writes_a_page_and_nothing_else(whole, tmp_path):
    page = tmp_path / "page.html"
    before = sorted(whole.iterdir())
    ended = invoke(whole, "--sensitivity", "--data", DATA, "--page", page)
    assert ended.exit_code == 0, ended.output
    assert "stem" in ended.stdout
    assert "stem" in page.read_text()
    assert sorted(whole.iterdir()) == before


@pytest.mark.parametrize(
    ("given", "found"), [(None, None), ("8ms", 8.0), ("8", 8.0), ("800us", 0.8), ("0.5s", 500.0)]
)
def test_a_time_is_read_with_its_unit(given, found):
    assert text.milliseconds(given) == (None if found is None else pytest.approx(found))


@pytest.mark.parametrize("given", ["", "fast", "ms", "8 hours"])
def test_what_is_no_time_is_refused(given):
    with pytest.raises(typer.BadParameter, match="a time such as 8ms"):
        text.milliseconds(given)
