"""The pure functions underneath: transformations, ensembles, determinism, compile counts, freezing, custom layers."""

import hashlib
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jkeras
from jkeras import Input, Model, Sequential
from jkeras.layers import LSTM, BatchNormalization, Dense, Dropout, Embedding

KEY = jax.random.key(0)


def _digest(tree) -> str:
    parts = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        array = jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
        parts.update(np.asarray(array).tobytes())
    return parts.hexdigest()


def _data(n=70, width=5, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.random((n, width)).astype("float32")
    return x, (x.sum(1, keepdims=True) > width / 2).astype("float32")


def _classifier(dropout=0.2, optimizer="adam"):
    model = Sequential([Input((5,)), Dense(8, activation="relu"), Dropout(dropout), Dense(1, activation="sigmoid")])
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"], seed=3)
    return model


def test_init_and_apply_unpack_from_a_model_and_are_pure():
    model = _classifier()
    x, _ = _data()
    held = _digest((model.params, model.state))
    init, apply = model
    params, state = init(jax.random.key(9))
    first, _ = apply(params, state, x)
    second, _ = apply(params, state, x)
    np.testing.assert_array_equal(first, second)
    assert _digest((model.params, model.state)) == held
    assert np.abs(np.asarray(first) - model.predict(x)).max() > 1e-3  # other parameters than the model's


def test_jit_vmap_and_checkpoint_of_apply_give_what_apply_gives():
    model = _classifier()
    x, _ = _data()
    params, state = model.params, model.state
    plain, _ = model.apply(params, state, x)

    def forward(params, x):
        return model.apply(params, state, x)[0]

    np.testing.assert_allclose(jax.jit(forward)(params, x), plain, rtol=1e-6)
    each = jax.vmap(lambda one: forward(params, one[None])[0])(x)
    np.testing.assert_allclose(each, plain, rtol=1e-5)
    gradient = jax.grad(lambda p: forward(p, x).sum())(params)
    saved = jax.grad(lambda p: jax.checkpoint(forward)(p, x).sum())(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), gradient, saved)


def test_grad_of_apply_is_the_closed_form_of_a_linear_model():
    model = Sequential([Dense(2, input_shape=(3,))])
    x = np.arange(12, dtype="float32").reshape(4, 3)
    gradient = jax.grad(lambda p: model.apply(p, {}, x)[0].sum())(model.params)
    np.testing.assert_allclose(gradient["dense"]["kernel"], np.repeat(x.sum(0)[:, None], 2, 1))
    np.testing.assert_allclose(gradient["dense"]["bias"], [4, 4])


def test_scan_over_stacked_parameters_runs_blocks_one_after_another():
    block = Sequential([Dense(4, activation="tanh", input_shape=(4,))])
    stack = jax.vmap(lambda key: block.init(key)[0])(jax.random.split(KEY, 3))
    x = jnp.ones((2, 4))
    y, _ = jax.lax.scan(lambda h, p: (block.apply(p, {}, h)[0], None), x, stack)
    expected = np.ones((2, 4))
    for i in range(3):
        expected = np.tanh(expected @ np.asarray(stack["dense"]["kernel"][i]) + np.asarray(stack["dense"]["bias"][i]))
    np.testing.assert_allclose(y, expected, rtol=1e-5)


def test_a_model_exports_with_an_unknown_batch_size():
    model = _classifier()
    (batch,) = jax.export.symbolic_shape("batch")
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), model.params)
    forward = jax.jit(lambda p, x: model.apply(p, {}, x)[0])
    exported = jax.export.export(forward)(shapes, jax.ShapeDtypeStruct((batch, 5), jnp.float32))
    x, _ = _data(7)
    np.testing.assert_allclose(exported.call(model.params, x), model.predict(x), rtol=1e-5)


def test_an_ensemble_by_vmap_gives_for_each_key_the_numbers_of_training_alone():
    model = _classifier(dropout=0.5)
    trainer, data = model.trainer, _data()
    keys = jax.random.split(jax.random.key(4), 3)
    states = jax.vmap(trainer.init)(keys)
    for _ in range(2):
        states, logs = jax.jit(jax.vmap(trainer.epoch, in_axes=(0, None)))(states, data)
    for i, key in enumerate(keys):
        alone = trainer.init(key)
        for _ in range(2):
            alone, alone_logs = jax.jit(trainer.epoch)(alone, data)
        jax.tree.map(lambda a, b, i=i: np.testing.assert_allclose(a[i], b, atol=1e-5), states.params, alone.params)
        np.testing.assert_allclose(logs["loss"][i], alone_logs["loss"], atol=1e-5)
    assert np.abs(states.params["dense"]["kernel"][0] - states.params["dense"]["kernel"][1]).max() > 1e-2


def test_fit_is_the_loop_around_trainer_epoch():
    model, data = _classifier(), _data()
    trainer = model.trainer
    state = trainer.init(jax.random.key(3))  # the seed that compile was given
    for _ in range(3):
        state, logs = trainer.epoch(state, data)
    history = model.fit(*data, epochs=3, verbose=0)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), model.params, state.params)
    np.testing.assert_allclose(history.history["loss"][-1], logs["loss"], atol=1e-6)
    assert int(model.train_state().step) == int(state.step) == 9


def test_trainer_step_is_one_optax_step_and_compiles_once():
    model = Sequential([Dense(1, input_shape=(5,), kernel_initializer="ones")])
    model.compile(optax.sgd(0.5), "mse")
    x, y = _data(8)
    trainer = model.trainer
    step, state = jax.jit(trainer.step), trainer.init(KEY)
    after, logs = step(state, (x, y))
    residual = x.sum(1, keepdims=True) - y
    np.testing.assert_allclose(logs["loss"], (residual**2).mean(), rtol=1e-5)
    np.testing.assert_allclose(after.params["dense"]["kernel"], 1 - 0.5 * 2 * x.T @ residual / 8, rtol=1e-4)
    for _ in range(3):
        after, _ = step(after, (x, y))
    assert step._cache_size() == 1


def test_training_compiles_once_per_fit_shape_partial_batches_included():
    model, data = _classifier(), _data(70)
    engine = model.engine()
    model.fit(*data, epochs=3, verbose=0)
    assert engine.compilations == 1
    model.fit(*data, epochs=2, verbose=0)
    assert engine.compilations == 1
    model.fit(*_data(64), epochs=1, verbose=0)  # another number of examples is another program
    assert engine.compilations == 2
    model.evaluate(*data, verbose=0)
    model.evaluate(*data, verbose=0)
    assert engine.compilations == 3


def test_where_a_batch_is_normalised_together_the_last_one_runs_by_itself():
    model = Sequential([Input((5,)), Dense(4), BatchNormalization(), Dense(1)])
    model.compile("sgd", "mse")
    model.fit(*_data(70), verbose=0)
    assert model.engine().compilations == 2


def test_predicting_any_number_of_rows_compiles_at_most_once_per_power_of_two():
    model = _classifier()
    x, _ = _data(70)
    expected = model.predict(x)
    for n in range(1, 70, 3):
        np.testing.assert_allclose(model.predict(x[:n]), expected[:n], rtol=1e-5)
    assert model.engine().predict._cache_size() <= 6


_SCRIPT = """
import hashlib, numpy as np, jax, jkeras
from jkeras.layers import *
np.random.random({noise})
x = np.arange(60 * 6, dtype="int32").reshape(60, 6) % 11
t = Input((None,), dtype="int32")
h = LSTM(5, dropout=0.2)(Embedding(11, 4, mask_zero=True)(t))
model = jkeras.Model(t, {{"b": Dense(1, activation="sigmoid")(h), "a": Dense(3, activation="softmax")(BatchNormalization()(h))}})
model.compile("rmsprop", {{"a": "sparse_categorical_crossentropy", "b": "binary_crossentropy"}}, seed=5)
model.fit(x, {{"a": x[:, 0] % 3, "b": (x[:, :1] > 4).astype("float32")}}, batch_size=16, epochs=2, verbose=0)
digest = hashlib.sha256()
for w in model.get_weights(): digest.update(w.tobytes())
print(digest.hexdigest())
"""


def test_the_same_seed_gives_bit_identical_weights_in_two_processes():
    digests = set()
    for hash_seed, noise in (("0", 1), ("7", 50)):
        env = {**os.environ, "PYTHONHASHSEED": hash_seed}
        script = [sys.executable, "-c", _SCRIPT.format(noise=noise)]
        done = subprocess.run(script, env=env, capture_output=True, text=True, check=True)
        digests.add(done.stdout.strip())
    assert len(digests) == 1
    assert len(digests.pop()) == 64


def test_set_random_seed_repeats_a_run_and_other_models_do_not_get_the_same_weights():
    def run():
        jkeras.utils.set_random_seed(11)
        models = [Sequential([Dense(3, input_shape=(4,))]) for _ in range(2)]
        return [m.get_weights()[0] for m in models], np.random.random()

    (first, second), number = run()
    (again, _), repeated = run()
    np.testing.assert_array_equal(first, again)
    assert number == repeated
    assert np.abs(first - second).max() > 1e-3


def test_the_history_records_a_seed_that_repeats_the_run():
    def model():
        return Sequential([Input((5,)), Dense(4, activation="relu"), Dropout(0.5), Dense(1)])

    first = model()
    first.compile("adam", "mse")
    history = first.fit(*_data(), epochs=2, verbose=0)
    second = model()
    second.compile("adam", "mse", seed=history.seed)
    second.fit(*_data(), epochs=2, verbose=0)
    assert _digest(first.params) == _digest(second.params)


def test_two_fits_of_one_epoch_are_one_fit_of_two():
    together, apart = _classifier(), _classifier()
    together.fit(*_data(), epochs=2, verbose=0)
    for _ in range(2):
        apart.fit(*_data(), epochs=1, verbose=0)
    assert _digest(together.train_state()) == _digest(apart.train_state())


def test_frozen_layers_keep_their_weights_and_their_statistics():
    trunk = [Dense(4, name="trunk"), BatchNormalization(name="norm")]
    model = Sequential([Input((5,)), *trunk, Dense(1, name="head")])
    for layer in trunk:
        layer.trainable = False
    model.compile("adam", "mse")
    frozen = _digest([model.params["trunk"], model.params["norm"], model.state])
    head = _digest(model.params["head"])
    model.fit(*_data(), epochs=2, verbose=0)
    assert _digest([model.params["trunk"], model.params["norm"], model.state]) == frozen
    assert _digest(model.params["head"]) != head
    assert sum(a.size for a in jax.tree.leaves(model.opt_state) if a.ndim == 2) == 2 * 4  # Adam's two means, of the head alone
    model.trainable = True
    model.compile("adam", "mse")
    model.fit(*_data(), epochs=1, verbose=0)
    assert _digest([model.params["trunk"], model.params["norm"], model.state]) != frozen


def test_a_custom_layer_of_seven_lines_trains_shares_and_nests():
    @jkeras.layer
    def Scale(start=1.0):
        def init(key, x):
            return {"scale": jnp.full(x.shape[-1], start)}, {}

        def apply(params, state, x, ctx):
            return x * params["scale"], state

        return init, apply

    x = Input((5,))
    scale = Scale(2.0)
    model = Model(x, Dense(1)(scale(scale(x))))
    np.testing.assert_array_equal(model.params["scale"]["scale"], np.full(5, 2.0))
    model.compile("sgd", "mse")
    model.fit(*_data(33), verbose=0)
    assert np.abs(model.params["scale"]["scale"] - 2).max() > 0


def test_a_pair_of_functions_in_the_style_of_stax_is_a_layer():
    def init(key, x):
        return {"w": jnp.ones((x.shape[-1], 2))}

    model = Sequential([Input((3,)), (init, lambda params, x: x @ params["w"])])
    np.testing.assert_allclose(model.predict(np.ones((2, 3))), np.full((2, 2), 3.0))


def test_arrays_that_the_user_took_stay_alive_through_training():
    model = _classifier()
    taken, state = model.params, model.train_state()
    before = _digest((taken, state))
    model.fit(*_data(), epochs=2, verbose=0)
    assert _digest((taken, state)) == before


def test_how_an_epoch_is_divided_into_dispatches_changes_no_bit(monkeypatch):
    from jkeras.training.engine import Pace

    digests = set()
    for steps in (1, 2, 1000):
        monkeypatch.setattr(Pace, "size", lambda self, steps=steps: steps)
        model = _classifier(dropout=0.5)
        model.fit(*_data(), epochs=2, verbose=0)
        digests.add(_digest(model.train_state()))
    assert len(digests) == 1


@pytest.mark.parametrize("length", [3, 9])
def test_a_padded_last_batch_trains_as_an_unpadded_one_masks_included(length):
    ids = np.random.default_rng(1).integers(0, 9, (20, length)).astype("int32")

    def trained(pad):
        t = Input((None,), dtype="int32")
        model = Model(t, Dense(2, activation="softmax")(LSTM(3, return_sequences=True)(Embedding(9, 4, mask_zero=True)(t))))
        model.compile(optax.sgd(0.1), "sparse_categorical_crossentropy", metrics=["acc"], seed=1)
        if pad:
            logs = model.fit(ids, ids % 2, batch_size=16, shuffle=False, verbose=0).history
            return model.get_weights(), logs["acc"][0]
        for part in (slice(0, 16), slice(16, 20)):
            model.train_on_batch(ids[part], ids[part] % 2)
        return model.get_weights(), None

    padded, _ = trained(True)
    single, _ = trained(False)
    for a, b in zip(padded, single, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_the_order_drawn_on_the_host_is_that_of_the_pure_function_equal_bits_included(monkeypatch):
    model = _classifier()
    engine, state = model.engine(), model.train_state()
    np.testing.assert_array_equal(engine.order(state, 500, 512)[:500], model.trainer.order(state, 500))
    np.testing.assert_array_equal(np.sort(engine.order(state, 500, 512)[:500]), np.arange(500))
    bits = jnp.arange(500, dtype=jnp.uint32) % 7  # many equal ones
    monkeypatch.setattr(type(model.trainer), "shuffle_bits", lambda self, state, n: bits)
    monkeypatch.setattr(engine, "_bits", lambda state, n: bits)
    np.testing.assert_array_equal(engine.order(state, 500, 500), model.trainer.order(state, 500))


def test_the_halves_of_a_gan_take_turns_without_compiling_anew():
    z, x = Input((2,)), Input((5,))
    generator = Model(z, Dense(5)(z), name="generator")
    judge = Model(x, Dense(1, activation="sigmoid")(x), name="judge")
    gan = Model(z, judge(generator(z)))
    judge.compile("adam", "binary_crossentropy")
    judge.trainable = False  # counts where it is compiled from now on
    gan.compile("adam", "binary_crossentropy")
    noise, real = np.ones((8, 2)), np.ones((8, 1))
    for _ in range(3):
        before = judge.get_weights()
        judge.train_on_batch(generator.predict(noise), 1 - real)
        assert any((a != b).any() for a, b in zip(before, judge.get_weights(), strict=True))
        held = judge.get_weights()
        made = generator.get_weights()
        gan.train_on_batch(noise, real)
        assert all((a == b).all() for a, b in zip(held, judge.get_weights(), strict=True))
        assert any((a != b).any() for a, b in zip(made, generator.get_weights(), strict=True))
    assert gan.engine().compilations == judge.engine().compilations == 1
    judge.compile("adam", "binary_crossentropy")
    with pytest.warns(UserWarning, match="No layer of model 'judge' is trainable"):
        judge.train_on_batch(np.ones((8, 5)), real)
