"""The whole road of `edgecnn convert --int8` on networks that are sick in known ways: which rung holds?

    healthy         stays on the first rung
    uneven          channels of linear bottlenecks times 2^U(-3, 3), their readers divided: equalization
    one tensor off  a constant added to all channels of one bottleneck, and taken off by its readers: no
                    factor brings that back, every value is needed: what touches the tensor stays float
    all off         the same in every bottleneck: too much to keep; only training would help

Each computes what the healthy one does; that is checked. What the gate does not let pass is not written.

    python benchmarks/climbs.py runs/mobilenet_v2 cifar10.zip --judged 1000
    python benchmarks/climbs.py runs/lite0 photographs/ --unlabelled
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import collapse
import numpy as np

from calibration import constants, editable
from converters import channel_groups
from converters.channel_groups import BIAS_INPUT
from converters.convert import convert
from converters.converted import Converted
from edgecnn import archive
from edgecnn import card as cards
from edgecnn.card import Card
from edgecnn.errors import NotCertified
from edgecnn.graph import read


def shifted(content: bytes, size: float, most: int | None = None) -> bytes:
    """The same function with a constant added to bottleneck tensors, and taken off by whatever reads them.

    Args:
        content: a float32 `.tflite`.
        size: of the constant.
        most: groups of tensors, those of a single tensor before others. None: all that can be.
    """
    graph, model = read(content, "model"), editable.read(content)
    groups = [group for group in channel_groups.find(graph) if _can_shift(graph, group)]
    for group in sorted(groups, key=lambda group: len(group.tensors))[:most]:
        # The first maker's channels go through all sums of the group.
        _add(model, group.makers[0], np.full(group.channels, size))
        for number in group.readers:
            weights = constants.values(model, int(model.subgraphs[0].operators[number].inputs[1]))
            rows = channel_groups.read_weights(graph.ops[number].kind, weights.astype(float), group.channels)
            _add(model, number, -size * rows.sum((1, 2)))
    return editable.write(model)


def _can_shift(graph: Any, group: channel_groups.ChannelGroup) -> bool:
    """Nothing between bends, pads or has no bias."""
    kinds = {op.kind for op in graph.ops if set(op.outputs) & set(group.tensors)}
    makers = [graph.ops[number] for number in group.makers]
    readers = [graph.ops[number] for number in group.readers]
    return (
        kinds <= {"CONV_2D", "ADD"}
        and all(op.options.get("activation") in ("NONE", None) for op in makers)
        and all(op.kind == "CONV_2D" and graph.tensors[op.inputs[1]].shape[1:3] == (1, 1) for op in readers)
        and all(len(op.inputs) > BIAS_INPUT[op.kind] for op in (*makers, *readers))
    )


def _add(model: editable.Model, number: int, values: Any) -> None:
    bias = constants.values(model, int(model.subgraphs[0].operators[number].inputs[2]))
    constants.replace(model, number, 2, (bias + values).astype(np.float32))


def climb(content: bytes, card: Card, folder: Path, **words: Any) -> Converted:
    """Convert a float file by the road that users take, without labels or with; print every rung.

    Args:
        content: the float `.tflite`.
        card: its card.
        folder: for the files; is made.
        words: of `converters.convert.convert`.
    """
    folder.mkdir(parents=True)
    path = folder / "network.tflite"
    path.write_bytes(content)
    cards.attach(path, card)
    begin = perf_counter()
    try:
        (made,) = convert(path, schemes=["int8"], out=folder / "out", **words)
    except NotCertified as refused:
        (made,) = refused.results
    print(f"  {'rung':28} {'verdict':10} {'drop':>6} {'agreement':>9} {'SNR dB':>7} {'bytes':>11} {'s':>6}")
    for rung in made.rungs:
        verdict = rung.verdict
        print(
            f"  {rung.candidate.rung:28} {verdict.outcome:10} {verdict.drop:6.2f} "
            f"{verdict.agreement.share:9.2%} {verdict.signal.snr_db:7.1f} {len(rung.candidate.content):11,} "
            f"{rung.seconds:6.1f}"
        )
        for each in rung.passed_over:
            print(f"    {each}")
    held = made.rungs[-1].candidate.rung if made.written else "none: nothing written"
    print(f"  held: {held} ({perf_counter() - begin:.0f} s in all)")
    if made.kept_cost:
        cost = made.kept_cost
        print(
            f"  kept {', '.join(made.rungs[-1].candidate.kept)}: {cost['bytes']:+,} bytes, "
            f"{cost['plain_p50_ms']:.3f} to {cost['kept_p50_ms']:.3f} ms"
        )
    return made


def main() -> None:
    """Make the networks, convert each, print what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="run folder with float32.tflite, or such a file")
    parser.add_argument("data", help="data set, or photographs with --unlabelled")
    parser.add_argument("--unlabelled", action="store_true")
    parser.add_argument("--judged", type=int, help="most images to judge on")
    parser.add_argument("--samples", type=int, default=256, help="images to calibrate with")
    parser.add_argument("--size", type=float, default=1000, help="constant that is added")
    parser.add_argument("--only", nargs="*", help="networks to convert; all by default")
    given = parser.parse_args()

    path = given.run / "float32.tflite" if given.run.is_dir() else given.run
    card = cards.read(path)
    if card is None:
        raise SystemExit(f"{path}: has no card, so how pictures enter it is not known")
    healthy = archive.flatbuffer_bytes(path.read_bytes())
    networks: dict[str, Callable[[], bytes]] = {
        "healthy": lambda: healthy,
        "uneven": lambda: collapse.collapsed(healthy, 3, 0),
        "one tensor off": lambda: shifted(healthy, given.size, 1),
        "all off": lambda: shifted(healthy, given.size),
    }
    words = {"data": given.data, "unlabelled": given.unlabelled, "samples": given.samples}
    with TemporaryDirectory() as folder:
        for name in given.only or networks:
            content = networks[name]()
            print(f"{name}: float outputs differ by {_difference(healthy, content, card):.1e} of the largest")
            climb(content, card, Path(folder) / name, judged=given.judged, **words)


def _difference(healthy: bytes, content: bytes, card: Card) -> float:
    random = np.random.default_rng(0)
    shape = (1, card.input.height, card.input.width, 1 if card.input.color == "gray" else 3)
    tensors: Sequence[Any] = [random.uniform(-1, 1, shape).astype(np.float32) for _ in range(4)]
    ours, theirs = (collapse.scores(one, lambda: tensors, 1) for one in (healthy, content))
    return float(np.abs(ours - theirs).max() / np.abs(ours).max())


if __name__ == "__main__":
    main()
