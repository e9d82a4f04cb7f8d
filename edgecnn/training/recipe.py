"""How a network is learned: every setting in one value, and the only place that has defaults.

A recipe together with a data set determines the weights: the same two give the same network.
"""

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, TypeAlias, get_args

from edgecnn import zoo
from edgecnn.card import InputSpec
from edgecnn.data.augment import Augment
from edgecnn.data.dataset import Dataset
from edgecnn.errors import CardError, DataError, TrainingError
from edgecnn.training.input_size import classifier_input, detector_input

Optimizer: TypeAlias = Literal["sgd", "adam"]
Precision: TypeAlias = Literal["float32", "bfloat16"]

_WITHOUT_NORMALIZATION = ("lecture", "vgg16")


@dataclass(frozen=True)
class Recipe:
    """How a network is learned.

    Attributes:
        model: a key of `edgecnn.zoo.ZOO`.
        input: size of the network's input, and how an image becomes it; goes into the card as it is.
        task: what is learned: a key of `edgecnn.heads.HEADS`.
        design: how: one of `edgecnn.heads.designs`; "" is the task's usual one.
        width: multiplies the number of filters.
        pretrained: "" for fresh weights, "imagenet" for the published ones, else the path of a weight file.
        frozen: layers before the network has shrunk its images by more than this stay as they came, weights
            and running statistics; 0 freezes none. It saves the dearest third of a step, and what the first
            layers of a pretrained network look for, edges and colours, is much the same everywhere.
        epochs: how often the network is judged; each time after `repeats` passes over the training images.
        repeats: more than 1 where the images are few, and judging would take as long as learning.
        batch: images in a step, over all processors.
        optimizer: "sgd" (Nesterov momentum 0.9) or "adam".
        rate: highest learning rate; it falls along half a cosine to 0.
        warmup_epochs: time that the rate takes to rise from 0; may be a fraction.
        weight_decay: each step shrinks all kernels by rate * weight_decay (Loshchilov & Hutter, 2019).
        label_smoothing: share of each target that is spread over all classes, in [0, 1).
        ema: the network that is judged and kept is a running mean of those after each step; this is the share
            that the mean keeps of itself (Polyak & Juditsky, 1992). 0 keeps the last one.
        augment: how training images are varied.
        calm: the share of the epochs, the last ones, without mosaics: what the network sees then is what it
            will see in use (Ge et al., 2021, YOLOX, arXiv 2107.08430).
        precision: "bfloat16" computes in mixed precision: faster where the processor has it (AMX, GPUs), and
            slower on processors where channels are no multiples of 16.
        seed: of weights, order, augmentation and dropout.
    """

    model: str
    input: InputSpec
    task: str = "classification"
    design: str = ""
    width: float = 1.0
    pretrained: str = ""
    frozen: int = 0
    epochs: int = 60
    repeats: int = 1
    batch: int = 128
    optimizer: Optimizer = "sgd"
    rate: float = 0.2
    warmup_epochs: float = 2.0
    weight_decay: float = 5e-3
    label_smoothing: float = 0.05
    ema: float = 0.0
    augment: Augment = field(default_factory=Augment)
    calm: float = 0.0
    precision: Precision = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("model", "pretrained", "task", "design"):
            if not isinstance(getattr(self, name), str):
                raise TrainingError(f"{name} must be text, not {getattr(self, name)!r}")
        for name, lowest in (("epochs", 1), ("repeats", 1), ("batch", 1), ("seed", 0), ("frozen", 0)):
            value = getattr(self, name)
            if type(value) is not int or value < lowest:
                raise TrainingError(f"{name} must be a whole number of at least {lowest}, not {value!r}")
        for name, high in (
            ("rate", 100.0),
            ("warmup_epochs", 1e6),
            ("weight_decay", 10.0),
            ("label_smoothing", 0.99),
            ("ema", 0.99999),
            ("calm", 1.0),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= high:
                raise TrainingError(f"{name} must be a number in 0..{high:g}, not {value!r}")
        if not self.rate > 0:
            raise TrainingError("rate must be greater than 0, or nothing is learned")
        if self.frozen and not self.pretrained:
            raise TrainingError(
                "frozen keeps layers as they came, and without pretrained they come at random"
            )
        for name, allowed in (("optimizer", Optimizer), ("precision", Precision)):
            if getattr(self, name) not in get_args(allowed):
                choices = " or ".join(get_args(allowed))
                raise TrainingError(f"{name} must be {choices}, not {getattr(self, name)!r}")


def default(
    model: str,
    dataset: Dataset,
    *,
    size_wh: tuple[int, int] | None = None,
    pretrained: str = "",
    **chosen: Any,
) -> Recipe:
    """A recipe that suits the network, the size of the images and their number.

    Args:
        model: a key of `edgecnn.zoo.ZOO`.
        dataset: the training images; a few are read to see their size. Its task is what will be learned.
        size_wh: width and height of the network's input; None takes the images' own size, at most the size
            that the network was published with; of a detector, at most `input_size.DETECTOR_SIDE`.
        pretrained: see `Recipe`.
        chosen: fields of `Recipe` or `InputSpec` that shall not be the default; None keeps the default.

    Raises:
        TrainingError: an unknown network or field, or a value that cannot be.
        DataError: the images that are looked at cannot be read.
    """
    network = zoo.find(model)
    given = {name: value for name, value in chosen.items() if value is not None}
    of_input = {f.name for f in fields(InputSpec)} - {"height", "width"}
    _known(given, {f.name for f in fields(Recipe)} - {"model", "pretrained"} | of_input, "a recipe")
    detects = dataset.task == "detection"
    chosen_input = detector_input if detects else classifier_input
    spec = given.pop("input", None) or chosen_input(network, dataset, size_wh, pretrained)
    spec = replace(spec, **{name: given.pop(name) for name in of_input & given.keys()})
    batch = given.pop("batch", None) or (
        _detector_batch(len(dataset)) if detects else _batch(min(spec.height, spec.width), len(dataset))
    )
    suited = _fine_tuning(batch, len(dataset)) if pretrained else _from_scratch(model, batch, len(dataset))
    settings = {"augment": Augment.for_size(spec.height, spec.width), "task": dataset.task, **suited}
    if detects:
        settings |= _detection(spec, batch, len(dataset), pretrained)
    settings |= given
    settings.setdefault("warmup_epochs", min(2.0, settings["epochs"] / 20))
    return Recipe(model=model, input=spec, pretrained=pretrained, batch=batch, **settings)


def to_json(recipe: Recipe) -> str:
    """The recipe as JSON text."""
    return json.dumps(asdict(recipe), indent=1) + "\n"


def from_json(text: str, where: str) -> Recipe:
    """Read a recipe from JSON text.

    Args:
        text: what `to_json` wrote, or a person; fields that are absent take their defaults.
        where: named in errors, such as the file's path.

    Raises:
        TrainingError: not JSON, an unknown field, a value that cannot be.
    """
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TrainingError(f"{where}: the recipe is not JSON ({error})") from None
    try:
        body = _object(raw, Recipe, "a recipe")
        spec = _object(body.get("input"), InputSpec, "input")
        body["input"] = InputSpec(**spec)
        if "augment" in body:
            body["augment"] = _augment(_object(body["augment"], Augment, "augment"))
        return Recipe(**body)
    except (TypeError, ValueError, CardError, DataError, TrainingError) as error:
        raise TrainingError(f"{where}: {error}") from None


def differences(before: Recipe, now: Recipe) -> list[str]:
    """What differs, as "field (was → is)"."""
    old, new = asdict(before), asdict(now)
    return [f"{name} ({old[name]} → {new[name]})" for name in old if old[name] != new[name]]


def _from_scratch(model: str, batch: int, count: int) -> dict[str, Any]:
    # On CIFAR-10, ResNet-8 did better at 0.2 than at 0.1; MobileNet V2 begins by diverging at that rate.
    peak = 0.2 if model == "resnet8" else 0.1
    suited: dict[str, Any] = {
        "epochs": _between(2_900_000 / max(1, count), 20, 200),
        "rate": peak * batch / 128,
    }
    if model in _WITHOUT_NORMALIZATION:
        suited |= {"optimizer": "adam", "rate": 5e-4 * math.sqrt(batch / 128), "weight_decay": 0.01}
    return suited


def _fine_tuning(batch: int, count: int) -> dict[str, Any]:
    return {
        "epochs": _between(200_000 / max(1, count), 8, 30),
        "optimizer": "adam",
        "rate": 5e-4 * math.sqrt(batch / 64),
        "weight_decay": 0.02,
        "label_smoothing": 0.1,
    }


def _detection(spec: InputSpec, batch: int, count: int, pretrained: str) -> dict[str, Any]:
    """One recipe for both starts; a pretrained backbone needs a third of the steps."""
    repeats = _between(800 / max(1, count), 1, 50)  # 100 steps of the usual batch of 8 between two judgings
    steps = 6_000 if pretrained else 18_000
    return {
        "augment": Augment.for_boxes(spec.height, spec.width),
        "calm": 0.15,
        "frozen": 4 if pretrained else 0,
        "repeats": repeats,
        "epochs": _between(steps * batch / max(1, count) / repeats, 5, 100),
        "optimizer": "adam",
        "rate": 1.5e-3 * math.sqrt(batch / 8),
        "weight_decay": 0.02,
        "label_smoothing": 0.0,
        "ema": 0.998,
    }


def _detector_batch(count: int) -> int:
    return min(8, 2 ** int(math.log2(max(2, count / 10))))


def _object(raw: Any, kind: type, what: str) -> dict[str, Any]:
    if not isinstance(raw, Mapping):
        raise TrainingError(f"{what} must be a JSON object, not {type(raw).__name__}")
    _known(raw, {f.name for f in fields(kind)}, what)
    return dict(raw)


def _augment(body: dict[str, Any]) -> Augment:
    try:
        return Augment(**body)
    except (TypeError, ValueError) as error:
        raise TrainingError(f"augment holds a value of the wrong kind ({error})") from None


def _known(given: Mapping[str, Any], known: set[str], what: str) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(sorted(known))}."
            raise TrainingError(f"{what} has no field {name!r}. {hint}")


def _batch(side: int, count: int) -> int:
    """A power of two: smaller for large images (memory), and small enough for 100 steps in an epoch."""
    largest = 128 if side <= 64 else 64 if side <= 128 else 32
    fitting = 2 ** int(math.log2(max(8, count / 100)))
    return min(largest, fitting)


def _between(value: float, low: int, high: int) -> int:
    return min(high, max(low, round(value)))
