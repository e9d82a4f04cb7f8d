import numpy as np
import pytest

from edgecnn.errors import TrainingError
from edgecnn.runs import Run

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def clustered(plain_run, data, tmp_path_factory):
    from edgecnn.compression.cluster import train_clustered

    return train_clustered(plain_run, data, out=tmp_path_factory.mktemp("runs") / "few", clusters=8, epochs=2)


@pytest.mark.parametrize(
    ("clusters", "codes"),
    [(3, (-127, 0, 127)), (4, (-127, 0, 127)), (7, (-127, -85, -42, 0, 42, 85, 127))],
)
def test_codes_are_zero_and_pairs_evenly_spaced(clusters, codes):
    from edgecnn.compression.cluster import even_codes

    assert even_codes(clusters) == codes


@pytest.mark.parametrize("clusters", range(3, 65))
def test_there_are_never_more_codes_than_clusters(clusters):
    from edgecnn.compression.cluster import even_codes

    codes = even_codes(clusters)
    assert clusters - 1 <= len(codes) <= clusters
    assert codes == tuple(-code for code in codes[::-1])


@pytest.mark.parametrize("clusters", [0, 2, 65])
def test_a_number_of_clusters_that_cannot_be_is_refused(plain_run, data, tmp_path, clusters):
    from edgecnn.compression.cluster import train_clustered

    with pytest.raises(TrainingError, match=f"must be 3 to 64, not {clusters}"):
        train_clustered(plain_run, data, out=tmp_path / "new", clusters=clusters)
    assert not (tmp_path / "new").exists()


def test_the_int8_file_holds_few_values_though_norms_turn_signs(clustered, data, int8_codes):
    codes = int8_codes(clustered.path, data)
    for shape in ((16, 3, 3, 8), (18, 3, 3, 16), (3, 18)):
        values = set(np.unique(codes[shape]))
        assert len(values) <= 7, (shape, values)
        assert max(values) == 127 or min(values) == -127
    assert len(np.unique(codes[8, 3, 3, 3])) > 20  # it reads the image


def test_the_new_run_has_the_layers_of_the_old_one_and_says_what_was_done(plain_run, clustered):
    from edgecnn.training.predict import read_model

    before, after = read_model(Run(plain_run).model), read_model(clustered.model)
    assert [layer.name for layer in after.layers] == [layer.name for layer in before.layers]
    assert [type(layer) for layer in after.layers] == [type(layer) for layer in before.layers]
    lineage = clustered.read_card().lineage
    assert lineage[:-1] == Run(plain_run).read_card().lineage
    assert lineage[-1].startswith("compress: 7 values in 3 kernels, tensorflow-model-optimization 0.")


def test_stopped_and_resumed_it_ends_with_the_bits_of_one_that_was_not(plain_run, data, tmp_path, clustered):
    from edgecnn.compression.cluster import train_clustered
    from edgecnn.training.predict import read_model

    def stop(now):
        if now.phase == "training" and now.epoch == 2:
            raise KeyboardInterrupt

    words = {"out": tmp_path / "cut", "clusters": 8, "epochs": 2}
    with pytest.raises(KeyboardInterrupt):
        train_clustered(plain_run, data, progress=stop, **words)
    cut = train_clustered(plain_run, data, resume=True, **words)
    for one, other in zip(
        read_model(cut.model).get_weights(), read_model(clustered.model).get_weights(), strict=True
    ):
        assert np.array_equal(one, other)
