"""Do things keep their numbers? Our tracker beside a plain one, on drives through drawn worlds.

The truth of each frame is spoiled as a detector would: boxes shake, some are missing, some are false, some
have a low score. Then two trackers follow them at 30, 10 and 5 frames a second:

    edgecnn   edgecnn.runtime.tracking.track.Tracker with its defaults
    greedy    the box that overlaps a thing's last place most goes on with it; no motion (after Bochinski et
              al., "High-Speed Tracking-by-Detection Without Using Image Information", 2017), with the same
              waiting time and the same number of boxes before a track is shown
    greedy .1 the same with every box from a score of 0.1, not 0.5

and are judged by the tracks that they say are seen in a frame: IDF1 (Ristani et al., 2016), MOTA with its
parts (Bernardin and Stiefelhagen, 2008), at an overlap of 0.5. A thing that was out of sight for more than a
second counts as another when it comes back. Milliseconds are of one update.

    python benchmarks/tracking.py --seconds 60 --drives 3
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count, islice

import numpy as np

from edgecnn.data.drawn.video import drawn_video
from edgecnn.results import Array, Boxes
from edgecnn.runtime.tracking.assignment import assign
from edgecnn.runtime.tracking.track import Tracker
from edgecnn.tasks.boxes import iou

FPS = 30
GONE_S = 1.0


@dataclass(frozen=True, eq=False)
class Moment:
    """What is true of one frame."""

    time_s: float
    boxes: Boxes
    numbers: Array


@dataclass(frozen=True, eq=False)
class Answer:
    """What a tracker said about one frame."""

    xyxy: Array
    track_id: Array


@dataclass(frozen=True)
class Verdict:
    """How well the numbers were kept."""

    idf1: float
    mota: float
    switches: int
    missed: int
    false: int
    truths: int


def drive(seed: int, seconds: float) -> list[Moment]:
    """The truth of one drive at 30 frames a second."""
    moments, last_s, named, new = [], dict[int, float](), dict[int, int](), count(1)
    for shot in islice(drawn_video(seed), round(seconds * FPS)):
        numbers = []
        for number in shot.numbers.tolist():
            if shot.time_s - last_s.get(number, -np.inf) > GONE_S:
                named[number] = next(new)
            last_s[number] = shot.time_s
            numbers.append(named[number])
        moments.append(Moment(shot.time_s, shot.boxes, np.array(numbers, np.int64)))
    return moments


def spoiled(boxes: Boxes, missing: float, false: float, random: np.random.Generator) -> Boxes:
    """What a detector might say of it: edges shake by 4 % of the size, one box in six has a low score.

    Args:
        boxes: the truth.
        missing: share of the boxes that are not there.
        false: how many false ones a frame has, on average.
        random: decides which.
    """
    kept = random.random(len(boxes)) >= missing
    true = boxes.xyxy[kept].astype(np.float64)
    size = np.tile(true[:, 2:] - true[:, :2], 2)
    true += random.normal(0, 0.04, true.shape) * size
    n = random.poisson(false)
    corner = random.random((n, 2)) * [280, 200]
    wrong = np.concatenate([corner, corner + random.uniform(15, 80, (n, 2))], 1)
    weak = random.random(len(true)) < 1 / 6
    score = np.where(weak, random.uniform(0.1, 0.5, len(true)), random.uniform(0.5, 1, len(true)))
    xyxy = np.concatenate([true, wrong])
    xyxy = np.concatenate([np.minimum(xyxy[:, :2], xyxy[:, 2:]), np.maximum(xyxy[:, :2], xyxy[:, 2:])], 1)
    label_id = np.concatenate([boxes.label_id[kept], random.integers(0, len(boxes.labels), n)])
    return Boxes(xyxy, np.concatenate([score, random.uniform(0.3, 0.8, n)]), label_id, boxes.labels)


class Greedy:
    """The baseline: the largest overlap with a thing's last place."""

    def __init__(self, high: float = 0.5, least: float = 0.3, hits: int = 2, keep_s: float = 1.0) -> None:
        self.high, self.least, self.hits, self.keep_s = high, least, hits, keep_s
        self.tracks: list[dict[str, float]] = []
        self.places: list[Array] = []
        self.given = 0

    def __call__(self, boxes: Boxes, time_s: float) -> Answer:
        """What is seen in this frame."""
        good = boxes.score >= self.high
        xyxy, label_id = boxes.xyxy[good], boxes.label_id[good]
        overlap = iou(np.array(self.places).reshape(-1, 4), xyxy)
        old = np.array([track["label"] for track in self.tracks])
        overlap[old[:, None] != label_id] = 0
        free = set(range(len(xyxy)))
        while overlap.size and overlap.max() >= self.least:
            row, column = np.unravel_index(overlap.argmax(), overlap.shape)
            overlap[row], overlap[:, column] = 0, 0
            free.discard(int(column))
            self.places[row] = xyxy[column]
            self.tracks[row]["hits"] += 1
            self.tracks[row]["time"] = time_s
        keep = [
            track["time"] == time_s or (track["id"] > 0 and time_s - track["time"] <= self.keep_s)
            for track in self.tracks
        ]
        self.places = [place for place, kept in zip(self.places, keep, strict=True) if kept]
        self.tracks = [track for track, kept in zip(self.tracks, keep, strict=True) if kept]
        for column in sorted(free):
            self.places.append(xyxy[column])
            self.tracks.append({"id": 0, "hits": 1, "time": time_s, "label": label_id[column]})
        for track in self.tracks:
            if not track["id"] and track["hits"] >= self.hits:
                self.given += 1
                track["id"] = self.given
        shown = [i for i, track in enumerate(self.tracks) if track["id"] and track["time"] == time_s]
        places = np.array([self.places[i] for i in shown]).reshape(-1, 4)
        return Answer(places, np.array([self.tracks[i]["id"] for i in shown], np.int64))


def ours(**options: float) -> Callable[[Boxes, float], Answer]:
    """Our tracker: what it says is seen."""
    tracker = Tracker(**options)  # type: ignore[arg-type]

    def update(boxes: Boxes, time_s: float) -> Answer:
        tracks = tracker.update(boxes, time_s)
        return Answer(tracks.boxes.xyxy[tracks.seen], tracks.track_id[tracks.seen])

    return update


def judge(moments: Sequence[Moment], answers: Sequence[Answer], least: float = 0.5) -> Verdict:
    """CLEAR MOT and IDF1 of one drive."""
    together: dict[tuple[int, int], int] = {}
    partner: dict[int, int] = {}
    switches = missed = false = truths = said = 0
    for moment, answer in zip(moments, answers, strict=True):
        overlap = iou(moment.boxes.xyxy, answer.xyxy)
        overlap[overlap < least] = 0
        numbers, tracks = moment.numbers.tolist(), answer.track_id.tolist()
        for row, column in np.argwhere(overlap > 0).tolist():
            pair = numbers[row], tracks[column]
            together[pair] = together.get(pair, 0) + 1
        # who went together goes on together, as long as they overlap
        before = np.array([partner.get(number, 0) for number in numbers])
        same = before[:, None] == answer.track_id
        pairs = assign(np.where(overlap > 0, overlap + 2 * same, 0))
        for row, column in pairs:
            switches += partner.get(numbers[row], tracks[column]) != tracks[column]
            partner[numbers[row]] = tracks[column]
        truths, said = truths + len(numbers), said + len(tracks)
        missed, false = missed + len(numbers) - len(pairs), false + len(tracks) - len(pairs)
    rows = {number: i for i, number in enumerate(sorted({pair[0] for pair in together}))}
    columns = {track: i for i, track in enumerate(sorted({pair[1] for pair in together}))}
    counts = np.zeros((len(rows), len(columns)))
    for (number, track), frames in together.items():
        counts[rows[number], columns[track]] = frames
    identified = sum(counts[pair] for pair in assign(counts))
    mota = 1 - (missed + false + switches) / max(1, truths)
    return Verdict(2 * identified / max(1, truths + said), mota, switches, missed, false, truths)


def followed(
    moments: Sequence[Moment],
    every: int,
    missing: float,
    false: float,
    make: Callable[[], Callable[..., Answer]],
) -> tuple[Verdict, list[float]]:
    """The verdict on a tracker for one drive, and the milliseconds of each update."""
    random, update = np.random.default_rng(1), make()
    taken, answers = [], []
    for moment in moments[::every]:
        boxes = spoiled(moment.boxes, missing, false, random)
        begun = time.perf_counter()
        answers.append(update(boxes, moment.time_s))
        taken.append(1000 * (time.perf_counter() - begun))
    return judge(moments[::every], answers), taken


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60, help="of each drive")
    parser.add_argument("--drives", type=int, default=3)
    parser.add_argument("--false", type=float, default=0.5, help="false boxes a frame, on average")
    options = parser.parse_args()
    drives = [drive(seed, options.seconds) for seed in range(options.drives)]
    boxes = np.mean([len(moment.boxes) for moments in drives for moment in moments])
    print(
        f"{options.drives} drives of {options.seconds:.0f} s, {boxes:.1f} things and "
        f"{options.false} false boxes a frame"
    )
    print("fps  missing  tracker     IDF1   MOTA  switches  missed  false  ms p50    p99")
    for every in (1, 3, 6):
        for missing in (0.1, 0.3):
            for name, make in (("edgecnn", ours), ("greedy", Greedy), ("greedy .1", lambda: Greedy(0.1))):
                done = [followed(moments, every, missing, options.false, make) for moments in drives]
                verdicts = [verdict for verdict, _ in done]
                taken = [ms for _, part in done for ms in part[5:]]
                truths = sum(verdict.truths for verdict in verdicts)
                print(
                    f"{FPS // every:3}  {missing:7.0%}  {name:9} {np.mean([v.idf1 for v in verdicts]):6.3f} "
                    f"{np.mean([v.mota for v in verdicts]):6.3f}  {sum(v.switches for v in verdicts):8} "
                    f"{sum(v.missed for v in verdicts) / truths:7.1%} "
                    f"{sum(v.false for v in verdicts) / truths:6.1%}  {np.median(taken):6.3f} "
                    f"{np.percentile(taken, 99):6.3f}"
                )


if __name__ == "__main__":
    main()
