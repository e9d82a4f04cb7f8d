"""A functional Keras model, call by call: who made a tensor, who reads it, and the same model made anew.

Knows how Keras 2 keeps a model's calls. What is to be changed in a model, its neighbours know.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from edgecnn.errors import TrainingError
from edgecnn.zoo.keras import keras

Tensor: TypeAlias = Any
"""A Keras tensor; Keras ships no types."""


@dataclass(frozen=True, eq=False)
class Call:
    """One use of a layer.

    Attributes:
        layer: the keras layer.
        inputs: the tensors it was given; () for the model's input.
        output: what it made.
        before: the calls that made `inputs`, in their order.
        readers: layers that read `output`; the model's own outputs count as one reader each.
    """

    layer: Any
    inputs: tuple[Tensor, ...]
    output: Tensor
    before: tuple["Call", ...]
    readers: int

    @property
    def name(self) -> str:
        """The layer's name, which is the call's: no layer is called twice."""
        return str(self.layer.name)


def calls(model: Any) -> list[Call]:
    """The calls of a model in the order they run, each after those whose tensors it reads.

    Raises:
        TrainingError: a subclassed model, models inside the model, a layer that is called twice or that is
            not simply given tensors; names the layer and says what to do.
    """
    depths = getattr(model, "_nodes_by_depth", None)
    if not depths:
        raise TrainingError(
            f"the model {model.name!r} is a subclass of keras.Model, whose layers cannot be seen. Build it "
            "with the functional interface: keras.Model(inputs, outputs)."
        )
    nodes = [node for depth in sorted(depths, reverse=True) for node in depths[depth]]
    readers = Counter(id(tensor) for node in nodes for tensor in node.keras_inputs)
    readers.update(id(tensor) for tensor in model.outputs)
    found: dict[int, Call] = {}
    seen: set[str] = set()
    for node in nodes:
        layer, given = node.layer, tuple(node.keras_inputs)
        if reason := _refusal(node, seen):
            raise TrainingError(f"layer {layer.name!r} ({type(layer).__name__}) {reason}")
        seen.add(layer.name)
        before = tuple(found[id(tensor)] for tensor in given)
        found[id(node.outputs)] = Call(layer, given, node.outputs, before, readers[id(node.outputs)])
    return list(found.values())


def rewrite(model: Any, make: Callable[[Call, Sequence[Tensor]], Tensor]) -> Any:
    """Make a model anew.

    Args:
        model: a functional model; stays as it is.
        make: (call, the new tensors in place of its inputs) -> the new tensor in place of its output. Of the
            model's input: (call, (new input,)).

    Returns:
        A keras.Model of the new tensors, with the same name and the same names of inputs.

    Raises:
        TrainingError: see `calls`.
    """
    made: dict[int, Tensor] = {}
    inputs: dict[int, Tensor] = {}
    for call in calls(model):
        given = [made[id(tensor)] for tensor in call.inputs]
        if isinstance(call.layer, keras.layers.InputLayer):
            given = [keras.Input(tuple(call.output.shape[1:]), name=call.name)]
            inputs[id(call.output)] = given[0]
        made[id(call.output)] = make(call, given)
    return keras.Model(
        [inputs[id(tensor)] for tensor in model.inputs],
        [made[id(tensor)] for tensor in model.outputs],
        name=model.name,
    )


def anew(model: Any) -> Any:
    """The same network once more, with any weights; its layers compute in the precision that holds now."""
    policy = keras.mixed_precision.global_policy().name
    return keras.models.clone_model(model, clone_function=lambda layer: copied(layer, dtype=policy))


def copied(layer: Any, **changes: Any) -> Any:
    """A layer of the same kind and settings without weights yet, but for `changes` of its config."""
    return type(layer).from_config({**layer.get_config(), **changes})


def applied(layer: Any, given: Sequence[Tensor]) -> Tensor:
    """The layer called with one tensor, or with the list of several."""
    return layer(given[0] if len(given) == 1 else list(given))


def _refusal(node: Any, seen: set[str]) -> str | None:
    if isinstance(node.layer, keras.Model):
        return "is a model inside the model. Call its layers one by one instead."
    if node.layer.name in seen:
        return "is called twice. Give each call a layer of its own."
    plain = len(node.call_args) == 1 and set(node.call_kwargs) <= {"training", "mask"}
    if isinstance(node.layer, keras.layers.InputLayer):
        return None
    if not plain or isinstance(node.outputs, list | tuple):
        return "does not simply make one tensor of others. Use a standard layer, such as Rescaling or Add."
    return None
