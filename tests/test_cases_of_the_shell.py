"""Further instances of kinds of faults that were once found in the shell, each against a closed form, NumPy or Keras."""

import functools

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from smallest import ONE, ZERO, Doing, one_weight

import jkeras
from jkeras import Context, Definition, Input, Model, Sequential, layer
from jkeras.layers import LSTM, BatchNormalization, Dense, Dropout, Embedding, Flatten, TimeDistributed
from jkeras.metrics import Metric

RNG = np.random.default_rng(6)


def value(of):
    return of.get_weights()[0].item()


# -- a Context where Model.apply takes training -----------------------------------------------------------------------

PHASES = {
    "a model": lambda: Sequential([Input((1,)), BatchNormalization()]),
    "a model in a model": lambda: Sequential([Input((1,)), Sequential([Input((1,)), BatchNormalization()])]),
    "a functional model": lambda: Model(x := Input((1,)), BatchNormalization()(Dropout(0.0)(x))),
    "a layer": BatchNormalization,
}


@pytest.mark.parametrize("what", PHASES)
def test_the_phase_of_a_context_is_heeded_as_the_keyword_is(what):
    init, apply = PHASES[what]()
    x = np.array([[1.0], [3.0]], "float32")
    params, state = init(jax.random.key(0), x)
    by_keyword = {phase: apply(params, state, x, training=phase, key=jax.random.key(1)) for phase in (False, True)}
    for phase, expected in ((False, x / np.sqrt(1 + 1e-3)), (True, (x - 2) / np.sqrt(1 + 1e-3))):  # of variance 1 as well
        given, moved = apply(params, state, x, Context(training=phase, key=jax.random.key(1)))
        np.testing.assert_allclose(given, expected, atol=1e-5)
        jax.tree.map(np.testing.assert_array_equal, (given, moved), by_keyword[phase])


# -- trainable and compile in a callback ------------------------------------------------------------------------------


HOOKS = ["on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end", "on_epoch_end"]


@pytest.mark.filterwarnings("ignore:trainable of:UserWarning")
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("first", [True, False])
def test_trainable_set_in_a_callback_counts_from_the_next_compile(hook, first):
    """Every gradient of b(a(1)) against 0 moves what is trainable; what is frozen at compile stays for the whole fit."""
    a, b = one_weight("a"), one_weight("b")
    model = Sequential([Input((1,)), a, b])
    a.trainable = first
    model.compile(jkeras.optimizers.SGD(0.125), "mse")
    model.fit(ONE, ZERO, epochs=2, verbose=0, callbacks=[Doing(hook, lambda m, *_: setattr(m.layers[0], "trainable", not first))])
    expected = [1.0, 1.0]
    for _ in range(2):  # the gradients of (a b)^2 are 2 a b^2 and 2 a^2 b
        a_now, b_now = expected
        expected = [a_now - 0.25 * a_now * b_now**2 * first, b_now - 0.25 * a_now**2 * b_now]
    np.testing.assert_allclose([value(a), value(b)], expected, rtol=1e-6)
    model.compile(jkeras.optimizers.SGD(0.125), "mse")
    model.fit(ONE, ZERO, verbose=0)
    assert (value(a) == pytest.approx(expected[0])) is first
    assert value(b) != pytest.approx(expected[1])


@pytest.mark.parametrize("hook", HOOKS)
def test_compile_is_refused_in_every_hook_of_fit_and_the_model_can_be_fitted_after(hook):
    model = Sequential([Input((1,)), one_weight()])
    model.compile(jkeras.optimizers.SGD(0.25), "mse")
    with pytest.raises(RuntimeError, match=r"compile of model .* while fit runs"):
        model.fit(ONE, ZERO, epochs=2, verbose=0, callbacks=[Doing(hook, lambda m, *_: m.compile("sgd", "mae"))])
    before = value(model)
    assert before in (1.0, 0.5)  # before the first step or after it
    model.fit(ONE, ZERO, verbose=0)
    assert value(model) == before / 2


# -- weights that are set while something else runs -------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of Keras
@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # of Keras, about a generator without a length
@pytest.mark.parametrize("method", ["predict", "evaluate"])
@pytest.mark.parametrize("where", ["generator", "callback"])
def test_weights_set_while_nothing_is_trained_stay_and_count_from_then_on(method, where):
    def model_of(library):
        model = library.Sequential([library.Input((1,)), library.layers.BatchNormalization(), library.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    def run(library):
        model = model_of(library)
        wanted = [np.full_like(w, 2 + i) for i, w in enumerate(model.get_weights())]
        model.set_weights([np.ones_like(w) for w in wanted])

        def rows():
            yield (ONE, ZERO)
            if where == "generator":
                model.set_weights(wanted)
            yield (ONE, ZERO)

        hook = "on_predict_batch_end" if method == "predict" else "on_test_batch_end"
        setting = type(
            "Setting", (library.callbacks.Callback,), {hook: lambda self, batch, logs=None: model.set_weights(wanted)}
        )()
        getattr(model, method)(rows(), verbose=0, callbacks=[setting] if where == "callback" else [])
        return model, wanted

    (model, wanted), (theirs, _) = run(jkeras), run(keras)
    for got, want in zip(model.get_weights(), wanted, strict=True):
        np.testing.assert_array_equal(got, want)
    theirs.set_weights(wanted)  # Keras itself loses what a callback sets
    np.testing.assert_allclose(model.predict(ONE, verbose=0), theirs.predict(ONE, verbose=0), rtol=1e-5)


# -- freezing ---------------------------------------------------------------------------------------------------------


def in_a_list():
    return Sequential([Input((3,)), Dense(3), BatchNormalization(), Dense(2)], trainable=False)


def grown_with_a_model():
    model = Sequential([Input((3,))], trainable=False)
    model.add(Sequential([Dense(3), BatchNormalization()]))
    model.add(Dense(2))
    return model


def shrunk_and_grown():
    model = Sequential([Input((3,)), Dense(3), Dense(4)])
    model.trainable = False
    model.pop()
    model.add(Dense(2))
    return model


def inside_another():
    inner = Sequential([Input((3,)), Dense(3)])
    inner.trainable = False
    inner.add(Dense(2))
    return Model(x := Input((3,)), inner(x))


@pytest.mark.filterwarnings("ignore:No layer of model:UserWarning")
@pytest.mark.parametrize("make", [in_a_list, grown_with_a_model, shrunk_and_grown, inside_another])
def test_a_frozen_sequential_stays_frozen_however_it_comes_by_its_layers(make):
    model = make()
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(np.ones((8, 3), "float32"), np.ones((8, 2), "float32"), verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_judge_compiled_before_it_is_frozen_learns_by_itself_and_not_in_the_model_around():
    """In numbers: with loss (g d)^2 both gradients are 2 at first, and 2 d g^2 = 1.125 for d once g is 3/4."""
    g, d = one_weight("g"), one_weight("d")
    judge = Sequential([Input((1,)), d])
    judge.compile(jkeras.optimizers.SGD(0.125), "mse")
    judge.trainable = False
    both = Model(z := Input((1,)), judge(g(z)))
    both.compile(jkeras.optimizers.SGD(0.125), "mse")
    both.train_on_batch(ONE, ZERO)
    assert (value(g), value(d)) == (0.75, 1.0)
    with pytest.warns(UserWarning, match="trainable of"):
        judge.fit(0.75 * ONE, ZERO, verbose=0)
    assert (value(g), value(d)) == (0.75, 1 - 1.125 / 8)
    both.fit(ONE, ZERO, verbose=0)
    assert value(d) == 1 - 1.125 / 8
    assert value(g) == pytest.approx(0.75 - 2 * 0.75 * value(d) ** 2 / 8)


# -- precision --------------------------------------------------------------------------------------------------------


def table_of(n):
    return np.arange(float(n))[:, None] % 2


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
@pytest.mark.parametrize("rows", [(256, 257, 998, 999), (4095, 4096, 4097)])
def test_indices_that_come_as_floats_are_not_rounded_by_a_policy(policy, rows):
    ids = np.array([rows], "float32")
    i = Input((len(rows),))
    embed = Embedding(5000, 1, weights=table_of(5000), dtype=policy)
    flat = Flatten(dtype=policy)(embed(i))
    twice = Model(j := Input((1, len(rows))), TimeDistributed(embed)(j))
    for got in (Model(i, flat).predict(ids, verbose=0)[0], twice.predict(ids[None], verbose=0)[0, 0, :, 0]):
        np.testing.assert_array_equal(np.asarray(got, "float32"), np.array(rows) % 2)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_a_stateful_lstm_learns_under_a_mixed_policy_what_it_learns_in_float32(policy):
    def losses(dtype):
        x = Input((4, 3), batch_size=2)
        quarter = jkeras.initializers.Constant(0.25)
        h = LSTM(2, stateful=True, return_sequences=True, dtype=dtype, kernel_initializer=quarter)(x)
        model = Model(x, LSTM(2, stateful=True, dtype=dtype, kernel_initializer=quarter, recurrent_initializer=quarter)(h))
        model.layers[1].set_weights([w if w.ndim == 1 else 0 * w + 0.25 for w in model.layers[1].get_weights()])
        model.compile(jkeras.optimizers.SGD(0.1), "mse")
        x, y = np.ones((4, 4, 3), "float32"), np.ones((4, 2), "float32")
        return model.fit(x, y, batch_size=2, shuffle=False, epochs=3, verbose=0).history["loss"]

    np.testing.assert_allclose(losses(policy), losses("float32"), rtol=0.05)


# -- metrics that are no numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3,), (2, 2), (0,)])
def test_a_metric_of_any_shape_is_shown_recorded_and_returned(shape, capsys):
    filled = jnp.arange(float(np.prod(shape))).reshape(shape)
    metric = Metric("many", lambda: filled, lambda total, y, p, w=None: total, lambda total: total)
    model = Sequential([Input((1,)), Dense(1)])
    model.compile("sgd", "mse", metrics=[metric])
    history = model.fit(ONE, ZERO, epochs=2, validation_data=(ONE, ZERO), verbose=2)
    assert "many: " in capsys.readouterr().out
    assert "val_many" in repr(history)
    for name in ("many", "val_many"):
        np.testing.assert_array_equal(history.history[name], [filled] * 2)
    np.testing.assert_array_equal(model.evaluate(ONE, ZERO, verbose=0, return_dict=True)["many"], filled)


def _Odd__Name2(y_true, y_pred):
    return keras.ops.zeros(len(y_true))


class OfOnesOwn:
    def __call__(self, y_true, y_pred):
        return keras.ops.zeros(len(y_true))


@pytest.mark.parametrize("function", [lambda y, p: 0 * p[:, 0], _Odd__Name2, OfOnesOwn(), functools.partial(_Odd__Name2)])
def test_a_function_as_a_metric_is_logged_by_the_name_that_keras_gives_it(function):
    histories = []
    for k in (keras, jkeras):
        model = k.Sequential([k.Input((1,)), k.layers.Dense(1)])
        model.compile("sgd", "mse", metrics=[function])
        histories.append(model.fit(ONE, ZERO, verbose=0).history)
    assert sorted(histories[0]) == sorted(histories[1])


# -- a wrapper with arrays of its own ---------------------------------------------------------------------------------


@layer
def Affine(inner):
    """Scale and shift what another layer gives, and count its calls, by a Definition with children."""

    def init(key, x):
        params, state = inner.init(key, x)
        return {"inner": params, "gain": 2 * jnp.ones(3), "shift": jnp.ones(3)}, {"inner": state, "calls": jnp.zeros(())}

    def apply(params, state, x, ctx):
        y, inside = inner.apply(params["inner"], state["inner"], x, ctx)
        return y * params["gain"] + params["shift"], {"inner": inside, "calls": state["calls"] + 1}

    return Definition(init, apply, children={"inner": inner})


@pytest.mark.parametrize("inner", [BatchNormalization, lambda: Affine(BatchNormalization())])
def test_params_and_state_of_a_wrapper_beside_its_childrens_count_and_learn(inner):
    made = Affine(inner())
    model = Sequential([Input((3,)), made])
    x = RNG.normal(size=(8, 3)).astype("float32")
    weights = {w.path.split("/")[-1]: w for w in made.weights}
    assert {"gain", "shift", "calls"} <= set(weights)
    before = made.get_weights()
    plain = (model.predict(x, verbose=0) - 1) / 2
    made.gain.assign([3.0, 3.0, 3.0])
    np.testing.assert_allclose(model.predict(x, verbose=0), 3 * plain + 1, rtol=1e-5, atol=1e-5)
    model.compile("sgd", "mse")
    model.fit(x, x, verbose=0)
    assert len(made.get_weights()) == len(before)
    assert (np.asarray(made.shift) != 1).any()
