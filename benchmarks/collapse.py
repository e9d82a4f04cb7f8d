"""The network that collapses: int8 that is fine, and the same function on which it falls to nothing.

Channels of a linear bottleneck may have any scale: multiply each by 2^U(-k, k), divide its weights in the
layers that read it, and the float network computes what it did. Int8 has one step for the whole tensor and
loses the small channels. Trained networks are found on both sides; this one is made, so that the size of the
trouble is known.

Naive conversions stand beside each remedy of ours: agreement of the top label with the float network (ties
count against) and signal-to-noise ratio of its outputs, on photographs that nothing was calibrated with.
With --ladder, `edgecnn convert --int8` itself takes each, with the first folder or zip of photographs,
and shows every rung that it climbs (`benchmarks/climbs.py`).

    python benchmarks/collapse.py runs/lite0 photographs/ more.zip --calibration 128 --images 600
    python benchmarks/collapse.py runs/lite0 photographs/ --ladder
"""

import argparse
import contextlib
import io
import random
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calibration import constants, editable
from calibration.observe import observe
from calibration.ranges import Ranges, of_pixels
from converters import channel_groups
from converters.channel_groups import BIAS_INPUT, MADE_AXIS, READ_AXIS
from converters.correction import correct_biases
from converters.equalize import equalize
from converters.quantize import quantize
from edgecnn import archive
from edgecnn import card as cards
from edgecnn import image as images
from edgecnn.card import Card
from edgecnn.evaluation.agreement import UNDECIDED, decide
from edgecnn.graph import read
from edgecnn.runtime.interpreter import open_interpreter

SPREADS = (0, 3, 5)
ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
LEAST_SIDE = 160
"""Pixels; smaller pictures are icons rather than photographs."""

Array = npt.NDArray[Any]
Stream = Callable[[], Iterable[Array]]


def collapsed(content: bytes, k: float, seed: int) -> bytes:
    """The same function with linear-bottleneck channels of very different sizes.

    Args:
        content: a float32 `.tflite`.
        k: channels are multiplied by 2^U(-k, k), each by its own number.
        seed: of those numbers.
    """
    graph, model = read(content, "model"), editable.read(content)
    draw = np.random.default_rng(seed)
    for group in channel_groups.find(graph):
        if any(graph.ops[number].options.get("activation") not in ("NONE", None) for number in group.makers):
            continue
        factors = np.exp2(draw.uniform(-k, k, group.channels))
        for number in group.makers:
            kind = graph.ops[number].kind
            _multiply(model, number, 1, MADE_AXIS[kind], factors)
            if BIAS_INPUT[kind] < len(graph.ops[number].inputs):
                _multiply(model, number, BIAS_INPUT[kind], -1, factors)
        for number in group.readers:
            _multiply(model, number, 1, READ_AXIS[graph.ops[number].kind], 1 / factors)
    return editable.write(model)


def _multiply(model: editable.Model, number: int, position: int, axis: int, factors: Array) -> None:
    array = constants.values(model, int(model.subgraphs[0].operators[number].inputs[position]))
    if array is not None:
        moved = np.moveaxis(array, axis, -1)
        moved = moved * np.repeat(factors, moved.shape[-1] // len(factors)).astype(np.float32)
        constants.replace(model, number, position, np.moveaxis(moved, -1, axis))


def photographs(places: Sequence[Path], *, seed: int = 0) -> list[Callable[[], Array | None]]:
    """Readers of all pictures in folders and zips, mixed; a reader gives (h, w, 3) uint8 BGR or None."""
    found: list[Callable[[], Array | None]] = []
    for place in places:
        if place.is_dir():
            paths = sorted(path for path in place.rglob("*") if path.suffix.lower() in ENDINGS)
            found += [lambda path=path: cv2.imread(str(path)) for path in paths]  # type: ignore[misc]
        else:
            with zipfile.ZipFile(place) as archived:
                names = sorted(n for n in archived.namelist() if n.lower().endswith((".jpg", ".jpeg")))
            found += [lambda place=place, n=n: _from_zip(place, n) for n in names]  # type: ignore[misc]
    random.Random(seed).shuffle(found)
    return found


def _from_zip(place: Path, name: str) -> Array | None:
    with zipfile.ZipFile(place) as archived:
        return cv2.imdecode(np.frombuffer(archived.read(name), np.uint8), cv2.IMREAD_COLOR)


def tensors_of(pictures: Sequence[Callable[[], Array | None]], card: Card) -> Stream:
    """The pictures as the network takes them, prepared again each time they are asked for."""
    table = images.lookup(card.input, np.float32)

    def stream() -> Iterator[Array]:
        for read_picture in pictures:
            picture = read_picture()
            if picture is not None and min(picture.shape[:2]) >= LEAST_SIDE:
                yield images.prepare(picture, table, card.input)[0]

    return stream


def scores(content: bytes, tensors: Stream, threads: int) -> npt.NDArray[np.float64]:
    """Real outputs (images, labels) of a float or an integer model."""
    graph = read(content, "model")
    entrance, result = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    interpreter = open_interpreter(content, "model", threads=threads)
    found = []
    for tensor in tensors():
        if entrance.dtype != "float32":
            bounds = np.iinfo(entrance.dtype)
            integers = np.rint(tensor / entrance.scale[0]) + entrance.zero_point[0]
            tensor = integers.clip(bounds.min, bounds.max).astype(entrance.dtype)
        interpreter.write(0, tensor)
        interpreter.invoke()
        out = interpreter.read(0)[0].astype(np.float64)
        if result.dtype != "float32":
            out = (out - result.zero_point[0]) * result.scale[0]
        found.append(out)
    interpreter.close()
    return np.array(found)


@dataclass(frozen=True)
class Row:
    """One conversion of one network, judged."""

    way: str
    agreement: float
    decibels: float
    seconds: float

    def __str__(self) -> str:
        """A line of the table."""
        return f"  {self.way:44} {self.agreement:7.2%} {self.decibels:7.1f} dB {self.seconds:7.1f} s"


@dataclass(frozen=True)
class Bench:
    """What every conversion is made from and judged by."""

    card: Card
    calibration: Stream
    judged: Stream
    reference: npt.NDArray[np.float64]
    threads: int

    def row(self, way: str, make: Callable[[], bytes]) -> Row:
        """Convert, run, compare."""
        begin = perf_counter()
        # Progress bars and warnings of the tools beside us would tear the table.
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            content = make()
        seconds = perf_counter() - begin
        found = scores(content, self.judged, self.threads)
        ours, theirs = decide(self.reference), decide(found)
        agreement = float(((ours == theirs) & (theirs != UNDECIDED)).mean())
        error = ((self.reference - found) ** 2).sum()
        return Row(way, agreement, float(10 * np.log10((self.reference**2).sum() / error)), seconds)

    def minmax(self, content: bytes) -> bytes:
        """Our int8 on its first rung."""
        ranges = observe(content, self.calibration(), threads=self.threads)
        graph = read(content, "model")
        ranges[graph.tensors[graph.inputs[0]].name] = of_pixels(self.card.input)
        return quantize(content, "int8", ranges=Ranges(ranges, "minmax", 0, ""))

    def corrected(self, content: bytes) -> bytes:
        """The same with biases corrected."""
        made = self.minmax(content)
        return correct_biases(content, made, self.calibration, threads=self.threads).content

    def equalized(self, content: bytes) -> bytes:
        """The float model with even channels."""
        return equalize(content, self.calibration, threads=self.threads).content

    def quantizer_default(self, content: bytes) -> bytes:
        """ai-edge-quantizer as its page says: its own recipe and calibration."""
        from ai_edge_quantizer import quantizer, recipe

        tool = quantizer.Quantizer(content, recipe.static_wi8_ai8())
        key = read(content, "model").signatures[0]
        feed = [{next(iter(key.inputs)): tensor.copy()} for tensor in self.calibration()]
        result = tool.calibrate({key.key: feed})
        return bytes(tool.quantize(result).quantized_model)

    def converter(self, keras_model: Path, content: bytes) -> bytes:
        """TFLiteConverter's int8 from Keras, whose weights are made those of the float file."""
        from edgecnn.keras import keras

        import tensorflow as tf  # isort: skip  (which Keras it takes is settled above)

        network = keras.models.load_model(keras_model, compile=False)
        _copy_weights(network, content)
        converter = tf.lite.TFLiteConverter.from_keras_model(network)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([tensor] for tensor in self.calibration())
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        return bytes(converter.convert())


def _copy_weights(network: Any, content: bytes) -> None:
    """Give the Keras network's layers the weights and biases of the float file, normalization being in them.

    The layers with weights come in the same order in both. Behind a convolution, normalization is made to
    add the bias and nothing else.
    """
    graph = read(content, "model")
    operators = [op for op in graph.ops if op.kind in MADE_AXIS]
    kinds = ("Conv2D", "DepthwiseConv2D", "Dense")
    weighted = [layer for layer in network.layers if type(layer).__name__ in kinds]
    for layer, operator in zip(weighted, operators, strict=True):
        weights, bias = (graph.data(graph.tensors[index]) for index in operator.inputs[1:3])
        kernel = {
            "CONV_2D": lambda w: w.transpose(1, 2, 3, 0),
            "DEPTHWISE_CONV_2D": lambda w: w.reshape(*w.shape[1:3], w.shape[3], 1),
            "FULLY_CONNECTED": lambda w: w.T,
        }[operator.kind](weights)
        if layer.use_bias:
            layer.set_weights([kernel, bias])
            continue
        layer.set_weights([kernel])
        (node,) = layer.outbound_nodes
        norm = node.layer
        scale = np.sqrt(np.ones_like(bias) + norm.epsilon)
        norm.set_weights([scale, bias, np.zeros_like(bias), np.ones_like(bias)])


def main() -> None:
    """Make the networks, convert each in every way, print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="run folder with float32.tflite, or such a file")
    parser.add_argument("photographs", type=Path, nargs="+", help="folders and zips of pictures")
    parser.add_argument("--calibration", type=int, default=128, help="pictures to calibrate with")
    parser.add_argument("--images", type=int, default=600, help="most other pictures to judge by")
    parser.add_argument("--seed", type=int, default=0, help="of the channels' factors")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--plain-only", action="store_true", help="leave the other tools out")
    parser.add_argument("--ladder", action="store_true", help="climb the ladder too")
    given = parser.parse_args()

    path = given.run / "float32.tflite" if given.run.is_dir() else given.run
    card = cards.read(path)
    if card is None:
        raise SystemExit(f"{path}: has no card, so how pictures enter it is not known")
    healthy = archive.flatbuffer_bytes(path.read_bytes())
    pictures = photographs(given.photographs)
    if len(pictures) <= given.calibration:
        raise SystemExit(f"{len(pictures)} pictures: too few to calibrate with {given.calibration}")
    calibration = tensors_of(pictures[: given.calibration], card)
    judged = tensors_of(pictures[given.calibration :][: given.images], card)
    reference = scores(healthy, judged, given.threads)
    bench = Bench(card, calibration, judged, reference, given.threads)
    print(f"{path}: calibrated on {given.calibration} pictures, judged on {len(reference)} others")
    for k in SPREADS:
        content = collapsed(healthy, k, given.seed) if k else healthy
        found = scores(content, judged, given.threads)
        difference = float(np.abs(found - reference).max())
        if difference > 1e-4 * np.abs(reference).max():
            raise SystemExit(f"k = {k}: the function changed by {difference}")
        print(f"k = {k}: float outputs differ by at most {difference:.1e}")
        even = bench.equalized(content)
        ways = {
            "min-max": lambda content=content: bench.minmax(content),
            "min-max, biases corrected": lambda content=content: bench.corrected(content),
            "equalized": lambda even=even: bench.minmax(even),
            "equalized, biases corrected": lambda even=even: bench.corrected(even),
        }
        if not given.plain_only:
            others = {"ai-edge-quantizer, its defaults": lambda c=content: bench.quantizer_default(c)}
            if given.run.is_dir():
                others["TFLiteConverter"] = lambda c=content: bench.converter(given.run / "model.keras", c)
            ways = others | ways
        for way, make in ways.items():
            print(bench.row(way, make), flush=True)
        if given.ladder:
            _climb(content, card, given.photographs[0])


def _climb(content: bytes, card: Card, data: Path) -> None:
    """The whole road, by itself."""
    import climbs  # stands beside this file and reads it

    with TemporaryDirectory() as folder:
        climbs.climb(content, card, Path(folder) / "network", data=str(data), unlabelled=True)


if __name__ == "__main__":
    main()
