import json

import numpy as np
import pytest

from edgecnn.errors import TrainingError
from edgecnn.runs import Run

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def pruned(run, data, tmp_path_factory):
    from edgecnn.compression.channels import Goal, prune

    out = tmp_path_factory.mktemp("runs") / "half"
    return prune(run, data, Goal(macs=0.5), out=out, multiple=2, epochs=2, rate=1e-3)


def weights(path):
    from edgecnn.training.predict import read_model

    return [value.tobytes() for value in read_model(path / "model.keras").get_weights()]


def macs(path):
    from edgecnn.training.predict import read_model
    from edgecnn.zoo.count import count

    return count(read_model(path / "model.keras")).macs


def test_half_the_macs_are_really_gone_and_the_note_says_which(run, pruned):
    said = json.loads((pruned.path / "pruning.json").read_text())
    assert macs(pruned.path) == said["macs_after"] <= 0.5 * macs(run)
    assert said["macs_before"] == macs(run)
    for layer in said["layers"].values():
        assert 0 < len(layer["kept"]) <= layer["channels"]


def test_the_new_run_knows_the_colours_still_and_its_card_tells_how_it_came_about(run, pruned):
    before, after = Run(run).read_card(), pruned.read_card()
    assert after.lineage[:-1] == before.lineage
    assert "of the MACs stay for 0.5 of the MACs, least energy first" in after.lineage[-1]
    assert "distilled from resnet8" in after.lineage[-1]
    assert json.loads(pruned.training.read_text())["top1"] > 0.9


def test_stopped_and_resumed_it_ends_with_the_bits_of_one_that_was_not(run, data, tmp_path, pruned):
    from edgecnn.compression.channels import Goal, prune

    def stop(now):
        if now.phase == "training" and now.epoch == 2:
            raise KeyboardInterrupt

    words = {"out": tmp_path / "cut", "multiple": 2, "epochs": 2, "rate": 1e-3}
    with pytest.raises(KeyboardInterrupt):
        prune(run, data, Goal(macs=0.5), progress=stop, **words)
    prune(run, data, Goal(macs=0.5), resume=True, **words)
    assert weights(tmp_path / "cut") == weights(pruned.path)


def test_steps_leave_runs_beside_the_new_one_each_smaller(run, data, tmp_path):
    from edgecnn.compression.channels import Goal, prune

    out = tmp_path / "small"
    made = prune(run, data, Goal(macs=0.4), out=out, multiple=1, steps=2, epochs=2, rate=1e-3, alone=True)
    between = tmp_path / "small-step1"
    assert macs(run) > macs(between) > macs(made.path)
    assert macs(made.path) <= 0.4 * macs(run)
    assert len(made.read_card().lineage) == len(Run(run).read_card().lineage) + 2
    assert not made.teacher.exists()


def test_channels_are_shared_out_over_steps(run, data, tmp_path):
    from edgecnn.compression.channels import Goal, prune
    from edgecnn.training.predict import read_model

    words = {"multiple": 1, "steps": 2, "epochs": 2, "rate": 1e-3, "alone": True}
    made = prune(run, data, Goal(channels=0.5), out=tmp_path / "new", **words)
    (filters,) = (layer.filters for layer in read_model(made.model).layers if getattr(layer, "filters", None))
    assert filters in (3, 4)


class Timer:
    """Takes a ms for each MAC of a thousand."""

    source = "measured"

    def ms(self, model):
        from edgecnn.zoo.count import count

        return count(model).macs / 1000


def test_a_latency_is_searched_for_by_timing_networks(run, data, tmp_path):
    from edgecnn.compression.channels import Goal, prune

    limit = 0.7 * macs(run) / 1000
    made = prune(
        run, data, Goal(latency_ms=limit), out=tmp_path / "new", latency=lambda lesson: Timer(), multiple=1,
        epochs=1, rate=1e-3, alone=True,
    )  # fmt: skip
    said = json.loads((made.path / "pruning.json").read_text())
    assert said["latency_ms"] == macs(made.path) / 1000 <= limit
    assert len(said["tried"]) > 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({}, "say how small"),
        ({"macs": 0.5, "channels": 0.5}, "not channels and macs"),
    ],
)
def test_a_goal_is_exactly_one(words, message):
    from edgecnn.compression.channels import Goal

    with pytest.raises(TrainingError, match=message):
        Goal(**words)


def test_an_unknown_criterion_leaves_no_folder(run, data, tmp_path):
    from edgecnn.compression.channels import Goal, prune

    with pytest.raises(TrainingError, match="no criterion is called 'luck'"):
        prune(run, data, Goal(macs=0.5), out=tmp_path / "new", criterion="luck")
    assert not (tmp_path / "new").exists()


def test_a_goal_out_of_reach_leaves_no_folder(run, data, tmp_path):
    from edgecnn.compression.channels import Goal, prune

    with pytest.raises(TrainingError, match="is not to be had"):
        prune(run, data, Goal(macs=0.01), out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_run_that_is_replaced_is_pruned_as_it_is_asked_to_be_now(run, data, tmp_path):
    from edgecnn.compression.channels import Goal, prune

    words = {"out": tmp_path / "new", "multiple": 1, "epochs": 1, "rate": 1e-3, "alone": True}
    before = macs(prune(run, data, Goal(macs=0.8), **words).path)
    assert macs(prune(run, data, Goal(macs=0.4), force=True, **words).path) <= before / 2


def test_a_torn_note_is_refused_with_what_to_do(run, data, tmp_path, pruned):
    import shutil

    from edgecnn.compression.channels import Goal, prune

    cut = tmp_path / "cut"
    shutil.copytree(pruned.path, cut)
    cut.joinpath("training.json").unlink()
    cut.joinpath("pruning.json").write_text('{"layers": {}}')
    with pytest.raises(TrainingError, match="Start again with --force"):
        prune(run, data, Goal(macs=0.5), out=cut, multiple=2, epochs=2, rate=1e-3, resume=True)


def test_what_is_gone_saves_a_forward_pass_nothing_else(pruned):
    from edgecnn.training.predict import read_model

    model = read_model(pruned.model)
    assert np.isfinite(model(np.zeros((1, 16, 16, 3), np.float32))).all()
