"""How many threads a model runs fastest with: found out on real work, while it answers.

`Choosing` is an `Interpreter` that holds two others for a while: the fastest so far, and one with more
threads that wants to take its place. They answer in turns. It starts with one thread, so that the first
result comes as early as without it, and never holds more than two, so that memory is at most doubled.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from edgecnn.errors import ModelError
from edgecnn.graph import Graph
from edgecnn.runtime.delegates import Delegation, asked
from edgecnn.runtime.environment import cores
from edgecnn.runtime.interpreter import Array, Backend, Interpreter, open_interpreter

MOST_THREADS: Final = 8
"""Networks for small devices gain nothing from more."""

GAIN: Final = 0.9
"""More threads must bring the median below this share: they take cores from the rest of the robot."""

SECONDS: Final = 1.0
"""Of wall time that all trials take together, if every one has had its turns by then."""

_TURN: Final = 4  # runs in a row; the first warms the caches that the other one filled, and does not count
_TURNS: Final = 3  # of each, at least


@dataclass(frozen=True)
class Trial:
    """Two numbers of threads, timed in turns.

    Attributes:
        threads: the fewer, and the more.
        median_ms: of `invoke`, for each.
        runs: that counted, for each.
        failed: why the one with more threads could not be opened; empty where it could.
    """

    threads: tuple[int, int]
    median_ms: tuple[float, float]
    runs: int
    failed: str = ""

    @property
    def is_won(self) -> bool:
        """Whether more threads are worth it."""
        return not self.failed and self.median_ms[1] <= GAIN * self.median_ms[0]


@dataclass(frozen=True)
class Choice:
    """How many threads, and why.

    Attributes:
        threads: the fastest so far.
        is_made: whether it will stay.
        trials: what was measured.
    """

    threads: int
    is_made: bool
    trials: tuple[Trial, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return asdict(self)


class Choosing:
    """An interpreter that chooses its number of threads in its first second of work.

    A model with several inputs must get all of them before each run, and a model that remembers something
    between runs must not be tried like this: its memory would be in the wrong interpreter.
    """

    def __init__(
        self, opening: Callable[[int], Interpreter], numbers: Sequence[int], *, seconds: float = SECONDS
    ) -> None:
        """Open the first.

        Args:
            opening: gives an interpreter with so many threads.
            numbers: of threads, ascending.
            seconds: for all trials together.

        Raises:
            ModelError: the first cannot be opened.
        """
        self._opening = opening
        self._waiting = list(numbers[1:])
        self._seconds = seconds / max(len(self._waiting), 1)
        self._best = self._current = opening(numbers[0])
        self._rival: Interpreter | None = None
        self._times: tuple[list[float], list[float]] = ([], [])  # of the best and of its rival
        self._began = 0.0
        self._runs = 0  # of the trial
        self._has_run = False  # since something was written
        self._trials: tuple[Trial, ...] = ()

    @property
    def choice(self) -> Choice:
        """What was measured so far."""
        return Choice(self._best.threads, not self._waiting and self._rival is None, self._trials)

    @property
    def backend(self) -> Backend:
        """What computes."""
        return self._best.backend

    @property
    def threads(self) -> int:
        """Of the fastest so far."""
        return self._best.threads

    def write(self, position: int, tensor: Array) -> None:
        """Copy a tensor into the input at `position`."""
        if self._has_run and self._is_open:
            self._go_on()  # here, since nobody reads what the last run gave any more
        self._has_run = False
        self._best.write(position, tensor)
        if self._rival is not None:
            self._rival.write(position, tensor)

    def invoke(self) -> None:
        """Compute, and time it as long as there is something to choose."""
        self._has_run = True
        if self._rival is None:
            self._best.invoke()
            return
        turn, place = divmod(self._runs, _TURN)
        self._current = (self._best, self._rival)[turn % 2]
        start = time.perf_counter()
        self._current.invoke()
        if place:
            self._times[turn % 2].append((time.perf_counter() - start) * 1e3)
        self._runs += 1

    def read(self, position: int) -> Array:
        """A copy of the output at `position` of the one that computed last."""
        return self._current.read(position)

    def delegation(self) -> Delegation:
        """Which operators run on which kernels."""
        return self._best.delegation()

    def close(self) -> None:
        """Give the memory back."""
        self._waiting.clear()
        self._best.close()
        if self._rival is not None:
            self._rival.close()
            self._rival = None
        self._current = self._best

    @property
    def _is_open(self) -> bool:
        """Whether there is something left to choose."""
        return self._rival is not None or bool(self._waiting)

    def _go_on(self) -> None:
        """Begin a trial, or end one that has lasted long enough and in which both had the same turns."""
        if self._rival is None:
            self._begin()
            return
        turns, rest = divmod(self._runs, 2 * _TURN)
        if rest == 0 and turns >= _TURNS and time.perf_counter() - self._began >= self._seconds:
            self._end(self._rival)

    def _begin(self) -> None:
        number = self._waiting.pop(0)
        try:
            self._rival = self._opening(number)
        except ModelError as error:  # such as no memory for a second one: the first goes on alone
            self._waiting.clear()
            self._trials += (Trial((self._best.threads, number), (0.0, 0.0), 0, str(error)),)
            return
        self._times = ([], [])
        self._runs = 0
        self._began = time.perf_counter()

    def _end(self, rival: Interpreter) -> None:
        fewer, more = (round(_median(times), 4) for times in self._times)
        trial = Trial((self._best.threads, rival.threads), (fewer, more), len(self._times[0]))
        self._trials += (trial,)
        loser, self._best = (self._best, rival) if trial.is_won else (rival, self._best)
        self._rival, self._current = None, self._best
        loser.close()
        if more >= fewer:  # where some more do not help at all, many more do harm
            self._waiting.clear()


def open_with(
    content: bytes, graph: Graph, name: str, threads: int | Literal["auto"], **words: Any
) -> Interpreter:
    """An interpreter with so many threads, or one that chooses.

    An external delegate gets one thread beside it: some accelerators can be opened only once. So does a model
    that remembers something between runs.

    Args:
        content: the file.
        graph: what is in it.
        name: what to call the model in errors.
        threads: how many; "auto" chooses.
        words: as `open_interpreter` takes them; raises what it raises, too.
    """
    if threads != "auto":
        return open_interpreter(content, name, threads=threads, **words)
    wanted = asked(words.get("delegate"))
    alone = (wanted is not None and wanted.is_external) or any(one.is_variable for one in graph.tensors)
    return Choosing(
        lambda number: open_interpreter(content, name, threads=number, **words),
        [1] if alone else numbers_to_try(),
    )


def numbers_to_try(usable: int | None = None, system: Path = Path("/sys/devices/system/cpu")) -> list[int]:
    """Numbers of threads that are worth a trial: 1, 2, 4, ..., no more than there are fast cores.

    A processor with fast and slow cores waits for the slowest thread of each operator, so that those of the
    slowest kind are left out where at least two others are there.

    Args:
        usable: how many cores this process may use; None asks the system.
        system: where Linux describes them.
    """
    allowed = cores() if usable is None else usable
    clocks = []
    for path in sorted(system.glob("cpu[0-9]*/cpufreq/cpuinfo_max_freq")):
        try:
            clocks.append(int(path.read_text()))
        except (OSError, ValueError):  # a core that is switched off tells nothing
            continue
    fast = sum(clock > min(clocks) for clock in clocks)
    most = min(allowed, MOST_THREADS, fast if fast >= 2 else allowed)
    return sorted({1, most} | {number for number in (2, 4, 8) if number <= most})


def _median(values: Sequence[float]) -> float:
    # as statistics.median, whose import alone would cost every start 3 ms
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
