"""A model that watches a source: the newest result is always there, and says how old it is.

with edgecnn.watch("cones.tflite", max_age_ms=120, on_stale=robot.halt, on_fresh=robot.release) as eyes:
    for tick in edgecnn.Rate(50):
        seen = eyes.latest()
        robot.steer(...) if seen else robot.stop()

One thread reads the source (`reader`), one runs the model (`inference`), one watches over both and over the
age of the newest result. What they are made of is theirs; here is what a user holds in the hand.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from edgecnn.card import Card
from edgecnn.errors import DataError, EdgecnnError
from edgecnn.runtime.interpreter import Backend, Delegation
from edgecnn.runtime.model import Model
from edgecnn.runtime.seen import STALE, Seen, Stale
from edgecnn.runtime.sources.source import Clock, Source
from edgecnn.runtime.tracking.zones import Line, Zone
from edgecnn.runtime.watch.handover import Handover
from edgecnn.runtime.watch.inference import Inference
from edgecnn.runtime.watch.notice import Notice
from edgecnn.runtime.watch.patience import Patience
from edgecnn.runtime.watch.reader import Reader
from edgecnn.runtime.watch.safe_state import SafeState
from edgecnn.runtime.watch.statistics import Statistics
from edgecnn.tasks.detection.settings import settings

if TYPE_CHECKING:
    from edgecnn.runtime.tracking.following import Following

TICK_S: Final = 0.01
"""How often ages are looked at: a safe state begins at most this long after the allowed age."""

_SLOW_TICK_S: Final = 0.1

_EVENTS: Final = 256
"""So many events wait for whoever takes results, at most: nobody may ever ask."""

_JOIN_S: Final = 2.0


class Eyes:
    """Capture and inference of one source, from the moment it is made until it is closed.

    Any thread may ask it anything. Use it in a `with` block, or close it.

    Attributes:
        source_name: of the source.
        max_age_ms: what `latest` takes for too old; None: nothing.
    """

    def __init__(
        self,
        model: Model,
        opening: Callable[[], Source],
        *,
        loading: Callable[[], Model] | None = None,
        every_frame: bool = False,
        track: bool = False,
        zones: Sequence[Zone] = (),
        lines: Sequence[Line] = (),
        max_age_ms: float | None = None,
        fps_cap: float | None = None,
        patience: Patience | None = None,
        hang_s: float = 10.0,
        on_seen: Callable[[Seen], object] | None = None,
        on_notice: Callable[[Notice], object] = lambda notice: None,
        on_stale: Callable[[], object] | None = None,
        on_fresh: Callable[[], object] | None = None,
    ) -> None:
        """Open the source and begin. `edgecnn.watching.watch` says what the other arguments are.

        The model is closed in the end where `loading` is given, which loads it again when it hangs or fails;
        else it stays the caller's. `opening` opens the source, now and whenever it has vanished.

        Raises:
            CameraError: the source cannot be opened.
            DataError: it is a file that cannot be read, or an argument makes no sense.
        """
        if max_age_ms is not None and not max_age_ms > 0:
            raise DataError(f"max_age_ms must be above 0, not {max_age_ms}")
        if fps_cap is not None and not fps_cap > 0:
            raise DataError(f"fps_cap must be above 0, not {fps_cap}")
        if (on_stale or on_fresh) and max_age_ms is None:
            raise DataError("on_stale and on_fresh need max_age_ms: the age from which a result is too old")
        self.max_age_ms = max_age_ms
        self._following: Following | None = None
        if track or zones or lines:
            from edgecnn.runtime.tracking import following  # who follows nothing starts sooner

            self._following = following.Following(model.card, zones=zones, lines=lines)
        self._newest: Seen | None = None
        self._results: Handover[Seen] = Handover(every=every_frame, joined=_with_events)
        self._for_callback: Handover[Seen] | None = (
            Handover(every=every_frame, joined=_with_events) if on_seen else None
        )
        self._closing = threading.Event()
        self._bug: BaseException | None = None  # what one of the caller's functions raised
        self._start_s = time.monotonic()
        self._inference = Inference(
            model,
            give=self._give,
            following=self._following,
            loading=loading,
            on_notice=on_notice,
            every_frame=every_frame,
            hang_s=hang_s,
            fps_cap=fps_cap,
        )
        if self._following is not None:
            self._inference.adjust(**self._following.asked)  # also when the model is loaded again
        self._reader = Reader(
            opening,
            every_frame=every_frame,
            patience=patience,
            on_notice=on_notice,
            arrived=self._inference.prepared,
        )
        self.source_name = self._reader.name
        self._safe_state: SafeState | None = None
        if max_age_ms is not None:
            self._safe_state = SafeState(
                max_age_ms, name=self.source_name, on_stale=on_stale, on_fresh=on_fresh, on_notice=on_notice
            )
        self._inference.start(self._reader)
        self._threads = [threading.Thread(target=self._watch_over, name="edgecnn-watchdog", daemon=True)]
        if on_seen is not None and self._for_callback is not None:
            called = (on_seen, self._for_callback)
            self._threads.append(
                threading.Thread(target=self._call, args=called, name="edgecnn-callback", daemon=True)
            )
        for thread in self._threads:
            thread.start()

    def latest(self, max_age_ms: float | None = None, *, predict: bool = False) -> Seen | Stale:
        """The newest result, if it is young enough. Never waits, never raises for what a camera does.

        Args:
            max_age_ms: the oldest that will do, in milliseconds since the frame's capture; None takes the one
                that the eyes were made with.
            predict: move tracks and boxes to where they should be now, for a camera that stands still. One
                that turns takes its own turning for everything's motion: steered by that, a loop swings. Use
                the frame's time and what the wheels say instead.

        Returns:
            STALE, which is false, when there is none.

        Raises:
            DataError: to predict, things must be tracked.
        """
        if predict and self._following is None:
            raise DataError("to predict, things must be tracked: watch(..., track=True)")
        seen = self._newest
        limit = self.max_age_ms if max_age_ms is None else max_age_ms
        if seen is None or (limit is not None and seen.age_ms > limit):
            return STALE
        if not predict or seen.tracks is None:
            return seen
        tracks = seen.tracks.at(time.monotonic())
        return replace(seen, tracks=tracks, result=tracks.boxes)

    def next(self, timeout_s: float | None = None) -> Seen | None:
        """Wait for a result that this has not given yet. For one thread.

        Where every frame counts, each is given once, and the model waits for whoever asks; else the newest.

        Returns:
            None after `timeout_s`, or when nothing more will come: see `ended`.

        Raises:
            EdgecnnError: the watching has ended, and not because the source came to its end.
        """
        seen = self._results.take(timeout_s)
        if seen is None and self._bug is not None:
            raise EdgecnnError(f"a callback has failed: {self._bug!r}") from self._bug
        if seen is None and self.error is not None:
            raise self.error
        return seen

    def __iter__(self) -> Iterator[Seen]:
        """Each result of `next`, until nothing more comes. Raises as it does."""
        while (seen := self.next()) is not None:
            yield seen

    @property
    def ended(self) -> bool:
        """Whether no further result will come."""
        return self._results.finished

    @property
    def error(self) -> EdgecnnError | None:
        """What has ended the watching; None where it goes on, or the source came to its end."""
        return self._inference.error

    @property
    def clock(self) -> Clock:
        """What the frames' times are."""
        return self._reader.clock

    @property
    def card(self) -> Card:
        """What the model's numbers mean."""
        return self._inference.model.card

    @property
    def threshold(self) -> float | None:
        """The least score of a box that is given; None where the model finds no boxes."""
        if self._following is not None:
            return self._following.threshold
        return settings(self.card).threshold if self.card.task == "detection" else None

    @property
    def model(self) -> Model:
        """The model that runs; another one after it hung."""
        return self._inference.model

    @property
    def threads(self) -> int:
        """How many the interpreter uses now."""
        return self._inference.model.threads

    @property
    def backend(self) -> Backend:
        """The runtime that computes."""
        return self._inference.model.backend

    def delegation(self) -> Delegation:
        """Which operators run on which kernels. Waits for the frame that is in work."""
        return self._inference.model.delegation()

    def adjust(self, **options: Any) -> None:
        """Change options of the task from the next frame on, such as threshold=0.4.

        Raises:
            CardError: no such option, or no such value; nothing has changed then.
        """
        self._inference.adjust(**options)  # refuses what makes no sense before anything follows it
        if self._following is not None:
            self._inference.adjust(**self._following.adjust(**options))

    def statistics(self) -> Statistics:
        """Counts and times since the start."""
        now = time.monotonic()
        reader, inference = self._reader, self._inference
        stages = {"capture": reader.capture, **inference.stages}
        return Statistics(
            seconds=now - self._start_s,
            captured=reader.captured,
            dropped=reader.dropped,
            repeated=reader.repeated,
            damaged=reader.damaged,
            results=inference.results,
            restarts={"source": reader.restarts, "interpreter": inference.restarts},
            fps={"captured": reader.pace.per_second(now), "results": inference.pace.per_second(now)},
            stages_ms={stage: spread.as_dict() for stage, spread in stages.items() if spread.count},
            threads=self.threads,
            max_age_ms=self.max_age_ms,
        )

    def close(self) -> None:
        """Stop, and let go of source and model. Twice does no harm."""
        self._closing.set()
        self._finish(forget=True)
        self._reader.close()
        self._inference.close()
        end_s = time.monotonic() + _JOIN_S
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, end_s - time.monotonic()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _give(self, seen: Seen) -> None:
        """Take over a result; in the thread of the inference."""
        self._newest = seen
        self._results.give(seen)
        if self._for_callback is not None:
            self._for_callback.give(seen)

    def _finish(self, *, forget: bool = False) -> None:
        self._results.finish(forget=forget)
        if self._for_callback is not None:
            self._for_callback.finish(forget=forget)

    def _call(self, on_seen: Callable[[Seen], object], results: Handover[Seen]) -> None:
        """Give each result to the caller's function."""
        with self._ending_by_a_bug():
            while (seen := results.take(None)) is not None:
                on_seen(seen)

    @contextmanager
    def _ending_by_a_bug(self) -> Iterator[None]:
        """An exception of the caller's function ends the watching; the thread shows where it came from."""
        try:
            yield
        except BaseException as error:
            self._bug = error
            self._finish()
            raise

    def _watch_over(self) -> None:
        """Look at everything that can stand still, again and again."""
        with self._ending_by_a_bug():
            self._look_again_and_again()

    def _look_again_and_again(self) -> None:
        tick_s = TICK_S if self.max_age_ms is not None else _SLOW_TICK_S
        while not self._closing.wait(tick_s):
            now = time.monotonic()
            self._reader.check(now)
            self._inference.check(now)
            if self._inference.ended and not self._results.finished:
                self._finish()
            if self._safe_state is not None:
                self._safe_state.look(self._newest)


def _with_events(older: Seen, newer: Seen) -> Seen:
    """The newer result, and what happened with the older one, which nobody took: a crossing is not lost."""
    if not older.events:
        return newer
    return replace(newer, events=(*older.events, *newer.events)[-_EVENTS:])
