"""`edgecnn convert`: from a run, a stranger's file or photographs to files that keep what they promise."""

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from edgecnn import archive, metadata
from edgecnn import card as cards
from edgecnn.cli.app import app
from edgecnn.graph import read
from edgecnn.runtime.model import load

pytestmark = pytest.mark.tensorflow


def edgecnn(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def shuffled(tints, tmp_path):
    """The data with the labels of one class shuffled among all, in both parts."""
    folder = shutil.copytree(tints, tmp_path / "shuffled")
    random = np.random.default_rng(0)
    for place in (folder / "val" / "red", folder / "train" / "red"):
        for path in sorted(place.iterdir()):
            label = ("blue", "green", "red")[random.integers(3)]
            path.rename(place.parent / label / f"was-red-{path.name}")
    return folder


def test_a_healthy_run_is_certified_and_the_file_proves_itself(tints_run, tints):
    said = edgecnn("convert", tints_run, "--int8", "--data", tints, "--max-drop", 2, "--max-class-drop", 5)
    assert said.exit_code == 0, said.stderr
    assert "certified" in said.stdout
    path = tints_run / "int8.tflite"
    card = cards.read(path)
    assert card.certificate["certified"] is True
    assert json.loads(json.dumps(card.certificate, allow_nan=False)) == card.certificate
    assert [rung["rung"] for rung in card.certificate["rungs"]] == ["min-max"]
    assert card.checks
    proven = edgecnn("selftest", path)
    assert proven.exit_code == 0
    assert "to the last bit" in proven.stdout
    graph = read(path)
    found = metadata.read(graph)
    assert found is not None
    assert metadata.labels(graph, found, 0, archive.read_entries(path)) == ("blue", "green", "red")


def test_shuffled_labels_of_one_class_stop_it_with_3_and_nothing_is_overwritten(tints_run, shuffled):
    (tints_run / "int8.tflite").write_bytes(b"the old one")
    before = files_of(tints_run)
    said = edgecnn(
        "convert", tints_run, "--int8", "--data", shuffled, "--max-class-drop", 5, "--no-audit", "--force"
    )
    assert said.exit_code == 3, said.stderr
    assert "(not written)" in said.stdout
    assert "contradict the run" in said.stdout
    assert files_of(tints_run) == before


def test_too_few_images_for_the_promise_exit_3_with_a_table_that_says_why(tints_run, tints):
    before = files_of(tints_run)
    words = ("convert", tints_run, "--int8", "--data", tints, "--max-drop", 0.1)
    said = edgecnn(*words)
    assert said.exit_code == 3
    assert "up to" in said.stdout
    assert said.stderr.splitlines()[-1].startswith("edgecnn: ")
    assert "--force-uncertified" in said.stderr.splitlines()[-1]
    assert files_of(tints_run) == before
    found = json.loads(edgecnn(*words, "--json").stdout)
    assert (found["written"], found["certificate"]["certified"]) == (False, False)


def test_a_forced_file_is_marked(tints_run, tints):
    words = ("convert", tints_run, "--int8", "--data", tints, "--max-drop", 0.1, "--force-uncertified")
    said = edgecnn(*words)
    assert said.exit_code == 0, said.stderr
    certificate = cards.read(tints_run / "int8.tflite").certificate
    assert certificate["certified"] is False
    assert certificate["forced"] is True
    assert json.loads(json.dumps(certificate, allow_nan=False)) == certificate
    assert edgecnn(*words).exit_code == 1  # it is there


def test_a_strangers_float_file_says_once_what_goes_in(tints_run, tints, tmp_path):
    path = tmp_path / "stranger.tflite"
    path.write_bytes(archive.flatbuffer_bytes((tints_run / "float32.tflite").read_bytes()))
    names = tmp_path / "names.txt"
    names.write_text("blue\ngreen\nred\n")
    unsaid = edgecnn("convert", path, "--int8", "--data", tints)
    assert unsaid.exit_code == 1
    assert len(unsaid.stderr.strip().splitlines()) == 1
    assert "--mean" in unsaid.stderr or "--labels" in unsaid.stderr
    words = ("--labels", names, "--mean", "127.5", "--std", "127.5", "--out", tmp_path / "ours")
    said = edgecnn("convert", path, "--int8", "--dynamic", "--data", tints, *words, "--json")
    assert said.exit_code == 0, said.stderr
    found = [json.loads(line) for line in said.stdout.splitlines()]
    assert [one["scheme"] for one in found] == ["dynamic", "int8"]
    assert all(one["written"] for one in found)
    assert {path.name for path in (tmp_path / "ours").iterdir()} == {
        "float32.tflite", "dynamic.tflite", "int8.tflite",
    }  # fmt: skip
    with load(tmp_path / "ours" / "int8.tflite") as model:
        assert model.card.input.mean == (127.5,)
        assert model.card.labels == ("blue", "green", "red")
    judged = edgecnn(
        "evaluate", tmp_path / "ours" / "int8.tflite", "--data", tints, "--split", "val", "--json"
    )
    assert json.loads(judged.stdout)["top1"] > 0.9


def test_photographs_without_labels_are_enough(tints_run, tints, tmp_path):
    pile = tmp_path / "pile"
    pile.mkdir()
    for number, path in enumerate(sorted((tints / "val").rglob("*.png"))):
        shutil.copy(path, pile / f"{number}.png")
    said = edgecnn("convert", tints_run, "--int8", "--data", pile, "--unlabelled")
    assert said.exit_code == 0, said.stderr
    certificate = cards.read(tints_run / "int8.tflite").certificate
    assert certificate["truth"] == "float model's probabilities"
    assert certificate["float"] is None


def test_a_run_that_learned_int8_is_converted_from_what_it_learned(tints_run, tints, tmp_path):
    made = edgecnn("compress", tints_run, "--qat", "--data", tints, "--epochs", 1, "--out", tmp_path / "qat")
    assert made.exit_code == 0, made.stderr
    words = ("--data", tints, "--max-drop", 2, "--max-class-drop", 5)
    said = edgecnn("convert", tmp_path / "qat", "--int8", *words)
    assert said.exit_code == 0, said.stderr
    card = cards.read(tmp_path / "qat" / "int8.tflite")
    assert "ranges learned in training" in card.lineage[-1]
    assert card.certificate["certified"] is True
    assert card.certificate["agreement"]["share"] >= 0.99
    refused = edgecnn("convert", tmp_path / "qat", "--dynamic", "--data", tints)
    assert refused.exit_code == 1
    assert "Convert the run that it came from" in refused.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--int8", "--ranges", "kl"), "kl"),
        (("--int8", "--keep", "int4"), "--keep must be"),
        (("--int8", "--io", "int16"), "can be int8, uint8, float32"),
        (("--float16", "--io", "int8"), "Leave --io out"),
        (("--int8", "--mean", "127.5"), "is a run, whose card says"),
        (("--int8", "--max-drop", "101"), "0..100"),
    ],
)
def test_what_cannot_be_is_one_line_and_nothing_is_written(tints_run, tints, words, says):
    before = files_of(tints_run)
    said = edgecnn("convert", tints_run, "--data", tints, *words)
    assert said.exit_code in (1, 2)
    assert says in said.stderr
    assert "Traceback" not in said.stderr
    assert files_of(tints_run) == before
