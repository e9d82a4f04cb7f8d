"""A tiny model that says which colour an image is mostly, a run of a small network, images for both."""

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
COLOURS = {"red": (0, 0, 200), "green": (0, 200, 0), "blue": (200, 0, 0)}


@pytest.fixture
def colours_model(tmp_path) -> Path:
    """A copy of the golden model with its card."""
    return Path(shutil.copy(GOLDEN / "colours.tflite", tmp_path / "colours.tflite"))


@pytest.fixture
def colours_data(tmp_path) -> Path:
    """A data set for it: test/<colour>/<number>.png, four images each, one of the blue ones wrong."""
    random = np.random.default_rng(1)
    for label, bgr in COLOURS.items():
        folder = tmp_path / "data" / "test" / label
        folder.mkdir(parents=True)
        for number in range(4):
            shown = COLOURS["red"] if (label, number) == ("blue", 3) else bgr
            image = np.clip(np.array(shown) + random.integers(0, 40, (20, 24, 3)), 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"{number}.png"), image)
    return tmp_path / "data"


def assemble(
    tensors: dict[str, tuple[Any, ...]],
    operators: list[tuple[Any, ...]],
    inputs: list[str],
    outputs: list[str],
    *,
    signature: dict[str, str] | None = None,
) -> bytes:
    """A `.tflite` file from its parts.

    Args:
        tensors: name to (shape, dtype) or (shape, dtype, values) or (shape, dtype, None, scale, zero point).
        operators: (kind, names of inputs, names of outputs) and, where it has some, its options as a schema
            object; of a custom operator (a name the schema does not have) its options as bytes.
        inputs: names of the graph's inputs.
        outputs: names of the graph's outputs.
        signature: name of an output in the signature to its tensor.
    """
    model = schema.ModelT(version=3, operatorCodes=[], buffers=[schema.BufferT()], description="assembled")
    graph = schema.SubGraphT(tensors=[], operators=[], name="main")
    place = {name: number for number, name in enumerate(tensors)}
    for name, (shape, dtype, *rest) in tensors.items():
        made = schema.TensorT(name=name, shape=list(shape), type=getattr(schema.TensorType, dtype.upper()))
        made.buffer = 0
        if rest and rest[0] is not None:
            values = np.broadcast_to(np.asarray(rest[0], dtype), shape)
            model.buffers.append(schema.BufferT(data=np.frombuffer(values.tobytes(), np.uint8)))
            made.buffer = len(model.buffers) - 1
        if len(rest) > 1:
            made.quantization = schema.QuantizationParametersT(scale=[rest[1]], zeroPoint=[rest[2]])
        graph.tensors.append(made)
    for kind, reads, makes, *options in operators:
        number = getattr(schema.BuiltinOperator, kind, schema.BuiltinOperator.CUSTOM)
        code = schema.OperatorCodeT(builtinCode=number, deprecatedBuiltinCode=min(number, 127), version=1)
        operator = schema.OperatorT(opcodeIndex=len(model.operatorCodes))
        if number == schema.BuiltinOperator.CUSTOM:
            code.customCode = kind
            operator.customOptions = list(options[0])
        elif options:
            operator.builtinOptions = options[0]
            kind_of_options = type(options[0]).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind_of_options)
        model.operatorCodes.append(code)
        operator.inputs = [place[name] for name in reads]
        operator.outputs = [place[name] for name in makes]
        graph.operators.append(operator)
    graph.inputs, graph.outputs = [place[name] for name in inputs], [place[name] for name in outputs]
    model.subgraphs = [graph]
    if signature:
        named = [schema.TensorMapT(name=name, tensorIndex=place[at]) for name, at in signature.items()]
        first = [schema.TensorMapT(name="image", tensorIndex=graph.inputs[0])]
        model.signatureDefs = [schema.SignatureDefT(inputs=first, outputs=named, signatureKey="serve")]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.fixture(scope="session", name="assemble")
def assemble_() -> Callable[..., bytes]:
    """`assemble`, the maker of small files."""
    return assemble


@pytest.fixture
def detector_file(tmp_path) -> Callable[..., Path]:
    """Write a detector of 2 x 2 anchors that ends in TFLite_Detection_PostProcess, and give its path.

    Anchor k lies in quarter k of the image, left to right, then down. The image says nothing: what is found
    are the constants `scores`, (4, classes).
    """

    def write(
        scores,
        *,
        order=("boxes", "classes", "scores", "count"),
        shapes=True,
        between=None,
        signature=None,
        names=None,
        name="ssd.tflite",
        **settings,
    ) -> Path:
        scores = np.asarray(scores, np.float32)
        classes = scores.shape[1]
        words = {
            "max_detections": 4, "max_classes_per_detection": 1, "nms_score_threshold": 0.01,
            "nms_iou_threshold": 0.5, "num_classes": classes, "x_scale": 10.0, "y_scale": 10.0,
            "w_scale": 5.0, "h_scale": 5.0, **settings,
        }  # fmt: skip
        shape_of = {"boxes": (1, 4, 4), "classes": (1, 4), "scores": (1, 4), "count": (1,)}
        made = {role: (shape if shapes else (), "float32") for role, shape in shape_of.items()}
        tensors = {
            "image": ((1, 8, 8, 3), "uint8"),
            "floats": ((1, 8, 8, 3), "float32"),
            "axes": ((3,), "int32", [1, 2, 3]),
            "sum": ((1, 1, 1, 1), "float32"),
            "nothing": ((1, 1, 1), "float32"),
            "to": ((3,), "int32", [1, 1, 1]),
            "zero": ((1, 1, 1), "float32", [[[0.0]]]),
            "none": ((1, 1, 1), "float32"),
            "codes": ((1, 4, 4), "float32", np.zeros((1, 4, 4))),
            "encodings": ((1, 4, 4), "float32"),
            "likely": ((1, 4, classes), "float32", scores[None]),
            "anchors": (
                (4, 4),
                "float32",
                [
                    [0.25, 0.25, 0.5, 0.5],
                    [0.25, 0.75, 0.5, 0.5],
                    [0.75, 0.25, 0.5, 0.5],
                    [0.75, 0.75, 0.5, 0.5],
                ],
            ),
            **made,
        }
        operators = [
            ("CAST", ["image"], ["floats"]),
            ("MEAN", ["floats", "axes"], ["sum"], schema.ReducerOptionsT(keepDims=True)),
            ("RESHAPE", ["sum", "to"], ["nothing"]),
            ("MUL", ["nothing", "zero"], ["none"], schema.MulOptionsT()),
            ("ADD", ["codes", "none"], ["encodings"], schema.AddOptionsT()),
            (
                "TFLite_Detection_PostProcess",
                ["encodings", "likely", "anchors"],
                ["boxes", "classes", "scores", "count"],
                flexbuffers.Dumps(words),
            ),
        ]
        outputs = list(order)
        if between == "add one":
            tensors |= {"one": ((1,), "float32", [1.0]), "numbered": ((1, 4), "float32")}
            operators.append(("ADD", ["classes", "one"], ["numbered"], schema.AddOptionsT()))
            outputs[outputs.index("classes")] = "numbered"
        if between == "reshape":
            tensors |= {"flat": ((1,), "int32", [4]), "listed": ((4,), "float32")}
            tensors |= {"back": ((2,), "int32", [1, 4]), "again": ((1, 4), "float32")}
            operators += [
                ("RESHAPE", ["scores", "flat"], ["listed"]),
                ("RESHAPE", ["listed", "back"], ["again"]),
            ]
            outputs[outputs.index("scores")] = "again"
        if between == "halve":  # each output becomes something else: neither the operator nor names help
            tensors |= {"half": ((1,), "float32", [1.0])}
            for number, role in enumerate(order):
                tensors[f"o{number}"] = (shape_of[role], "float32")
                operators.append(("MUL", [role, "half"], [f"o{number}"], schema.MulOptionsT()))
            outputs = [f"o{number}" for number in range(len(order))]
        for old, new in (names or {}).items():
            tensors = {new if key == old else key: value for key, value in tensors.items()}
            outputs = [new if key == old else key for key in outputs]
            operators = [
                (kind, reads, [new if key == old else key for key in makes], *rest)
                for kind, reads, makes, *rest in operators
            ]
        path = tmp_path / name
        path.write_bytes(assemble(tensors, operators, ["image"], outputs, signature=signature))
        return path

    return write


@pytest.fixture(scope="session")
def stand_in_delegate(tmp_path_factory) -> str:
    """The path of the delegate that benchmarks/stand_in_delegate.py builds; skips without a C compiler."""
    path = Path(__file__).parents[2] / "benchmarks" / "stand_in_delegate.py"
    spec = importlib.util.spec_from_file_location("stand_in_delegate", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if module.compiler() is None:
        pytest.skip("no C compiler to build the stand-in delegate with")
    return str(module.build_delegate(tmp_path_factory.mktemp("delegate")))


@pytest.fixture(scope="session")
def tiny_backbone() -> Iterator[str]:
    """The name of a network that passes through strides 2 to 32 in five convolutions, traced in a moment."""
    from edgecnn.card import InputSpec
    from edgecnn.zoo import ZOO, Network
    from edgecnn.zoo.keras import keras

    layers, module = keras.layers, ModuleType("tiny_backbone")

    def features(name: str, images: Any, width: float) -> dict[int, Any]:
        x, maps = images, {}
        for stride, filters in ((2, 8), (4, 16), (8, 24), (16, 32), (32, 48)):
            x = layers.Conv2D(
                max(4, round(filters * width)),
                3,
                strides=2,
                padding="same",
                use_bias=False,
                name=f"stem{stride}",
            )(x)
            x = layers.BatchNormalization(name=f"stem{stride}_norm")(x)
            maps[stride] = x = layers.ReLU(6.0, name=f"stem{stride}_relu6")(x)
        return maps

    def classifier(name: str, x: Any, classes: int, width: float) -> Any:
        return layers.Dense(classes, name="logits")(layers.GlobalAveragePooling2D(name="pool")(x))

    module.features, module.classifier = features, classifier
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "tiny_backbone", module)
        spec = InputSpec(64, 64, mean=(127.5,), std=(127.5,))
        network = Network("tiny_backbone", "tiny_backbone", "for tests", spec, "none", smallest=32)
        patch.setitem(ZOO, "tiny_backbone", network)
        yield "tiny_backbone"


TINTS = ("blue", "green", "red")


def tint(label_id, random):
    """A smooth picture (24, 26, 3) uint8 with more of one colour than of the others, more or less."""
    coarse = random.uniform(30, 130, (4, 4, 3))
    coarse[..., label_id] += random.uniform(50, 100)
    picture = cv2.resize(coarse, (26, 24), interpolation=cv2.INTER_CUBIC)
    return (picture + random.normal(0, 3, picture.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def tints(tmp_path_factory) -> Path:
    """A data set: <split>/<label>/<number>.png, 24 to train with and 80 to validate on, of each label."""
    folder = tmp_path_factory.mktemp("data") / "tints"
    random = np.random.default_rng(5)
    for split, count in (("train", 24), ("val", 80)):
        for label_id, label in enumerate(TINTS):
            place = folder / split / label
            place.mkdir(parents=True)
            for number in range(count):
                cv2.imwrite(str(place / f"{number}.png"), tint(label_id, random))
    return folder


@pytest.fixture(scope="session")
def _tints_run(tints, tmp_path_factory) -> Path:
    from edgecnn.card import Card, InputSpec
    from edgecnn.data import training_splits
    from edgecnn.evaluation import evaluate
    from edgecnn.image import lookup, prepare
    from edgecnn.keras import keras
    from edgecnn.runs import Run, write_card
    from edgecnn.training.recipe import Recipe, to_json

    keras.utils.set_random_seed(7)
    layers, spec = keras.layers, InputSpec(16, 16, mean=(127.5,), std=(127.5,))
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(8, 3, 2, "same", use_bias=False)(image)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.8)(x))
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.Add()([x, layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.8)(y))])
    model = keras.Model(image, layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D()(x)))
    train, val = training_splits(tints)
    table = lookup(spec, np.float32)
    images = np.concatenate([prepare(sample.read(), table, spec)[0] for sample in train.samples])
    truths = np.array([sample.truth.label_id for sample in train.samples])
    model.compile(keras.optimizers.Adam(1e-2), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, truths, batch_size=16, epochs=40, verbose=0)
    run = Run(tmp_path_factory.mktemp("runs") / "tints")
    run.path.mkdir()
    model.save(run.model, save_format="keras")
    run.recipe.write_text(to_json(Recipe("resnet8", spec, epochs=40, batch=16)))
    card = Card(
        "tints", "classification", spec, TINTS, options={"scores": "logits"}, lineage=("train tints",)
    )
    write_card(run, card)
    from converters.convert import convert
    from edgecnn.runtime.model import load

    (one,) = convert(run.path, schemes=["float32"])
    with load(one.path) as loaded:
        found = evaluate(loaded.map, val)
    run.training.write_text(json.dumps({"per_class": found.metrics.per_class()}))
    assert found.metrics.top1 == 1
    return run.path


@pytest.fixture
def tints_run(_tints_run, tmp_path) -> Path:
    """The run, the test's own: what training leaves, its record of validation too, and float32.tflite."""
    return Path(shutil.copytree(_tints_run, tmp_path / "tints"))
