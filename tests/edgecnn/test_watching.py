import threading
import time
from pathlib import Path

import numpy as np
import pytest

import edgecnn
from edgecnn.errors import CameraError, CardError, DataError, ModelError

MODEL = Path(__file__).resolve().parents[1] / "golden" / "colours.tflite"


def test_a_model_watches_drawn_scenes():
    with edgecnn.watch(MODEL, "drawn:3?size=64x48&fps=60") as eyes:
        seen = eyes.next(10)
        assert seen.frame.image.shape == (48, 64, 3)
        assert seen.frame.truth is not None
        assert eyes.clock == "schedule"
        assert eyes.card.task == "classification"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("edgecnn")]


@pytest.mark.parametrize("word", ["drawn", "drawn:7", "drawn:7?size=64x48"])
def test_drawn_scenes_are_named_by_words(word):
    with edgecnn.open_source(word, paced=False) as source:
        first, second = next(source), next(source)
    assert (first.index, second.index) == (0, 1)


@pytest.mark.parametrize("word", ["drawing.mp4", "no/such/folder", "/dev/video99"])
def test_a_source_that_is_not_there_is_one_line(word):
    with pytest.raises((CameraError, DataError)) as told:
        edgecnn.watch(MODEL, word)
    assert "\n" not in str(told.value)
    assert word in str(told.value)


def test_a_model_that_is_not_there_is_told_before_the_source_is_opened():
    with pytest.raises(ModelError, match="no such file"):
        edgecnn.watch("nowhere.tflite", lambda: pytest.fail("was opened"))


def test_a_model_of_the_callers_stays_open():
    with edgecnn.load(MODEL) as model:
        with edgecnn.watch(model, "drawn?size=64x48") as eyes:
            assert eyes.next(10)
        model(np.zeros((48, 64, 3), np.uint8))


def test_where_every_frame_counts_a_late_taker_loses_none_of_a_paced_drive():
    with edgecnn.open_source("drawn?size=64x48&fps=100", every_frame=True) as source:
        indexes = []
        for frame in source:
            indexes.append(frame.index)
            time.sleep(0.05)
            if len(indexes) == 6:
                break
    assert indexes == list(range(6))
    assert time.monotonic() - frame.time_s < 0.2  # each was due when it was taken, not long ago


def test_a_file_is_watched_to_its_end_frame_by_frame(tmp_path):
    import cv2

    for number in range(5):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((48, 64, 3), 50 * number, np.uint8))
    with edgecnn.watch(MODEL, tmp_path, every_frame=True) as eyes:
        names = [Path(seen.frame.name).name for seen in eyes]
    assert names == [f"{number}.png" for number in range(5)]


def test_a_detector_follows_what_it_sees(shared):
    model = shared / "models" / "tasks" / "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"
    image = shared / "models" / "images"
    assert image.is_dir()
    with edgecnn.watch(model, "drawn:1", track=True, options={"threshold": 0.2}, threads=1) as eyes:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            seen = eyes.next(5)
            assert (seen.result.score >= 0.2 - 1e-6).all()
        assert seen.tracks is not None
        predicted = eyes.latest(predict=True)
        assert predicted.tracks.time_s >= seen.tracks.time_s
        eyes.adjust(threshold=0.9)
        time.sleep(0.3)
        assert not len(eyes.next(5).result)


def test_a_callers_detector_has_its_own_threshold_again_after_tracking(shared):
    path = shared / "models" / "tasks" / "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"
    with edgecnn.load(path, options={"threshold": 0.4}) as model:
        with edgecnn.watch(model, "drawn:1?size=320x240", track=True) as eyes:
            seen = eyes.next(10)
            assert eyes.threshold == 0.4
            assert model.card.options["threshold"] == pytest.approx(0.1)
            assert (seen.result.score >= 0.4 - 1e-6).all()
            with pytest.raises(CardError):
                eyes.adjust(threshold=2.0)
            assert eyes.threshold == 0.4
        assert model.card.options["threshold"] == 0.4
