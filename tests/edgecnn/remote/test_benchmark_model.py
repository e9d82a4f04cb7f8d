"""What benchmark_model prints, in the forms that people have posted, is read as it is meant."""

from pathlib import Path

import pytest

from edgecnn.errors import ModelError, TargetError
from edgecnn.remote.benchmark_model import parse, words

OLDER, NEWER = (Path(__file__).with_name(f"printed_{age}.txt").read_text() for age in ("older", "newer"))

ONCE = """count=1 curr=7000
count=1 curr=5000
Inference timings in us: Init: 100, First inference: 7000, Warmup (avg): 7000, Inference (avg): 5000
"""


def test_an_older_build_tells_no_percentiles_and_none_are_made_up():
    found = parse(OLDER, "m")
    assert found.runs == 50
    assert found.latency_ms == {"mean": 2950.34, "minimum": 2727.568, "maximum": 3189.954}
    assert (found.init_ms, found.first_ms, found.memory_mib) == (17.187, 3512.391, 138.809)
    assert found.share is None


def test_a_newer_build_tells_the_median_and_the_delegate():
    found = parse(NEWER, "m")
    assert found.runs == 25
    assert found.latency_ms == {
        "p5": 140.545, "p50": 141.253, "p95": 187.533,
        "mean": 145.528, "minimum": 140.071, "maximum": 195.121,
    }  # fmt: skip
    assert found.delegated == ("TfLiteXNNPackDelegate", 539, 548)
    assert found.share == 539 / 548
    assert found.memory_mib == 73.4102


def test_one_run_and_no_more():
    found = parse(ONCE, "m")
    assert (found.runs, found.latency_ms) == (1, {"mean": 5.0, "minimum": 5.0, "maximum": 5.0})
    assert found.memory_mib is None


def test_what_is_completely_on_the_delegate():
    line = (
        "Explicitly applied GPU delegate, and the model graph will be completely executed by the delegate\n"
    )
    assert parse(line + ONCE, "m").share == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "m: benchmark_model did not time it: it printed nothing"),
        (
            "STARTING!\nERROR: Didn't find op\nBenchmarking failed.\n",
            "did not time it: ERROR: Didn't find op",
        ),
        ("sh: ./benchmark_model: not executable: 64-bit ELF file\n", "not executable: 64-bit ELF file"),
        (ONCE.partition("count")[0] + ONCE.splitlines()[-1], "did not time it"),
        (ONCE.replace("curr=5000", "curr=5-0"), "cannot be read"),
        ("the model graph will not be executed by the delegate.\n" + ONCE, "the delegate computes none"),
    ],
)
def test_what_holds_no_timing_says_why(text, said):
    with pytest.raises(ModelError) as caught:
        parse(text, "m")
    assert said in str(caught.value)


def test_the_words_for_a_number_of_runs_and_for_seconds():
    some = words(threads=4, runs=30, seconds=5, warmup=2, delegate="gpu")
    assert "--num_runs=30" in some
    assert "--min_secs=0" in some
    assert "--num_threads=4" in some
    assert "--warmup_runs=2" in some
    assert some[-1] == "--use_gpu=true"
    long = words(threads=1, runs=None, seconds=100, warmup=0, delegate=None)
    assert "--num_runs=20" in long
    assert "--min_secs=100" in long
    assert "--max_secs=200" in long
    with pytest.raises(TargetError, match="there are xnnpack, none, gpu, nnapi"):
        words(threads=1, runs=1, seconds=1, warmup=0, delegate="edgetpu")
