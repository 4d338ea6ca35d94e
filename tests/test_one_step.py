"""One step of training through ``fit``: every row of the table that has weights, beside Keras."""

import jax
import keras
import numpy as np
import pytest
from layer_table import CASES
from test_layers_against_keras import assert_same, quiet, twins

import jkeras

TRAINED = [case for case in CASES if case.params and not case.differs and not case.random]


def targets_of(outputs):
    """Make targets for outputs of some shapes, each entry its own."""
    shapes = [tuple(y.shape) for y in outputs]
    return [np.cos(np.arange(np.prod(shape), dtype="float32")).reshape(shape) for shape in shapes]


@pytest.mark.slow
@pytest.mark.parametrize("case", TRAINED, ids=str)
def test_one_step_of_sgd_through_fit_moves_every_weight_as_in_keras(case):
    ours, theirs = twins(case.model)
    with quiet():
        given = theirs(case.data(), training=False)
        targets = targets_of(jax.tree.leaves(given))
        y = targets[0] if len(targets) == 1 else targets
        before = theirs.get_weights()
        theirs.compile(keras.optimizers.SGD(0.1), "mse" if len(targets) == 1 else ["mse"] * len(targets))
        theirs.fit(case.data(), y, batch_size=len(targets[0]), epochs=1, shuffle=False, verbose=0)
        after = theirs.get_weights()
    ours.compile(jkeras.optimizers.SGD(0.1), "mse" if len(targets) == 1 else ["mse"] * len(targets))
    ours.fit(case.data(), y, batch_size=len(targets[0]), epochs=1, shuffle=False, verbose=0)
    assert_same(ours.get_weights(), after)
    assert any((a != b).any() for a, b in zip(before, after, strict=True))
