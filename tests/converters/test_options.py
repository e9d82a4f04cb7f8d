"""What a caller may say about a conversion."""

import pytest

from converters.options import Options, options
from edgecnn.errors import ConversionError


def test_nothing_said_is_the_defaults():
    assert options({}) == Options()
    budget = options({}).budget(5.0)
    assert (budget.max_drop, budget.max_class_drop) == (1.0, 5.0)
    assert not budget.drop_stated
    assert not budget.class_drop_stated


def test_a_budget_that_was_said_must_be_proven_even_where_it_is_the_usual_one():
    budget = options({"max_drop": 1.0}).budget(5.0)
    assert (budget.drop_stated, budget.class_drop_stated) == (True, False)
    budget = options({"max_class_drop": 0}).budget(5.0)
    assert (budget.max_class_drop, budget.drop_stated, budget.class_drop_stated) == (0, False, True)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"sample": 8}, "there is no option 'sample'. There are: io, weights"),
        ({"ranges": "kl"}, "'kl' is no way .*minmax, percentile, entropy, mse"),
        ({"weights": "row"}, "--weights must be .*channel.*, not 'row'"),
        ({"keeps": "int8"}, "--keep must be .* or nothing, not 'int8'"),
        ({"io": "int 8"}, "--io must be int8 or .*, not 'int 8'"),
        ({"samples": 0}, "--samples must be a whole number from 1, not 0"),
        ({"samples": 2.5}, "--samples must be a whole number from 1, not 2.5"),
        ({"samples": True}, "--samples must be a whole number from 1, not True"),
        ({"judged": 0}, "--judged must be a whole number from 1, not 0"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(given, says):
    with pytest.raises(ConversionError, match=says):
        options(given)


@pytest.mark.parametrize("value", [-0.1, 100.5, float("nan")])
@pytest.mark.parametrize("name", ["max_drop", "max_class_drop"])
def test_a_budget_is_in_points(name, value):
    with pytest.raises(ConversionError, match=f"--{name.replace('_', '-')} must be in 0..100 points"):
        _ = options({name: value}).budget(5.0)


@pytest.mark.parametrize("keeps", ["float32", "int16", None])
def test_what_layers_may_stay_in(keeps):
    assert options({"keeps": keeps}).keeps == keeps
