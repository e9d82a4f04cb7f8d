"""A thread that reads a source, so that whoever wants a frame gets the newest one, at once.

It holds one frame (or, where every frame counts, a few), counts what it drops, opens a source again that has
vanished, and knows when one has frozen or does not come back. What is done with a frame is others' business.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

import numpy as np

from edgecnn.errors import CameraError, DataError, EdgecnnError
from edgecnn.runtime.frames import Frame
from edgecnn.runtime.sources.source import DamagedFrame, Source
from edgecnn.runtime.watch.handover import Handover
from edgecnn.runtime.watch.notice import Kind, Notice
from edgecnn.runtime.watch.patience import Patience
from edgecnn.runtime.watch.statistics import Pace, Spread

_ABANDONED: Final = 3
"""So many readings that never came back are left behind at most; each holds a thread and a device."""

_JOIN_S: Final = 2.0


class Reader:
    """Reads frames in a thread of its own from the moment it is made until it is closed.

    Attributes:
        name: of the source.
        live: of the source: where False, no frame is lost to time.
        clock: what the frames' times are.
        ended: the source has come to its end, or can no longer be read; frames may still wait.
        error: why it can no longer be read; None where it ended as it should.
    """

    def __init__(
        self,
        opening: Callable[[], Source],
        *,
        every_frame: bool = False,
        patience: Patience | None = None,
        on_notice: Callable[[Notice], object] = lambda notice: None,
        arrived: Callable[[Frame], object] | None = None,
    ) -> None:
        """Open a source and begin to read it.

        Args:
            opening: opens it; called again when it has vanished.
            every_frame: none is dropped: the source waits for whoever takes the frames.
            patience: with a source that gives nothing.
            on_notice: told what happens; called from any thread, must return soon.
            arrived: called with each frame in the reading thread; the frame is taken together with what it
                returned. A DataError leaves the frame out.

        Raises:
            CameraError: the source cannot be opened. Later it is tried again; the first time it is an error.
            DataError: the source is a file that cannot be read, or a folder without images.
        """
        self._opening = opening
        self._frames: Handover[tuple[Frame, object]] = Handover(every=every_frame)
        self._patience = patience or Patience()
        self._tell = on_notice
        self._arrived = arrived
        self._news = threading.Condition()
        self._closed = False
        self._reading = 0  # which reading is the present one; those before it were left behind
        self._readings: list[threading.Thread] = []
        self._asked_s: float | None = None
        self._last: Frame | None = None
        self._moved_s = time.monotonic()
        self._frozen = False
        self._vanished = False
        self._is_damaged = False
        self._stuck = False

        self.ended = False
        self.error: EdgecnnError | None = None
        self.captured = self.dropped = self.repeated = self.damaged = self.restarts = 0
        self.capture, self.pace = Spread(), Pace()

        source = opening()
        self._source: Source | None = source
        self.name, self.live, self.clock = source.name, source.live, source.clock
        # a recording may well stand still
        self._freeze_s = self._patience.freeze_s if self.live and self.clock != "schedule" else None
        self._start(source)

    def take(self, timeout_s: float) -> tuple[Frame, object] | None:
        """The newest frame that was not taken yet (of every frame: the next), and what `arrived` made of it.

        Returns:
            None when there is none after `timeout_s`; look at `ended` then.
        """
        return self._frames.take(timeout_s)

    def wait_for_newer(self, timeout_s: float) -> None:
        """Wait until another frame is there, at most `timeout_s`."""
        self._frames.wait_for_newer(timeout_s)

    def check(self, now_s: float) -> None:
        """Look whether the source has frozen or hangs; to be called several times a second."""
        if self._is_over():
            return
        if self._frames.is_full or self._vanished:  # it waits for whoever takes the frames, or has said so
            self._moved_s = now_s
            return
        freeze_s = self._freeze_s
        if freeze_s is not None and not self._frozen and now_s - self._moved_s > freeze_s:
            self._frozen = True
            self._say("frozen", f"{self.name}: no new picture for {freeze_s:g} s")
        asked_s = self._asked_s
        if asked_s is not None and now_s - asked_s > self._patience.hang_s:
            self._leave_behind()

    def close(self) -> None:
        """Stop reading and let go of the source. Twice does no harm."""
        with self._news:
            self._closed = True
            self._news.notify_all()
            source = self._source
        self._frames.finish(forget=True)
        if source is not None:
            source.close()
        end_s = time.monotonic() + _JOIN_S
        for thread in self._readings:
            if thread is not threading.current_thread():
                thread.join(max(0.0, end_s - time.monotonic()))

    @property
    def left_behind(self) -> int:
        """How many readings still hang in a source that never came back."""
        return sum(thread.is_alive() for thread in self._readings[:-1])

    # what follows runs in the reading thread, except where it says otherwise

    def _start(self, source: Source | None) -> None:
        """Begin a reading; by whoever opens the first one, or leaves one behind."""
        thread = threading.Thread(
            target=self._read, args=(self._reading, source), name="edgecnn-capture", daemon=True
        )
        self._readings = [one for one in self._readings if one.is_alive()] + [thread]
        thread.start()

    def _read(self, reading: int, source: Source | None) -> None:
        """Read until the end, the close, or another reading's turn; open a vanished source again."""
        pause_s, longest_s = self._patience.retry_s
        try:
            while not self._is_over(reading):
                try:
                    if source is None:
                        source = self._opened(reading)
                    if source is not None:
                        self._read_on(source, reading)
                        self._end(reading, None)
                except CameraError as error:
                    if not self.live:
                        raise
                    if self._is_over(reading):
                        break
                    pause_s = min(pause_s * 2, longest_s) if self._vanished else self._patience.retry_s[0]
                    self._vanished = True
                    self._say("vanished", f"{error} Trying again in {pause_s:g} s.")
                    self._close(source)
                    source = None
                    with self._news:
                        self._news.wait_for(lambda: self._is_over(reading), pause_s)
        except EdgecnnError as error:
            self._end(reading, error)
        finally:
            # after a bug of a source, too: its traceback is shown, and nobody waits for frames for ever
            self._end(reading, CameraError(f"{self.name}: reading it has failed; its traceback says where"))
            self._close(source)

    def _opened(self, reading: int) -> Source | None:
        """The source, open again; None where this reading was left behind meanwhile."""
        self._asked_s = time.monotonic()
        try:
            source = self._opening()
        finally:
            if reading == self._reading:
                self._asked_s = None
        with self._news:
            if self._is_over(reading):
                source.close()
                return None
            self._source = source
            self.restarts += 1
        return source

    def _read_on(self, source: Source, reading: int) -> None:
        """Read until the end, an error, or until nobody wants it any more."""
        while not self._is_over(reading):
            self._asked_s = asked_s = time.monotonic()
            try:
                frame = next(source)
            except StopIteration:
                return
            except DamagedFrame as error:
                self._damage(error)
                continue
            finally:
                if reading == self._reading:
                    self._asked_s = None
            if self._is_over(reading):
                return
            self.capture.add((time.monotonic() - asked_s) * 1e3)
            self.clock = (
                source.clock
            )  # a camera knows only with its first frame whether the driver tells the time
            self._accept(frame)

    def _accept(self, frame: Frame) -> None:
        self.captured += 1
        now = time.monotonic()
        self.pace.add(now)
        if self._vanished:
            self._vanished = False
            self._say("back", f"{self.name}: gives frames again")
        last, self._last = self._last, frame
        if last is not None:
            if frame.image.shape != last.image.shape:
                size, was = ("x".join(map(str, one.size_wh)) for one in (frame, last))
                self._say("resized", f"{self.name}: frames of {size} from now on, they were {was}")
            elif self._freeze_s is not None and _same(frame, last):
                if self._frozen:
                    self.repeated += 1
                    return
                self._hand_over(frame)
                return
        self._moved_s = now
        if self._frozen:
            self._frozen = False
            self._say("thawed", f"{self.name}: new pictures again")
        if last is not None and self.live:
            self.dropped += max(0, frame.index - last.index - 1)  # those that the source itself skipped
        self._hand_over(frame)

    def _hand_over(self, frame: Frame) -> None:
        try:
            made = self._arrived(frame) if self._arrived is not None else None
        except DataError as error:
            self._damage(error)
            return
        self._is_damaged = False
        if self._frames.give((frame, made)):
            self.dropped += 1

    def _damage(self, error: EdgecnnError) -> None:
        self.damaged += 1
        if not self._is_damaged:  # not again for each of a thousand
            self._is_damaged = True
            self._say("damaged", f"{error} It is left out, as are those like it that follow.")

    def _end(self, reading: int, error: EdgecnnError | None) -> None:
        with self._news:
            if self._is_over(reading):
                return
            self.error = error
            self.ended = True
        self._frames.finish()
        self._say("ended", f"{self.name}: {error or 'its end'}")

    def _close(self, source: Source | None) -> None:
        if source is not None:
            source.close()
        with self._news:
            if self._source is source:
                self._source = None

    def _leave_behind(self) -> None:
        """Give up a reading that does not come back, and begin another; by `check`."""
        if self.left_behind >= _ABANDONED:
            if not self._stuck:
                self._stuck = True
                self._say("hung", f"{self.name}: hangs again and again. Unplug it and plug it in again.")
            return
        self._stuck = False
        with self._news:
            self._reading += 1
            self._asked_s = None
            source, self._source = self._source, None
        self._say("hung", f"{self.name}: no answer for {self._patience.hang_s:g} s. It is opened again.")
        if source is not None:
            source.close()
        self._vanished = True
        self._start(None)

    def _is_over(self, reading: int | None = None) -> bool:
        return self._closed or self.ended or (reading is not None and reading != self._reading)

    def _say(self, kind: Kind, text: str) -> None:
        self._tell(Notice(kind, text))


def _same(frame: Frame, last: Frame) -> bool:
    """Whether both show the same to the last bit, as no sensor does twice. A few pixels decide most often."""
    mine, other = frame.image, last.image
    return bool(np.array_equal(mine[::32, ::32], other[::32, ::32])) and bool(np.array_equal(mine, other))
