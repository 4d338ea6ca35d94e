"""What users write themselves: each kind of thing in at most seven lines, and the blocks that papers are made of."""

import pathlib
import warnings

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import jkeras
from jkeras import composite, layer, weight
from jkeras.core import Definition
from jkeras.layers import (
    RNN,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    GlobalAveragePooling2D,
    LayerNormalization,
    MaxPooling2D,
    MultiHeadAttention,
)

RNG = np.random.default_rng(0)
FLAT = RNG.normal(size=(8, 4)).astype("float32")
SERIES = RNG.normal(size=(4, 6, 8)).astype("float32")
IMAGES = RNG.normal(size=(4, 8, 8, 6)).astype("float32")


# -- seven lines each -------------------------------------------------------------------------------------------------


@layer
def Scale(start=1.0):
    def init(key, x):
        return {"scale": jnp.full(x.shape[-1], start)}, {}

    return init, lambda params, state, x, ctx: (x * params["scale"], state)


@layer
def Residual(units):
    body = lambda call, x: x + call("second", call("first", x))
    return composite(body, first=Dense(units, "relu"), second=Dense(units))


@layer
def Leaky(units):
    init = lambda key, x: ({"w": weight(key, "w", "orthogonal", (x[0].shape[-1], units))}, {})
    apply = lambda params, state, x, ctx: ((h := 0.9 * x[1][0] + x[0] @ params["w"], [h]), state)
    return Definition(init, apply, mixes_examples="never", state_size=units)


def bent(x):
    return jnp.where(x > 0, x, 0.1 * x**2)


def quarters(key, shape, dtype):
    return jnp.full(shape, 0.25, dtype)


def sixth_powers(w):
    return 0.01 * jnp.sum(w**6)


def halves(w):
    return jnp.clip(w, -0.5, 0.5)


@pytest.mark.parametrize(
    "thing", [Scale, Residual, Leaky, bent, quarters, sixth_powers, halves], ids=lambda thing: thing.__name__
)
def test_each_kind_of_thing_takes_at_most_seven_lines(thing):
    text = pathlib.Path(__file__).read_text()
    start = text.index(f"def {thing.__name__}(")
    lines = [line for line in text[start : text.index("\n\n\n", start)].splitlines() if line.strip()]
    assert 2 <= len(lines) <= 6  # and @layer


def fitted(*layers, x=FLAT):
    model = jkeras.Sequential([jkeras.Input(x.shape[1:]), *layers])
    model.compile("sgd", "mse", seed=0)
    before = model.get_weights()
    losses = model.fit(x, np.zeros_like(model.predict(x, verbose=0)), epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    return model, before


def test_layers_composites_and_cells_of_ones_own_learn():
    for one, x in ((Scale(2.0), FLAT), (Residual(4), FLAT), (RNN(Leaky(3)), SERIES)):
        model, before = fitted(one, x=x)
        assert all((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))
    h = np.zeros((4, 3))
    kernel = np.asarray(model.layers[-1].cell.w.value)
    for t in range(6):
        h = 0.9 * h + SERIES[:, t] @ kernel
    np.testing.assert_allclose(model.predict(SERIES, verbose=0), h, rtol=1e-4, atol=1e-5)


def test_an_activation_an_initializer_a_regularizer_and_a_constraint_of_ones_own_are_used():
    dense = Dense(3, activation=bent, kernel_initializer=quarters, kernel_regularizer=sixth_powers, kernel_constraint=halves)
    np.testing.assert_allclose(dense(FLAT), bent(FLAT @ np.full((4, 3), 0.25, "float32")), rtol=1e-5)
    model = jkeras.Sequential([jkeras.Input((4,)), dense])
    model.compile(jkeras.optimizers.SGD(100.0), "mse", seed=0)
    penalty = 0.01 * 12 * 0.25**6
    np.testing.assert_allclose(model.losses, [penalty], rtol=1e-5)
    model.fit(FLAT, np.ones((8, 3), "float32"), verbose=0)
    assert np.abs(model.get_weights()[0]).max() == 0.5  # the step was far too long, and the constraint cut it


# -- blocks -----------------------------------------------------------------------------------------------------------


@layer
def TransformerBlock(heads, size, wide, rate=0.0):
    def body(call, x):
        x = call("norm_1", x + call("drop", call("attend", (x, x))))
        return call("norm_2", x + call("narrow", call("widen", x)))

    inner = {"attend": MultiHeadAttention(heads, size // heads), "drop": Dropout(rate), "widen": Dense(wide, "gelu")}
    return composite(body, **inner, narrow=Dense(size), norm_1=LayerNormalization(), norm_2=LayerNormalization())


@layer
def SqueezeAndExcite(channels, ratio=2):
    squeeze, down, up = GlobalAveragePooling2D(keepdims=True), Dense(channels // ratio, "relu"), Dense(channels, "sigmoid")
    body = lambda call, x: x * call("up", call("down", call("squeeze", x)))
    return composite(body, squeeze=squeeze, down=down, up=up)


@layer
def Inception(few):
    def body(call, x):
        branches = [call("one", x), call("three", call("to_three", x)), call("pooled", call("pool", x))]
        return call("norm", call("join", branches))

    convs = {"one": Conv2D(few, 1), "to_three": Conv2D(few, 1), "three": Conv2D(few, 3, padding="same"), "pooled": Conv2D(few, 1)}
    return composite(body, **convs, pool=MaxPooling2D(3, 1, "same"), join=Concatenate(), norm=BatchNormalization())


def transformer_of_keras(x, k):
    y = k.LayerNormalization(name="norm_1")(k.Add()([x, k.MultiHeadAttention(2, 4, name="attend")(x, x)]))
    z = k.Dense(8, name="narrow")(k.Dense(16, "gelu", name="widen")(y))
    return k.LayerNormalization(name="norm_2")(k.Add()([y, z]))


def excited_of_keras(x, k):
    y = k.Dense(3, "relu", name="down")(k.GlobalAveragePooling2D(keepdims=True)(x))
    return k.Multiply()([x, k.Dense(6, "sigmoid", name="up")(y)])


def inception_of_keras(x, k):
    three = k.Conv2D(3, 3, padding="same", name="three")(k.Conv2D(3, 1, name="to_three")(x))
    pooled = k.Conv2D(3, 1, name="pooled")(k.MaxPooling2D(3, 1, "same")(x))
    return k.BatchNormalization(name="norm")(k.Concatenate()([k.Conv2D(3, 1, name="one")(x), three, pooled]))


BLOCKS = {
    "transformer": (lambda: TransformerBlock(2, 8, 16), transformer_of_keras, SERIES),
    "squeeze and excite": (lambda: SqueezeAndExcite(6), excited_of_keras, IMAGES),
    "inception": (lambda: Inception(3), inception_of_keras, IMAGES),
}


@pytest.mark.parametrize("what", BLOCKS)
def test_a_block_of_ones_own_is_the_graph_of_keras_and_trains(what):
    make, graph, data = BLOCKS[what]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = keras.Input(data.shape[1:])
        theirs = keras.Model(x, graph(x, keras.layers))
        drawn = {v.path: np.abs(RNG.normal(size=v.shape)).astype("float32") for v in theirs.weights}
        for v in theirs.weights:
            v.assign(drawn[v.path])
        expected = theirs(data)
    block = make()
    ours = jkeras.Sequential([jkeras.Input(data.shape[1:]), block])
    assert {variable.path.partition("/")[2] for variable in ours.weights} == set(drawn)
    for variable in ours.weights:  # which are called as in Keras, within the block
        variable.assign(drawn[variable.path.partition("/")[2]])
    np.testing.assert_allclose(ours.predict(data, verbose=0), expected, rtol=2e-5, atol=2e-5)
    model, before = fitted(make(), x=data)
    assert sum((a != b).any() for a, b in zip(before, model.get_weights(), strict=True)) >= len(before) - 2
    assert jkeras.saving.from_json(jkeras.saving.to_json(block)).config == block.config


def test_blocks_stack_share_and_run_under_vmap():
    block = TransformerBlock(2, 8, 16)
    x = jkeras.Input((6, 8))
    twice = jkeras.Model(x, block(block(x)))
    assert len(twice.get_weights()) == len(jkeras.Model(x, block(x)).get_weights())
    init, apply = block
    params, state = init(jax.random.key(0), jax.ShapeDtypeStruct(SERIES.shape, "float32"))
    many = jax.vmap(lambda s: apply(params, state, s[None])[0][0])(SERIES)
    np.testing.assert_allclose(many, apply(params, state, SERIES)[0], rtol=1e-4, atol=1e-5)
