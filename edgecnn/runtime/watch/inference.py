"""A thread that runs a model on whatever frame is newest, and is replaced when it does not come back.

The next frame is prepared by the thread that reads it, while the model still works on the one before; only a
frame whose turn is about to come is, so that a fast camera before a slow model costs nothing extra.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from edgecnn.errors import DataError, EdgecnnError, ModelError
from edgecnn.image import Array, View
from edgecnn.results import Result
from edgecnn.runtime.frames import Frame
from edgecnn.runtime.meaning import check_options
from edgecnn.runtime.model import Model, Timings
from edgecnn.runtime.seen import Seen
from edgecnn.runtime.watch.notice import Kind, Notice
from edgecnn.runtime.watch.reader import Reader
from edgecnn.runtime.watch.statistics import Pace, Spread

if TYPE_CHECKING:
    from edgecnn.runtime.tracking.following import Following

STAGES: Final = ("wait", "prepare", "invoke", "decode", "track", "delay")

_LOOK_S: Final = 0.1
"""So long is a frame waited for before somebody looks whether to go on."""

_ABANDONED: Final = 3
"""So many interpreters that never came back are left behind at most; each holds a thread and its memory."""

_FAILURES: Final = 3
"""After so many failures in a row the model is loaded again; after thrice as many it is given up."""

_JOIN_S: Final = 2.0

_WORTH: Final = 0.1
"""A frame that will arrive within this share of an inference is waited for, in place of the one before it: a
tenth of 100 ms makes the oldest results of a 30 fps camera 10 ms younger, for 1.5 % of their number."""

_FAST_S: Final = 0.01
"""Of a source that gives frames more often than this, the one before is hardly older: none is waited for."""

_Prepared: TypeAlias = tuple[Array, View, float]
"""The input tensor, where the image lies in it, and the milliseconds that took."""


class Inference:
    """Takes frames from a reader and gives what the model says about them, from `start` until `close`.

    Attributes:
        model: the present one.
        ended: no further result will come.
        error: why; None where the source came to its end.
    """

    def __init__(
        self,
        model: Model,
        *,
        give: Callable[[Seen], object],
        following: "Following | None" = None,
        loading: Callable[[], Model] | None = None,
        on_notice: Callable[[Notice], object] = lambda notice: None,
        every_frame: bool = False,
        hang_s: float = 10.0,
        fps_cap: float | None = None,
    ) -> None:
        """Nothing runs yet.

        Args:
            model: closed in the end where `loading` is given; else it stays the caller's.
            give: what to do with each result; the model waits as long as it takes.
            following: follows things from frame to frame.
            loading: loads the model again when it hangs or fails. None: that is the end.
            on_notice: told what happens.
            every_frame: each frame is answered, so that none is waited for in place of another.
            hang_s: seconds that one frame may take.
            fps_cap: at most so many frames a second, the newest ones.
        """
        self.model = model
        self.ended = False
        self.error: EdgecnnError | None = None
        self.results = self.restarts = 0
        self.stages = {stage: Spread() for stage in STAGES}
        self.pace = Pace()
        self._give = give
        self._following = following
        self._loading = loading
        self._tell = on_notice
        self._every = every_frame
        self._hang_s = hang_s
        self._period_s = 1 / fps_cap if fps_cap else 0.0
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._shift = 0  # which thread is the present one; those before it were left behind
        self._shifts: list[threading.Thread] = []
        self._since_s: float | None = None
        self._usual_s = 0.0
        self._arrived_s = time.monotonic()
        self._between_s = 0.0
        self._options: dict[str, Any] = {}
        self._adjusted: dict[str, Any] | None = None  # those that the present model has
        self._failures = 0
        self._trouble: str | None = None

    def prepared(self, frame: Frame) -> _Prepared | None:
        """The frame's tensor, if its turn is about to come; called by the thread that reads the frames.

        A frame before whose turn a newer one will arrive is not prepared: nobody will look at it.
        """
        now = time.monotonic()
        between_s, self._arrived_s = now - self._arrived_s, now
        self._between_s += (between_s - self._between_s) / 8
        since_s = self._since_s
        if since_s is not None and now + self._between_s < since_s + self._usual_s:
            return None
        return self._prepare(self.model, frame)

    def start(self, reader: Reader) -> None:
        """Begin to take the frames of a reader."""
        self._reader = reader
        self._begin(self.model)

    def check(self, now_s: float) -> None:
        """Look whether the interpreter hangs; to be called several times a second."""
        since_s = self._since_s
        if since_s is None or now_s - since_s <= self._hang_s or self._is_over():
            return
        text = f"{self.model.path}: no answer for {self._hang_s:g} s"
        with self._lock:
            self._shift += 1
            self._since_s = None
        left_behind = sum(thread.is_alive() for thread in self._shifts)
        if self._loading is None or left_behind > _ABANDONED:
            self._say("hung", f"{text}. It is given up: start the program again.")
            self._end(self._shift, ModelError(f"{text}. Start the program again, or try another delegate."))
            return
        self._say("hung", f"{text}. It is loaded again.")
        self.restarts += 1
        self._begin(None)

    def adjust(self, **options: Any) -> None:
        """Change options of the task from the next frame on. Raises as `Model.adjust`; never waits."""
        card = self.model.card
        with self._lock:
            wanted = {**self._options, **options}
        check_options(replace(card, options={**card.options, **wanted}))
        with self._lock:  # the model itself may be at work, and nobody here waits for it
            self._options = wanted

    def close(self) -> None:
        """Stop, and close the model where it is not the caller's. Twice does no harm."""
        self._closing.set()
        end_s = time.monotonic() + _JOIN_S
        for thread in self._shifts:
            thread.join(max(0.0, end_s - time.monotonic()))
        if any(thread.is_alive() for thread in self._shifts):
            return  # one that hangs cannot be closed
        if self._loading is not None:
            self.model.close()
        elif self._following is not None:
            self.model.adjust(threshold=self._following.threshold)  # it was asked for more than is shown

    # what follows runs in the thread of a shift, except where it says otherwise

    def _begin(self, model: Model | None) -> None:
        """Begin a shift; by whoever starts the first one, or leaves one behind."""
        thread = threading.Thread(
            target=self._work, args=(self._shift, model), name="edgecnn-infer", daemon=True
        )
        self._shifts = [one for one in self._shifts if one.is_alive()] + [thread]
        thread.start()

    def _work(self, shift: int, model: Model | None) -> None:
        own = self._loading is not None
        try:
            while not self._is_over(shift):
                model = model or self._loaded(shift)
                self._await_newer()
                taken = self._reader.take(_LOOK_S)
                if taken is None:
                    if self._reader.ended:
                        self._end(shift, self._reader.error)
                elif not self._answered(model, shift, *taken):
                    model.close()
                    model = None
        except EdgecnnError as error:
            self._end(shift, error)
        finally:
            # after a bug, too: its traceback is shown, and nobody waits for results for ever
            self._end(shift, ModelError("inference has failed; its traceback says where"))
            if own and model is not None and model is not self.model:
                model.close()

    def _await_newer(self) -> None:
        """Wait for the frame that is about to arrive, where that makes the result much younger."""
        patience_s = _WORTH * self._usual_s
        remaining_s = self._arrived_s + self._between_s - time.monotonic()
        late_s = patience_s / 2  # frames do not come like clockwork
        if self._every or self._between_s < max(patience_s, _FAST_S):
            return
        if not -late_s < remaining_s <= patience_s:
            return
        self._reader.wait_for_newer(remaining_s + late_s)

    def _loaded(self, shift: int) -> Model:
        """The model again."""
        if self._loading is None:
            raise ModelError(f"{self.model.path} has failed, and nobody said how to load it again")
        model = self._loading()
        with self._lock:
            if shift == self._shift:
                self.model, self._adjusted = model, None
        return model

    def _answered(self, model: Model, shift: int, frame: Frame, made: object) -> bool:
        """Answer one frame. False where the model has failed so often that it must be loaded again."""
        begun_s = self._since_s = time.monotonic()
        try:
            options = self._options
            if options is not self._adjusted:
                model.adjust(**options)
                self._adjusted = options
            tensor, view, prepare_ms = cast(_Prepared | None, made) or self._prepare(model, frame)
            result, timings = model.answer(tensor, view)
        except DataError as error:
            self._say("damaged", f"{error} The next frame is used.")
            return True
        except ModelError as error:
            return self._is_useful_after(error, shift)
        finally:
            if shift == self._shift:
                self._since_s = None
        if self._is_over(shift):
            return True
        self._failures = 0
        took_s = time.monotonic() - begun_s
        self._usual_s += (took_s - self._usual_s) / (8 if self.results else 1)
        timings = Timings(prepare_ms, timings.invoke_ms, timings.decode_ms)
        self._hand_over(frame, result, timings, begun_s)
        pause_s = begun_s + self._period_s - time.monotonic()
        if pause_s > 0:
            self._closing.wait(pause_s)
        return True

    def _hand_over(self, frame: Frame, result: Result, timings: Timings, begun_s: float) -> None:
        task = self.model.card.task
        if self._following is None:
            seen = Seen(frame, task, result, timings, time.monotonic())
        else:
            start = time.monotonic()
            result, tracks, events = self._following.follow(frame, result)
            done_s = time.monotonic()
            self.stages["track"].add((done_s - start) * 1e3)
            self._tell_trouble(self._following.trouble)
            seen = Seen(frame, task, result, timings, done_s, tracks, events)
        for stage, ms in (
            ("wait", (begun_s - frame.time_s) * 1e3),
            ("prepare", timings.prepare_ms),
            ("invoke", timings.invoke_ms),
            ("decode", timings.decode_ms),
            ("delay", seen.delay_ms),
        ):
            self.stages[stage].add(ms)
        self.results += 1
        self.pace.add(seen.done_s)
        self._give(seen)

    def _tell_trouble(self, trouble: str | None) -> None:
        """Tell that there are no events, and why, once."""
        if trouble is not None and trouble != self._trouble:
            self._say("failed", f"{trouble} Until then there are no events.")
        self._trouble = trouble

    def _is_useful_after(self, error: ModelError, shift: int) -> bool:
        """Tell that a frame failed; False where the model is to be loaded again. Raises what has no end."""
        if self._is_over(shift):
            return True
        self._failures += 1
        if self._failures == 1:
            self._say("failed", str(error))
        if self._failures % _FAILURES:
            return True
        if not self.results or self._loading is None or self._failures >= _FAILURES**2:
            raise error
        self.restarts += 1
        return False

    def _prepare(self, model: Model, frame: Frame) -> _Prepared:
        start = time.perf_counter()
        tensor, view = model.prepare(frame.image)
        return tensor, view, (time.perf_counter() - start) * 1e3

    def _end(self, shift: int, error: EdgecnnError | None) -> None:
        with self._lock:
            if self._is_over(shift):
                return
            self.error = error
            self.ended = True

    def _is_over(self, shift: int | None = None) -> bool:
        return self._closing.is_set() or self.ended or (shift is not None and shift != self._shift)

    def _say(self, kind: Kind, text: str) -> None:
        self._tell(Notice(kind, text))
