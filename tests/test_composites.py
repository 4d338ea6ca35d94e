"""Layers made of layers, each at the number of lines that it takes a user: trained by fit and by a loop of the user's own."""

import dataclasses
import inspect
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from layer_case import quick_jit

import jkeras
from jkeras import Input, Model
from jkeras.core import (
    Context,
    Definition,
    Masked,
    composite,
    fold_in_name,
    layer,
    penalties_in,
)
from jkeras.layers import BatchNormalization, Dense, Dropout, Embedding
from jkeras.saving import from_json, to_json

KEY = jax.random.key(0)
RNG = np.random.default_rng(5)
FLAT = RNG.normal(size=(12, 4)).astype("float32")
SERIES = RNG.normal(size=(12, 5, 4)).astype("float32")
PADDED = SERIES * (np.arange(5) < RNG.integers(2, 6, (12, 1)))[..., None]


# -- what users would write -------------------------------------------------------------------------------------------


@layer
def ResidualBlock(units, rate=0.1):
    inner = {"norm": BatchNormalization(), "first": Dense(units, "relu"), "drop": Dropout(rate), "second": Dense(units)}
    return composite(
        lambda call, x: x + call("second", call("drop", call("first", call("norm", x)))),
        **inner,
    )


@layer
def MinimalCell(units):
    return composite(
        lambda call, x: jnp.tanh(call("input", x[0]).value + call("state", x[1]).value),
        input=Dense(units),
        state=Dense(units, use_bias=False),
    )


@layer
def Recurrent(cell, units):
    def body(call, x):
        def step(h, x_t):
            h = call("cell", (x_t, h)).value
            return h, h

        start = jnp.zeros((x.shape[0], units))
        hs = jax.lax.scan(step, start, x.value.swapaxes(0, 1))[1]  # (time, batch, units)
        return Masked(hs.swapaxes(0, 1), x.mask)

    return composite(body, mixes_examples="never", cell=cell)


@layer
def LoRA(inner, rank=2):
    down = Dense(rank, use_bias=False)
    up = Dense(inner.config["units"], use_bias=False, kernel_initializer="zeros")
    return composite(lambda call, x: call("inner", x) + call("up", call("down", x)), inner=inner, down=down, up=up)


@layer
def WeightNorm(inner):
    def init(key, x):
        params, state = inner.init(fold_in_name(key, "inner"), x)
        return {"inner": params, "gain": jnp.linalg.norm(params["kernel"], axis=0)}, state

    def apply(params, state, x, ctx):
        kernel = params["inner"]["kernel"]
        kernel = kernel * params["gain"] / jnp.linalg.norm(kernel, axis=0)
        return inner.apply({**params["inner"], "kernel": kernel}, state, x, ctx.child("inner"))[0], state

    return Definition(init, apply, children={"inner": inner}, mixes_examples="never")


@layer
def Sampling():
    def apply(params, state, x, ctx):
        mean, log_var = jnp.split(x, 2, -1)  # each (batch, latent)
        kl = -0.5 * jnp.sum(1 + log_var - mean**2 - jnp.exp(log_var), -1).mean()
        noise = jax.random.normal(ctx.need_key(), mean.shape) if ctx.training else 0
        return mean + jnp.exp(log_var / 2) * noise, {"penalty": kl}

    return (lambda key, x: ({}, {"penalty": jnp.zeros(())})), apply


@layer
def Encoder(latent):
    return composite(lambda call, x: call("sample", call("moments", x)), moments=Dense(2 * latent), sample=Sampling())


@layer
def TiedLanguageModel(words, width):
    def body(call, x):
        h = call("norm", call("embed", x))
        return h @ call.params["embed"]["embeddings"].T

    return composite(body, embed=Embedding(words, width), norm=BatchNormalization())


def recurrent():
    return Recurrent(MinimalCell(3), 3)


USERS_LAYERS = {
    "a residual block": (lambda: ResidualBlock(4), FLAT),
    "a residual block over padded series": (lambda: ResidualBlock(4), PADDED),
    "an RNN over a user's cell": (recurrent, SERIES),
    "LoRA": (lambda: LoRA(Dense(3, trainable=False)), FLAT),
    "weight norm": (lambda: WeightNorm(Dense(3)), FLAT),
    "a tied projection": (lambda: TiedLanguageModel(7, 4), RNG.integers(0, 7, (12, 5)).astype("int32")),
    "a VAE's penalty": (lambda: Encoder(2), FLAT),
}


def model_of(make, x):
    source = Input(x.shape[1:], dtype=x.dtype.name)
    model = Model(source, make()(source))
    model.compile("adam", "mse", seed=3)
    return model


@pytest.fixture(params=USERS_LAYERS)
def case(request):
    make, x = USERS_LAYERS[request.param]
    model = model_of(make, x)
    return model, x, np.zeros(np.shape(model.predict(x, verbose=0)), "float32"), make


def test_none_of_them_takes_more_than_twenty_lines():
    for constructor in (ResidualBlock, MinimalCell, Recurrent, LoRA, WeightNorm, Sampling, Encoder, TiedLanguageModel):
        source = textwrap.dedent(inspect.getsource(constructor.__init__.__closure__[0].cell_contents))
        assert len([line for line in source.splitlines() if line.strip()]) <= 20, constructor


def test_it_trains_under_fit(case):
    model, x, y, _ = case
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=25, verbose=0)
    assert model.evaluate(x, y, verbose=0) < before


def test_it_trains_in_a_loop_of_ones_own_as_under_fit(case):
    model, x, y, _ = case
    trainer = model.trainer
    init, apply = model
    params, state = init(KEY)
    optimizer = optax.adam(1e-2)
    frozen = Context(training=True, key=KEY, frozen=model.frozen)
    opt_state = optimizer.init(params)

    def loss_of(params, state, key):
        out, state = apply(params, state, x, dataclasses.replace(frozen, key=key))
        out = jkeras.core.unmask(out)
        return jnp.square(out - y).mean() + penalties_in(state), state

    @quick_jit
    def step(params, state, opt_state, i):
        (loss, state), grads = jax.value_and_grad(loss_of, has_aux=True)(params, state, jax.random.fold_in(KEY, i))
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), state, opt_state, loss

    with_trainer = trainer.loss(params, state, (x, y), jax.random.fold_in(KEY, 0))[0]
    losses = []
    for i in range(25):
        params, state, opt_state, loss = step(params, state, opt_state, i)
        losses.append(float(loss))
    np.testing.assert_allclose(losses[0], with_trainer, rtol=1e-5)
    assert losses[-1] < losses[0]
    assert jax.tree.structure(apply(params, state, x)[1]) == jax.tree.structure(state)


def test_its_spec_is_what_it_returns_and_its_gradient_is_finite(case):
    model, x, _, _ = case
    y, _ = model.apply(model.params, model.state, x)
    assert model.output_shape == (None, *y.shape[1:])

    def loss(params):
        return jnp.square(model.apply(params, model.state, x, training=True, key=KEY)[0]).sum()

    assert all(np.isfinite(g).all() for g in jax.tree.leaves(jax.grad(loss)(model.params)))


def test_its_json_makes_it_again_with_the_same_outputs(case):
    model, x, _, make = case
    again = from_json(to_json(make()))
    source = Input(x.shape[1:], dtype=x.dtype.name)
    twin = Model(source, again(source))
    twin.set_weights(model.get_weights())
    np.testing.assert_array_equal(twin.predict(x, verbose=0), model.predict(x, verbose=0))


def test_filling_up_a_last_batch_changes_nothing(case):
    model, x, _, _ = case
    whole = model.predict(x, batch_size=12, verbose=0)
    np.testing.assert_allclose(model.predict(x, batch_size=5, verbose=0), whole, rtol=1e-5, atol=1e-6)


# -- their numbers, by hand -------------------------------------------------------------------------------------------


def test_a_residual_block_adds_what_its_parts_give_by_hand():
    model = model_of(lambda: ResidualBlock(4), FLAT)
    own = jax.tree.map(np.asarray, model.params["residual_block"])
    h = FLAT / np.sqrt(1 + 1e-3) * own["norm"]["gamma"] + own["norm"]["beta"]
    h = np.maximum(h @ own["first"]["kernel"] + own["first"]["bias"], 0)
    expected = FLAT + h @ own["second"]["kernel"] + own["second"]["bias"]
    np.testing.assert_allclose(model.predict(FLAT, verbose=0), expected, rtol=1e-5, atol=1e-6)
    assert [w.shape for w in model.get_weights()] == [(4,), (4,), (4,), (4,), (4, 4), (4,), (4, 4), (4,)]


def test_an_rnn_over_a_cell_is_the_recurrence_written_as_a_loop():
    model = model_of(recurrent, SERIES)
    cell = jax.tree.map(np.asarray, model.params["recurrent"]["cell"])
    h = np.zeros((12, 3), "float32")
    for t in range(5):
        h = np.tanh(SERIES[:, t] @ cell["input"]["kernel"] + cell["input"]["bias"] + h @ cell["state"]["kernel"])
    np.testing.assert_allclose(model.predict(SERIES, verbose=0)[:, -1], h, rtol=1e-5, atol=1e-6)


def test_lora_leaves_its_frozen_layer_alone_and_starts_as_it():
    dense = Dense(3, trainable=False)
    model = model_of(lambda: LoRA(dense), FLAT)
    kernel, bias = dense.get_weights()
    np.testing.assert_allclose(model.predict(FLAT, verbose=0), FLAT @ kernel + bias, rtol=1e-5, atol=1e-6)
    model.fit(FLAT, np.zeros((12, 3)), epochs=3, verbose=0)
    np.testing.assert_array_equal(dense.get_weights()[0], kernel)
    assert np.abs(model.params["lo_ra"]["up"]["kernel"]).max() > 0
    assert sum(leaf.size for leaf in jax.tree.leaves(model.opt_state) if leaf.ndim == 2) == 2 * (4 * 2 + 2 * 3)


def test_weight_norm_scales_each_column_to_its_gain():
    model = model_of(lambda: WeightNorm(Dense(3, use_bias=False)), FLAT)
    params = jax.tree.map(np.asarray, model.params["weight_norm"])
    assert sorted(params) == ["gain", "inner"]
    kernel = params["inner"]["kernel"]
    np.testing.assert_allclose(model.predict(FLAT, verbose=0), FLAT @ kernel, rtol=1e-5, atol=1e-6)
    model.params = {"weight_norm": {**params, "gain": 2 * params["gain"]}}
    np.testing.assert_allclose(model.predict(FLAT, verbose=0), 2 * FLAT @ kernel, rtol=1e-5, atol=1e-6)
    assert [w.shape for w in model.get_weights()] == [(3,), (4, 3)]  # its own arrays before those of what is inside


def test_the_penalty_of_a_vae_is_the_divergence_in_closed_form_at_every_call():
    x = Input((4,))
    sampling = Sampling()
    model = Model(x, [sampling(x), sampling(2 * x)])
    model.compile("sgd", [None, None], metrics=[["mae"], ["mae"]])
    mean, log_var = FLAT[:, :2], FLAT[:, 2:]

    def divergence(m, v):
        return (-0.5 * (1 + v - m**2 - np.exp(v)).sum(1)).mean()

    logs = model.evaluate(FLAT, [mean, mean], batch_size=12, verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["loss"], divergence(mean, log_var) + divergence(2 * mean, 2 * log_var), rtol=1e-5)
