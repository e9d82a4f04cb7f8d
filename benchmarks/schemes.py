"""Every scheme and every estimator of ranges, for one network, side by side: how right, how large, how fast.

All files are judged on images that nothing was made from: a labelled data set's test part, or of photographs
without labels the part that is kept for checking. Ties count against the file. Beside ours stand what
TFLiteConverter and ai-edge-quantizer make of the same network and the same calibration images by default.

    python benchmarks/schemes.py runs/resnet8 --data cifar10.zip --qat runs/resnet8-qat
    python benchmarks/schemes.py runs/lite0 --data photographs/ --unlabelled
"""

import argparse
import contextlib
import io
from collections.abc import Callable
from itertools import islice
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from calibration.samples import COUNT, Prepared, choose
from converters.convert import convert
from converters.gate import Budget, Reference, judge
from converters.publish import with_outputs
from edgecnn import archive
from edgecnn import card as cards
from edgecnn.data import training_splits
from edgecnn.data.unlabelled import open_images
from edgecnn.errors import EdgecnnError
from edgecnn.graph import read
from edgecnn.measure import bench_models, judged_split
from edgecnn.runs import Run
from edgecnn.runtime.model import load
from edgecnn.tasks.classification import wilson

OURS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("float16", {}),
    ("dynamic", {}),
    ("weight_only", {}),
    ("int8", {"ranges": "minmax", "corrects": False}),
    ("int8", {"ranges": "minmax"}),
    ("int8", {"ranges": "percentile"}),
    ("int8", {"ranges": "mse"}),
    ("int8", {"ranges": "entropy"}),
    ("int8", {"ranges": "minmax", "weights": "tensor"}),
    ("int16x8", {}),
)
NO_LIMIT = Budget(100, 100)


def by_tflite_converter(run: Path, stream: Callable[[], Prepared]) -> bytes:
    """TFLiteConverter's int8 with its defaults, integers at both ends."""
    from converters.source import open_source
    from edgecnn.keras import tf

    source = open_source(run)
    from converters.from_keras import read_keras

    spec = source.card.input
    network = read_keras(
        Run(run).model, image_shape=(spec.height, spec.width, spec.channels), roles=("scores",)
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.function], network.owner)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([tensor.copy()] for tensor in stream())
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def by_ai_edge_quantizer(content: bytes, stream: Callable[[], Prepared]) -> bytes:
    """ai-edge-quantizer's static int8 as its page says: its own recipe, its own calibration."""
    from ai_edge_quantizer import quantizer, recipe

    tool = quantizer.Quantizer(content, recipe.static_wi8_ai8())
    key = read(content, "model").signatures[0]
    feed = [{next(iter(key.inputs)): tensor.copy()} for tensor in stream()]
    return bytes(tool.quantize(tool.calibrate({key.key: feed})).quantized_model)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--unlabelled", action="store_true")
    parser.add_argument("--qat", type=Path, help="the run that `edgecnn compress RUN --qat` made of it")
    parser.add_argument("--samples", type=int, default=COUNT)
    parser.add_argument("--judged", type=int, help="images at most")
    parser.add_argument("--slow-judged", type=int, default=1000, help="images at most for int16x8")
    parser.add_argument("--seconds", type=float, default=3.0, help="of timing for each file")
    given = parser.parse_args()
    training = (open_images(given.data) if given.unlabelled else training_splits(given.data))[0]
    test = open_images(given.data)[1] if given.unlabelled else judged_split(given.data, "test")
    with TemporaryDirectory() as folder:
        table(given, training, test, Path(folder))


def table(given: argparse.Namespace, training: Any, test: Any, folder: Path) -> None:
    base = folder / "base"
    # Whatever it loses, the first file is taken: no remedy but those that are named.
    words = {"data": given.data, "unlabelled": given.unlabelled, "judged": 16, "max_drop": 100.0}
    convert(given.run, schemes=["float32"], data=given.data, unlabelled=given.unlabelled, out=base)
    source = base / "float32.tflite"
    files: dict[str, Path] = {"float32": source}
    for number, (scheme, options) in enumerate(OURS):
        name = " ".join([scheme, *(word for word in options.values() if isinstance(word, str))])
        name += " uncorrected" if options.get("corrects") is False else ""
        out = folder / f"ours{number}"
        with failing(name):
            convert(source, schemes=[scheme], out=out, samples=given.samples, **words, **options)
            files[name] = out / f"{scheme}.tflite"
    if given.qat:
        with failing("int8 QAT"):
            convert(given.qat, schemes=["int8"], out=folder / "qat", samples=given.samples, **words)
            files["int8 QAT"] = folder / "qat" / "int8.tflite"
    card = cards.read(source)
    assert card is not None
    chosen = choose(training, count=given.samples)
    content = archive.flatbuffer_bytes(source.read_bytes())

    def stream() -> Prepared:
        return Prepared(chosen, card.input)

    for name, make in (
        ("TFLiteConverter int8", lambda: by_tflite_converter(given.run, stream)),
        ("ai-edge-quantizer int8", lambda: by_ai_edge_quantizer(content, stream)),
    ):
        with failing(name), contextlib.redirect_stderr(io.StringIO()):
            made, path = make(), folder / f"{name.split()[0]}.tflite"
            path.write_bytes(made)
            cards.attach(path, with_outputs(made, card))
            files[name] = path
    timed = dict(
        zip(
            files,
            bench_models(
                list(files.values()),
                images=[sample.read() for sample in islice(test.samples, 32)],
                seconds=given.seconds,
                record=False,
            ),
            strict=True,
        )
    )
    print(f"{card.name}, {given.data} {test.split}, {given.samples} calibration images, 1 thread")
    print("| file | images | accuracy % (95 %) | agreement % | SNR dB | ties | bytes | p50 ms | p90 ms |")
    print("|---|---|---|---|---|---|---|---|---|")
    references: dict[int | None, Reference] = {}
    for name, path in files.items():
        most = given.slow_judged if name.startswith("int16x8") else given.judged
        with load(source, threads=2) as floating, load(path, threads=2) as made:
            if most not in references:
                references[most] = Reference.of(floating, test, most=most)
            verdict = judge(references[most], made, NO_LIMIT)
        images = verdict.data.images
        low, high = wilson(round(verdict.accuracy * images), images)
        right = (
            f"{100 * verdict.accuracy:.2f} ({100 * low:.2f}-{100 * high:.2f})"
            if verdict.is_labelled
            else f"loses {verdict.drop:.2f} expected"
        )
        ratio = verdict.signal.snr_db
        invoke = timed[name][0].latency_ms["invoke"]
        size = len(archive.flatbuffer_bytes(path.read_bytes()))
        print(
            f"| {name} | {images} | {right} | {100 * verdict.agreement.share:.2f} | "
            f"{f'{ratio:.1f}' if isfinite(ratio) else '-'} | {verdict.signal.ties} | {size:,} | "
            f"{invoke.p50:.3f} | {invoke.p90:.3f} |",
            flush=True,
        )


@contextlib.contextmanager
def failing(name: str) -> Any:
    """A file that cannot be made is a line of the table's foot, not its end."""
    try:
        yield
    except EdgecnnError as error:
        print(f"{name}: {error}", flush=True)


if __name__ == "__main__":
    main()
