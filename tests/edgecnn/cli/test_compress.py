import pytest
from typer.testing import CliRunner

from edgecnn.cli.app import app

pytestmark = pytest.mark.tensorflow


def test_without_a_word_how_nothing_is_compressed(tmp_path):
    ended = CliRunner().invoke(app, ["compress", str(tmp_path), "--data", "drawn", "--out", "new"])
    assert ended.exit_code == 2
    assert "--qat" in ended.output


def test_a_folder_that_is_no_run_is_named(tmp_path):
    words = ["compress", str(tmp_path), "--qat", "--data", "drawn", "--out", str(tmp_path / "new")]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 1
    assert "is not a run: it has no card.json" in ended.output
    assert not (tmp_path / "new").exists()
