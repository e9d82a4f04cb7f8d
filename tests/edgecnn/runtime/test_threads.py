"""How many threads: chosen on real work, without a wait at the start and without another answer."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from edgecnn.errors import ModelError
from edgecnn.runtime import threads as module
from edgecnn.runtime.interpreter import open_interpreter
from edgecnn.runtime.model import load
from edgecnn.runtime.threads import Choosing, numbers_to_try

SSD = "tasks/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"


class Clock:
    """Time that passes only where somebody computes."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: self.now))


class Fake:
    """An interpreter that takes as long as it was told, and gives back what was written."""

    def __init__(self, clock, threads, milliseconds, log):
        self.clock, self.threads, self.ms, self.log = clock, threads, milliseconds, log
        self.tensor, self.is_closed, self.runs = None, False, 0

    def write(self, position, tensor):
        assert not self.is_closed
        self.tensor = tensor

    def invoke(self):
        assert not self.is_closed
        self.runs += 1
        cold = 50.0 if self.runs == 1 else 0.0  # the first run of any interpreter packs its weights
        self.clock.now += (self.ms + cold) / 1e3
        self.log.append(self.threads)
        self.result = self.tensor

    def read(self, position):
        assert not self.is_closed
        return self.result

    def close(self):
        self.is_closed = True


@pytest.fixture
def choosing(monkeypatch):
    """A `Choosing` over fakes that take `milliseconds[threads]`; what ran and what was opened."""
    clock, log, opened = Clock(monkeypatch), [], {}

    def make(milliseconds, failing=()):
        def opening(number):
            if number in failing:
                raise ModelError(f"no memory for {number} threads")
            opened[number] = Fake(clock, number, milliseconds[number], log)
            assert sum(not one.is_closed for one in opened.values()) <= 2
            return opened[number]

        return Choosing(opening, list(milliseconds)), clock, log, opened

    return make


def work(one, runs):
    for number in range(runs):
        one.write(0, number)
        one.invoke()
        assert one.read(0) == number


def until_made(one):
    runs = 0
    while not one.choice.is_made:
        work(one, 1)
        runs += 1
        assert runs < 10000
    return runs


def test_with_one_number_there_is_nothing_to_choose(choosing):
    one, _, log, opened = choosing({1: 10})
    assert one.choice.is_made
    work(one, 3)
    assert log == [1, 1, 1]
    assert list(opened) == [1]
    assert one.choice.trials == ()


def test_the_first_result_comes_from_one_thread_and_nothing_else_is_opened_before(choosing):
    one, _, log, opened = choosing({1: 10, 2: 5})
    work(one, 1)
    assert (log, list(opened), one.threads) == ([1], [1], 1)
    work(one, 1)
    assert list(opened) == [1, 2]


@pytest.mark.parametrize(
    ("milliseconds", "chosen", "tried"),
    [
        ({1: 10, 2: 5, 4: 3}, 4, 2),
        ({1: 10, 2: 5, 4: 4.9}, 2, 2),  # two per cent are no reason to take two more cores
        ({1: 10, 2: 9.2, 4: 8}, 4, 2),
        ({1: 10, 2: 14, 4: 1}, 1, 1),  # where two do harm, four are not tried
        ({1: 10, 2: 9.5}, 1, 1),
    ],
)
def test_more_threads_must_be_clearly_faster(choosing, milliseconds, chosen, tried):
    one, clock, _, opened = choosing(milliseconds)
    until_made(one)
    assert one.threads == one.choice.threads == chosen
    assert len(one.choice.trials) == tried
    for trial in one.choice.trials:
        assert trial.median_ms == tuple(milliseconds[number] for number in trial.threads)
        assert trial.runs >= 9
    assert [number for number, fake in opened.items() if not fake.is_closed] == [chosen]
    assert 0.4 < clock.now < 1.5
    work(one, 3)
    one.close()
    assert all(fake.is_closed for fake in opened.values())


def test_the_two_take_turns_and_slow_work_still_gets_its_turns(choosing):
    one, _, log, _ = choosing({1: 1000, 2: 500})
    until_made(one)
    assert log[0] == 1
    assert log[1:25] == [*[1] * 4, *[2] * 4] * 3
    assert len(log) == 26  # the last run is the winner's
    assert one.threads == 2


def test_a_number_that_cannot_be_opened_leaves_the_first_at_work_and_says_why(choosing):
    one, _, _, _ = choosing({1: 10, 2: 5, 4: 3}, failing=(2,))
    work(one, 5)
    assert one.choice.is_made
    assert one.threads == 1
    assert one.choice.trials[0].failed == "no memory for 2 threads"
    assert one.choice.as_dict()["trials"][0]["threads"] == (1, 2)


def test_closing_in_the_middle_of_a_trial_closes_both(choosing):
    one, _, _, opened = choosing({1: 10, 2: 5, 4: 3})
    work(one, 4)
    one.close()
    one.close()
    assert all(fake.is_closed for fake in opened.values())
    assert list(opened) == [1, 2]


def test_running_again_without_writing_is_part_of_the_trial(choosing):
    one, _, log, _ = choosing({1: 10, 2: 5})
    work(one, 2)
    for _ in range(6):
        one.invoke()
    assert set(log) == {1, 2}
    assert one.read(0) == 1


@pytest.mark.parametrize("what", [{}, {"dtype": "int8", "quantization": (1 / 255, -128)}])
def test_the_numbers_do_not_depend_on_who_computes(tflite, what):
    content = tflite(**what)
    one = Choosing(lambda number: open_interpreter(content, "m", threads=number), [1, 2, 3], seconds=0.0)
    bare = open_interpreter(content, "m")
    random = np.random.default_rng(0)
    used = set()
    for _ in range(100):
        tensor = random.integers(0, 100, (1, 8, 6, 3)).astype(what.get("dtype", "float32"))
        for each in (one, bare):
            each.write(0, tensor)
            each.invoke()
        used.add(one._current.threads)
        if what:
            np.testing.assert_array_equal(one.read(0), bare.read(0))
        else:
            np.testing.assert_allclose(one.read(0), bare.read(0), rtol=1e-6)
    assert len(used) > 1
    assert one.choice.is_made
    one.close()


def test_a_real_detector_gives_the_same_boxes_while_it_chooses(shared, monkeypatch):
    monkeypatch.setattr("edgecnn.runtime.threads.numbers_to_try", lambda: [1, 2])
    path, image = shared / "models" / SSD, np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    with load(path, threads="auto") as model, load(path) as bare:
        model._interpreter._seconds = 0.0
        wanted = bare(image).records()
        before = threading.active_count()
        while not model.threads_choice.is_made:
            assert model(image).records() == wanted
        assert model(image).records() == wanted
        assert model.threads == model.threads_choice.threads
        assert threading.active_count() == before
        assert bare.threads_choice is None


def test_a_delegate_of_its_own_library_is_opened_once(tflite, stand_in_delegate, model_file, monkeypatch):
    monkeypatch.setattr("edgecnn.runtime.threads.numbers_to_try", lambda: [1, 2])
    with load(model_file(), threads="auto", delegate=stand_in_delegate, task="classification",
              labels=["r", "g", "b"], mean=0, std=1) as model:  # fmt: skip
        assert model.threads_choice.is_made
        assert model.threads_choice.trials == ()


# Which numbers are worth a trial


def processor(folder, *clocks):
    for number, clock in enumerate(clocks):
        place = folder / f"cpu{number}" / "cpufreq"
        place.mkdir(parents=True)
        (place / "cpuinfo_max_freq").write_text(f"{clock}\n")
    (folder / "cpufreq").mkdir()
    return folder


@pytest.mark.parametrize(
    ("clocks", "usable", "numbers"),
    [
        ((), 1, [1]),
        ((), 2, [1, 2]),
        ((), 3, [1, 2, 3]),
        ((), 64, [1, 2, 4, 8]),
        ((1800000,) * 4, 4, [1, 2, 4]),
        ((1800000,) * 4 + (2400000,) * 4, 8, [1, 2, 4]),  # four fast, four slow
        ((1800000,) * 4 + (2000000,) * 2, 6, [1, 2]),
        ((1800000,) * 4 + (2200000,) * 3 + (3000000,), 8, [1, 2, 4]),
        ((1800000,) * 7 + (3000000,), 8, [1, 2, 4, 8]),  # one fast core alone is no reason
        ((1800000,) * 4 + (2400000,) * 4, 1, [1]),
    ],
)
def test_numbers_go_up_in_powers_of_two_to_the_cores_that_are_fast(tmp_path, clocks, usable, numbers):
    assert numbers_to_try(usable, processor(tmp_path, *clocks)) == numbers


def test_a_clock_that_cannot_be_read_is_no_clock(tmp_path):
    folder = processor(tmp_path, 1800000, 2400000)
    (folder / "cpu0" / "cpufreq" / "cpuinfo_max_freq").write_text("<unknown>")
    assert numbers_to_try(2, folder) == [1, 2]
