import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from edgecnn.errors import TrainingError
from edgecnn.runs import Run

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def quantized(run, data, tmp_path_factory):
    from edgecnn.compression.quantize import train_quantized

    return train_quantized(run, data, out=tmp_path_factory.mktemp("runs") / "qat", epochs=2)


def weights(path):
    from edgecnn.training.predict import read_model

    return [value.tobytes() for value in read_model(path / "model.keras").get_weights()]


def test_a_new_run_appears_whose_card_tells_of_both_trainings(run, quantized):
    before, after = Run(run).read_card(), quantized.read_card()
    assert after.lineage[:-1] == before.lineage
    assert after.lineage[-1].startswith("compress: quantization-aware training, tensorflow-model-optimiz")
    assert (after.name, after.labels, after.input) == (before.name, before.labels, before.input)
    outcome = json.loads(quantized.training.read_text())
    assert outcome["epochs"] == 2
    assert outcome["top1"] > 0.9
    with quantized.history.open() as file:
        assert len(list(csv.DictReader(file))) == 2


def test_the_run_it_came_from_stays_as_it_is(run, data, tmp_path):
    from edgecnn.compression.quantize import train_quantized

    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    train_quantized(run, data, out=tmp_path / "new", epochs=1)
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before


def test_the_new_run_is_judged_like_any_other(quantized, data):
    from edgecnn.evaluation import evaluate
    from edgecnn.training.predict import predictor

    assert evaluate(predictor(quantized), data[1]).metrics.top1 > 0.9


def test_stopped_and_resumed_it_ends_with_the_bits_of_one_that_was_not(run, data, tmp_path, quantized):
    from edgecnn.compression.quantize import train_quantized

    def stop(now):
        if now.phase == "training" and now.epoch == 2:
            raise KeyboardInterrupt

    cut = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):
        train_quantized(run, data, out=cut, epochs=2, progress=stop)
    assert train_quantized(run, data, out=cut, epochs=2, resume=True).path == cut
    assert weights(cut) == weights(quantized.path)


def test_other_labels_are_refused_before_anything_is_written(run, make_tinted, tmp_path):
    from edgecnn.compression.quantize import train_quantized

    other = make_tinted(12, seed=3, labels=("a", "b", "c"))
    with pytest.raises(TrainingError, match="knows 3 labels, and those of tinted are others"):
        train_quantized(run, (other, other), out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_run_is_never_its_own_result(run, data):
    from edgecnn.compression.quantize import train_quantized

    with pytest.raises(TrainingError, match="weights never change"):
        train_quantized(run, data, out=run, force=True)


def test_what_is_quantized_already_is_not_quantized_again(quantized, data, tmp_path):
    from edgecnn.compression.quantize import train_quantized

    with pytest.raises(TrainingError, match="was trained quantization-aware already"):
        train_quantized(quantized.path, data, out=tmp_path / "new")


def test_a_network_with_a_layer_of_no_int8_form_leaves_no_folder(run, data, keras, tmp_path):
    from edgecnn.compression.quantize import train_quantized

    own = tmp_path / "own"
    shutil.copytree(run, own)
    layers = keras.layers
    image = keras.Input((16, 16, 3))
    x = layers.Flatten()(layers.ELU(name="odd")(layers.Conv2D(4, 3)(image)))
    keras.Model(image, layers.Dense(3, name="logits")(x)).save(own / "model.keras", save_format="keras")
    with pytest.raises(TrainingError, match=r"'odd' .ELU. has no int8 form"):
        train_quantized(own, data, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


SESSION = """
import sys
from pathlib import Path
from edgecnn.compression.quantize import train_quantized
from edgecnn.data import training_splits

run, data, out = sys.argv[1:]
train_quantized(Path(run), training_splits(data), out=Path(out), epochs=50, checkpoint_seconds=0.0)
"""


@pytest.mark.slow
def test_killed_at_any_moment_it_leaves_a_whole_run_or_none(run, data, tmp_path):
    from edgecnn.training.predict import read_model

    cv2 = pytest.importorskip("cv2")
    for split, part in zip(("train", "val"), data, strict=True):
        for index, sample in enumerate(part.samples):
            path = tmp_path / "data" / split / part.labels[index % 3] / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), sample.read())
    out = Run(tmp_path / "new")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [str(run), str(tmp_path / "data"), str(out.path)]
    for wait in (0.0, 0.3):
        shutil.rmtree(out.path, ignore_errors=True)
        session = subprocess.Popen([sys.executable, "-c", SESSION, *arguments], env=environment)
        limit = time.monotonic() + 120
        while not out.card.exists() and time.monotonic() < limit:
            assert session.poll() is None
            time.sleep(0.01)
        time.sleep(wait)
        session.kill()
        assert session.wait() == -signal.SIGKILL
        assert not out.training.exists()
        assert out.read_card().lineage
        assert np.isfinite(read_model(out.model)(np.zeros((1, 16, 16, 3), np.float32))).all()


def test_the_recipe_of_a_run_with_means_and_frozen_layers_becomes_one_without(run, data, tmp_path):
    """A mean of rounded networks is no rounded network; and another network than the recipe's is learned."""
    from dataclasses import replace

    from edgecnn.compression.quantize import train_quantized
    from edgecnn.training.recipe import from_json, to_json

    averaged = Run(tmp_path / "averaged")
    shutil.copytree(run, averaged.path)
    own = from_json(averaged.recipe.read_text(), "here")
    changed = replace(own, ema=0.99, frozen=4, pretrained="imagenet", calm=0.5)
    averaged.recipe.write_text(to_json(changed))
    made = train_quantized(averaged.path, data, out=tmp_path / "new", epochs=1, seed=3)
    chosen = from_json(made.recipe.read_text(), "new")
    assert (chosen.ema, chosen.frozen, chosen.epochs, chosen.seed) == (0.0, 0, 1, 3)


@pytest.fixture(scope="module")
def sparse_and_clustered(plain_run, data, tmp_path_factory):
    from edgecnn.compression.cluster import train_clustered
    from edgecnn.compression.sparsify import train_sparse

    folder = tmp_path_factory.mktemp("runs")
    sparse = train_sparse(plain_run, data, out=folder / "sparse", sparsity=0.8, epochs=2)
    return sparse, train_clustered(sparse.path, data, out=folder / "both", clusters=8, epochs=1)


def kernels(run):
    """Kernels as they lie in a file, float32, of the layers that become sparse or clustered."""
    from edgecnn.training.predict import read_model

    model = read_model(run.model)
    return [np.moveaxis(model.get_layer(name).kernel.numpy(), -1, 0) for name in ("conv1", "conv2")]


def test_zeros_are_kept(sparse_and_clustered, data, tmp_path, int8_codes):
    from edgecnn.compression.quantize import train_quantized

    sparse, _ = sparse_and_clustered
    made = train_quantized(sparse.path, data, out=tmp_path / "qat", epochs=2, rate=1e-2)
    assert "keeping the zeros of 2 kernels, tensorflow-model-opt" in made.read_card().lineage[-1]
    before, after = int8_codes(sparse.path, data), int8_codes(made.path, data)
    for kernel in kernels(sparse):
        assert (kernel == 0).mean() > 0.7
        assert not after[kernel.shape][kernel == 0].any()
        assert (before[kernel.shape] != after[kernel.shape]).any()


def test_zeros_and_clusters_are_kept_together(sparse_and_clustered, data, tmp_path, int8_codes):
    from edgecnn.compression.quantize import train_quantized

    _, both = sparse_and_clustered
    made = train_quantized(both.path, data, out=tmp_path / "qat", epochs=2, rate=1e-2)
    assert "keeping the zeros of 2 kernels and the clusters of " in made.read_card().lineage[-1]
    before, after = int8_codes(both.path, data), int8_codes(made.path, data)
    for kernel in kernels(sparse_and_clustered[0]):
        assert len(np.unique(before[kernel.shape])) <= 7
        assert set(np.unique(after[kernel.shape])) <= {*np.unique(before[kernel.shape]), -127, 127}
        assert not after[kernel.shape][kernel == 0].any()
