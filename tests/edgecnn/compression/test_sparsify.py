import numpy as np
import pytest

from edgecnn.errors import TrainingError
from edgecnn.runs import Run

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def sparse(plain_run, data, tmp_path_factory):
    from edgecnn.compression.sparsify import train_sparse

    return train_sparse(
        plain_run, data, out=tmp_path_factory.mktemp("runs") / "sparse", sparsity=0.8, epochs=2
    )


def kernels(run):
    from edgecnn.training.predict import read_model

    model = read_model(run.model)
    return {name: model.get_layer(name).kernel.numpy() for name in ("conv0", "conv1", "conv2", "logits")}


@pytest.mark.parametrize(
    ("sparsity", "pattern", "said"),
    [
        (0.0, "any", "between 0 and 1, not 0"),
        (1.0, "block", "between 0 and 1, not 1"),
        (0.8, "2:4", "0.5 and not 0.8"),
        (0.8, "4:8", "no pattern is called '4:8'; there is: any, 2:4, block"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    plain_run, data, tmp_path, sparsity, pattern, said
):
    from edgecnn.compression.sparsify import train_sparse

    with pytest.raises(TrainingError, match=said):
        train_sparse(plain_run, data, out=tmp_path / "new", sparsity=sparsity, pattern=pattern)
    assert not (tmp_path / "new").exists()


def test_the_share_that_was_asked_for_is_zero_and_the_layer_that_reads_the_image_is_dense(sparse):
    from edgecnn.compression.sparsify import sparsities

    found = kernels(sparse)
    assert (found.pop("conv0") != 0).all()
    shares = sparsities({name: kernel.shape for name, kernel in found.items()}, 0.8)
    for name, kernel in found.items():
        assert abs((kernel == 0).mean() - shares[name]) < 0.5 / kernel.size + 1e-6, name
    assert abs(sum((k == 0).sum() for k in found.values()) / sum(k.size for k in found.values()) - 0.8) < 1e-3


@pytest.mark.parametrize("sparsity", [0.01, 0.5, 0.8, 0.99])
def test_all_kernels_together_are_as_sparse_as_asked_and_none_is_more_than_dense(sparsity):
    from edgecnn.compression.sparsify import sparsities

    shapes = {"small": (10, 4), "one": (1, 1, 64, 64), "wide": (3, 3, 64, 128), "same": (3, 3, 64, 128)}
    shares = sparsities(shapes, sparsity)
    zeros = sum(shares[name] * np.prod(shape) for name, shape in shapes.items())
    assert np.isclose(zeros, sparsity * sum(np.prod(shape) for shape in shapes.values()))
    assert all(0 <= share < 1 for share in shares.values())
    assert shares["small"] <= shares["one"] <= shares["wide"] == shares["same"]


def test_the_saved_epoch_has_all_zeros_however_much_better_an_earlier_one_was(plain_run, data, tmp_path):
    from edgecnn.compression.sparsify import train_sparse

    # At this rate the network is as good as it will be before it is sparse, and what is left is noise.
    made = train_sparse(plain_run, data, out=tmp_path / "new", sparsity=0.95, epochs=4, rate=1e-9)
    zeros = [(kernel == 0) for name, kernel in kernels(made).items() if name != "conv0"]
    assert sum(part.sum() for part in zeros) / sum(part.size for part in zeros) > 0.945


def test_two_of_four_neighbouring_input_channels_are_zero(plain_run, data, tmp_path):
    from edgecnn.compression.sparsify import train_sparse

    made = train_sparse(plain_run, data, out=tmp_path / "new", sparsity=0.5, pattern="2:4", epochs=1)
    for name, kernel in kernels(made).items():
        if name in ("conv1", "conv2"):
            fours = np.moveaxis(kernel, -2, -1).reshape(-1, 4)
            assert ((fours == 0).sum(axis=1) >= 2).all()
            assert (kernel != 0).mean() > 0.49


def test_blocks_are_zero_together_and_the_short_one_at_the_end_too(plain_run, data, tmp_path):
    from edgecnn.compression.sparsify import train_sparse

    made = train_sparse(plain_run, data, out=tmp_path / "new", sparsity=0.75, pattern="block", epochs=1)
    found = kernels(made)
    for name in ("conv1", "conv2", "logits"):
        rows = np.moveaxis(found[name], -2, -1).reshape(-1, found[name].shape[-2])
        for start in range(0, rows.shape[1], 4):
            part = rows[:, start : start + 4]
            assert ((part == 0).all(axis=1) | (part != 0).all(axis=1)).all(), name
    every = [found[name] == 0 for name in ("conv1", "conv2", "logits")]
    assert abs(sum(part.sum() for part in every) / sum(part.size for part in every) - 0.75) < 0.03


def test_the_new_run_has_the_layers_of_the_old_one_and_says_what_was_done(plain_run, sparse):
    from edgecnn.training.predict import read_model

    before, after = read_model(Run(plain_run).model), read_model(sparse.model)
    assert [layer.name for layer in after.layers] == [layer.name for layer in before.layers]
    assert [type(layer) for layer in after.layers] == [type(layer) for layer in before.layers]
    lineage = sparse.read_card().lineage
    assert lineage[:-1] == Run(plain_run).read_card().lineage
    assert lineage[-1].startswith("compress: 80% zeros in 3 kernels, tensorflow-model-optimization 0.")


def test_the_zeros_are_zeros_of_the_int8_file(sparse, data, int8_codes):
    codes = int8_codes(sparse.path, data)
    for name, kernel in kernels(sparse).items():
        ships = np.moveaxis(kernel, -1, 0)
        assert not codes[ships.shape][ships == 0].any(), name


def test_stopped_and_resumed_it_ends_with_the_bits_of_one_that_was_not(plain_run, data, tmp_path, sparse):
    from edgecnn.compression.sparsify import train_sparse

    def stop(now):
        if now.phase == "training" and now.epoch == 2:
            raise KeyboardInterrupt

    words = {"out": tmp_path / "cut", "sparsity": 0.8, "epochs": 2}
    with pytest.raises(KeyboardInterrupt):
        train_sparse(plain_run, data, progress=stop, **words)
    assert all(
        np.array_equal(one, other)
        for one, other in zip(
            kernels(train_sparse(plain_run, data, resume=True, **words)).values(),
            kernels(sparse).values(),
            strict=True,
        )
    )
