"""A learner steps as the recipe says; its running means are those that numpy computes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgecnn import heads
from edgecnn.card import InputSpec
from edgecnn.errors import TrainingError
from edgecnn.training.distribute import cluster
from edgecnn.training.learner import Learner, forward, learner, listed, outputs
from edgecnn.training.recipe import Recipe
from edgecnn.training.start import own_network
from edgecnn.zoo.keras import keras, tf

pytestmark = pytest.mark.tensorflow

STEPS = 12


@pytest.fixture(scope="module")
def recipe(tiny: str) -> Recipe:
    return Recipe(tiny, InputSpec(16, 16), epochs=1, batch=4, rate=0.05, ema=0.5)


def learning(recipe: Recipe) -> Learner:
    head = heads.find(recipe.task)
    return learner(own_network(recipe, 3), recipe, head, cluster(), total_steps=2 * STEPS, warmup=2)


def take_steps(one: Learner, count: int, *, seed: int = 0) -> list[list[np.ndarray]]:
    """The weights after each step."""
    random, here, seen = np.random.default_rng(seed), cluster(), []
    for _ in range(count):
        images = random.normal(0, 1, (4, 16, 16, 3)).astype(np.float32)
        targets = random.integers(0, 3, 4)
        one.step(here.hand_out([images]), here.hand_out([targets]), tf.zeros(2, tf.float64))
        seen.append(one.model.get_weights())
    return seen


@pytest.fixture(scope="module")
def stepped(recipe: Recipe) -> tuple[Learner, list[np.ndarray], list[list[np.ndarray]]]:
    one = learning(recipe)
    first = one.model.get_weights()
    return one, first, take_steps(one, STEPS)


def test_the_means_are_those_of_the_weights_after_each_step(stepped: Any) -> None:
    """Norms' statistics included; the first steps count nearly alike, later ones keep half."""
    one, mean, seen = stepped
    for step, weights in enumerate(seen, 1):
        kept = min(0.5, (1 + step) / (10 + step))
        mean = [kept * m + (1 - kept) * w for m, w in zip(mean, weights, strict=True)]
    found = keras.backend.batch_get_value(list(one.means))
    for a, b in zip(found, mean, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert any(not np.allclose(a, b, rtol=1e-3) for a, b in zip(found, seen[-1], strict=True))


def test_the_network_that_is_judged_is_the_mean_and_the_one_that_steps_stays(stepped: Any) -> None:
    one, _, seen = stepped
    one.settle()
    means = keras.backend.batch_get_value(list(one.means))
    for a, b in zip(one.plain.get_weights(), means, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(one.model.get_weights(), seen[-1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_is_restored_goes_on_as_what_was_saved(stepped: Any, recipe: Recipe) -> None:
    one, _, _ = stepped
    state = one.state()
    other = learning(recipe)
    other.restore(state)
    assert all(np.array_equal(a, b) for a, b in zip(other.state(), state, strict=True))
    take_steps(one, 2, seed=1)
    take_steps(other, 2, seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(other.state(), one.state(), strict=True))
    without = learning(replace(recipe, ema=0.0))
    with pytest.raises(TrainingError, match="do not fit"):
        without.restore(state)


def test_without_means_what_steps_is_what_is_judged(recipe: Recipe) -> None:
    one = learning(replace(recipe, ema=0.0))
    assert one.means == ()
    assert one.plain is one.model


@pytest.mark.parametrize("many", [1, 2])
def test_outputs_come_as_a_list_joined_over_batches(many: int) -> None:
    image = keras.Input((2, 2, 1))
    made = [keras.layers.Flatten(name="a")(image), keras.layers.ReLU(name="b")(image)][:many]
    model = keras.Model(image, made if many > 1 else made[0])
    assert len(listed(model.outputs if many > 1 else model.output)) == many
    images = np.random.default_rng(0).normal(0, 1, (5, 2, 2, 1)).astype(np.float32)
    found = outputs(forward(model), iter([images[:2], images[2:4], images[4:]]))
    assert [one.shape for one in found] == [(5, 4), (5, 2, 2, 1)][:many]
    np.testing.assert_array_equal(found[0], images.reshape(5, 4))
