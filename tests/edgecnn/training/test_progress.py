import pytest

from edgecnn.card import InputSpec
from edgecnn.training.checkpoint import Position
from edgecnn.training.progress import Progress, Watch, duration, line
from edgecnn.training.recipe import Recipe


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1:00 min"), (3599, "59:59 min"), (7500, "2:05 h")],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (
            Progress("reading", 0, 60, 64, 128, images_per_s=1000.4, eta_s=0.1),
            "reading images 64/128  1000 images/s  0 s left",
        ),
        (
            Progress("training", 2, 60, 5, 375, 1.5, 0.25, None, None, 0.0),
            "epoch 2/60  step   5/375  loss 1.500  accuracy 25.0%  0 images/s",
        ),
        (
            Progress("training", 3, 60, 375, 375, 1.5, 0.25, 0.7, 0.75, 1234.5, 61),
            "epoch 3/60  step 375/375  loss 1.500  accuracy 25.0%  validation 70.0% (best 75.0%)  "
            "1234 images/s  1:01 min left",
        ),
        (
            Progress("judging", 3, 60, 375, 375, 1.5, 0.25, images_per_s=1234.5),
            "epoch 3/60  validating  loss 1.500  accuracy 25.0%  1234 images/s",
        ),
        (
            Progress("done", 60, 60, 0, 375, val_accuracy=0.7, best=0.75),
            "done: 60 epochs  validation 70.0% (best 75.0%)",
        ),
    ],
)
def test_a_line_says_where_the_training_stands(progress: Progress, text: str) -> None:
    assert line(progress) == text


def test_the_watch_measures_speed_without_the_first_step_and_estimates_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("edgecnn.training.progress.monotonic", lambda: now)
    seen: list[Progress] = []
    watch = Watch(seen.append, Recipe("resnet8", InputSpec(8, 8), epochs=2, batch=10), 50)
    for step, moment in ((1, 130.0), (11, 131.0), (21, 132.0)):
        now = moment
        assert watch.due()
        watch.show(Position(0, step, loss_sum=20.0 * step, correct=5.0 * step))
        assert not watch.due()
    assert [round(p.images_per_s) for p in seen] == [0, 100, 100]
    assert seen[0].eta_s is None
    assert seen[-1].eta_s == pytest.approx((100 - 21) / 10)
    assert (seen[-1].loss, seen[-1].accuracy) == (2.0, 0.5)
    assert (seen[-1].epoch, seen[-1].step, seen[-1].steps) == (1, 21, 50)
