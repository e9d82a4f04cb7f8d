"""The oracle is the network with the channels really gone: `removal.without`."""

import json
from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors import TrainingError

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def found(run, data):
    from edgecnn.compression.sensitivity import sensitivity

    seen = []
    return sensitivity(
        run, data, shares=(0.25, 0.75), settle=False, progress=lambda *now: seen.append(now)
    ), seen


def test_no_share_no_image_and_no_such_criterion_are_refused(run, data):
    from edgecnn.compression.sensitivity import sensitivity

    for wrong, said in (
        ({"shares": ()}, "between 0 and 1"),
        ({"shares": (0.5, 1.0)}, "between 0 and 1, not 0.5, 1.0"),
        ({"images": 0}, "at least one image"),
        ({"criterion": "size"}, "no criterion is called 'size'"),
    ):
        with pytest.raises(TrainingError, match=said):
            sensitivity(run, data, **wrong)


def test_data_of_other_labels_are_refused(run, make_tinted):
    from edgecnn.compression.sensitivity import sensitivity

    others = make_tinted(12, seed=5, labels=("one", "two", "three"))
    with pytest.raises(TrainingError, match="3 labels"):
        sensitivity(run, (others, others))


def test_every_group_is_thinned_by_every_share_and_progress_is_told(found):
    sensed, seen = found
    assert [layer.channels for layer in sensed.layers] == [8]
    assert [(trial.share, trial.removed) for trial in sensed.layers[0].trials] == [(0.25, 2), (0.75, 6)]
    assert seen == [(0, 2), (1, 2), (2, 2)]
    assert sensed.images == 24
    assert 0 < sensed.layers[0].macs <= sensed.macs


def test_the_whole_networks_score_and_each_trials_are_those_of_the_smaller_networks(found, run, data):
    from edgecnn.compression.criteria import scores
    from edgecnn.compression.groups import channels_of
    from edgecnn.compression.removal import without
    from edgecnn.heads import classification
    from edgecnn.image import lookup, prepare
    from edgecnn.runs import Run
    from edgecnn.training.predict import read_model

    sensed, _ = found
    model, spec = read_model(Run(run).model), Run(run).read_card().input
    table = lookup(spec, np.float32)
    images = np.concatenate([prepare(sample.read(), table, spec)[0] for sample in data[1].samples])
    truths = np.array([sample.truth.label_id for sample in data[1].samples])

    def judged(network):
        logits = network(images, training=False).numpy().astype(np.float64)
        losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(truths)), truths]
        return (logits.argmax(1) == truths).mean(), losses.mean()

    assert (sensed.score, sensed.loss) == pytest.approx(judged(model), rel=1e-4)

    from edgecnn.compression.continued import opened, recipe_for
    from edgecnn.compression.sensitivity import drawn_lesson

    lesson = drawn_lesson(*data, recipe_for(opened(run, data), data[0], epochs=1, seed=0))
    channels = channels_of(model)
    loss = classification.criterion(spec, smoothing=0.0)
    worth = scores(model, channels, sensed.criterion, lesson.feed.batches(0), loss)
    (group,) = channels.groups
    for trial in sensed.layers[0].trials:
        keep = np.ones(channels.units, bool)
        keep[group.units[np.argsort(worth[group.units])][: trial.removed]] = False
        wanted = judged(without(model, channels, keep))
        assert (trial.score, trial.loss) == pytest.approx(wanted, rel=1e-3)


def test_norms_that_are_measured_again_bring_some_of_the_loss_back_and_the_run_stays(found, run, data):
    from edgecnn.compression.sensitivity import sensitivity

    before = {path: path.read_bytes() for path in run.iterdir()}
    settled = sensitivity(run, data, shares=(0.75,))
    assert settled.score == found[0].score  # of the whole network nothing is measured again
    assert settled.layers[0].trials[0].loss != found[0].layers[0].trials[1].loss
    assert {path: path.read_bytes() for path in run.iterdir()} == before


def test_the_dictionary_is_json_and_names_the_layers_that_hold_most_first():
    from edgecnn.compression.sensitivity import Layer, Sensitivity, Trial

    def layer(name, score, loss):
        return Layer(name, (name,), 8, 100, (Trial(0.5, 4, score, loss),))

    sensed = Sensitivity(
        Path("runs/cats"), "photos", 10, "taylor", True, "accuracy", 0.9, 0.1, 1000,
        (layer("even", 0.8, 1.0), layer("light", 0.9, 0.1), layer("odd", 0.8, 1.5), layer("heavy", 0.2, 3.0)),
    )  # fmt: skip
    said = json.loads(json.dumps(sensed.as_dict()))
    assert said["weightiest"] == ["heavy", "odd", "even", "light"]
    assert [layer["held"] for layer in said["layers"]] == pytest.approx([0.1, 0.0, 0.1, 0.7])
    assert said["layers"][0]["trials"] == [{"share": 0.5, "removed": 4, "score": 0.8, "loss": 1.0}]


def test_silenced_weights_come_back_even_after_an_error(network, keras):
    from edgecnn.compression.groups import channels_of
    from edgecnn.compression.readers import silenced

    layers = keras.layers
    model = network(lambda image: layers.Conv2D(3, 1, name="last")(layers.Conv2D(4, 1, name="first")(image)))
    channels, before = channels_of(model), model.get_weights()
    keep = np.ones(channels.units, bool)
    keep[channels.made["first"][2]] = False

    def interrupted():
        with silenced(model, channels.read, keep):
            kernel = model.get_layer("last").kernel.numpy()
            assert (kernel[:, :, 2] == 0).all()
            assert (kernel[:, :, [0, 1, 3]] != 0).all()
            model.get_layer("first").kernel.assign(model.get_layer("first").kernel * 2)
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
