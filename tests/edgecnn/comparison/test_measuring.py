import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from edgecnn import runs
from edgecnn.card import Card, InputSpec
from edgecnn.comparison import compare, rows, write_comparison
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.errors import ConversionError, DataError
from edgecnn.results import Classes
from edgecnn.runs import Run, write_card

pytestmark = pytest.mark.tensorflow

LABELS = ("red", "green", "blue")
SPEC = InputSpec(height=16, width=16, mean=(127.5,), std=(127.5,))


@dataclass(frozen=True)
class Tint:
    """Noise in which one colour prevails."""

    name: str
    label_id: int
    seed: int

    def read(self):
        random = np.random.default_rng(self.seed)
        pixels = random.integers(0, 200, (18, 18, 3), np.uint8)
        pixels[..., 2 - self.label_id] += random.integers(2, 40, dtype=np.uint8)
        return pixels


def tints(count, *, seed, split):
    samples = [
        Sample(Tint(f"{split}/{label}/{n}.png", number, seed + n), Classes.truth(number, LABELS))
        for n in range(count)
        for number, label in enumerate(LABELS)
    ]
    return Dataset("tints", "classification", LABELS, samples, split)


def colours(filters, *, confused=0.0):
    """Sees which colour prevails; confused, it leans to red. Its other filters are of no use."""
    from edgecnn.zoo.keras import keras

    layers = keras.layers
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(filters, 3, padding="same", name="first")(image)
    x = layers.Conv2D(filters, 3, padding="same", name="second")(x)
    model = keras.Model(image, layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D()(x)))
    for name in ("first", "second"):
        kernel, bias = model.get_layer(name).get_weights()
        kernel[:] = np.random.default_rng(1).normal(0, 0.01, kernel.shape)
        kernel[:, :, :, :3] = 0
        kernel[1, 1, range(3), range(3)] = 1
        model.get_layer(name).set_weights([kernel, bias])
    chosen = np.zeros((filters, 3), np.float32)
    chosen[range(3), range(3)] = 20
    model.get_layer("logits").set_weights([chosen, np.array([confused, 0, 0], np.float32)])
    return model


def run_of(model, folder):
    folder.mkdir()
    model.save(folder / "model.keras", save_format="keras")
    write_card(
        Run(folder),
        Card(
            "colours", "classification", SPEC, LABELS, {"scores": "logits"}, {"scores": "logits"}, ("train",)
        ),
    )
    return folder


@pytest.fixture(scope="module")
def parts():
    return tints(20, seed=0, split="train"), tints(30, seed=100, split="val")


@pytest.fixture(scope="module")
def compared(parts, tmp_path_factory):
    """The old and the new run, what was told, what was found, and the number of judged images told."""
    folder = tmp_path_factory.mktemp("runs")
    before, after = run_of(colours(48), folder / "before"), run_of(colours(8, confused=4.0), folder / "after")
    told, shown = [], []
    found = compare(
        before, after, parts, seconds=0.05, tell=told.append, progress=lambda *done: shown.append(done)
    )
    return before, after, told, found, shown


def test_both_networks_are_counted(compared):
    found = compared[3]
    assert found.before.network.params == 48 * 28 + 48 * (48 * 9 + 1) + 3 * 49
    from edgecnn.training.predict import read_model
    from edgecnn.zoo.count import count

    for side, run in ((found.before, compared[0]), (found.after, compared[1])):
        counted = count(read_model(run / "model.keras"))
        assert (side.network.params, side.network.macs) == (counted.params, counted.macs)
    assert found.macs_ratio < 0.1


def test_what_was_lost_is_told_of_all_and_of_each_class(compared):
    found = compared[3]
    change = found.changes["int8"]
    old, new = (side.files["int8"].value for side in (found.before, found.after))
    assert old > new
    assert change.difference == pytest.approx(new - old)
    low, high = change.interval
    assert low < change.difference < high < 0
    assert [one.label for one in found.classes][-1] == "red"  # it leans to red, so red loses nothing
    assert [one.difference for one in found.classes] == sorted(one.difference for one in found.classes)
    assert sum(one.difference * one.count for one in found.classes) / 90 == pytest.approx(change.difference)


def test_every_file_is_timed_weighed_and_zipped(compared):
    found = compared[3]
    for side in (found.before, found.after):
        for file in side.files.values():
            assert 0 < file.latency_ms["p50"] <= file.latency_ms["p90"] <= file.latency_ms["p99"]
            assert file.zipped_bytes < file.bytes
        assert side.files["int8"].peak_bytes * 4 == side.files["float32"].peak_bytes
    low, high = found.changes["int8"].time_interval
    assert low <= found.changes["int8"].time_ratio <= high


def test_files_that_the_runs_lack_are_made_aside_and_said_to_be(compared):
    before, after, told, found, _ = compared
    assert not list(before.glob("*.tflite"))
    assert not list(after.glob("*.tflite"))
    assert not (before / "measurements.jsonl").exists()
    assert not any(file.is_own for file in found.after.files.values())
    assert f"float32 and int8 of {after} were made for this comparison" in "\n".join(found.notes)
    assert any("for this comparison only" in line for line in told)


def test_progress_counts_the_images_of_all_four_files(compared):
    assert compared[4][-1] == (360, 360)


def test_conditions_say_what_the_figures_depend_on(compared):
    known = compared[3].conditions
    assert known["threads"] == 1
    assert known["runtime"]
    assert (known["images"], known["data"], known["split"]) == (90, "tints", "val")


def test_it_is_written_and_shown_as_it_was_found(compared, capsys):
    from edgecnn.cli.comparison import show_comparison

    _, after, _, found, _ = compared
    path = write_comparison(after, found)
    read = json.loads(path.read_text(encoding="utf-8"))
    assert read == json.loads(json.dumps(found.as_dict()))
    assert read["verdict"] == found.verdict
    assert read["source"] == "measured"
    show_comparison(found)
    shown = capsys.readouterr().out
    assert found.verdict in shown
    for row in rows.rows(read):
        assert row[0] in shown


def test_the_runs_own_files_are_used_and_measured_and_what_was_made_of_other_weights_is_not(parts, tmp_path):
    from converters.convert import convert

    run = run_of(colours(8), tmp_path / "run")
    other = run_of(colours(4), tmp_path / "other")
    convert(run, schemes=["float32", "int8"], data=parts, uncertified=True, audited=False)
    for scheme in ("float32", "int8"):  # of weights that are not its own
        (other / f"{scheme}.tflite").write_bytes((run / f"{scheme}.tflite").read_bytes())
    found = compare(run, other, parts, seconds=0.05, images=6)
    assert all(file.is_own for file in found.before.files.values())
    assert not any(file.is_own for file in found.after.files.values())
    lines = list(runs.measurements(Run(run).measurements))
    assert sum(bool(line.metrics) for line in lines) == 2
    assert sum(bool(line.latency_ms) for line in lines) == 2
    assert not Run(other).measurements.exists()
    assert found.conditions["images"] == 6


def test_without_training_images_a_run_without_files_is_refused(parts, tmp_path):
    run = run_of(colours(4), tmp_path / "run")
    with pytest.raises(ConversionError, match=r"has no float32\.tflite of its present weights"):
        compare(run, run, parts[1])


def test_runs_of_different_tasks_are_refused(parts, tmp_path):
    run, other = run_of(colours(4), tmp_path / "run"), run_of(colours(4), tmp_path / "other")
    write_card(Run(other), replace(Run(other).read_card(), task="detection"))
    with pytest.raises(DataError, match="nothing to compare"):
        compare(run, other, parts)
