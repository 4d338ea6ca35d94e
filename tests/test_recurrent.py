"""Recurrent layers beyond the table: cells of a user's own, masks by hand, states carried, derivatives of every kind."""

import warnings

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from layer_case import quick_jit

import jkeras
from jkeras import Definition, Input, Model, composite, layer, weight
from jkeras.layers import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    ConvLSTM1D,
    Dense,
    Dropout,
    GRUCell,
    LSTMCell,
    SimpleRNN,
    SimpleRNNCell,
    SpectralNormalization,
    StackedRNNCells,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 6, 4)).astype("float32")
VALID = np.array([[1, 1, 1, 1, 1, 1], [0, 1, 1, 0, 1, 0], [0, 0, 1, 1, 1, 1]], bool)


@layer
def Minimal(units):
    init = lambda key, x: ({"w": weight(key, "w", "orthogonal", (x[0].shape[-1] + units, units))}, {})

    def apply(params, state, x, ctx):
        h = jnp.tanh(jnp.concatenate([x[0], *x[1]], -1) @ params["w"])
        return (h, [h]), state

    return Definition(init, apply, state_size=units)


@layer
def OfLayers(units):
    def body(call, x):
        y, (h,) = x
        h = call("new", y) + call("old", h)
        return call("drop", h), [h]

    inside = composite(body, new=Dense(units), old=Dense(units, use_bias=False), drop=Dropout(0.5))
    return Definition(**{**vars(inside), "state_size": units})


def by_hand(w, x):
    h, hs = np.zeros((len(x), w.shape[1])), []
    for t in range(x.shape[1]):
        h = np.tanh(np.concatenate([x[:, t], h], -1) @ w)
        hs.append(h)
    return np.stack(hs, 1)


def test_a_cell_of_seven_lines_runs_over_time():
    rnn = RNN(Minimal(5), return_sequences=True)
    np.testing.assert_allclose(rnn(X), by_hand(np.asarray(rnn.weights[0]), X), atol=1e-5)
    assert rnn.weights[0].path == "rnn/minimal/w"


def test_a_cell_may_be_a_composite_whose_layers_train_and_drop():
    jkeras.utils.set_random_seed(0)
    x = Input((6, 4))
    model = Model(x, RNN(OfLayers(5))(x))
    model.compile(jkeras.optimizers.Adam(0.01), "mse")
    before = model.evaluate(X, np.ones((3, 5), "float32"), verbose=0)
    model.fit(X, np.ones((3, 5), "float32"), epochs=100, verbose=0)
    assert model.evaluate(X, np.ones((3, 5), "float32"), verbose=0) < before / 2
    dense = OfLayers(5)
    plain = RNN(dense, return_sequences=True)(X)
    a, b, _ = (np.asarray(w) for w in dense.weights)
    h = X[:, 0] @ a + b
    np.testing.assert_allclose(plain[:, 0], h, atol=1e-5)


def test_a_masked_step_of_any_cell_holds_output_and_state():
    rnn = RNN(Minimal(5), return_sequences=True, return_state=True)
    rnn(X)
    y, h = rnn(X, mask=VALID)
    for i, valid in enumerate(VALID):
        alone = by_hand(np.asarray(rnn.weights[0]), X[i : i + 1, valid])[0]
        expected = np.stack([alone[max(n - 1, 0)] * (n > 0) for n in np.cumsum(valid)])
        np.testing.assert_allclose(y[i], expected, atol=1e-5)
        np.testing.assert_allclose(h[i], alone[-1], atol=1e-5)


@pytest.mark.parametrize(
    "make", [lambda: LSTM(3, return_sequences=True), lambda: GRU(3, return_sequences=True), lambda: SimpleRNN(3)]
)
def test_a_recurrent_layer_is_the_rnn_of_its_cell(make):
    whole = make()
    whole(X)
    cell = {"LSTM": LSTMCell, "GRU": GRUCell, "SimpleRNN": SimpleRNNCell}[whole.kind](3)
    steps = RNN(StackedRNNCells([cell]), return_sequences=whole.return_sequences)  # which runs them one by one
    steps(X)
    steps.set_weights(whole.get_weights())
    np.testing.assert_allclose(whole(X), steps(X), atol=1e-6)
    np.testing.assert_allclose(whole(X, mask=VALID), steps(X, mask=VALID), atol=1e-6)


def of(make, masked):
    recurrent = make()
    spec = jax.ShapeDtypeStruct(X.shape, "float32")
    params, state = recurrent.init(jax.random.key(1), spec)
    x = jkeras.Masked(X, VALID) if masked else X

    def loss(params):
        y = recurrent.apply(params, state, x)[0]
        return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(y))

    return loss, params


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", [LSTM, GRU, SimpleRNN])
def test_forward_reverse_and_second_derivatives_agree(kind, masked):
    loss, params = of(lambda: kind(3, return_state=True), masked)
    along = jax.tree.map(lambda p: jnp.cos(jnp.arange(p.size, dtype=p.dtype)).reshape(p.shape), params)
    dot = lambda a, b: sum(jnp.vdot(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))
    forward = quick_jit(lambda p: jax.jvp(loss, (p,), (along,))[1])(params)
    reverse = quick_jit(lambda p: dot(jax.grad(loss)(p), along))(params)
    np.testing.assert_allclose(forward, reverse, rtol=1e-4)
    twice = lambda p: jax.jvp(lambda q: dot(jax.grad(loss)(q), along), (p,), (along,))[1]
    step, moved = 1e-2, lambda s: jax.tree.map(lambda p, d: p + s * d, params, along)
    slope = quick_jit(lambda p: dot(jax.grad(loss)(p), along))
    estimated = (slope(moved(step)) - slope(moved(-step))) / (2 * step)
    np.testing.assert_allclose(quick_jit(twice)(params), estimated, rtol=0.05, atol=0.05)


def test_a_masked_conv_lstm_is_that_of_the_valid_steps_alone():  # Keras 3.15.1 on JAX fails on such a mask
    rows = RNG.normal(size=(3, 6, 5, 2)).astype("float32")
    conv = ConvLSTM1D(3, 2, return_state=True)
    conv(rows)
    masked = conv(rows, mask=VALID)
    for i, valid in enumerate(VALID):
        for a, b in zip(masked, conv(rows[i : i + 1, valid]), strict=True):
            np.testing.assert_allclose(a[i], b[0], atol=1e-5)


def test_a_stateful_rnn_goes_on_where_it_stopped_until_it_is_reset():
    whole, halves = RNN([GRUCell(3), LSTMCell(2)]), RNN([GRUCell(3), LSTMCell(2)], stateful=True)
    whole(X)
    halves(X)
    halves.set_weights(whole.get_weights())
    halves.reset_state()
    halves(X[:, :4])
    np.testing.assert_allclose(halves(X[:, 4:]), whole(X), atol=1e-6)
    halves.reset_state()
    np.testing.assert_allclose(halves(X[:, :2]), whole(X[:, :2]), atol=1e-6)


def test_bidirectional_starts_from_weights_and_names_its_layers_as_keras():
    x = Input((6, 4))
    first = Bidirectional(LSTM(3, name="reader"))
    Model(x, first(x))
    assert [w.path for w in first.weights][::3] == [
        "bidirectional/forward_reader/lstm_cell/kernel",
        "bidirectional/backward_reader/lstm_cell/kernel",
    ]
    again = Bidirectional(LSTM(3), weights=first.get_weights())
    np.testing.assert_array_equal(again(X), first(X))


def test_what_is_no_cell_and_what_does_not_go_together_is_refused_in_words():
    with pytest.raises(TypeError, match=r"Dense.* is none: a cell is a layer"):
        RNN(Dense(3))
    with pytest.raises(TypeError, match="takes a recurrent layer"):
        Bidirectional(Dense(3))
    with pytest.raises(ValueError, match="must differ in go_backwards"):
        Bidirectional(LSTM(3), backward_layer=LSTM(3))
    with pytest.raises(ValueError, match="the same return_sequences"):
        Bidirectional(LSTM(3), backward_layer=LSTM(3, go_backwards=True, return_sequences=True))
    with pytest.raises(jkeras.core.ShapeError, match="initial_state must be states of the shapes"):
        GRU(3)(X, initial_state=[X[:, 0]])
    with pytest.raises(ValueError, match="at least one cell"):
        RNN([])
    with pytest.raises(ValueError, match=r"^GRU: units must be a positive integer"):  # whose cell is its own affair
        GRU(0)


# -- spectral normalisation -------------------------------------------------------------------------------------------


def test_spectral_normalization_divides_by_the_largest_singular_value():
    dense = SpectralNormalization(Dense(3, use_bias=False), power_iterations=50)
    y = dense(X[:, 0])
    kernel = np.asarray(dense.layer.kernel)
    np.testing.assert_allclose(y, X[:, 0] @ kernel / np.linalg.svd(kernel)[1][0], atol=1e-4)


def test_spectral_normalization_in_training_gives_what_keras_gives_and_moves_its_vector():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = keras.layers.SpectralNormalization(keras.layers.Dense(3))
        theirs.build((None, 4))
        kernel, u, bias = (np.asarray(w) for w in theirs.get_weights())
        expected = theirs(X[:, 0], training=True)
        moved = np.asarray(theirs.vector_u)
    ours = SpectralNormalization(Dense(3))
    params = {"layer": {"kernel": kernel, "bias": bias}}
    y, state = ours.apply(params, {"vector_u": u}, X[:, 0], training=True)
    np.testing.assert_allclose(y, expected, atol=1e-5)
    np.testing.assert_allclose(state["vector_u"], moved, atol=1e-5)
    again, kept = ours.apply(params, state, X[:, 0])
    assert np.isfinite(again).all()
    np.testing.assert_array_equal(kept["vector_u"], state["vector_u"])
