"""Several ways at once (`edgecnn.compressing`), on the network of this folder."""

import pytest

from edgecnn.errors import TrainingError
from edgecnn.runs import Run

pytestmark = pytest.mark.tensorflow

WORDS = {"epochs": 1, "rate": 1e-3, "multiple": 2, "compared": False}


def test_interrupted_in_the_first_of_two_ways_both_are_done_in_the_end(run, data, tmp_path):
    from edgecnn.compressing import compress

    def stop(now):
        if now.phase == "training":
            raise KeyboardInterrupt

    out = tmp_path / "both"
    with pytest.raises(KeyboardInterrupt):
        compress(run, data, out=out, macs=0.6, qat=True, progress=stop, **WORDS)
    assert not out.exists()
    made = compress(run, data, out=out, macs=0.6, qat=True, resume=True, **WORDS)
    assert [one.path for one in made.between] == [tmp_path / "both-channels"]
    lineage = made.run.read_card().lineage
    assert len(lineage) == len(Run(run).read_card().lineage) + 2
    again = compress(run, data, out=out, macs=0.6, qat=True, resume=True, **WORDS)
    assert again.run.read_card() == made.run.read_card()


def test_one_way_that_never_began_cannot_be_resumed(run, data, tmp_path):
    from edgecnn.compressing import compress

    with pytest.raises(TrainingError, match="no training to resume"):
        compress(run, data, out=tmp_path / "new", qat=True, resume=True, compared=False)


def test_a_teacher_of_zeros_is_no_way_of_its_own(run, data, tmp_path):
    from edgecnn.compressing import compress

    made = compress(run, data, out=tmp_path / "new", sparsity=0.5, teacher=run, **WORDS)
    assert made.between == ()
    assert "distilled from resnet8" in made.run.read_card().lineage[-1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({}, "say how to compress"),
        ({"macs": 0.5, "latency_ms": 1.0}, "not macs and latency_ms"),
        ({"sparsity": 0.5, "clusters": 16}, "choose one"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_begins(run, data, tmp_path, words, message):
    from edgecnn.compressing import compress

    with pytest.raises(TrainingError, match=message):
        compress(run, data, out=tmp_path / "new", **words)
    assert list(tmp_path.iterdir()) == []
