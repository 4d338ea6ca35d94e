"""What a composite threads for its body: keys, masks, mixing, precision, freezing, sharing, state, arguments, its own arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_composites import FLAT, KEY, PADDED, ResidualBlock, model_of

import jkeras
from jkeras import Input, Model
from jkeras.core import Masked, ShapeError, UnknownNameError, composite, layer, weight
from jkeras.layers import LSTM, BatchNormalization, Dense, Dropout, Embedding, Masking, TimeDistributed

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
    lstm, block = LSTM(2), ResidualBlock(4)
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
    for make in (lambda: ResidualBlock(4, dtype="mixed_bfloat16"), lambda: TimeDistributed(Dense(2), dtype="mixed_bfloat16")):
        shape = (4,) if make().kind == "ResidualBlock" else (3, 4)
        block, x = make(), Input(shape)
        y = block(x)
        assert y.dtype == jnp.bfloat16
        assert block(np.ones((2, *shape), "float32")).dtype == jnp.bfloat16
        params, state = block.init(KEY, x.spec)
        assert {leaf.dtype for leaf in jax.tree.leaves((params, state))} == {jnp.dtype("float32")}


def test_freezing_a_composite_freezes_what_is_inside_it_statistics_included():
    model = model_of(lambda: ResidualBlock(4, trainable=False), FLAT)
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


# -- what users get wrong, and what they may expect ------------------------------------------------------------------


def made_of(body, **inner):
    more = {name: inner.pop(name) for name in ("weights", "transient", "arguments") if name in inner}
    return layer(
        lambda: composite(body, **inner, **more),
    )()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: made_of(lambda call, x: call("l", x[:, None], initial_states=[x, x]), l=LSTM(4)),
            "Did you mean 'initial_state'",
        ),
        (lambda: made_of(lambda call, x: None, d=Dense(2)), "body of a composite must return arrays, but returned None"),
        (lambda: made_of(lambda call, x: x @ call.params["d"]["kernel"] + call("d", x), d=Dense(4)), "'d' before it calls it"),
        (lambda: made_of(lambda call, x: x, arguments="memory"), "arguments is a tuple of names, but got 'memory'"),
        (lambda: made_of(lambda call, x: x, weights=lambda key, x: {"w": jnp.zeros(2)}), "weights=: init must return"),
        (lambda: made_of(lambda call, x: x, weights=lambda key, x: ({}, {"penalty": jnp.zeros(4)})), "must be one number, not"),
    ],
)
def test_a_mistake_in_a_body_is_told_in_words(make, words):
    with pytest.raises((TypeError, ShapeError), match=words):
        Model(x := Input((4,)), make()(x)).predict(FLAT, verbose=0)


def test_a_child_that_is_called_directly_in_a_body_is_told_how_it_is_written():
    dense = Dense(4)
    with pytest.raises((TypeError, ShapeError), match=r"Dense 'd' was called inside the body.*call\(name, x\)"):
        made_of(lambda call, x: x + dense(x), d=dense)(Input((4,)))


def test_layers_that_draw_outside_training_too_are_built_and_run():
    @layer
    def Noisy():
        return (lambda key, x: ({}, {})), (lambda p, s, x, ctx: (x + jax.random.normal(ctx.need_key(), x.shape), s))

    x = Input((4,))
    for made in (Noisy(), made_of(lambda call, x: call("n", x), n=Noisy())):
        model = Model(x, made(x))
        model.compile("sgd", "mse")
        assert np.std(model.predict(FLAT, verbose=0) - FLAT) > 0.3
        assert np.isfinite(model.evaluate(FLAT, FLAT, verbose=0))


def test_a_loop_may_carry_all_states_at_once_and_read_all_params():
    def body(call, x):
        def step(carry, _):
            h, call.states = carry
            h = call("d", call("n", h)).value
            return (h, dict(call.states)), None

        decay = sum(jnp.sum(leaf) for leaf in jax.tree.leaves(call.params)) * 0
        (h, call.states), _ = jax.lax.scan(step, (x.value, dict(call.states)), None, 3)
        return h + decay

    made = made_of(body, n=BatchNormalization(momentum=0.5), d=Dense(4, kernel_initializer="identity"))
    model = Model(x := Input((4,)), made(x))
    model.compile("sgd", "mse")
    model.fit(FLAT, FLAT, verbose=0)
    assert np.abs(model.get_weights()[2]).max() > 0


def test_a_dictionary_in_and_out_keeps_names_and_values_together():
    body = lambda call, x: {name: call("s", value) for name, value in x.items()}
    scale = made_of(lambda call, x: 10 * x)
    for made in (
        made_of(body, s=scale),
        layer(lambda: ((lambda k, x: ({}, {})), lambda p, s, x, c: ({n: 10 * v for n, v in x.items()}, s)))(),
    ):
        b, a = Input((2,)), Input((3,))
        y = made({"b": b, "a": a})
        assert list(y) == ["b", "a"]
        assert y["b"].shape == (None, 2)
        model = Model({"b": b, "a": a}, [y["b"], y["a"]])
        got = model.predict({"b": np.full((1, 2), 2.0), "a": np.full((1, 3), 1.0)}, verbose=0)
        assert [out[0, 0] for out in got] == [20, 10]
        wrapped = TimeDistributed(made)({"b": Input((5, 2)), "a": Input((5, 3))})
        assert wrapped["b"].shape == (None, 5, 2)
