"""What a script changes on the optimizer of a compiled model counts from the next step on, whatever was compiled before."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jkeras
from jkeras import optimizers
from jkeras.core.errors import UnknownNameError

X, Y = np.ones((4, 1), "float32"), np.zeros((4, 1), "float32")


def falling(optimizer):
    """A model of one weight whose loss is that weight, so that each step takes the learning rate off it."""
    model = jkeras.Sequential([jkeras.Input((1,)), jkeras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(optimizer, lambda y_true, y_pred: y_pred[:, 0])
    return model


def weight(model):
    return float(model.get_weights()[0][0, 0])


def train(model, steps):
    for _ in range(steps):
        model.train_on_batch(X, Y)


def halving(step):
    return 0.5**step


def test_a_schedule_assigned_to_a_compiled_model_goes_on_from_the_step_that_was_reached():
    model = falling(optimizers.SGD(1.0))
    train(model, 2)
    model.optimizer.learning_rate = halving
    assert model.optimizer.learning_rate == pytest.approx(0.25)  # of step 2, the next one
    train(model, 2)
    assert weight(model) == pytest.approx(-(1.0 + 1.0 + 0.25 + 0.125))
    assert model.optimizer.iterations == 4


def test_moments_stay_where_a_schedule_is_assigned():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 3)).astype("float32"), rng.normal(size=(32, 1)).astype("float32")
    made, assigned = (jkeras.Sequential([jkeras.Input((3,)), jkeras.layers.Dense(1)]) for _ in range(2))
    assigned.set_weights(made.get_weights())
    schedule = optimizers.schedules.ExponentialDecay(0.1, 4, 0.5)
    made.compile(optimizers.Adam(schedule, clipnorm=0.5), "mse")
    assigned.compile(optimizers.Adam(optimizers.schedules.ExponentialDecay(0.1, 4, 0.5), clipnorm=0.5), "mse")
    made.fit(x, y, epochs=2, batch_size=8, shuffle=False, verbose=0)
    assigned.fit(x, y, epochs=1, batch_size=8, shuffle=False, verbose=0)
    assigned.optimizer.learning_rate = 7.0  # overridden at once
    assigned.optimizer.learning_rate = schedule
    assigned.fit(x, y, epochs=1, batch_size=8, shuffle=False, verbose=0)
    for ours, theirs in zip(assigned.get_weights(), made.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_a_number_assigned_after_a_schedule_counts_and_compiles_nothing():
    model = falling(optimizers.SGD(1.0))
    model.optimizer.learning_rate = halving  # before there is a state
    train(model, 2)
    trainer = model.trainer
    model.optimizer.learning_rate = 3.0
    train(model, 1)
    assert model.trainer is trainer
    assert weight(model) == pytest.approx(-(1.0 + 0.5 + 3.0))


def test_a_schedule_assigned_in_fit_by_a_callback_counts_from_the_next_epoch():
    class Switch(jkeras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 0:
                self.model.optimizer.learning_rate = optax.constant_schedule(0.125)

    model = falling(optimizers.SGD(1.0))
    model.fit(X, Y, batch_size=4, epochs=3, verbose=0, callbacks=[Switch()])
    assert weight(model) == pytest.approx(-(1.0 + 0.125 + 0.125))


def test_a_schedule_assigned_in_fit_by_a_callback_counts_from_the_next_batch():
    class Switch(jkeras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                self.model.optimizer.learning_rate = halving

    model = falling(optimizers.SGD(1.0))
    model.fit(np.ones((4, 1)), np.zeros((4, 1)), batch_size=1, verbose=0, callbacks=[Switch()])
    assert weight(model) == pytest.approx(-(1.0 + 1.0 + 0.25 + 0.125))


@pytest.mark.parametrize(
    "optimizer", [optax.sgd(0.1), optimizers.LossScaleOptimizer("sgd"), optimizers.PathOptimizer("sgd", {"*": 0.5})]
)
def test_a_schedule_for_what_takes_no_steps_itself_is_refused_and_changes_nothing(optimizer):
    model = falling(optimizer)
    before = model.optimizer.transformation
    with pytest.raises(TypeError, match="a schedule is given where the optimizer is made"):
        model.optimizer.learning_rate = halving
    assert model.optimizer.transformation is before


def test_a_schedule_with_a_state_of_its_own_trains_where_it_is_made_and_is_refused_where_it_is_assigned():
    class Halving:
        def init(self):
            return jnp.float32(1.0)

        def update(self, state, **extra):
            return state / 2

        def __call__(self, state, **extra):
            return state

    made = falling(optimizers.SGD(Halving()))
    train(made, 2)
    assert weight(made) == -1.5
    model = falling(optimizers.SGD(1.0))
    train(model, 1)
    with pytest.raises(TypeError, match="a schedule is given where the optimizer is made"):
        model.optimizer.learning_rate = Halving()
    train(model, 1)
    assert weight(model) == -2.0


def test_weights_let_out_of_decay_after_an_evaluation_do_not_decay():
    model = falling(optimizers.SGD(0.0, weight_decay=0.5))
    model.set_weights([np.ones((1, 1), "float32")])
    model.compile(optimizers.SGD(0.5, weight_decay=0.5), lambda y_true, y_pred: 0 * y_pred[:, 0])
    model.evaluate(X, Y, verbose=0)  # makes the programs
    model.optimizer.exclude_from_weight_decay(var_names=["kernel"])
    train(model, 1)
    assert weight(model) == 1.0


def test_no_name_stands_for_a_schedule():
    with pytest.raises(UnknownNameError, match="no schedule called"):
        optimizers.schedules.deserialize("cosine")
    with pytest.raises(TypeError):
        optimizers.schedules.serialize(halving)


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        (lambda: 0.1, "to call it failed.*positional argument"),
        (lambda step: 0.1 if step < 5 else 0.01, "jnp.where takes the place of if"),
        (lambda step: step * np.ones(2), r"must return one number, but returned .*\(2,\)|shape=\(2,\)"),
        (lambda step: None, "must return one number"),
    ],
)
def test_a_schedule_that_cannot_be_one_is_refused_where_it_is_given(schedule, said):
    with pytest.raises(ValueError, match=said):
        optimizers.Adam(schedule)
    model = falling(optimizers.SGD(1.0))
    train(model, 1)
    with pytest.raises(ValueError, match=said):
        model.optimizer.learning_rate = schedule
    train(model, 1)
    assert weight(model) == -2.0
