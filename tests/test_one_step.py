"""One step of training through ``fit``: every row of the table that has weights, beside Keras."""

import jax
import keras
import numpy as np
import pytest
from layer_table import CASES
from test_layers_against_keras import assert_same, quiet, twins

import jkeras

# A mask that comes out is what the loss counts by. Here it is reversed with the steps, which it is not in Keras; and Keras gives
# the scores of attention the mask of the steps, whose shapes do not fit.
MASKED = {
    "LSTM masked, backwards",
    "RNN StackedRNNCells backwards, zero output",
    "MultiHeadAttention with scores of masked inputs, causal",
}
TRAINED = [case for case in CASES if case.params and not case.differs and not case.random and case.name not in MASKED]


def targets_of(outputs):
    """Make targets for a nest of outputs, each entry its own."""
    return jax.tree.map(lambda y: np.cos(np.arange(y.size, dtype="float32")).reshape(y.shape), outputs)


@pytest.mark.slow
@pytest.mark.parametrize("case", TRAINED, ids=str)
def test_one_step_of_sgd_through_fit_moves_every_weight_as_in_keras(case):
    ours, theirs = twins(case.model)
    with quiet():
        y = targets_of(theirs(case.data(), training=False))
        before = theirs.get_weights()
        theirs.compile(keras.optimizers.SGD(0.1), "mse")
        theirs.fit(case.data(), y, batch_size=32, epochs=1, shuffle=False, verbose=0)
        after = theirs.get_weights()
    ours.compile(jkeras.optimizers.SGD(0.1), "mse")
    ours.fit(case.data(), y, batch_size=32, epochs=1, shuffle=False, verbose=0)
    assert_same(ours.get_weights(), after)
    assert any((a != b).any() for a, b in zip(before, after, strict=True))
