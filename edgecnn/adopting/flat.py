"""A stranger's network, of Keras 2 or 3, as one flat functional model of Keras 2 with the same answers.

Models inside models are laid open, every call gets a layer of its own, sums become Add layers, what only
training used (random augmentation) is left out, and the softmax at the end comes off. Keras 3 keeps its calls
as Keras 2 does, under other names; here is the only place that knows both.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from inspect import Parameter, signature
from typing import Any, Final, TypeAlias

import numpy as np

from edgecnn.errors import ConversionError
from edgecnn.zoo.keras import keras, tf

Tensor: TypeAlias = Any
"""A Keras tensor."""

Made: TypeAlias = Mapping[int, Tensor]
"""The new tensor for each old one, by the old one's id."""

Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]
"""Of a call: by place, by name."""

TOLERANCE: Final = 1e-4
"""What the new network's scores may differ by, as a share of the largest: float32 summed in another order."""

_SUMS: Final = ("math.add", "__operators__.add")
_RECTIFIERS: Final[Mapping[str, float | None]] = {"nn.relu": None, "nn.relu6": 6.0}
_ONLY_FOR_TRAINING: Final = ("_initializer", "_regularizer", "_constraint")


def flat(model: Any, shape: tuple[int, int, int], *, name: str) -> tuple[Any, tuple[str, ...]]:
    """Make a network anew.

    Args:
        model: a functional or sequential model of Keras 2 or 3 with one input and one output.
        shape: height, width and channels of the image; they may be open in the model.
        name: what to call it in errors.

    Returns:
        The new model, and what is different in it, one line each.

    Raises:
        ConversionError: a layer that Keras 2 does not have, one with weights that is called twice, an end
            that is no softmax, or other answers than the model's; names the layer.
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ConversionError(f"{name}: has {len(model.inputs)} inputs and {len(model.outputs)} outputs; "
                              "a classifier has one of each.")  # fmt: skip
    maker = _Maker(name)
    image = keras.Input(shape, name="image")
    (scores,) = maker.lay_open(model, [image])
    made = keras.Model(image, scores, name=str(model.name).replace("/", "_"))
    for own, theirs in maker.pairs:
        own.set_weights(theirs.get_weights())
    _check(model, made, shape, name)
    logits, said = _without_softmax(made, name)
    return logits, (*maker.left_out, *said)


class _Maker:
    """Calls the layers of models anew, and remembers which new layer gets whose weights."""

    def __init__(self, name: str) -> None:
        self.pairs: list[tuple[Any, Any]] = []
        self.left_out: list[str] = []
        self._name = name
        self._taken = {"image"}
        self._weighted: set[int] = set()

    def lay_open(self, model: Any, given: Sequence[Tensor]) -> list[Tensor]:
        """The model's outputs, made of these inputs."""
        model = getattr(model, "_functional", None) or model  # of a sequential model of Keras 3
        if not getattr(model, "_nodes_by_depth", None):
            raise ConversionError(
                f"{self._name}: {model.name!r} is a subclass of keras.Model, whose layers cannot be seen. "
                "Build it with the functional interface: keras.Model(inputs, outputs)."
            )
        made = {id(tensor): new for tensor, new in zip(_listed(model.inputs), given, strict=True)}
        for layer, outputs, mapped in _calls(model):
            if all(id(tensor) in made for tensor in outputs):
                continue  # an input
            args, kwargs = mapped(made)
            new = self._called(layer, args, {key: one for key, one in kwargs.items() if one is not None})
            made.update({id(old): one for old, one in zip(outputs, _listed(new), strict=True)})
        return [made[id(tensor)] for tensor in _listed(model.outputs)]

    def _called(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        kind = type(layer).__name__
        if hasattr(layer, "_nodes_by_depth") or hasattr(layer, "_functional"):
            return _alone(self.lay_open(layer, _listed(args[0])))
        if kind.startswith("Random") and kind != "RandomFourierFeatures":
            self.left_out.append(f"left out {layer.name}, which does nothing outside training")
            return args[0]
        simple = self._simple(layer, args, kwargs)
        if simple is not None:
            return simple
        if layer.weights and id(layer) in self._weighted:
            raise ConversionError(
                f"{self._name}: layer {layer.name!r} is called twice with the same weights, which training "
                "here would take apart. Give each call a layer of its own."
            )
        self._weighted.add(id(layer))
        new = self._anew(layer)
        kwargs.pop("training", None)
        result = new(*args, **kwargs)
        if layer.weights:
            self.pairs.append((new, layer))
        return result

    def _simple(self, layer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The standard layer for a TensorFlow function that Keras 2 keeps as a layer; None for all others."""
        function = str(layer.symbol) if type(layer).__name__ == "TFOpLambda" else ""
        terms = [one for one in (*args, *kwargs.values()) if _is_symbolic(one)]
        if function in _SUMS and len(terms) == 2 and terms[0].shape == terms[1].shape:
            return keras.layers.Add(name=self._free(str(layer.name).rpartition(".")[2]))(terms)
        if function in _RECTIFIERS and len(args) == 1 and not set(kwargs) - {"name"}:
            return keras.layers.ReLU(_RECTIFIERS[function], name=self._free("relu"))(args[0])
        return None

    def _anew(self, layer: Any) -> Any:
        """The layer of Keras 2 with the same settings and no weights yet."""
        kind = type(layer)
        own = kind if isinstance(layer, keras.layers.Layer) else getattr(keras.layers, kind.__name__, None)
        if own is None:
            raise ConversionError(
                f"{self._name}: layer {layer.name!r} is a {kind.__name__}, which Keras 2 does not have. "
                "Replace it by standard layers."
            )
        config = {**layer.get_config(), "name": self._free(str(layer.name)), "dtype": "float32"}
        if own is not kind:
            known = signature(own.__init__).parameters
            named = {key for key, one in known.items() if one.kind is not Parameter.VAR_KEYWORD}
            config = {
                key: value
                for key, value in config.items()
                if key in named | {"name", "trainable", "dtype"} and not key.endswith(_ONLY_FOR_TRAINING)
            }
        config["trainable"] = True
        try:
            return own.from_config(config)
        except (TypeError, ValueError, KeyError) as error:
            raise ConversionError(
                f"{self._name}: layer {layer.name!r} ({kind.__name__}) cannot be made in Keras 2: "
                f"{' '.join(str(error).split())[:200]}"
            ) from None

    def _free(self, wanted: str) -> str:
        """A name that no layer has yet."""
        wanted = wanted.replace("/", "_")
        name, number = wanted, 1
        while name in self._taken:
            name, number = f"{wanted}_{number}", number + 1
        self._taken.add(name)
        return name


def _calls(model: Any) -> Iterator[tuple[Any, list[Tensor], Callable[[Made], Arguments]]]:
    """Each call of a model: the layer, what it made, and its arguments with other tensors in their place."""
    depths = model._nodes_by_depth
    for node in (node for depth in sorted(depths, reverse=True) for node in depths[depth]):
        if hasattr(node, "operation"):  # Keras 3
            yield node.operation, list(node.outputs), node.arguments.fill_in
        else:
            yield node.layer, _listed(node.outputs), partial(_filled_in, node)


def _filled_in(node: Any, made: Made) -> Arguments:
    """The arguments of a call of Keras 2, with the tensors of `made`."""

    def other(value: Any) -> Any:
        return made[id(value)] if _is_symbolic(value) else value

    args, kwargs = tf.nest.map_structure(other, (node.call_args, node.call_kwargs))
    return tuple(args), dict(kwargs)


def _is_symbolic(value: Any) -> bool:
    return hasattr(value, "_keras_history")


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _alone(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _check(model: Any, made: Any, shape: tuple[int, int, int], name: str) -> None:
    """Refuse a network whose answers are not the model's."""
    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (2, *shape)).astype(np.float32)
    for scale in (1.0, 127.0):  # networks that normalize within take pixels
        wanted, found = (np.asarray(one(images * scale, training=False), np.float64) for one in (model, made))
        apart = np.abs(wanted - found).max() / max(np.abs(wanted).max(), 1e-12)
        if not apart <= TOLERANCE:
            raise ConversionError(
                f"{name}: made anew in Keras 2, its scores differ by {apart:.1g} of the largest. One of its "
                "layers means something else there; replace the unusual ones by standard layers."
            )


def _without_softmax(model: Any, name: str) -> tuple[Any, tuple[str, ...]]:
    """The same classifier up to its logits."""
    last = model.layers[-1]
    end = getattr(getattr(last, "activation", None), "__name__", "linear")
    end = "softmax" if isinstance(last, keras.layers.Softmax) else end
    said = "took the softmax off the end: training wants logits"
    if end == "linear":
        return model, ()
    if end != "softmax" or getattr(last, "axis", -1) != -1:
        raise ConversionError(
            f"{name}: its last layer {last.name!r} is a {end}, but training here wants logits or a softmax "
            "over the classes. Build it with such an end."
        )
    if isinstance(last, keras.layers.Softmax | keras.layers.Activation):
        return keras.Model(model.inputs, last.input, name=model.name), (said,)
    new = type(last).from_config({**last.get_config(), "activation": "linear"})
    logits = keras.Model(model.inputs, new(last.input), name=model.name)
    new.set_weights(last.get_weights())
    return logits, (said,)
