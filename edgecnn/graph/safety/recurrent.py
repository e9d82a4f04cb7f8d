"""Recurrent operators: inputs that may be left out, but only together.

Source: lstm.cc, unidirectional_sequence_lstm.cc and bidirectional_sequence_lstm.cc of
tensorflow/lite/kernels.
"""

from typing import Final

from edgecnn.graph.safety.call import Call, Rule, Unsafe

# places of one direction's optional inputs, counted from the operator's second input
_INPUT_GATE: Final = (
    0,
    4,
    11,
)  # weights, recurrent weights, bias: absent where input and forget gate are one
_PEEPHOLE_INPUT: Final = 8
_PEEPHOLES: Final = (9, 10)
_PROJECTION, _PROJECTION_BIAS = 15, 16
_NORMALIZATION_INPUT: Final = 20
_NORMALIZATIONS: Final = (21, 22, 23)


def gated(*directions: int) -> Rule:
    """LSTM: the optional inputs of each direction, which starts at these inputs, come in groups."""

    def rule(call: Call) -> None:
        if len(call.inputs) < 20:  # the older kernel has no optional inputs
            return
        states = {18, 19} if len(directions) == 1 else {35, 36, 37, 38}
        for place, tensor in enumerate(call.inputs):
            if tensor is not None and tensor.is_variable and place not in states:
                raise Unsafe(f"input {place} is a state, not the weights it should be")
        for start in directions:
            gate = _present(call, *(start + place for place in _INPUT_GATE))
            peephole = _present(call, *(start + place for place in _PEEPHOLES))
            if (call.inputs[start + _PEEPHOLE_INPUT] is not None) != (gate and peephole):
                raise Unsafe(f"input {start + _PEEPHOLE_INPUT} does not fit the other peepholes")
            if call.inputs[start + _PROJECTION_BIAS] is not None and call.inputs[start + _PROJECTION] is None:
                raise Unsafe("it has the bias of a projection, but no projection")
            if len(directions) == 1 and len(call.inputs) == 24:
                normalized = _present(call, *_NORMALIZATIONS)
                if (call.inputs[_NORMALIZATION_INPUT] is not None) != (gate and normalized):
                    raise Unsafe(f"input {_NORMALIZATION_INPUT} does not fit the other normalizations")

    return rule


def _present(call: Call, *places: int) -> bool:
    """Whether these inputs are there: all, or none."""
    there = {call.inputs[place] is not None for place in places}
    if len(there) > 1:
        raise Unsafe(f"some of the inputs {', '.join(map(str, places))} are left out, others not")
    return there.pop()
