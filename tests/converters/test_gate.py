"""The gate: a finished file beside its float model."""

import json
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from calibration import editable
from converters.gate import Budget, Reference, judge
from converters.reference import UNKNOWN
from edgecnn import archive
from edgecnn import card as cards
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.data.unlabelled import UNLABELLED
from edgecnn.errors import ConversionError, DataError, ModelError
from edgecnn.evaluation import evaluate
from edgecnn.results import Classes
from edgecnn.runtime.model import load

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "colours.tflite"
LABELS = ("red", "green", "blue")
STATED = Budget(drop_stated=True, class_drop_stated=True)


@dataclass(frozen=True)
class Tint:
    name: str
    label_id: int
    seed: int

    def read(self):
        pixels = np.random.default_rng((self.seed, self.label_id)).integers(0, 100, (9, 9, 3))
        pixels[..., 2 - self.label_id] += 40
        return pixels.astype(np.uint8)


def tints(count):
    """`count` images of each label."""
    samples = tuple(
        Sample(Tint(f"tints/{label}/{number}.png", label_id, number), Classes.truth(label_id, LABELS))
        for number in range(count)
        for label_id, label in enumerate(LABELS)
    )
    return Dataset("tints", "classification", LABELS, samples, "val")


@pytest.fixture
def made(tmp_path):
    """A function that changes the weights (3, 3) and the bias (3,) of the golden network and loads it.

    The networks give logits: the golden one's softmax is taken off.
    """
    opened = []

    def make(change=lambda weights, bias: None, *, labels=LABELS, scores="logits", finish=lambda model: None):
        model = editable.read(archive.flatbuffer_bytes(GOLDEN.read_bytes()))
        graph = model.subgraphs[0]
        names = [tensor.name.decode() for tensor in graph.tensors]
        if scores == "logits":
            graph.operators.pop()
            graph.outputs = [names.index("logits of scores")]
            model.signatureDefs = []
        arrays = []
        for name in ("weights", "bias"):
            buffer = model.buffers[graph.tensors[names.index(name)].buffer]
            arrays.append(np.array(buffer.data, np.uint8).view(np.float32))
            buffer.data = arrays[-1].view(np.uint8)
        change(arrays[0].reshape(3, 3), arrays[1])
        finish(model)
        path = tmp_path / f"{len(opened)}.tflite"
        path.write_bytes(editable.write(model))
        card = cards.read(GOLDEN)
        cards.attach(path, replace(card, labels=labels, outputs={}, options={"scores": scores}))
        opened.append(load(path))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def in_integers(model, *, scale, and_back):
    """Quantize the output to int8, as a converter would; `and_back` to float behind that."""
    graph = model.subgraphs[0]
    last = graph.outputs[0]

    def add(kind, dtype, quantization):
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = kind
        code.version = 1
        model.operatorCodes.append(code)
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = f"out {len(graph.tensors)}".encode(), [1, 3], dtype
        tensor.buffer, tensor.quantization = 0, quantization
        graph.tensors.append(tensor)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(model.operatorCodes) - 1
        operator.inputs, operator.outputs = [graph.outputs[0]], [len(graph.tensors) - 1]
        graph.operators.append(operator)
        graph.outputs = [len(graph.tensors) - 1]

    quantization = schema.QuantizationParametersT()
    quantization.scale, quantization.zeroPoint = [scale], [3]
    add(schema.BuiltinOperator.QUANTIZE, schema.TensorType.INT8, quantization)
    if and_back:
        add(schema.BuiltinOperator.DEQUANTIZE, schema.TensorType.FLOAT32, None)
    return last


def swap(first, second):
    def change(weights, bias):
        weights[[first, second]] = weights[[second, first]]
        bias[[first, second]] = bias[[second, first]]

    return change


def shake(size):
    def change(weights, bias):
        weights += np.random.default_rng(0).normal(0, size * np.abs(weights).max(), weights.shape)

    return change


def test_a_file_equal_to_the_float_model_is_certified(made):
    source = made()
    found = judge(Reference.of(source, tints(400)), source, STATED)
    assert (found.outcome, found.may_be_written, found.reasons, found.notes) == ("certified", True, (), ())
    assert (found.drop, found.agreement.share, found.signal.snr_db) == (0, 1, inf)
    assert 0 < found.at_most < 1
    assert found.expected_drop == 0
    assert found.accuracy == found.reference_accuracy
    assert found.header("int8").startswith("certified: int8 loses at most 0.25 points (observed 0.00")


def test_its_figures_are_those_of_evaluate_and_numpy(made):
    source, other = made(), made(shake(0.3))
    data = tints(100)
    reference = Reference.of(source, data)
    found = judge(reference, other, Budget())
    ours, theirs = evaluate(other.map, data), evaluate(source.map, data)
    assert found.accuracy == pytest.approx(ours.metrics.top1)
    assert found.reference_accuracy == pytest.approx(theirs.metrics.top1)
    assert found.drop == pytest.approx(100 * (theirs.metrics.top1 - ours.metrics.top1))
    assert found.data == ours.data
    per_class = {record["label"]: record for record in ours.metrics.per_class()}
    for row in found.classes:
        assert row.right / row.images == pytest.approx(per_class[row.label]["recall"])
    rows = np.stack([other.raw(other.prepare(sample.read())[0])["scores"] for sample in data.samples])
    source_rows = reference.outputs.astype(float)
    noise = ((rows - source_rows) ** 2).sum()
    assert found.signal.snr_db == pytest.approx(10 * np.log10((source_rows**2).sum() / noise))
    scores = [np.stack([model(sample.read()).score for sample in data.samples]) for model in (source, other)]
    change = scores[1].max(1).astype(float) - scores[0].max(1)
    assert found.signal.confidence_drift == pytest.approx(change.mean(), abs=1e-6)
    assert found.signal.confidence_change_p95 == pytest.approx(np.quantile(abs(change), 0.95), abs=1e-6)
    chosen = scores[0][np.arange(len(rows)), rows.argmax(1)]
    assert found.expected_drop == pytest.approx(100 * (scores[0].max(1) - chosen).mean(), rel=1e-4)
    assert found.agreement.share < 1


def test_swapped_rows_are_refused_and_their_classes_named(made):
    found = judge(Reference.of(made(), tints(80)), made(swap(0, 2)), Budget(max_drop=100))
    assert (found.outcome, found.may_be_written) == ("refused", False)
    assert "'red'" in found.reasons[0]
    assert "'blue'" in found.reasons[0]
    assert "'green'" not in found.reasons[0]
    assert [row.state for row in found.classes] == ["refused", "refused", "proven"]


def test_outputs_that_are_no_numbers_are_refused(made):
    def ruin(weights, bias):
        bias[:] = np.nan

    found = judge(Reference.of(made(), tints(20)), made(ruin), Budget(100, 100))
    assert found.outcome == "refused"
    assert "not numbers" in found.reasons[0]
    assert found.accuracy == 0
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["snr_db"] is None


def test_an_answer_that_never_changes_is_refused(made):
    def freeze(weights, bias):
        weights[:] = 0
        bias[:] = (1, 0, 0)

    found = judge(Reference.of(made(), tints(20)), made(freeze), Budget(100, 100))
    assert found.outcome == "refused"
    assert "the same answer to all 60 images" in found.reasons[0]


def test_a_tie_is_counted_against_the_file(made):
    def tie(weights, bias):
        weights[1] = weights[0]
        bias[1] = bias[0]

    reference = Reference.of(made(), tints(20))
    found = judge(reference, made(tie), Budget(100, 100))
    assert found.signal.ties > 0
    rows = {row.label: row for row in found.classes}
    assert rows["red"].right == rows["green"].right == 0
    assert found.agreement.same <= 60 - found.signal.ties


def test_without_labels_a_changed_answer_costs_what_the_float_model_was_sure_of(made):
    data = tints(60)
    bare = replace(data, task=UNLABELLED, labels=(), samples=[Sample(s.image, None) for s in data.samples])
    found = judge(Reference.of(made(), bare), made(shake(0.3)), Budget(100, 100))
    assert 0 < found.drop < 100 * (1 - found.agreement.share)
    assert found.expected_drop == found.drop < found.at_most
    assert found.agreement.gained == 0
    written = found.as_dict()
    assert (written["truth"], written["float"], written["calibration_error"]) == (
        "float model's probabilities", None, None,
    )  # fmt: skip
    assert "is expected to lose" in found.header()


def test_shuffled_labels_of_one_class_stop_it(made):
    data = tints(80)
    random = np.random.default_rng(0)
    shuffled = [
        replace(sample, truth=Classes.truth(int(random.integers(3)), LABELS))
        if "/blue/" in sample.image.name
        else sample
        for sample in data.samples
    ]
    source = made()
    recall = {record["label"]: record["recall"] for record in evaluate(source.map, data).metrics.per_class()}
    reference = Reference.of(source, replace(data, samples=shuffled), record=recall)
    found = judge(reference, source, STATED)
    assert (found.outcome, found.may_be_written, found.another_may_pass) == ("refused", False, False)
    assert "contradict the run" in found.reasons[0]


@pytest.mark.parametrize("and_back", [False, True])
@pytest.mark.parametrize("share", [0.3, 0.7, 4.0])
def test_outputs_at_the_ends_of_their_integers_are_counted(made, share, and_back):
    reference = Reference.of(made(), tints(40))
    scale = share * float(reference.outputs.max()) / 124
    other = made(finish=lambda model: in_integers(model, scale=scale, and_back=and_back))
    found = judge(reference, other, Budget(100, 100)).signal
    steps = np.rint(reference.outputs / np.float32(scale)) + 3
    assert found.saturated == (steps.max(1) >= 127).mean()
    assert found.clipped == ((steps >= 127) | (steps <= -128)).any(1).mean()
    assert (found.saturated == 0) == (share > 1)


def test_float_outputs_have_no_ends(made):
    source = made()
    assert judge(Reference.of(source, tints(5)), source, Budget()).signal.saturated is None


def test_probabilities_have_ends_by_nature(made):
    source = made(scores="probabilities")
    found = judge(Reference.of(source, tints(5)), source, Budget())
    assert found.signal.saturated is None


def test_a_file_of_other_labels_or_outputs_is_refused(made):
    reference = Reference.of(made(), tints(5))
    with pytest.raises(ConversionError, match="labels are not those"):
        judge(reference, made(labels=("a", "b", "c")), Budget())


def test_images_that_vanish_between_the_two_are_noticed(made, monkeypatch):
    reference = Reference.of(made(), tints(5))
    reference = replace(reference, unreadable=("one line",))
    read = Tint.read

    def gone(self):
        if self.seed == 3:
            raise DataError("gone")
        return read(self)

    monkeypatch.setattr(Tint, "read", gone)
    with pytest.raises(ModelError, match="12 images can be read, 15 could before"):
        judge(reference, made(), Budget())


def test_progress_is_told_after_every_image(made):
    told = []
    source = made()
    reference = Reference.of(source, tints(2), progress=lambda *step: told.append(step))
    judge(reference, source, Budget(), progress=lambda *step: told.append(step))
    assert told == [(number, 6) for number in range(1, 7)] * 2


def test_the_certificate_is_json_and_the_same_every_time(made):
    source, other = made(), made(shake(0.05))
    written = [
        json.dumps(judge(Reference.of(source, tints(30)), other, STATED).as_dict(), allow_nan=False)
        for _ in range(2)
    ]
    assert written[0] == written[1]
    found = json.loads(written[0])
    assert found["data"] == {
        "name": "tints",
        "split": "val",
        "images": 90,
        "sha256": evaluate(source.map, tints(30)).data.sha256,
    }
    assert found["budget"]["max_drop"] == 1.0
    assert found["runtime"]["threads"] == 1
    assert found["reference_sha256"] != found["model_sha256"]
    assert sum(found["classes"].values()) == len(found["per_class"]) == 3


def test_images_that_the_float_model_does_not_know_are_told(made, monkeypatch):
    monkeypatch.setattr("converters.gate.UNSURE", 0.4)  # of three labels, one always has a third

    def dull(weights, bias):
        weights *= 1e-3

    data = tints(10)
    bare = replace(data, task=UNLABELLED, labels=(), samples=[Sample(s.image, None) for s in data.samples])
    for change, unsure in ((dull, True), (lambda weights, bias: None, False)):
        source = made(change)
        notes = judge(Reference.of(source, bare), source, Budget()).notes
        assert any("unsure of these images" in note for note in notes) == unsure


def test_an_undecided_float_model_has_no_truth_to_lose(made):
    def tie(weights, bias):
        weights[:] = weights[0]
        bias[:] = bias[0]

    data = tints(10)
    bare = replace(data, task=UNLABELLED, labels=(), samples=[Sample(s.image, None) for s in data.samples])
    reference = Reference.of(made(tie), bare)
    assert (reference.truths == UNKNOWN).all()
    found = judge(reference, made(), Budget())
    assert (found.agreement.lost, found.agreement.gained, found.classes) == (0, 0, ())


def turned(path, row):
    """The same file with the weights of one class turned round; it lies beside the first."""
    model = editable.read(archive.flatbuffer_bytes(path.read_bytes()))
    graph = model.subgraphs[0]
    kinds = [model.operatorCodes[operator.opcodeIndex].builtinCode for operator in graph.operators]
    dense = graph.operators[kinds.index(schema.BuiltinOperator.FULLY_CONNECTED)]
    weights = graph.tensors[dense.inputs[1]]
    stored = np.array(model.buffers[weights.buffer].data, np.uint8).reshape(weights.shape)
    stored[row] = (-stored[row].view(np.int8)).view(np.uint8)
    model.buffers[weights.buffer].data = stored.ravel()
    other = path.with_name("turned.tflite")
    other.write_bytes(editable.write(model))
    cards.attach(other, cards.read(path))
    return other


@pytest.mark.tensorflow
def test_an_int8_file_passes_and_the_same_with_one_ruined_class_does_not(run, data, make_squares):
    from converters.convert import convert

    convert(run, schemes=["int8"], data=data, samples=32)
    judged = make_squares(80, seed=5)
    with load(run / "float32.tflite") as source, load(run / "int8.tflite") as int8:
        reference = Reference.of(source, judged)
        assert judge(reference, int8, Budget()).may_be_written
        with load(turned(run / "int8.tflite", 1)) as ruined:
            found = judge(reference, ruined, Budget(max_drop=100))
    assert found.outcome == "refused"
    assert found.classes[0].label == "green"
    assert "class 'green'" in found.reasons[0]
