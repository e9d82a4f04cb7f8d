"""The check as a whole; each of its parts has a file of its own."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from edgecnn.errors import ModelError
from edgecnn.graph import check, read

REPOSITORY = Path(__file__).parents[4]


def test_a_model_of_nothing_is_safe(write: ModuleType) -> None:
    from ai_edge_litert import schema_py_generated as generated

    made = write.empty_model()
    made.subgraphs = [generated.SubGraphT(tensors=[], inputs=[], outputs=[], operators=[])]
    check(read(write.pack(made)))


def test_every_real_model_is_accepted(shared: Path) -> None:
    paths = sorted((shared / "models").rglob("*.tflite"))
    assert len(paths) >= 17
    for path in paths:
        check(read(path))


def test_every_generated_model_is_accepted_but_those_known_to_kill(write: ModuleType) -> None:
    refused = {}
    for name, content in write.models():
        try:
            check(read(content))
        except ModelError as error:
            refused[name.rpartition("_")[0]] = str(error)
    # FAKE_QUANT of integers aborts; a depthwise convolution of two inputs reads its third
    assert set(refused) == {"fake_quant", "depthwise_two_inputs"}


def test_the_message_names_file_operator_and_reason_in_one_line(write: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "a.tflite"
    image = write.T((1, 2, 2, 3))
    settings = {"options": "LocalResponseNormalization", "radius": -1}
    path.write_bytes(write.one("LOCAL_RESPONSE_NORMALIZATION", [image], [image], **settings))
    with pytest.raises(ModelError) as caught:
        check(read(path))
    assert str(caught.value) == (
        f"{path}: operator 0 (LOCAL_RESPONSE_NORMALIZATION): its radius is -1, not 0 or more."
        " Running it could crash; convert it again."
    )


@pytest.mark.slow
def test_no_mutant_that_passes_kills_the_process(shared: Path) -> None:
    seeds = [
        shared / "models" / "coral" / f"{name}.tflite" for name in ("split_concat", "keras_lstm_mnist_ptq")
    ]
    command = [sys.executable, "benchmarks/fuzz_models.py", "--generated", "--count", "400", "--seed", "7"]
    command += ["--seeds", *map(str, seeds)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    assert "passed, fine" in done.stdout
    assert "refused" in done.stdout
