"""Shapes that single kernels read without a look: parameters of one number, constants that give a shape."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Final

from edgecnn.graph import schema
from edgecnn.graph.safety.call import Call, Rule, Unsafe, called
from edgecnn.graph.view import Tensor

_MOST_ELEMENTS: Final = 2**31 - 1
_LONGEST_LIST: Final = 16  # two numbers for each of 8 dimensions
_LIST_TYPES: Final = frozenset({"int16", "int32", "int64"})


def one_number(*places: int) -> Rule:
    """Inputs that are one number."""

    def rule(call: Call) -> None:
        for place in places:
            tensor = call.inputs[place]
            if tensor is not None and tensor.elements != 1:
                raise Unsafe(f"{called(tensor)} of shape {tensor.shape} should be one number")

    return rule


def short_list(*places: int) -> Rule:
    """Inputs that are a list of sizes, axes or steps; kernels copy it into an array of fixed size."""

    def rule(call: Call) -> None:
        for place in places:
            tensor = call.inputs[place] if place < len(call.inputs) else None
            if tensor is not None and (tensor.elements > _LONGEST_LIST or tensor.dtype not in _LIST_TYPES):
                raise Unsafe(f"{called(tensor)}, {tensor.dtype} {tensor.shape}, is no list of sizes or axes")

    return rule


def at_most_dimensions(count: int) -> Rule:
    """Inputs of different shapes have at most so many dimensions."""

    def rule(call: Call) -> None:
        shapes = {tensor.shape for tensor in call.inputs if tensor is not None}
        if len(shapes) > 1 and max(map(len, shapes)) > count:
            raise Unsafe(f"its inputs {sorted(shapes)} have more than {count} dimensions")

    return rule


def dimensions(count: int) -> Rule:
    """The first input has so many dimensions."""

    def rule(call: Call) -> None:
        tensor = call.inputs[0]
        if tensor is not None and len(tensor.shape) != count:
            raise Unsafe(f"{called(tensor)} of shape {tensor.shape} should have {count} dimensions")

    return rule


def shaped_by(expected: Callable[[Call], Sequence[int] | None]) -> Rule:
    """Constants that decide the output's shape must decide for the one the file states."""

    def rule(call: Call) -> None:
        shape = expected(call)
        if shape is None:
            return
        if min(shape, default=0) < 0 or prod(shape) > _MOST_ELEMENTS:
            raise Unsafe(f"its inputs ask for an output of shape {tuple(shape)}")
        output = call.outputs[0]
        if output.shape and not output.is_dynamic and tuple(shape) != output.shape:
            raise Unsafe(
                f"its inputs ask for an output of shape {tuple(shape)}, but the file states {output.shape}"
            )

    return rule


def kept(call: Call) -> Sequence[int] | None:
    """A function of single numbers keeps the shape."""
    tensor = call.inputs[0]
    return None if tensor is None or _is_open(tensor) else tensor.shape


def inserted(call: Call) -> Sequence[int] | None:
    """ONE_HOT: a new axis as long as the depth."""
    indices, depth, axis = call.inputs[0], call.constant(1), call.operator.options.get("axis", 0)
    if indices is None or _is_open(indices) or depth is None or not -1 <= axis <= len(indices.shape):
        return None
    place = len(indices.shape) if axis == -1 else axis
    return [*indices.shape[:place], depth[0], *indices.shape[place:]]


def broadcast(call: Call) -> Sequence[int] | None:
    """ADD and its like: sizes agree from the last dimension on, or are 1."""
    first, second = call.inputs[:2]
    if first is None or second is None or _is_open(first) or _is_open(second):
        return None
    rank = max(len(first.shape), len(second.shape))
    padded_shapes = ((1,) * (rank - len(tensor.shape)) + tensor.shape for tensor in (first, second))
    sizes = []
    for left, right in zip(*padded_shapes, strict=True):
        if left != right and 1 not in (left, right):
            raise Unsafe(f"its inputs {first.shape} and {second.shape} do not fit each other")
        sizes.append(right if left == 1 else left)
    return sizes


def windowed(call: Call) -> Sequence[int] | None:
    """Convolution and pooling: the places a window has."""
    image, options = call.inputs[0], call.operator.options
    if image is None or len(image.shape) != 4 or _is_open(image):
        return None
    if options["padding"] not in schema.PADDINGS:
        raise Unsafe(f"its padding is {options['padding']}")
    if "filter_height" in options:
        window, channels = (options["filter_height"], options["filter_width"]), image.shape[3]
    else:
        weights = call.inputs[1]
        if weights is None or len(weights.shape) != 4:
            return None
        window = weights.shape[1], weights.shape[2]
        channels = _filters(call, image.shape[3], weights.shape)
    sizes = []
    for axis, name in ((0, "height"), (1, "width")):
        size, stride = image.shape[1 + axis], options[f"stride_{name}"]
        reach = (window[axis] - 1) * options.get(f"dilation_{name}", 1) + 1
        sizes.append(-(-size // stride) if options["padding"] == "SAME" else (size - reach) // stride + 1)
    if min(sizes) < 1:
        raise Unsafe(f"its window of {window} does not fit into {image.shape[1:3]}")
    return [image.shape[0], *sizes, channels]


def _filters(call: Call, given: int, weights: tuple[int, ...]) -> int:
    """How many channels a convolution gives; groups must share input and filters evenly."""
    if call.operator.kind == "DEPTHWISE_CONV_2D":
        if weights[0] != 1 or not given or weights[3] % given:
            raise Unsafe(f"its weights {weights} do not fit {given} channels")
        return weights[3]
    if not weights[3] or given % weights[3] or not given or weights[0] % (given // weights[3]):
        raise Unsafe(f"its weights {weights} do not fit {given} channels")
    return weights[0]


def enlarged(call: Call) -> None:
    """TRANSPOSE_CONV: the image has the size that a convolution would make of the output."""
    made, weights, image, options = call.constant(0), call.inputs[1], call.inputs[2], call.operator.options
    if made is None or weights is None or image is None or _is_open(image):
        return
    if len(made) != 4 or len(weights.shape) != 4 or len(image.shape) != 4:
        raise Unsafe(f"it turns {image.shape} into {tuple(made)} with weights {weights.shape}")
    sizes = []
    for axis, name in ((1, "height"), (2, "width")):
        stride, whole = options[f"stride_{name}"], made[axis]
        sizes.append(
            -(-(whole if options["padding"] == "SAME" else whole - weights.shape[axis] + 1) // stride)
        )
    if image.shape != (made[0], *sizes, weights.shape[3]) or made[3] != weights.shape[0]:
        raise Unsafe(f"it turns {image.shape} into {tuple(made)} with weights {weights.shape}")


def best(call: Call) -> Sequence[int] | None:
    """TOPK: so many of the last dimension."""
    count, tensor = call.constant(1), call.inputs[0]
    if count is None or tensor is None or _is_open(tensor):
        return None
    whole = tensor.shape[-1] if tensor.shape else 0
    if not 1 <= count[0] <= whole:
        raise Unsafe(f"it takes the {count[0]} best of {whole}")
    return [*tensor.shape[:-1], count[0]]


def sliced(call: Call) -> Sequence[int] | None:
    """SLICE: from where, and how many, -1 for the rest."""
    begin, size, tensor = call.constant(1), call.constant(2), call.inputs[0]
    if begin is None or size is None or tensor is None or _is_open(tensor):
        return None
    _check_lengths(tensor, begin, size)
    shape = []
    for start, count, whole in zip(begin, size, tensor.shape, strict=True):
        count = whole - start if count == -1 else count
        if not 0 <= start <= start + count <= whole:
            raise Unsafe(f"it takes {count} from {start} of a dimension of {whole}")
        shape.append(count)
    return shape


def strided(call: Call) -> Sequence[int] | None:
    """STRIDED_SLICE: as Python's [begin:end:step]; a shrunk dimension is one place, and vanishes."""
    begin, end, step = (call.constant(place) for place in (1, 2, 3))
    tensor, options = call.inputs[0], call.operator.options
    if begin is None or end is None or step is None or tensor is None or _is_open(tensor):
        return None
    if not options or options["ellipsis_mask"] or options["new_axis_mask"] or options["offset"]:
        return None
    if not len(begin) == len(end) == len(step) <= len(tensor.shape):
        raise Unsafe(
            f"its lists of {len(begin)}, {len(end)} and {len(step)} numbers do not fit {tensor.shape}"
        )
    shape = []
    for axis, whole in enumerate(tensor.shape[: len(begin)]):
        if not step[axis]:
            raise Unsafe("it steps by 0")
        if options["shrink_axis_mask"] >> axis & 1:
            if not -whole <= begin[axis] < whole:
                raise Unsafe(f"it takes place {begin[axis]} of a dimension of {whole}")
            continue
        first = None if options["begin_mask"] >> axis & 1 else begin[axis]
        last = None if options["end_mask"] >> axis & 1 else end[axis]
        shape.append(len(range(*slice(first, last, step[axis]).indices(whole))))
    return [*shape, *tensor.shape[len(begin) :]]


def _is_open(tensor: Tensor) -> bool:
    """Whether the shape is only known at run time; old converters then wrote none at all."""
    return tensor.is_dynamic or (not tensor.shape and not tensor.is_constant)


def _check_lengths(tensor: Tensor, *lists: Sequence[int]) -> None:
    for numbers in lists:
        if len(numbers) != len(tensor.shape):
            raise Unsafe(
                f"its list of {len(numbers)} numbers does not fit {called(tensor)} of {tensor.shape}"
            )


def padded(call: Call) -> Sequence[int] | None:
    """PAD: a pair of numbers per dimension."""
    pads, image = call.constant(1), call.inputs[0]
    if pads is None or image is None or _is_open(image):
        return None
    _check_lengths(image, pads[::2], pads[1::2])
    if min(pads, default=0) < 0:
        return pads
    return [
        size + before + after for size, before, after in zip(image.shape, pads[::2], pads[1::2], strict=True)
    ]


def permuted(call: Call) -> Sequence[int] | None:
    """TRANSPOSE: every dimension once, in another order."""
    order, tensor = call.constant(1), call.inputs[0]
    if order is None or tensor is None or _is_open(tensor):
        return None
    rank = len(tensor.shape)
    places = [axis + rank if axis < 0 else axis for axis in order]
    if sorted(places) != list(range(rank)):
        raise Unsafe(f"it orders {rank} dimensions as {tuple(order)}")
    return [tensor.shape[place] for place in places]


def tiled(call: Call) -> Sequence[int] | None:
    """TILE: a factor per dimension."""
    times, image = call.constant(1), call.inputs[0]
    if times is None or image is None or _is_open(image):
        return None
    _check_lengths(image, times)
    return [size * count for size, count in zip(image.shape, times, strict=True)]


def resized(call: Call) -> Sequence[int] | None:
    """RESIZE: height and width."""
    size, image = call.constant(1), call.inputs[0]
    if size is None or image is None or _is_open(image) or len(size) != 2 or len(image.shape) != 4:
        return None
    return [image.shape[0], *size, image.shape[3]]


def counted(call: Call) -> Sequence[int] | None:
    """RANGE: from, to, step."""
    bounds = [call.constant(place) for place in range(3)]
    start, stop, step = (values[0] if values else None for values in bounds)
    if start is None or stop is None or step is None:
        return None
    return [len(range(start, stop, step))] if step else [-1]


def stated(place: int) -> Callable[[Call], Sequence[int] | None]:
    """The shape itself is input `place`."""
    return lambda call: call.constant(place)
