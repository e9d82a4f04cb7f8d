"""All outputs of one watching together: what one of them cannot do any more never ends the camera."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edgecnn.camera.outputs import Moment, Sink, nothing
from edgecnn.errors import EdgecnnError
from edgecnn.runtime.watch.notice import Notice


class Sinks:
    """Outputs that are open. Use them in a `with` block, or close them: that completes what was written.

    An output that fails is closed and left out from then on, and a notice "unsaved" tells of it, once. Only a
    reader of standard output that goes away ends everything, as it does in any pipe.

    Attributes:
        notices: how many of each kind there were.
        written: files that are complete.
        unsaved: one line for each output that could not go on.
    """

    def __init__(self, sinks: Iterable[Sink], *, on_notice: Callable[[Notice], object] = nothing) -> None:
        """Take them over as they are opened. When one cannot be opened, those before it are closed."""
        self.notices: Counter[str] = Counter()
        self.written: list[Path] = []
        self.unsaved: list[str] = []
        self._on_notice = on_notice
        self._sinks: list[Sink] = []
        try:
            for sink in sinks:
                self._sinks.append(sink)
        except BaseException:
            self.close()
            raise

    @property
    def places(self) -> list[str]:
        """What a person may want to open."""
        return [sink.place for sink in self._sinks if sink.place is not None]

    def see(self, moment: Moment) -> None:
        """Give a result out."""
        moment.overlay.count(moment.seen.events)
        self._each(lambda sink: sink.see(moment))

    def see_again(self, moment: Moment) -> None:
        """Give the newest result out again, since it has become STALE."""
        self._each(lambda sink: sink.see_again(moment))

    def notice(self, notice: Notice) -> None:
        """Count what happened, and pass it on."""
        self.notices[notice.kind] += 1
        self._on_notice(notice)
        self._each(lambda sink: sink.notice(notice))

    def look(self) -> str | None:
        """Why a person at one of the outputs wants to end; None where nobody does."""
        reasons: list[str | None] = []
        self._each(lambda sink: reasons.append(sink.look()))
        return next((reason for reason in reasons if reason), None)

    def finish(self, report: Callable[[], dict[str, Any]]) -> None:
        """Complete what was written. Who takes the report comes last, so that it tells of the others."""
        last = [sink for sink in self._sinks if sink.end is not nothing]
        for sink in [sink for sink in self._sinks if sink.end is nothing]:
            self._sinks.remove(sink)
            self._close(sink)
        if last:
            said = report()
            self._each(lambda sink: sink.end(said))
        self.close()

    def close(self) -> None:
        """Complete what was written. Twice does no harm."""
        sinks, self._sinks = self._sinks, []
        for sink in sinks:
            self._close(sink)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _each(self, do: Callable[[Sink], object]) -> None:
        for sink in tuple(self._sinks):
            try:
                do(sink)
            except BrokenPipeError:
                raise
            except (OSError, EdgecnnError) as error:
                if sink in self._sinks:  # telling of it may have come here before
                    self._sinks.remove(sink)
                    self._tell(sink, error)
                    self._close(sink)

    def _close(self, sink: Sink) -> None:
        try:
            sink.close()
        except (OSError, EdgecnnError) as error:
            self._tell(sink, error)
        self.written += sink.files()

    def _tell(self, sink: Sink, error: Exception) -> None:
        text = f"--{sink.name}: {_line(error)}"
        self.unsaved.append(text)
        self.notice(Notice("unsaved", f"{text} The camera goes on without it."))


def _line(error: Exception) -> str:
    """What was wrong, as one sentence."""
    said = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        said = f"{error.filename or 'writing'}: {error.strerror}"
    return said if said.endswith(".") else f"{said}."
