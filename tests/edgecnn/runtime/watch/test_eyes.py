import threading
import time
from pathlib import Path

import numpy as np
import pytest
from scripted import Openings, Scripted, picture, until

from edgecnn.errors import CameraError, CardError, DataError, EdgecnnError, ModelError
from edgecnn.runtime.model import load
from edgecnn.runtime.seen import STALE
from edgecnn.runtime.watch.eyes import TICK_S, Eyes
from edgecnn.runtime.watch.patience import Patience

MODEL = Path(__file__).resolve().parents[3] / "golden" / "colours.tflite"
SOON = Patience(retry_s=(0.01, 0.08), freeze_s=0.1, hang_s=0.3)


class Slowed:
    """The real interpreter, that takes its time, fails, or does not come back, as told."""

    def __init__(self, inner, seconds=0.0):
        self.inner, self.seconds, self.error, self.hang = inner, seconds, None, None

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def invoke(self):
        if self.hang is not None:
            self.hang.wait(20)
        if self.error is not None:
            raise self.error
        time.sleep(self.seconds)
        self.inner.invoke()


def slow(seconds=0.0):
    model = load(MODEL)
    model._interpreter = Slowed(model._interpreter, seconds)
    return model


@pytest.fixture
def watching():
    """Makes eyes and closes them; nothing may be left behind."""
    before = set(threading.enumerate())
    made = []

    def watch(model, opening, **what):
        made.append(Eyes(model, opening, patience=SOON, **what))
        return made[-1]

    yield watch
    for eyes in made:
        eyes.close()
    until(lambda: set(threading.enumerate()) <= before)


def test_before_the_first_result_everything_is_stale(watching):
    eyes = watching(slow(0.3), lambda: Scripted(fps=10), max_age_ms=100)
    assert eyes.latest() is STALE
    assert not eyes.latest()
    assert repr(eyes.latest()) == "STALE"
    assert eyes.next(0.01) is None


def test_a_result_names_its_frame_and_tells_its_age(watching):
    eyes = watching(slow(0.02), lambda: Scripted(fps=100))
    seen = eyes.next(5)
    assert seen.frame.name.startswith("scripted#")
    assert seen.delay_ms >= 20
    age = seen.age_ms
    time.sleep(0.03)
    assert seen.age_ms >= age + 30
    assert eyes.latest(max_age_ms=20) is STALE or eyes.latest().age_ms < 60


def test_the_results_are_the_models_own(watching):
    images = [picture(i) for i in range(12)]
    eyes = watching(slow(), lambda: Scripted(images, fps=None, endless=False), every_frame=True)
    found = list(eyes)
    with load(MODEL) as model:
        for seen, image in zip(found, images, strict=True):
            np.testing.assert_array_equal(seen.result.score, model(image).score)
            np.testing.assert_array_equal(seen.frame.image, image)


def test_every_frame_is_answered_however_slow_the_reader_of_results(watching):
    eyes = watching(
        slow(0.005),
        lambda: Scripted([picture(i) for i in range(20)], fps=None, endless=False),
        every_frame=True,
    )
    indexes = []
    for seen in eyes:
        indexes.append(seen.frame.index)
        time.sleep(0.01)
    assert indexes == list(range(20))
    assert eyes.statistics().dropped == 0
    assert eyes.ended
    assert eyes.error is None


def test_a_slow_model_sees_new_frames_only_and_never_falls_behind(watching):
    eyes = watching(slow(0.05), lambda: Scripted(fps=100))
    delays = []
    for seen in eyes:
        delays.append(seen.delay_ms)
        if len(delays) == 12:
            break
    told = eyes.statistics()
    # inference, one period, and what a busy machine takes; in turn, the twelfth frame would wait for 480 ms
    assert np.median(delays[1:]) < 50 + 10 + 30
    assert delays[-1] < 300
    assert told.dropped > 20
    assert told.captured >= told.dropped + told.results


def test_frames_are_prepared_ahead_only_when_their_turn_is_near(watching):
    model = slow(0.1)
    prepared = []
    real = model.prepare
    model.prepare = lambda image: prepared.append(1) or real(image)
    eyes = watching(model, lambda: Scripted(fps=200))
    for number, _ in enumerate(eyes):
        if number == 6:
            break
    assert len(prepared) < eyes.statistics().captured / 2


def test_a_frame_that_is_about_to_come_is_waited_for_rather_than_an_old_one_taken(watching):
    # 100 ms and 35 ms: without waiting, the frame taken is of any age up to 35 ms, with it up to 25 ms
    eyes = watching(slow(0.1), lambda: Scripted(fps=1 / 0.035))
    waits = []
    for seen in eyes:
        waits.append(seen.delay_ms - seen.timings.total_ms)
        if len(waits) == 30:
            break
    assert sum(wait > 27 for wait in waits[5:]) <= 3  # of 25, where chance would give about 6


def test_the_safe_state_begins_in_time_and_ends_with_the_next_result(watching):
    called = []
    pause = 0.4
    watching(
        slow(),
        lambda: Scripted([*(picture(i) for i in range(20)), pause], fps=200),
        max_age_ms=100,
        on_stale=lambda: called.append(("stale", time.monotonic())),
        on_fresh=lambda: called.append(("fresh", time.monotonic())),
    )
    until(lambda: len(called) == 3)
    assert [name for name, _ in called] == ["fresh", "stale", "fresh"]
    last = 20 / 200
    stale_after = called[1][1] - called[0][1]
    assert stale_after < last + 0.1 + TICK_S + 0.1


def test_a_frozen_picture_leads_to_the_safe_state(watching):
    still = picture(3)
    called, told = [], []
    eyes = watching(
        slow(),
        lambda: Scripted([picture(0)] + [still] * 400, fps=200),
        max_age_ms=60,
        on_stale=lambda: called.append(time.monotonic()),
        on_notice=told.append,
    )
    start = time.monotonic()
    until(lambda: called)
    assert called[0] - start < SOON.freeze_s + 0.06 + TICK_S + 0.2
    assert eyes.latest() is STALE
    assert "frozen" in [notice.kind for notice in told]


def test_a_safe_state_needs_an_age(watching):
    with pytest.raises(DataError, match="max_age_ms"):
        watching(slow(), Scripted, on_stale=lambda: None)


@pytest.mark.parametrize("what", [{"max_age_ms": 0}, {"fps_cap": -1}])
def test_impossible_numbers_are_refused(watching, what):
    with pytest.raises(DataError):
        watching(slow(), Scripted, **what)


def test_a_camera_that_is_not_there_is_an_error_at_the_door(watching):
    with pytest.raises(CameraError, match="no camera"):
        watching(slow(), Openings(CameraError("no camera")))


def test_a_vanished_camera_comes_back_and_so_do_results(watching):
    told = []
    gone = CameraError("scripted: unplugged.")
    eyes = watching(slow(), Openings(Scripted([picture(0), gone]), gone, Scripted()), on_notice=told.append)
    until(lambda: eyes.statistics().results > 5)
    assert [n.kind for n in told][:3] == ["vanished", "vanished", "back"]
    assert eyes.statistics().restarts["source"] == 1


def test_a_hung_interpreter_is_replaced(watching):
    told, models = [], []
    free = threading.Event()

    def loading():
        models.append(slow())
        return models[-1]

    first = loading()
    eyes = watching(first, lambda: Scripted(fps=100), loading=loading, hang_s=0.2, on_notice=told.append)
    until(lambda: eyes.statistics().results > 3)
    first._interpreter.hang = free
    until(lambda: eyes.statistics().restarts["interpreter"] == 1)
    before = eyes.statistics().results
    until(lambda: eyes.statistics().results > before + 3)
    assert "hung" in [notice.kind for notice in told]
    assert eyes.model is models[1]
    free.set()


def test_a_hung_interpreter_that_nobody_can_load_again_ends_the_watching(watching):
    free = threading.Event()
    model = slow()
    model._interpreter.hang = free
    eyes = watching(model, lambda: Scripted(fps=100), hang_s=0.1)
    with pytest.raises(ModelError, match="no answer for"):
        eyes.next(5)
    assert eyes.latest() is STALE
    free.set()


def test_options_stay_when_the_interpreter_is_replaced(watching):
    free = threading.Event()
    first, models = slow(), []

    def loading():
        models.append(slow())
        return models[-1]

    eyes = watching(first, lambda: Scripted(fps=100), loading=loading, hang_s=0.2)
    eyes.adjust(scores="logits")
    until(lambda: eyes.statistics().results > 1)
    first._interpreter.hang = free
    until(
        lambda: models and eyes.statistics().results > 5 and models[-1].card.options.get("scores") == "logits"
    )
    free.set()


def test_adjusting_never_waits_and_refuses_what_the_task_does_not_know(watching):
    free = threading.Event()
    model = slow()
    eyes = watching(model, lambda: Scripted(fps=100), hang_s=30)
    until(lambda: eyes.statistics().results > 1)
    model._interpreter.hang = free
    time.sleep(0.05)
    start = time.monotonic()
    eyes.adjust(scores="logits")
    with pytest.raises(CardError, match="no option"):
        eyes.adjust(treshold=1)
    assert time.monotonic() - start < 0.1
    free.set()


def test_a_model_that_fails_on_every_frame_ends_the_watching(watching):
    model = slow()
    model._interpreter.error = ModelError("m failed while running")
    eyes = watching(model, lambda: Scripted(fps=100), loading=slow)
    with pytest.raises(ModelError, match="failed while running"):
        eyes.next(5)


def test_a_model_that_fails_now_and_then_is_told_once_and_goes_on(watching):
    told = []
    model = slow()
    eyes = watching(model, lambda: Scripted(fps=100), on_notice=told.append)
    until(lambda: eyes.statistics().results > 2)
    model._interpreter.error = ModelError("m failed while running")
    until(lambda: "failed" in [notice.kind for notice in told])
    model._interpreter.error = None
    before = eyes.statistics().results
    until(lambda: eyes.statistics().results > before + 2 or eyes.error)
    assert eyes.error is None


def test_each_result_is_given_to_the_callback(watching):
    called = []
    eyes = watching(
        slow(),
        lambda: Scripted([picture(i) for i in range(9)], fps=None, endless=False),
        every_frame=True,
        on_seen=called.append,
    )
    assert [seen.frame.index for seen in eyes] == list(range(9))
    until(lambda: len(called) == 9)


def test_a_slow_callback_slows_nothing(watching):
    called = []
    eyes = watching(
        slow(), lambda: Scripted(fps=200), on_seen=lambda seen: (called.append(seen), time.sleep(0.1))
    )
    until(lambda: len(called) == 3)
    assert eyes.statistics().results > 20


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_in_a_callback_ends_the_watching_and_is_told(watching):
    eyes = watching(slow(), lambda: Scripted(fps=100), on_seen=lambda seen: 1 / 0)
    with pytest.raises(EdgecnnError, match="ZeroDivisionError"):
        list(eyes)


def test_a_cap_on_results_is_kept(watching):
    eyes = watching(slow(), lambda: Scripted(fps=200), fps_cap=20)
    time.sleep(1)
    assert 10 < eyes.statistics().results <= 22


def test_only_boxes_can_be_followed(watching):
    with pytest.raises(DataError, match="classification"):
        watching(slow(), Scripted, track=True)


def test_to_predict_things_must_be_tracked(watching):
    eyes = watching(slow(), Scripted)
    with pytest.raises(DataError, match="track=True"):
        eyes.latest(predict=True)


def test_statistics_are_json_and_add_up(watching):
    import json

    eyes = watching(slow(0.01), lambda: Scripted(fps=100))
    until(lambda: eyes.statistics().results > 20)
    told = json.loads(json.dumps(eyes.statistics().as_dict()))
    stages = told["stages_ms"]
    assert set(stages) == {"capture", "wait", "prepare", "invoke", "decode", "delay"}
    assert stages["delay"]["p50"] >= stages["invoke"]["p50"] >= 10
    assert told["fps"]["results"] == pytest.approx(90, rel=0.5)


def test_closing_twice_and_asking_afterwards_does_no_harm(watching):
    eyes = watching(slow(), lambda: Scripted(fps=100))
    eyes.next(5)
    eyes.close()
    eyes.close()
    assert eyes.next(0.01) is None
    eyes.statistics()
    eyes.latest()


def test_which_operators_ran_where_is_known_until_the_closing(watching):
    eyes = watching(
        slow(), lambda: Scripted([picture(0)], fps=None, endless=False), every_frame=True, loading=slow
    )
    assert len(list(eyes)) == 1
    until(lambda: eyes.ended)
    assert eyes.delegation().operators > 0
