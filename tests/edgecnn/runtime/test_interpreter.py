"""The seam to the TFLite runtime: what goes in comes out, and every failure is one line."""

import importlib
import types

import numpy as np
import pytest

from edgecnn.errors import MissingExtra, ModelError
from edgecnn.runtime import interpreter as interpreters
from edgecnn.runtime.interpreter import choose, installed, model_bytes, open_interpreter


def present(monkeypatch, *packages):
    monkeypatch.setattr(interpreters, "find_spec", lambda package: object() if package in packages else None)


# Which runtime


def test_without_any_runtime_the_message_says_what_to_install(monkeypatch):
    present(monkeypatch)
    assert installed() == ()
    with pytest.raises(ModelError, match=r"no TFLite runtime is installed.*pip install ai-edge-litert"):
        choose()


def test_litert_comes_first(monkeypatch):
    present(monkeypatch, "ai_edge_litert", "tflite_runtime")
    assert installed() == ("litert", "tflite-runtime")
    backend = choose()
    assert backend.name == "litert"
    assert backend.version[0].isdigit()


def test_a_runtime_that_was_asked_for_and_is_missing_is_never_replaced_by_another(monkeypatch):
    present(monkeypatch, "ai_edge_litert")
    with pytest.raises(MissingExtra, match=r"pip install 'edgecnn\[tflite-runtime\]'"):
        choose("tflite-runtime")
    present(monkeypatch, "tflite_runtime")
    with pytest.raises(ModelError, match="ai-edge-litert is not installed"):
        choose("litert")


def test_an_unknown_runtime_is_refused_with_the_known_ones():
    with pytest.raises(ModelError, match="backend 'tensorrt' is unknown; there are litert, tflite-runtime"):
        choose("tensorrt")


@pytest.mark.parametrize(
    "error",
    [ImportError("numpy.core.multiarray failed"), OSError("GLIBC_2.38 not found"), AttributeError("x")],
)
def test_a_runtime_that_cannot_be_imported_is_an_error_and_no_reason_to_take_another(monkeypatch, error):
    def broken(name):
        raise error

    present(monkeypatch, "ai_edge_litert", "tflite_runtime")
    monkeypatch.setattr(interpreters, "import_module", broken)
    with pytest.raises(ModelError, match=r"litert is installed but cannot be imported.*edgecnn doctor"):
        choose()


@pytest.mark.parametrize(
    ("version", "numpy", "refused"),
    [("2.14.0", "2.1.0", True), ("2.14.0", "1.26.4", False), ("2.17.1", "2.1.0", False)],
)
def test_tflite_runtime_is_refused_with_a_numpy_on_which_it_would_fail_later(
    monkeypatch, version, numpy, refused
):
    present(monkeypatch, "tflite_runtime")
    monkeypatch.setattr(
        interpreters, "import_module", lambda name: types.SimpleNamespace(__version__=version)
    )
    monkeypatch.setattr(interpreters.np, "__version__", numpy)
    if refused:
        with pytest.raises(ModelError, match=r"needs NumPy below 2, but NumPy 2\.1\.0 is installed"):
            choose()
    else:
        assert choose().version == version


@pytest.mark.parametrize("threads", [0, -1, 1.0, True, "2", None])
def test_threads_are_a_whole_number_from_one(tflite, threads):
    with pytest.raises(ModelError, match="threads must be a whole number from 1"):
        open_interpreter(tflite(), "m", threads=threads)


# Running


def bare(content, tensor):
    """The outputs of a LiteRT that nobody stands in front of."""
    module = importlib.import_module("ai_edge_litert.interpreter")
    interpreter = module.Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], tensor)
    interpreter.invoke()
    return [interpreter.get_tensor(details["index"]) for details in interpreter.get_output_details()]


@pytest.mark.parametrize(
    "what",
    [
        {},
        {"dtype": "int8", "quantization": (1 / 255, -128)},
        {"dtype": "uint8", "quantization": (1 / 128, 128)},
    ],
)
def test_what_comes_out_is_what_the_bare_runtime_gives(tflite, what):
    content = tflite(output_names=("a", "b"), **what)
    dtype = what.get("dtype", "float32")
    tensor = np.random.default_rng(0).integers(0, 100, (1, 8, 6, 3)).astype(dtype)
    interpreter = open_interpreter(content, "m", threads=2)
    assert interpreter.backend == choose()
    assert interpreter.threads == 2
    interpreter.write(0, tensor)
    interpreter.invoke()
    for position, wanted in enumerate(bare(content, tensor)):
        found = interpreter.read(position)
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)


def test_what_was_read_stays_when_the_model_runs_again(tflite):
    interpreter = open_interpreter(tflite(), "m")
    interpreter.write(0, np.zeros((1, 8, 6, 3), np.float32))
    interpreter.invoke()
    first = interpreter.read(0)
    before = first.copy()
    interpreter.write(0, np.random.default_rng(0).random((1, 8, 6, 3), np.float32))
    interpreter.invoke()
    np.testing.assert_array_equal(first, before)
    assert (interpreter.read(0) != before).any()


def test_an_input_can_be_given_another_size(tflite):
    interpreter = open_interpreter(
        tflite(shape=(1, 1, 1, 3), signature=(-1, -1, -1, 3)), "m", shapes={0: (1, 5, 7, 3)}
    )
    interpreter.write(0, np.zeros((1, 5, 7, 3), np.float32))
    interpreter.invoke()
    assert interpreter.read(0).shape == (1, 3)


@pytest.mark.parametrize("tensor", [np.zeros((1, 8, 7, 3), np.float32), np.zeros((1, 8, 6, 3), np.uint8)])
def test_a_tensor_that_does_not_fit_is_one_line_with_the_models_name(tflite, tensor):
    interpreter = open_interpreter(tflite(), "cats.tflite")
    with pytest.raises(ModelError, match=r"cats\.tflite refused its input") as refused:
        interpreter.write(0, tensor)
    assert "\n" not in str(refused.value)


def test_a_closed_interpreter_refuses_everything_but_being_closed(tflite):
    interpreter = open_interpreter(tflite(), "m")
    interpreter.close()
    interpreter.close()
    for use in (interpreter.invoke, interpreter.delegation, lambda: interpreter.read(0)):
        with pytest.raises(ModelError, match="m: the model is closed"):
            use()


@pytest.mark.parametrize(
    ("operator", "said"),
    [
        ("edgetpu-custom-op", "compiled for a Coral Edge TPU.*Use the file it was compiled from"),
        ("FlexErf", "TensorFlow's own operator Erf.*without SELECT_TF_OPS"),
        ("fake-op-double", "custom operator 'fake-op-double', which this runtime does not have"),
    ],
)
def test_an_operator_that_the_runtime_does_not_have_is_named_with_what_to_do(tflite, operator, said):
    with pytest.raises(ModelError, match=said) as refused:
        open_interpreter(tflite(end="CUSTOM", description=operator), "m.tflite")
    assert "\n" not in str(refused.value)


def test_corals_model_that_fails_when_it_runs_is_refused_when_it_is_loaded(shared):
    path = shared / "models" / "coral" / "model_invoking_error.tflite"
    with pytest.raises(ModelError, match="fake-op-double"):
        open_interpreter(path.read_bytes(), str(path))


@pytest.mark.parametrize("content", [b"no model at all, but long enough", b"\x1c\0\0\0TFL3" + bytes(100)])
def test_bytes_that_are_no_model_are_one_line(content):
    with pytest.raises(ModelError, match="m cannot be loaded") as refused:
        open_interpreter(content, "m")
    assert "\n" not in str(refused.value)


def test_a_model_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"nothing\.tflite: there is no such file"):
        model_bytes(tmp_path / "nothing.tflite")
    with pytest.raises(ModelError, match="cannot be read"):
        model_bytes(tmp_path)


# Who computes


@pytest.mark.parametrize(
    ("what", "delegated", "operators", "others"),
    [
        ({}, 3, 3, ()),
        ({"end": "RESHAPE"}, 5, 5, ()),
        ({"dtype": "int8", "quantization": (1 / 255, -128)}, 2, 3, ("SOFTMAX",)),
    ],
)
def test_the_delegation_says_what_runs_where(tflite, what, delegated, operators, others):
    found = open_interpreter(tflite(**what), "m").delegation()
    assert (found.delegate, found.delegated, found.operators, found.others) == (
        "xnnpack", delegated, operators, others,
    )  # fmt: skip


def test_a_delegate_in_the_middle_of_a_real_model_is_seen(shared):
    path = shared / "models" / "coral" / "tf2_mobilenet_v2_1.0_224_ptq.tflite"
    found = open_interpreter(path.read_bytes(), "m").delegation()
    assert found.operators == 68
    assert found.delegated + len(found.others) == 68
    assert found.delegated > 60
    assert set(found.others) <= {"QUANTIZE", "SOFTMAX"}


def test_without_a_delegate_every_operator_is_the_runtimes_own(tflite):
    class Nodes:
        """What a runtime without XNNPACK would say of three operators in a row."""

        def _get_ops_details(self):
            names = ("MEAN", "FULLY_CONNECTED", "SOFTMAX")
            return [
                {"index": i, "op_name": name, "inputs": np.array([i]), "outputs": np.array([i + 1])}
                for i, name in enumerate(names)
            ]

    interpreter = open_interpreter(tflite(), "m")
    interpreter._interpreter, interpreter._outputs = Nodes(), [3]
    found = interpreter.delegation()
    assert (found.delegate, found.delegated, found.operators) == ("none", 0, 3)
    assert found.others == ("MEAN", "FULLY_CONNECTED", "SOFTMAX")
