"""Delegates: what a word asks for, what cannot be loaded, and which operators really ran where."""

import ctypes.util
import sys
import threading
import time

import numpy as np
import pytest

from edgecnn.errors import ModelError
from edgecnn.runtime.delegates import Asked, asked, delegation, share
from edgecnn.runtime.interpreter import open_interpreter
from edgecnn.runtime.model import load

SSD = "tasks/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"
CONVOLUTION, DEPTHWISE = 3, 4  # TFLite's numbers of built-in operators


# What a word asks for


def test_no_word_asks_for_nothing():
    assert asked(None) is None


@pytest.mark.parametrize(
    ("word", "name", "options"),
    [
        ("xnnpack", "xnnpack", {}),
        ("none", "none", {}),
        ("edgetpu:device=usb:0", "edgetpu", {"device": "usb:0"}),
        ("/opt/npu.so", "/opt/npu.so", {}),
        ("npu.so.1:a=1;b=x=y;", "npu.so.1", {"a": "1", "b": "x=y"}),
        ("C:\\npu.dll:cache=C:\\tmp", "C:\\npu.dll", {"cache": "C:\\tmp"}),
        ("./npu", "./npu", {}),
    ],
)
def test_a_word_is_a_name_or_a_path_with_options_behind_it(word, name, options):
    assert asked(word) == Asked(name, options)
    assert Asked(name).is_external == (name not in ("xnnpack", "none"))


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("", "there are xnnpack, none, edgetpu, gpu, nnapi"),
        ("coral", "'coral' is unknown; there are xnnpack"),
        (3, "delegate 3 is unknown"),
        ("edgetpu:device=usb;fast", "'fast' is no option"),
        ("xnnpack:threads=4", r"takes no options.*--threads"),
    ],
)
def test_a_word_that_is_no_delegate_is_refused_with_what_there_is(word, said):
    with pytest.raises(ModelError, match=said):
        asked(word)


@pytest.mark.parametrize("required", [0, -0.1, 1.5, True, float("nan")])
def test_a_share_is_above_nothing_and_up_to_everything(required):
    with pytest.raises(ModelError, match="above 0 and up to 1"):
        share(required)
    assert share(1.0) == 1.0
    assert share(None) is None


# What cannot be loaded is an error, never the processor instead


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("edgetpu", r"edgetpu \(libedgetpu\S+\): cannot be loaded .*edgecnn doctor"),
        ("gpu", r"gpu \(libtensorflowlite_gpu_delegate\.so\): cannot be loaded .*give its path"),
        ("nnapi", "nnapi: there is none for linux.*Android"),
        ("/nowhere/npu.so", "there is no such file"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="the names of libraries are Linux's")
def test_a_delegate_that_is_not_there_is_one_line_with_what_to_do(tflite, word, said):
    if word in ("edgetpu", "gpu") and ctypes.util.find_library(word):
        pytest.skip(f"this machine has {word}")
    with pytest.raises(ModelError, match=said) as refused:
        open_interpreter(tflite(), "m", delegate=word)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_library_and_a_library_that_is_no_delegate_are_told_apart(tflite, tmp_path):
    text = tmp_path / "npu.so"
    text.write_text("no library")
    with pytest.raises(ModelError, match=r"cannot be loaded .*npu\.so"):
        open_interpreter(tflite(), "m", delegate=str(text))
    library = np._core._multiarray_umath.__file__ if hasattr(np, "_core") else np.core.multiarray.__file__
    with pytest.raises(ModelError, match="no external delegate, it has no tflite_plugin_create_delegate"):
        open_interpreter(tflite(), "m", delegate=str(library))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("fail=no device on the bus", r"cannot be created \(no device on the bus\)"),
        ("fail_prepare=1", "m cannot be loaded with delegate .*refuses this model.*another delegate"),
        ("claim=none", "computes 0 of 3 operators, but it would all run on the processor"),
    ],
)
def test_a_delegate_that_does_not_work_is_an_error(tflite, stand_in_delegate, options, said):
    with pytest.raises(ModelError, match=said) as refused:
        open_interpreter(tflite(), "m", delegate=f"{stand_in_delegate}:{options}")
    assert "\n" not in str(refused.value)


def test_a_delegate_that_fails_while_it_runs_is_one_line(tflite, stand_in_delegate, tmp_path):
    flag = tmp_path / "fail"
    interpreter = open_interpreter(tflite(), "m", delegate=f"{stand_in_delegate}:fail_invoke={flag}")
    interpreter.invoke()
    flag.touch()
    with pytest.raises(ModelError, match=r"m failed while running.*the delegate was told to fail"):
        interpreter.invoke()


# Which operators ran where


def outputs(model, tensor):
    return [value.copy() for value in model.raw(tensor).values()]


@pytest.mark.parametrize(
    ("claim", "delegated", "partitions", "on_xnnpack"),
    [("all", 64, 1, 0), (DEPTHWISE, 13, 13, 48), ("first", 1, 1, 60), ("all;claim_upto=10", 10, 1, 51)],
)
def test_a_delegate_and_xnnpack_share_a_real_model_and_every_operator_is_counted_once(
    shared, stand_in_delegate, claim, delegated, partitions, on_xnnpack
):
    path = shared / "models" / SSD
    found = open_interpreter(
        path.read_bytes(), "m", delegate=f"{stand_in_delegate}:claim={claim}"
    ).delegation()
    assert found.delegate == stand_in_delegate
    assert (found.delegated, found.partitions, len(found.xnnpack)) == (delegated, partitions, on_xnnpack)
    assert found.delegated + len(found.xnnpack) + len(found.others) == found.operators == 64
    assert sum(found.stayed.values()) == 64 - delegated
    if claim == DEPTHWISE:
        assert "DEPTHWISE_CONV_2D" not in found.stayed
        assert found.stayed["CONV_2D"] == 34
    assert found.as_dict()["share"] == pytest.approx(delegated / 64, abs=1e-4)


def test_with_all_operators_the_stand_in_computes_what_the_built_in_kernels_compute(
    shared, stand_in_delegate
):
    path = shared / "models" / SSD
    word = f"{stand_in_delegate}:claim=all"
    with load(path, delegate=word, require_delegate=1.0) as stand_in, load(path, delegate="none") as bare:
        assert stand_in.delegation().share == 1
        assert bare.delegation().delegate == "none"
        assert bare.delegation().delegated == 0
        tensor = np.random.default_rng(0).integers(0, 256, (1, 300, 300, 3), np.uint8)
        for one, other in zip(outputs(stand_in, tensor), outputs(bare, tensor), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_required_share_names_the_operators_that_stayed_behind(shared, stand_in_delegate):
    path = shared / "models" / SSD
    with pytest.raises(ModelError, match=r"13 of 64 operators, but 90% .*34 CONV_2D, .*13 RESHAPE") as said:
        load(path, delegate=f"{stand_in_delegate}:claim={DEPTHWISE}", require_delegate=0.9)
    assert "DEPTHWISE" not in str(said.value)
    load(path, delegate=f"{stand_in_delegate}:claim={DEPTHWISE}", require_delegate=0.2).close()


def test_a_share_can_be_required_of_the_runtimes_own_delegate_too(shared):
    path = shared / "models" / SSD
    load(path, require_delegate=0.9).close()
    with pytest.raises(ModelError, match=r"xnnpack computes 61 of 64 .*1 TFLite_Detection_PostProcess"):
        load(path, delegate="xnnpack", require_delegate=1.0)
    with pytest.raises(ModelError, match="none computes 0 of 64"):
        load(path, delegate="none", require_delegate=0.1)


def test_a_delegate_runs_a_model_that_is_given_another_size(tflite, stand_in_delegate):
    content = tflite(shape=(1, 1, 1, 3), signature=(-1, -1, -1, 3))
    found = open_interpreter(
        content, "m", shapes={0: (1, 5, 7, 3)}, delegate=f"{stand_in_delegate}:claim=all"
    )
    found.write(0, np.ones((1, 5, 7, 3), np.float32))
    found.invoke()
    assert found.read(0).shape == (1, 3)
    assert (found.delegation().delegated, found.delegation().operators) == (3, 3)


def test_an_operator_between_two_pieces_of_one_delegate_is_not_counted_to_it():
    def node(index, kind, inputs, outputs):
        return {"index": index, "op_name": kind, "inputs": np.array(inputs), "outputs": np.array(outputs)}

    # 0 -A-> 1 -B-> 2 -C-> 3 -D-> 4: A and C on the delegate, B on XNNPACK, D on the built-in kernels
    chain = [node(i, kind, [i], [i + 1]) for i, kind in enumerate("ABCD")]
    pieces = [node(4 + i, "DELEGATE", [at], [at + 1]) for i, at in enumerate((0, 2, 1))]
    found = delegation([*chain, *pieces], [4], Asked("npu.so"), first=2)
    assert (found.delegated, found.partitions, found.xnnpack, found.others) == (2, 2, ("B",), ("D",))
    assert str(found) == "2 of 4 operators on npu.so in 2 parts, 1 on xnnpack, 1 on built-in kernels"


def test_a_hanging_delegate_holds_no_other_thread(tflite, stand_in_delegate, tmp_path):
    flag = tmp_path / "hang"
    interpreter = open_interpreter(tflite(), "m", delegate=f"{stand_in_delegate}:hang={flag}")
    flag.touch()
    working = threading.Thread(target=interpreter.invoke)
    working.start()
    working.join(0.05)
    assert working.is_alive()
    flag.unlink()
    working.join(10)
    assert not working.is_alive()


def test_a_slow_delegate_is_slow_by_as_much_as_it_was_told(tflite, stand_in_delegate):
    interpreter = open_interpreter(tflite(), "m", delegate=f"{stand_in_delegate}:sleep_ms=30")
    start = time.perf_counter()
    interpreter.invoke()
    assert time.perf_counter() - start >= 0.03
