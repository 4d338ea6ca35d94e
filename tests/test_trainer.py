"""The Trainer's seams: loss, grads, update, step, epoch, evaluate, and what is written between them without private names."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from layer_case import quick_jit

from jkeras import Input, Model, Sequential
from jkeras.layers import LSTM, BatchNormalization, Dense, Dropout, Embedding, Masking
from jkeras.training import Trainer, TrainState

KEY = jax.random.key(0)
RNG = np.random.default_rng(4)
X = RNG.normal(size=(24, 4)).astype("float32")
Y = (X.sum(1, keepdims=True) > 0).astype("float32")


def classifier(optimizer="adam", **arguments):
    model = Sequential([Input((4,)), Dense(6, "tanh"), Dropout(0.2), Dense(1, "sigmoid", kernel_regularizer="l2")])
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"], seed=2, **arguments)
    return model


def assert_trees_close(a, b, tolerance=1e-6):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance), a, b)


# -- each made of the one before --------------------------------------------------------------------------------------


def test_grads_are_the_gradient_of_loss_and_step_is_update_after_grads():
    trainer = classifier().trainer
    assert isinstance(trainer, Trainer)
    state = trainer.init(KEY)
    assert isinstance(state, TrainState)
    key = jax.random.fold_in(state.key, state.step)
    loss, (logs, inner) = trainer.loss(state.params, state.state, (X, Y), key)
    assert float(loss) == float(logs["loss"])
    assert set(logs) == {"loss", "accuracy"}
    exact, _ = jax.grad(trainer.loss, has_aux=True)(state.params, state.state, (X, Y), key)
    grads, (again, _) = trainer.grads(state.params, state.state, (X, Y), key)
    assert_trees_close(grads, exact)
    assert_trees_close(again, logs)
    after, step_logs = trainer.step(state, (X, Y))
    by_hand = trainer.update(state._replace(state=inner), grads)
    assert_trees_close((after.params, after.opt_state), (by_hand.params, by_hand.opt_state))
    assert int(after.step) == int(by_hand.step) == 1
    assert_trees_close(step_logs, logs)


def test_an_epoch_is_steps_on_its_batches_and_evaluate_is_the_loss_without_training():
    trainer = classifier().trainer
    state = trainer.init(KEY)
    after, logs = trainer.epoch(state, (X, Y), batch_size=8, shuffle=False)
    losses = []
    for i in range(3):
        state, one = trainer.step(state, (X[8 * i : 8 * i + 8], Y[8 * i : 8 * i + 8]))
        losses.append(one["loss"])
    assert_trees_close(after.params, state.params, 1e-5)
    np.testing.assert_allclose(logs["loss"], np.mean(losses), rtol=1e-5)
    p = classifier().layer.apply(state.params, state.state, X)[0]
    bce = -(Y * np.log(p) + (1 - Y) * np.log(1 - p)).mean()
    penalty = 0.01 * np.square(state.params["dense_1"]["kernel"]).sum()
    np.testing.assert_allclose(trainer.evaluate(state, (X, Y))["loss"], bce + penalty, rtol=1e-5)


@pytest.mark.parametrize("n", [1, 5, 31, 32, 33, 64])
@pytest.mark.parametrize("normalised", [False, True])
def test_an_epoch_takes_any_number_of_examples(n, normalised):
    model = Sequential([Input((4,)), *([BatchNormalization()] if normalised else []), Dense(1)])
    model.compile("sgd", "mse")
    trainer, rng = model.trainer, np.random.default_rng(n)
    data = (rng.normal(size=(n, 4)).astype("float32"), rng.normal(size=(n, 1)).astype("float32"))
    state = expected = trainer.init(KEY)
    after, logs = quick_jit(lambda s, d: trainer.epoch(s, d, 32, shuffle=False))(state, data)
    for start in range(0, n, 32):
        expected, _ = trainer.step(expected, (data[0][start : start + 32], data[1][start : start + 32]))
    assert int(after.step) == -(-n // 32)
    assert_trees_close(after.params, expected.params, 1e-4)
    assert np.isfinite(logs["loss"])


def test_the_key_that_is_held_is_the_key_that_training_goes_on_with():
    model = classifier()
    state = model.trainer.init(jax.random.key(5))
    model.hold(state)
    assert (jax.random.key_data(model.train_state().key) == jax.random.key_data(state.key)).all()
    model.fit(X, Y, batch_size=8, verbose=0)
    twin = classifier()
    expected, _ = twin.trainer.epoch(state, (X, Y), batch_size=8)
    assert_trees_close(model.params, expected.params, 1e-5)
    model.compile("adam", "binary_crossentropy", seed=7)
    assert (jax.random.key_data(model.train_state().key) == jax.random.key_data(jax.random.key(7))).all()


# -- loops of one's own, without private names ------------------------------------------------------------------------


def test_gradients_accumulated_over_parts_are_those_of_the_whole_batch():
    model = Sequential([Input((4,)), Dense(6, "tanh"), Dense(1)])
    model.compile(optax.sgd(0.1), "mse")
    trainer = model.trainer
    state = trainer.init(KEY)

    def accumulate(total, part):
        grads, _ = trainer.grads(state.params, state.state, part, KEY)
        return jax.tree.map(jnp.add, total, grads), None

    parts = (X.reshape(3, 8, 4), Y.reshape(3, 8, 1))
    total, _ = jax.lax.scan(accumulate, jax.tree.map(jnp.zeros_like, state.params), parts)
    after = trainer.update(state, jax.tree.map(lambda g: g / 3, total))
    assert_trees_close(after.params, trainer.step(state, (X, Y))[0].params, 1e-5)


def test_gradients_per_example_are_clipped_each_by_itself():
    model = Sequential([Input((4,)), Dense(1, use_bias=False)])
    model.compile(optax.sgd(1.0), "mse")
    trainer = model.trainer
    state = trainer.init(KEY)

    def one(x, y):
        return trainer.grads(state.params, state.state, (x[None], y[None]), KEY)[0]["dense"]["kernel"][:, 0]

    each = np.asarray(jax.vmap(one)(X, Y))  # (examples, features)
    kernel = np.asarray(state.params["dense"]["kernel"])
    np.testing.assert_allclose(each, 2 * (X @ kernel - Y) * X, rtol=1e-4, atol=1e-5)
    clipped = each * np.minimum(1, 0.5 / np.linalg.norm(each, axis=1, keepdims=True))
    after = trainer.update(state, {"dense": {"kernel": jnp.asarray(clipped.mean(0)[:, None])}})
    np.testing.assert_allclose(after.params["dense"]["kernel"], kernel - clipped.mean(0)[:, None], rtol=1e-5)


def test_an_adversarial_step_trains_on_inputs_moved_against_the_loss():
    trainer = classifier().trainer
    state = trainer.init(KEY)

    def loss(x):
        return trainer.loss(state.params, state.state, (x, Y), KEY)[0]

    moved = X + 0.1 * np.sign(jax.grad(loss)(jnp.asarray(X)))
    assert loss(moved) > loss(X)
    assert int(trainer.step(state, (moved, Y))[0].step) == 1


def test_a_bilevel_loop_differentiates_through_a_step():
    model = Sequential([Input((4,)), Dense(1, use_bias=False)])
    model.compile(optax.sgd(0.1), "mse")
    trainer = model.trainer
    state = trainer.init(KEY)

    def outer(weights):
        after, _ = trainer.step(state, (X, Y, weights))
        return trainer.loss(after.params, after.state, (X, Y), KEY)[0]

    weights = jnp.ones(24)
    slope = jax.grad(outer)(weights)
    step = 1e-2 * np.eye(24)[3]
    estimated = (outer(weights + step) - outer(weights - step)) / 2e-2
    np.testing.assert_allclose(slope[3], estimated, rtol=1e-2, atol=1e-4)


def test_frozen_parameters_have_no_gradients_and_theirs_are_left_aside_by_update():
    model = classifier(optax.sgd(0.1))
    model.layers[0].trainable = False
    model.compile(model.optimizer, "binary_crossentropy")
    trainer = model.trainer
    state = trainer.init(KEY)
    grads, _ = trainer.grads(state.params, state.state, (X, Y), KEY)
    assert set(grads) == {"dense_1"}
    whole, _ = jax.grad(trainer.loss, has_aux=True)(state.params, state.state, (X, Y), KEY)
    assert_trees_close(trainer.update(state, whole).params, trainer.update(state, grads).params)
    np.testing.assert_array_equal(trainer.update(state, whole).params["dense"]["kernel"], state.params["dense"]["kernel"])


# -- what optimizers ask for ------------------------------------------------------------------------------------------


def test_reduce_on_plateau_sees_the_loss_under_fit_and_under_step():
    plateau = optax.contrib.reduce_on_plateau(factor=0.5, patience=1, rtol=0.0, atol=1e9)
    model = Sequential([Input((4,)), Dense(1)])
    model.compile(optax.chain(optax.sgd(0.0), plateau), "mse")
    model.fit(X, Y, batch_size=4, verbose=0)
    assert float(optax.tree_utils.tree_get(model.opt_state, "scale")) < 1
    trainer = model.trainer
    state = trainer.init(KEY)
    for _ in range(6):
        state, _ = trainer.step(state, (X, Y))
    assert float(optax.tree_utils.tree_get(state.opt_state, "scale")) < 1
    lowered = trainer.update(state, trainer.grads(state.params, state.state, (X, Y))[0], value=jnp.float32(0))
    assert int(lowered.step) == 7


def test_lbfgs_with_its_line_search_solves_least_squares_in_a_few_steps():
    model = Sequential([Input((4,)), Dense(1)])
    model.compile(optax.lbfgs(), "mse", seed=0)
    target = X @ np.array([[1.0], [-2.0], [0.5], [3.0]], "float32") + 0.25
    losses = model.fit(X, target, batch_size=24, epochs=12, verbose=0).history["loss"]
    assert losses[-1] < 1e-6 * losses[0]


def test_an_update_that_is_given_what_it_asks_for_sees_gradient_and_function():
    seen = []

    def update(updates, state, params=None, *, value, grad, value_fn):
        seen.append((value, grad, value_fn(params)))
        return jax.tree.map(lambda g: -0.1 * g, updates), state

    model = Sequential([Input((4,)), Dense(1)])
    model.compile(optax.GradientTransformationExtraArgs(lambda params: (), update), "mse")
    trainer = model.trainer
    state = trainer.init(KEY)
    trainer.step(state, (X, Y))
    value, grad, again = seen[-1]
    np.testing.assert_allclose(value, again, rtol=1e-6)
    assert_trees_close(grad, trainer.grads(state.params, state.state, (X, Y))[0])


# -- precision --------------------------------------------------------------------------------------------------------


def test_a_trainers_compute_dtype_reaches_every_layer_and_neither_indices_nor_labels():
    ids = np.array([[256], [257], [998], [999]])
    table = np.arange(1000.0)[:, None] % 2
    x = Input((1,))  # indices that come as floats
    model = Model(x, Dense(1, kernel_initializer="ones")(Embedding(1000, 1, weights=table)(x))[:, 0])
    model.compile("sgd", "mse", metrics=["mae"])
    trainer = dataclasses.replace(model.trainer, compute_dtype="bfloat16")
    state = trainer.init(KEY)
    labels = (ids % 2 + 1000).astype("float32")  # bfloat16 would make 1000 and 1001 the same
    logs = trainer.evaluate(state, (ids.astype("float32"), labels))
    assert float(logs["mae"]) == 1000
    after, _ = trainer.step(state, (ids.astype("float32"), labels))
    assert {leaf.dtype for leaf in jax.tree.leaves((after.params, after.opt_state))} <= {jnp.dtype("float32"), jnp.dtype("int32")}


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_state_keeps_its_dtype_through_a_step_under_a_mixed_policy(policy):
    x = Input((3, 4), batch_size=8)
    h = LSTM(4, stateful=True, return_sequences=True, dtype=policy)(x)
    model = Model(x, Dense(1)(BatchNormalization(dtype=policy)(h)[:, -1]))
    model.compile("sgd", "mse", seed=1)
    before = jax.tree.map(lambda a: a.dtype, model.state)
    series = RNG.normal(size=(24, 3, 4)).astype("float32")
    history = model.fit(series, Y, batch_size=8, shuffle=False, epochs=2, verbose=0).history
    assert jax.tree.map(lambda a: a.dtype, model.state) == before
    assert np.isfinite(history["loss"]).all()


# -- names in the logs ------------------------------------------------------------------------------------------------


def loss(y, p):
    return 0 * p[:, 0]


def val_loss(y, p):
    return 0 * p[:, 0]


@pytest.mark.parametrize("metric", [loss, val_loss])
def test_a_metric_that_would_hide_another_number_in_the_logs_is_refused(metric):
    model = Sequential([Input((4,)), Dense(1)])
    with pytest.raises(ValueError, match=f"{metric.__name__}.*in the logs"):
        model.compile("sgd", "mse", metrics=[metric])


def test_an_output_whose_loss_would_bear_the_name_of_a_metric_is_refused():
    x = Input((4,))
    model = Model(x, [Dense(1, name="a")(x), Dense(1, name="b")(x)])

    def hidden(y, p):
        return p[:, 0]

    hidden.__name__ = "loss"
    with pytest.raises(ValueError, match="'a_loss' in the logs"):
        model.compile("sgd", ["mse", "mse"], metrics=[[hidden], []])
    model.compile("sgd", ["mse", "mse"], metrics=[["mae"], ["mae"]])


# -- what comes in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [(X, Y[:5]), (X[:5], Y), (X, Y, np.ones(5)), (X[:0], Y[:0]), (X,), (X, Y, None, None)], ids=lambda d: str(len(d))
)
@pytest.mark.parametrize("function", ["step", "epoch", "evaluate"])
def test_data_that_do_not_go_together_are_refused_by_every_function(function, data):
    trainer = classifier().trainer
    with pytest.raises(ValueError, match=r"examples|nothing was given|parts"):
        getattr(trainer, function)(trainer.init(KEY), data)


def test_lists_of_numbers_and_columns_come_in_any_form_that_fit_takes():
    model = Sequential([Input((1,)), Dense(1, kernel_initializer="ones")])
    model.compile("sgd", "mse")
    trainer = model.trainer
    state, x, y = trainer.init(KEY), X[:, 0], Y
    wanted = trainer.evaluate(state, (x[:, None], y))["loss"]
    for data in ((x, y), (x.tolist(), y.tolist()), [x[:, None].tolist(), y[:, 0]], (x, y, np.ones(24).tolist())):
        np.testing.assert_allclose(trainer.evaluate(state, data)["loss"], wanted, rtol=1e-6)
        trainer.epoch(state, data, 8)
    for size in (0, 2.5, "4"):
        with pytest.raises(ValueError, match="batch_size must be a positive integer"):
            trainer.epoch(state, (x, y), size)


def test_targets_that_a_mask_leaves_out_may_be_anything():
    x = Input((4, 3))
    model = Model(x, Dense(1)(Masking()(x)))
    model.compile("sgd", "mse", metrics=["mae"])
    series = RNG.normal(size=(6, 4, 3)).astype("float32")
    series[::2, 2:] = 0
    targets = np.ones((6, 4, 1), "float32")
    wanted = model.evaluate(series, targets, verbose=0)
    targets[::2, 2:] = np.nan
    np.testing.assert_allclose(model.evaluate(series, targets, verbose=0), wanted, rtol=1e-6)
    model.fit(series, targets, verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_a_mask_of_the_axis_that_a_loss_takes_together_ends_before_it():
    x = Input((4, 3))
    model = Model(x, Dense(1, kernel_initializer="ones")(Masking()(x))[..., 0])
    model.compile("sgd", "mse")
    series = RNG.normal(size=(6, 4, 3)).astype("float32")
    series[0, 2:] = 0
    np.testing.assert_allclose(model.evaluate(series, np.zeros((6, 4)), verbose=0), (series.sum(-1) ** 2).mean(), rtol=1e-5)
