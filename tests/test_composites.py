"""Layers made of layers, each at the number of lines that it takes a user: trained by fit and by a loop of the user's own."""

import dataclasses
import inspect
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from layer_table import quick_jit

import jkeras
from jkeras import Input, Model, Sequential
from jkeras.core import (
    Context,
    Definition,
    Masked,
    ShapeError,
    UnknownNameError,
    clone,
    composite,
    fold_in_name,
    from_json,
    layer,
    penalties_in,
    to_json,
    weight,
)
from jkeras.layers import LSTM, Activation, BatchNormalization, Dense, Dropout, Embedding, Masking, TimeDistributed

KEY = jax.random.key(0)
RNG = np.random.default_rng(5)
FLAT = RNG.normal(size=(12, 4)).astype("float32")
SERIES = RNG.normal(size=(12, 5, 4)).astype("float32")
PADDED = SERIES * (np.arange(5) < RNG.integers(2, 6, (12, 1)))[..., None]


# -- what users would write -------------------------------------------------------------------------------------------


@layer
def Residual(units, rate=0.1):
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
    "a residual block": (lambda: Residual(4), FLAT),
    "a residual block over padded series": (lambda: Residual(4), PADDED),
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
    for constructor in (Residual, MinimalCell, Recurrent, LoRA, WeightNorm, Sampling, Encoder, TiedLanguageModel):
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
    model = model_of(lambda: Residual(4), FLAT)
    own = jax.tree.map(np.asarray, model.params["residual"])
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


# -- what the mechanism threads ---------------------------------------------------------------------------------------


def test_keys_of_inner_layers_come_from_their_names_and_calls():
    @layer
    def Twice():
        def body(call, x):
            return jnp.stack([call("drop", x).value, call("drop", x).value])[:, 0]

        return composite(body, drop=Dropout(0.5))

    ones = jnp.ones((1, 1000))
    (first, second), _ = Twice().apply({}, {}, ones, training=True, key=KEY)
    assert not (first == second).all()
    again, _ = Twice().apply({}, {}, ones, training=True, key=KEY)
    np.testing.assert_array_equal(first, again[0])


def test_an_inner_layer_that_is_inserted_leaves_the_others_weights_as_they_were():
    spec = jax.ShapeDtypeStruct((1, 4), "float32")

    def made(**inner):
        constructor = layer(lambda: composite(lambda call, x: [call(name, x) for name in inner], **inner))
        return constructor().init(KEY, spec)[0]

    alone = made(head=Dense(2))
    beside = made(first=Dense(3), head=Dense(2), norm=BatchNormalization())
    np.testing.assert_array_equal(alone["head"]["kernel"], beside["head"]["kernel"])


def test_a_mask_made_inside_is_read_inside_and_comes_out():
    @layer
    def Words():
        return composite(lambda call, x: 2 * call("embed", x), embed=Embedding(7, 3, mask_zero=True))

    x = Input((None,), dtype="int32")
    words, lstm = Words(), LSTM(2)
    model = Model(x, lstm(words(x)))
    padded, plain = np.array([[3, 1, 4, 0, 0]]), np.array([[3, 1, 4]])
    np.testing.assert_allclose(model.predict(padded, verbose=0), model.predict(plain, verbose=0), atol=1e-6)


def test_a_mask_passes_through_a_residual_block_as_through_add():
    x = Input((5, 4))
    lstm, block = LSTM(2), Residual(4)
    model = Model(x, lstm(block(Masking()(x))))
    for row in PADDED:
        length = int((row != 0).any(-1).sum())
        short = Model(y := Input((None, 4)), lstm(block(y))).predict(row[None, :length], verbose=0)
        np.testing.assert_allclose(model.predict(row[None], verbose=0), short, rtol=1e-5, atol=1e-6)


def test_the_activation_that_closes_a_composite_is_fused_into_the_loss():
    @layer
    def Head(units):
        return composite(lambda call, x: call("out", call("hidden", x)), hidden=Dense(4), out=Dense(units, "softmax"))

    model = model_of(lambda: Head(3), FLAT)
    model.compile("sgd", "sparse_categorical_crossentropy")
    loss = model.evaluate(1e4 * FLAT, np.arange(12) % 3, verbose=0)
    hidden = 1e4 * FLAT @ model.get_weights()[0] + model.get_weights()[1]
    z = (hidden @ model.get_weights()[2] + model.get_weights()[3]).astype("float64")
    exact = (np.log(np.exp(z - z.max(1, keepdims=True)).sum(1)) + z.max(1) - z[np.arange(12), np.arange(12) % 3]).mean()
    np.testing.assert_allclose(loss, exact, rtol=1e-4)
    assert loss > 17  # a clipped softmax would stop at -log(1e-7)


@pytest.mark.parametrize(
    ("body", "inner", "expected"),
    [
        (lambda call, x: x + call("a", x), {"a": Dense(4)}, "never"),
        (lambda call, x: call("a", x)[:, ::-1] * 2, {"a": Dense(4)}, "never"),
        (lambda call, x: call("a", x), {"a": BatchNormalization()}, "training"),
        (lambda call, x: x - jnp.mean(x.value, 0), {}, "always"),
        (lambda call, x: x[::-1], {}, "always"),
        (lambda call, x: Masked(jnp.tanh(x), None), {}, "always"),  # nobody knows what a plain array went through
    ],
)
def test_whether_examples_are_mixed_follows_from_operators_and_calls(body, inner, expected):
    made = layer(lambda: composite(body, **inner))()
    assert jkeras.core.describe.mixing(made, jax.ShapeDtypeStruct((3, 4), "float32")) == expected


def test_a_body_that_computes_with_plain_arrays_may_say_that_it_mixes_nothing():
    made = layer(lambda: composite(lambda call, x: jnp.tanh(call("a", x)), mixes_examples="never", a=Dense(2)))()
    assert jkeras.core.describe.mixing(made, jax.ShapeDtypeStruct((3, 4), "float32")) == "never"


def test_precision_reaches_inner_layers_and_the_spec_says_so():
    x = Input((4,))
    for make in (lambda: Residual(4, dtype="mixed_bfloat16"), lambda: TimeDistributed(Dense(2), dtype="mixed_bfloat16")):
        shape = (4,) if make().kind == "Residual" else (3, 4)
        block, x = make(), Input(shape)
        y = block(x)
        assert y.dtype == jnp.bfloat16
        assert block(np.ones((2, *shape), "float32")).dtype == jnp.bfloat16
        params, state = block.init(KEY, x.spec)
        assert {leaf.dtype for leaf in jax.tree.leaves((params, state))} == {jnp.dtype("float32")}


def test_freezing_a_composite_freezes_what_is_inside_it_statistics_included():
    model = model_of(lambda: Residual(4, trainable=False), FLAT)
    before = model.get_weights()
    with pytest.warns(UserWarning, match="No layer of model"):
        model.fit(FLAT, np.zeros((12, 4)), verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_inner_layer_shared_with_the_model_around_has_one_set_of_arrays():
    dense, x = Dense(4), Input((4,))
    shared = layer(lambda: composite(lambda call, x: call("inner", x), inner=dense))()
    model = Model(x, shared(dense(x)))
    assert model.count_params() == 20
    kernel, bias = dense.get_weights()
    np.testing.assert_allclose(model.predict(FLAT), (FLAT @ kernel + bias) @ kernel + bias, rtol=1e-4, atol=1e-5)


def test_a_stateful_inner_layer_is_carried_along_in_a_loop_of_jax():
    @layer
    def Repeated(times):
        def body(call, x):
            def step(carry, _):
                h, call.states["norm"] = carry
                h = call("norm", h).value
                return (h, call.states["norm"]), None

            (h, call.states["norm"]), _ = jax.lax.scan(step, (x.value, call.states["norm"]), None, times)
            return h

        return composite(body, norm=BatchNormalization(momentum=0.5))

    layer_, x = Repeated(3), jnp.asarray(FLAT)
    params, state = layer_.init(KEY, x)
    y, after = layer_.apply(params, state, x, training=True)
    h, moving = FLAT, np.zeros(4)
    for _ in range(3):
        moving = 0.5 * moving + 0.5 * h.mean(0)
        h = (h - h.mean(0)) / np.sqrt(h.var(0) + 1e-3)
    np.testing.assert_allclose(y, h, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(after["norm"]["moving_mean"], moving, rtol=1e-4, atol=1e-6)


def test_arrays_of_its_own_and_an_argument_of_a_call():
    @layer
    def Gated(units):
        def weights(key, x):
            return {"gain": weight(key, "gain", "ones", (units,))}, {"calls": jnp.zeros(())}

        def body(call, x):
            call.states["calls"] = call.states["calls"] + 1
            return call("inner", x) * call.params["gain"] * call.ctx.arguments.get("gate", 1.0)

        return composite(body, weights=weights, arguments=("gate",), inner=Dense(units))

    x, gate = Input((4,)), Input((3,))
    gated = Gated(3)
    model = Model([x, gate], gated(x, gate=gate))
    kernel, bias = gated.get_weights()[2:]
    given = np.full((12, 3), 2.0, "float32")
    np.testing.assert_allclose(model.predict([FLAT, given]), 2 * (FLAT @ kernel + bias), rtol=1e-5, atol=1e-6)
    assert [w.shape for w in gated.get_weights()] == [(3,), (), (4, 3), (3,)]
    with pytest.raises(TypeError, match="Did you mean 'gate'"):
        gated(x, gat=gate)


def test_a_name_that_is_no_inner_layer_says_which_there_are():
    with pytest.raises((UnknownNameError, ShapeError), match="'frist', only 'first'"):
        layer(lambda: composite(lambda call, x: call("frist", x), first=Dense(2)))()(Input((4,)))


def test_an_unknown_size_of_a_composites_own_array_is_refused_by_name():
    def weights(key, x):
        return {"gain": weight(key, "gain", "ones", x.shape[1:])}, {}

    made = layer(lambda: composite(lambda call, x: x * call.params["gain"], weights=weights))()
    with pytest.raises(ShapeError, match="'gain' would have the unknown size"):
        made(Input((None,)))


# -- clone and JSON ---------------------------------------------------------------------------------------------------


def test_a_clone_is_like_the_layer_but_for_changes_and_has_arrays_of_its_own():
    first = LSTM(3, return_sequences=True, name="forward")
    second = clone(first, go_backwards=True, name="backward")
    assert second.config == {**first.config, "go_backwards": True}
    assert (first.name, second.name) == ("forward", "backward")
    x = Input((5, 4))
    assert Model(x, [first(x), second(x)]).count_params() == 2 * 4 * 3 * (4 + 3 + 1)


def test_a_clone_of_a_wrapper_clones_what_it_wraps():
    inner = Dense(2, trainable=False, dtype="mixed_bfloat16")
    outer = clone(TimeDistributed(inner))
    assert outer.config["layer"] is not inner
    assert repr(outer.config["layer"]) == repr(inner)
    assert not outer.config["layer"].trainable
    assert outer.config["layer"].dtype == "mixed_bfloat16"


def test_a_model_has_no_arguments_to_clone():
    with pytest.raises(TypeError, match="a model, has none"):
        clone(Sequential([Input((4,)), Dense(2)]))


def test_json_keeps_names_functions_and_nesting():
    made = TimeDistributed(Dense(3, "relu", kernel_initializer=jkeras.initializers.HeNormal(seed=2), name="inner"), name="outer")
    again = from_json(to_json(made))
    assert repr(again) == repr(made)
    assert to_json(again) == to_json(made)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ('{"layer": "Dens", "config": {"units": 3}}', UnknownNameError, "Did you mean 'Dense'"),
        ('{"custom": "Nobodys", "config": {}}', UnknownNameError, "no custom called 'Nobodys'"),
        ('{"layer": "Dense", "config": {"units": "3"}}', ValueError, "positive integer"),
        ('{"layer": "Dense", "config": {"size": 3}}', TypeError, "no argument 'size'"),
        ('{"units": 3}', ValueError, "no layer and no function"),
        ("[1, 2]", ValueError, "describes no layer"),
    ],
)
def test_json_that_describes_no_layer_is_refused(text, error, words):
    with pytest.raises(error, match=words):
        from_json(text)


def test_what_cannot_be_written_as_json_is_named():
    with pytest.raises(TypeError, match="argument 'activation' of Dense 'd' cannot be written"):
        to_json(Dense(3, activation=lambda x: x, name="d"))
    with pytest.raises(TypeError, match="argument 'weights' of Embedding"):
        to_json(Embedding(2, 2, weights=np.ones((2, 2))))


# -- constructors are classes -----------------------------------------------------------------------------------------


def test_layers_are_instances_of_their_constructors():
    dense = Dense(3)
    assert isinstance(dense, Dense)
    assert not isinstance(dense, Activation)
    assert type(dense).__name__ == "Dense"
    assert isinstance(Residual(4), Residual)
    assert isinstance(Sequential([Input((2,)), dense]).layers[0], Dense)
    assert isinstance(Input((3,)).call.layer, jkeras.layers.InputLayer)
    assert list(inspect.signature(Dense).parameters)[:2] == ["units", "activation"]


def test_a_subclass_of_layer_is_told_how_layers_are_written():
    class Old(jkeras.layers.Layer):
        def call(self, x):
            return x

    with pytest.raises(TypeError, match=r"@jkeras\.layer over a function"):
        Old()


def test_a_users_constructor_does_not_replace_the_librarys_of_the_same_name():
    library = jkeras.core.constructors.CONSTRUCTORS
    before = dict(library)

    @layer
    def Embedding(size):
        return (lambda key, x: ({}, {})), (lambda params, state, x, ctx: (x + size, state))

    assert library == before
    assert from_json('{"layer": "Embedding", "config": {"input_dim": 3, "output_dim": 2}}').kind == "Embedding"
    mine = from_json(to_json(Embedding(2)))
    assert isinstance(mine, Embedding)
    assert mine(np.ones((1, 2))).tolist() == [[3.0, 3.0]]


def test_a_layer_unpacks_into_its_pair_and_a_context_cannot_be_mistaken():
    init, apply = Dense(2)
    params, state = init(KEY, jax.ShapeDtypeStruct((1, 4), "float32"))
    plain, _ = apply(params, state, FLAT)
    np.testing.assert_array_equal(apply(params, state, FLAT, Context())[0], plain)
    for positional in (True, False, "training"):
        with pytest.raises(TypeError, match=r"training=True is written as a keyword"):
            apply(params, state, FLAT, positional)
    with pytest.raises(TypeError, match="beside training="):
        apply(params, state, FLAT, Context(), training=True)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: (lambda key, x: ({}, {}), lambda p, s, x, ctx: x), "apply must return .y, state.*returned a"),
        (lambda: (lambda key, x: ({}, {}), lambda p, s, x, ctx: (x, None)), "dictionary, but returned a tuple of"),
        (lambda: (lambda key, x: ({}, {"n": jnp.zeros(2)}), lambda p, s, x, ctx: (x, {})), r"like the one.*'n'.*returned \{\}"),
        (
            lambda: (lambda key, x: ({}, {"n": jnp.zeros(2)}), lambda p, s, x, ctx: (x, {"n": s["n"].astype("int32")})),
            "float32.*returned.*int32",
        ),
        (lambda: (lambda key, x: ({}, {"n": jnp.zeros(2)}), lambda p, s, x, ctx: (x, {"n": jnp.zeros(3)})), r"\(2,\).*\(3,\)"),
        (lambda: (lambda key, x: {}, lambda p, s, x, ctx: (x, s)), "init must return .params, state"),
        (lambda: lambda x: x, "must return .init, apply"),
        (lambda: (1, 2), "pair of functions"),
    ],
)
def test_a_layer_that_breaks_the_contract_is_told_so_by_name_when_it_is_first_called(make, words):
    def Faulty():
        return make()

    with pytest.raises((TypeError, ShapeError), match=f"(?s)Faulty.*{words}"):
        layer(Faulty)()(Input((2,)))
