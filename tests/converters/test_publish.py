"""A finished file takes its name: what it carries, and what is left where something goes wrong."""

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest

from converters.evidence import Evidence
from converters.publish import opened, publish, threads, with_outputs
from converters.verify import outputs_of
from edgecnn import archive, metadata
from edgecnn import card as cards
from edgecnn.errors import ConversionError
from edgecnn.graph import read
from edgecnn.runtime.model import load
from edgecnn.runtime.selftest import selftest

pytestmark = pytest.mark.tensorflow

NOTHING = Evidence(None, None)


@pytest.fixture
def source(run):
    with load(run / "float32.tflite") as model:
        yield model


@pytest.fixture
def content(source):
    from converters.quantize import quantize

    return quantize(archive.flatbuffer_bytes(source.path.read_bytes()), "float16")


def test_without_any_image_a_file_still_gets_checks_that_it_passes(source, content, tmp_path):
    path = tmp_path / "new" / "float16.tflite"
    path.parent.mkdir()
    found = publish(path, content, source.card, outputs_of(source), NOTHING)
    assert found.images == 64
    assert [place.name for place in path.parent.iterdir()] == ["float16.tflite"]
    proven = selftest(path)
    assert proven.passed
    assert all(row.equal for row in proven.rows)


def test_it_carries_its_card_its_labels_and_metadata_and_the_same_network(source, content, data, tmp_path):
    path = tmp_path / "float16.tflite"
    publish(path, content, source.card, outputs_of(source), Evidence(*data))
    card, graph = cards.read(path), read(path)
    assert card == replace(source.card, outputs=card.outputs, checks=card.checks)
    assert card.outputs == {"scores": graph.tensors[graph.outputs[0]].name}
    assert json.loads(json.dumps(card.checks, allow_nan=False))
    found = metadata.read(graph)
    assert metadata.labels(graph, found, 0, archive.read_entries(path)) == card.labels
    before = read(content, "before")
    assert [operator.kind for operator in graph.ops] == [operator.kind for operator in before.ops]


def ruin(content):
    """The file with every weight of its last layer zero: one answer to everything."""
    from calibration import editable

    model = editable.read(content)
    graph = model.subgraphs[0]
    for index in graph.operators[-1].inputs[1:2]:
        buffer = model.buffers[graph.tensors[index].buffer]
        buffer.data = [0] * len(buffer.data)
    return editable.write(model)


def test_a_ruin_is_not_written_unless_as_it_is(source, data, tmp_path):
    path = tmp_path / "float16.tflite"
    path.write_bytes(b"the old one")
    content = ruin(archive.flatbuffer_bytes(source.path.read_bytes()))
    with pytest.raises(ConversionError, match=r"float16.tflite: not written"):
        publish(path, content, source.card, outputs_of(source), Evidence(*data))
    assert path.read_bytes() == b"the old one"
    assert [place.name for place in tmp_path.glob("float16*")] == ["float16.tflite"]
    publish(path, content, source.card, outputs_of(source), Evidence(*data), as_it_is=True)
    assert cards.read(path) is not None


def test_what_goes_wrong_at_the_very_end_leaves_the_old_file(source, content, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "float16.tflite"
    path.write_bytes(b"the old one")
    monkeypatch.setattr("converters.golden.checks", full)
    with pytest.raises(ConversionError, match=r"float16.tflite: cannot be written \(No space left"):
        publish(path, content, source.card, outputs_of(source), NOTHING)
    assert path.read_bytes() == b"the old one"
    assert [place.name for place in tmp_path.glob("*float16*")] == ["float16.tflite"]


def test_a_file_without_a_name_is_loaded_and_leaves_nothing(source, content):
    with opened(content, source.card, name="float16.tflite", threads=1) as made:
        place = made.path
        assert made.path.name == "float16.tflite"
        assert made.card.labels == source.card.labels
    assert not place.parent.exists()


def test_a_full_temporary_disk_is_one_line(source, content, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with (
        pytest.raises(ConversionError, match=r"cannot be written \(No space left on device\).*TMPDIR"),
        opened(content, source.card, name="float16.tflite", threads=1),
    ):
        pass


def test_a_file_without_a_signature_keeps_the_names_of_its_card(source):
    from calibration import editable

    model = editable.read(archive.flatbuffer_bytes(source.path.read_bytes()))
    model.signatureDefs = []
    assert with_outputs(editable.write(model), source.card) == source.card


def test_the_interpreter_may_use_a_few_threads():
    assert 1 <= threads() <= 4
