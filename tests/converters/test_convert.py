"""From a run to the files that ship."""

import errno
import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.ranges import Ranges
from converters import drafts
from converters.convert import convert
from edgecnn import archive
from edgecnn import card as cards
from edgecnn.data import training_splits
from edgecnn.errors import ConversionError, DataError, NotCertified
from edgecnn.graph import read
from edgecnn.runs import Run, write_card
from edgecnn.runtime.model import load

pytestmark = pytest.mark.tensorflow


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_no_scheme_at_all_is_refused_with_those_there_are(run):
    with pytest.raises(
        ConversionError,
        match=r"no scheme was asked for. There are: float32, float16, dynamic, weight_only, int8",
    ):
        convert(run, schemes=[])


def test_the_whole_road_writes_files_that_carry_their_card_and_agree_with_the_float_model(bare_run, data):
    schemes = ["int8", "float32", "dynamic", "float16"]
    said = []
    done = convert(bare_run, schemes=schemes, data=data, samples=48, progress=said.append)
    assert [one.scheme for one in done] == schemes
    for one in done:
        assert one.path == bare_run / f"{one.scheme}.tflite"
        assert one.size_bytes == one.path.stat().st_size
        assert one.agreement >= 0.95
        assert one.seconds > 0
        assert not one.reused
        card = cards.read(one.path)
        assert card.labels == ("red", "green", "blue", "grey")
        assert card.lineage[0] == "train squares"
        assert card.lineage[-1].startswith(f"convert {one.scheme}: ")
        with load(one.path) as model:
            said_labels = [model(sample.read()).label for sample in data[1].samples]
        truths = [sample.truth.label for sample in data[1].samples]
        assert np.mean([a == b for a, b in zip(said_labels, truths, strict=True)]) > 0.9
    by_scheme = {one.scheme: one for one in done}
    assert by_scheme["float32"].snr_db > 100
    assert by_scheme["float16"].snr_db > 50
    assert by_scheme["int8"].snr_db > 20
    assert by_scheme["int8"].images == by_scheme["float16"].images == 100
    assert said[-1] == "converting to float16"
    assert "auditing 48 calibration images" in said


def test_the_lineage_says_from_what_and_with_what(run, data):
    convert(run, schemes=["int8"], data=data, samples=8, io="uint8")
    sha = hashlib.sha256((run / "model.keras").read_bytes()).hexdigest()
    trained, floating, integer = cards.read(run / "int8.tflite").lineage
    assert trained == "train squares"
    assert floating.startswith("convert float32: tensorflow ")
    assert floating.endswith(f"model.keras sha256 {sha}")
    assert "minmax over 8 images (sha256 " in integer
    assert integer.endswith("uint8 inputs and outputs")


def test_what_was_measured_of_the_source_is_not_claimed_of_the_copy(run, data):
    assert cards.read(run / "float32.tflite").metrics == {"top1": 1.0}
    convert(run, schemes=["dynamic"], data=data)
    assert cards.read(run / "dynamic.tflite").metrics == {}


@pytest.mark.parametrize(("io", "suffix"), [("int8", ""), ("uint8", "_quantized"), ("float32", "_dequant")])
def test_inputs_and_outputs_have_the_type_asked_for_and_the_card_names_the_outputs(run, data, io, suffix):
    convert(run, schemes=["int8"], data=data, samples=8, io=io)
    graph = read(run / "int8.tflite")
    (source,), (made,) = graph.inputs, graph.outputs
    assert graph.tensors[source].dtype == graph.tensors[made].dtype == io
    name = cards.read(run / "int8.tflite").outputs["scores"]
    assert name == graph.tensors[made].name
    assert name.endswith(suffix)


def test_the_float_file_is_used_again_while_it_belongs_to_the_weights(run, data):
    before = (run / "float32.tflite").stat()
    (one,) = convert(run, schemes=["float32"], data=data)
    assert one.reused
    said = json.loads(json.dumps(one.as_dict(), allow_nan=False))
    assert said["path"] == str(run / "float32.tflite")
    assert (said["agreement"], said["snr_db"], said["images"], said["reused"]) == (None, None, 0, True)
    assert (run / "float32.tflite").stat().st_mtime_ns == before.st_mtime_ns
    (one,) = convert(run, schemes=["float32"], data=data, force=True)
    assert not one.reused
    assert (run / "float32.tflite").stat().st_mtime_ns != before.st_mtime_ns


def test_a_float_file_of_other_weights_is_neither_used_nor_replaced_without_force(
    run, data, trained, make_run
):
    weights = trained.get_weights()
    trained.set_weights([w * 1.01 for w in weights])
    make_run(trained, folder=run)
    trained.set_weights(weights)
    before = files_of(run)
    with pytest.raises(ConversionError, match=r"not made from the present model.keras.*--force"):
        convert(run, schemes=["float16"], data=data)
    assert files_of(run) == before
    convert(run, schemes=["float16"], data=data, force=True)
    assert files_of(run)["float32.tflite"] != before["float32.tflite"]


def test_a_strangers_float_file_is_not_taken_for_ours(run, data):
    path = run / "float32.tflite"
    path.write_bytes(archive.flatbuffer_bytes(path.read_bytes()))
    with pytest.raises(ConversionError, match=r"float32.tflite: is already there"):
        convert(run, schemes=["dynamic"], data=data)


def test_a_float_file_whose_labels_have_changed_since_is_not_used(run, data):
    card = Run(run).read_card()
    write_card(Run(run), replace(card, labels=("a", "b", "c", "d")))
    with pytest.raises(ConversionError, match=r"float32.tflite: is already there"):
        convert(run, schemes=["dynamic"])


def test_nothing_is_overwritten_without_force(run, data):
    (run / "int8.tflite").write_bytes(b"precious")
    with pytest.raises(ConversionError, match=r"int8.tflite: is already there. Replace it with --force"):
        convert(run, schemes=["float16", "int8"], data=data)
    assert (run / "int8.tflite").read_bytes() == b"precious"
    assert not (run / "float16.tflite").exists()
    convert(run, schemes=["int8"], data=data, samples=8, force=True)
    assert cards.read(run / "int8.tflite") is not None


def test_files_can_go_to_another_folder(bare_run, data, tmp_path):
    before = files_of(bare_run)
    convert(bare_run, schemes=["float16"], data=data, out=tmp_path / "new" / "place")
    assert files_of(bare_run) == before
    assert set(files_of(tmp_path / "new" / "place")) == {"float32.tflite", "float16.tflite"}


@pytest.mark.parametrize("scheme", ["int 8", "INT8", "int4", "float64", "dynamic_wi8"])
def test_a_mistyped_scheme_never_becomes_another(run, data, scheme):
    before = files_of(run)
    with pytest.raises(
        ConversionError, match=f"no scheme is called '{scheme}'. There are: float32, float16, dyn"
    ):
        convert(run, schemes=["float16", scheme], data=data)
    assert files_of(run) == before


def test_a_mistyped_type_of_inputs_is_refused_before_anything_happens(run, data):
    before = files_of(run)
    with pytest.raises(ConversionError, match="can be int8, uint8, float32, not 'int16'"):
        convert(run, schemes=["float16", "int8"], data=data, io="int16")
    with pytest.raises(ConversionError, match=r"--io must be int8 or uint8 or .*, not 'int 8'"):
        convert(run, schemes=["float16"], data=data, io="int 8")
    assert files_of(run) == before


def test_a_type_of_inputs_that_nothing_would_have_is_refused(run):
    with pytest.raises(ConversionError, match=r"inputs and outputs of float16 are float32. Leave --io out"):
        convert(run, schemes=["float16"], io="int8")


def test_int8_without_images_asks_for_them(run):
    before = files_of(run)
    with pytest.raises(ConversionError, match=r"int8 needs training images to calibrate.*--data"):
        convert(run, schemes=["float16", "int8"])
    assert files_of(run) == before


def test_without_images_float_schemes_are_compared_on_noise(bare_run):
    done = convert(bare_run, schemes=["float32", "float16", "dynamic"])
    assert [one.images for one in done] == [16, 64, 64]


def test_a_folder_of_images_gives_training_and_validation_parts(run, make_squares, tmp_path):
    import cv2

    for sample in make_squares(12, seed=5).samples:
        place = tmp_path / "photos" / Path(sample.image.name).relative_to("squares")
        place.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place), sample.read())
    (one,) = convert(run, schemes=["int8"], data=tmp_path / "photos")
    train, val = training_splits(tmp_path / "photos")
    assert f"over {len(train)} images" in cards.read(one.path).lineage[-1]
    assert one.images == len(val)


def test_data_of_other_labels_are_refused(run, make_squares):
    other = make_squares(4, seed=1, labels=("red", "green", "cat", "grey"))
    with pytest.raises(DataError, match="squares: the label 'cat' is not one of the 4 of squares"):
        convert(run, schemes=["int8"], data=(other, other))


def test_data_for_another_task_are_refused(run, data):
    other = replace(data[0], task="detection")
    with pytest.raises(DataError, match="is for detection, but squares is for classification"):
        convert(run, schemes=["int8"], data=(other, other))


def test_an_unreadable_calibration_image_is_named_and_nothing_is_written(run, data, make_squares):
    before = files_of(run)
    broken = make_squares(5, seed=1, unreadable={("blue", 3)})
    with pytest.raises(DataError, match=r"squares/blue/3\.png: truncated"):
        convert(run, schemes=["int8"], data=(broken, data[1]))
    assert files_of(run) == before


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(DataError, match="is not a run"):
        convert(tmp_path, schemes=["float32"])


def test_a_run_without_weights_is_refused(bare_run):
    (bare_run / "model.keras").unlink()
    with pytest.raises(
        ConversionError, match=r"there are no weights \(model.keras is missing\). Train first"
    ):
        convert(bare_run, schemes=["float32"])


def test_truncated_weights_are_refused_and_nothing_is_written(bare_run):
    model = bare_run / "model.keras"
    model.write_bytes(model.read_bytes()[:-5000])
    before = files_of(bare_run)
    with pytest.raises(ConversionError, match=r"model.keras: damaged, not readable as a Keras model"):
        convert(bare_run, schemes=["float32"])
    assert files_of(bare_run) == before


def test_a_card_for_another_image_size_is_refused(bare_run):
    card = Run(bare_run).read_card()
    write_card(Run(bare_run), replace(card, input=replace(card.input, height=32)))
    with pytest.raises(ConversionError, match=r"takes images of \(24, 24, 3\).* its card says \(32, 24, 3\)"):
        convert(bare_run, schemes=["float32"])


@pytest.mark.parametrize("scheme", ["float16", "int8"])
def test_a_full_disk_leaves_no_half_file(run, data, scheme, monkeypatch):
    before = files_of(run)
    written = Path.write_bytes

    def full(path, content):
        if scheme not in path.name:
            return written(path, content)
        written(path, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(
        ConversionError, match=rf"{scheme}.tflite: cannot be written \(No space left on device\)"
    ):
        convert(run, schemes=[scheme], data=data, samples=8)
    monkeypatch.undo()
    assert files_of(run) == before


@pytest.mark.parametrize(
    "where",
    [
        "calibration.audit.Pixels.look",
        "converters.drafts.calibrate",
        "converters.drafts.quantize",
        "converters.judging.classification.judge_answers",
        "converters.verify.compare",
        "converters.golden.checks",
        "edgecnn.archive.write_entries",
        "edgecnn.card.attach",
    ],
)
def test_ctrl_c_leaves_nothing(run, data, where, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    before = files_of(run)
    monkeypatch.setattr(where, interrupt)
    with pytest.raises(KeyboardInterrupt):
        convert(run, schemes=["int8"], data=data, samples=8, audited="audit" in where)
    assert files_of(run) == before


def test_a_ruined_file_is_not_written_and_the_old_one_stays(run, data, monkeypatch):
    """One outlier that nothing else comes near: the integers cannot tell the rest apart."""
    (run / "int8.tflite").write_bytes(b"the old one")
    real = drafts.calibrate

    def with_outliers(*args, **kwargs):
        ranges = real(*args, **kwargs)
        wide = {name: (low, high * 1e4) for name, (low, high) in ranges.low_high.items()}
        return Ranges(wide, ranges.method, ranges.samples, ranges.sha256)

    monkeypatch.setattr(drafts, "calibrate", with_outliers)
    before = files_of(run)
    with pytest.raises(
        NotCertified, match=r"int8.tflite: not written: refused: int8: it gives the same answer to all 100"
    ) as refused:
        convert(
            run,
            schemes=["int8"],
            data=data,
            samples=8,
            force=True,
            ranges="minmax",
            keeps=None,
            audited=False,
        )
    assert files_of(run) == before
    (one,) = refused.value.results
    assert not one.written
    assert one.rungs


def test_a_network_with_softmax_inside_keeps_its_probabilities(trained, data, keras, make_run):
    probabilities = keras.layers.Softmax()(trained.output)
    folder = make_run(keras.Model(trained.input, probabilities), scores="probabilities")
    (one,) = convert(folder, schemes=["int8"], data=data, samples=48)
    assert one.agreement > 0.9
    with load(one.path) as model:
        assert sum(score for _, score in model(data[1].samples[0].read()).top(4)) == pytest.approx(
            1, abs=0.02
        )


def test_a_single_class_converts_though_its_answer_never_changes(trained, data, keras, make_run):
    score = keras.layers.Softmax()(keras.layers.Dense(1)(trained.layers[-2].output))
    folder = make_run(keras.Model(trained.input, score), labels=("red",), scores="probabilities")
    only = [replace(part.subset(range(0, 40, 4)), labels=("red",)) for part in data]
    # these squares of red noise are nothing that the auditor lets through
    (one,) = convert(folder, schemes=["int8"], data=tuple(only), samples=8, audited=False)
    assert one.agreement == 1
    with load(one.path) as model:
        assert model(data[1].samples[0].read()).top(1)[0][1] == pytest.approx(1, abs=0.01)


def test_a_dead_channel_with_a_large_bias_keeps_its_constant(trained, data, keras, make_run):
    """Batch normalization of a pruned filter: the weights are zero, what remains is a bias."""
    weights = trained.get_weights()
    depthwise = next(layer for layer in trained.layers if isinstance(layer, keras.layers.DepthwiseConv2D))
    norm = trained.layers[trained.layers.index(depthwise) + 1]
    (kernel,) = depthwise.get_weights()
    gamma, beta, mean, variance = norm.get_weights()
    kernel[:, :, 2] *= 1e-12
    mean[2], beta[2] = 0.0, 3.0
    depthwise.set_weights([kernel])
    norm.set_weights([gamma, beta, mean, variance])
    try:
        folder = make_run(trained)
    finally:
        trained.set_weights(weights)
    (one,) = convert(folder, schemes=["int8"], data=data, samples=48, audited=False)
    assert one.snr_db > 20


def test_the_run_of_another_place_still_converts(run, data, tmp_path):
    moved = shutil.move(run, tmp_path / "with space and ä")
    convert(Path(moved), schemes=["float16"], data=data)
    text = json.dumps(cards.read(Path(moved) / "float16.tflite").lineage)
    assert str(tmp_path) not in text


def test_the_source_is_never_replaced_by_a_copy_of_itself(run, data):
    source = run / "float32.tflite"
    before = files_of(run)
    with pytest.raises(ConversionError, match=r"float32.tflite: is the source itself. Choose another folder"):
        convert(source, schemes=["int8"], data=data, out=run, force=True)
    assert files_of(run) == before


@pytest.mark.parametrize("io", [None, "uint8"])
def test_the_certificate_names_the_very_bytes_that_were_written(run, data, io):
    (one,) = convert(run, schemes=["int8"], data=data, samples=8, io=io, force=True)
    written = archive.flatbuffer_bytes(one.path.read_bytes())
    assert cards.read(one.path).certificate["model_sha256"] == hashlib.sha256(written).hexdigest()
    source = archive.flatbuffer_bytes((run / "float32.tflite").read_bytes())
    assert cards.read(one.path).certificate["reference_sha256"] == hashlib.sha256(source).hexdigest()
