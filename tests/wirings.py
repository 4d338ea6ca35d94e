"""Models wired in many ways, for the tests of plain data, and the way through it and back."""

import functools
import json
import re

import jax
import jax.numpy as jnp
import numpy as np

import jkeras
from jkeras import Input, Model, Sequential, ops
from jkeras.layers import LSTM, BatchNormalization, Concatenate, Dense, Dropout, Masking, TimeDistributed

X = np.random.default_rng(0).normal(size=(6, 5, 4)).astype("float32")
FLAT = X[:, 0]


def twin(model, starts_inside=False):
    """Return the model that is made of another's config, after a way through JSON, with the other's weights."""
    other = type(model).from_config(json.loads(json.dumps(model.get_config())))
    assert (other.get_config() == model.get_config()) is not starts_inside  # the new one starts from inputs, listed first
    assert type(model).from_config(other.get_config()).get_config() == other.get_config()
    assert [w.path for w in other.weights] == [w.path for w in model.weights]
    other.set_weights(model.get_weights())
    return other


def program(model, x):
    """Return what a model computes in training as text, addresses left out: equal for equal results, and quicker than these."""
    apply = functools.partial(model.layer.apply, training=True, key=jax.random.key(0))
    return re.sub(r"0x[0-9a-f]+", "", str(jax.make_jaxpr(apply)(model.params, model.state, x)))


def assert_same(a, b):
    a, b = (list(v.values()) if isinstance(v, dict) else v if isinstance(v, (list, tuple)) else [v] for v in (a, b))
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)


def shared():
    x, dense = Input((4,)), Dense(4, activation="tanh")
    return Model(x, dense(dense(x)) + Dense(4, name="other")(dense(x)))


def by_name():
    a, b = Input((4,), name="first"), Input((5, 4), name="second")
    joined = Concatenate()([a, LSTM(3)(b)])
    return Model({"b": b, "a": a}, {"z": Dense(1)(joined), "y": [Dense(2)(joined), joined]})


def inside():
    x = Input((4,))
    encoder = Sequential([Input((4,)), Dense(3, activation="relu"), BatchNormalization()], name="encoder")
    decoder = Model(h := Input((3,)), [Dense(4)(h), Dense(1)(h)])
    return Model(x, decoder(encoder(x)))


def inside_twice():
    x, z = Input((4,)), Input((4,))
    tower = Sequential([Dense(3), Dense(2)])
    return Model([x, z], ops.abs(tower(x) - tower(z)))


def operators():
    x = Input((5, 4))
    joined, half = ops.concatenate([x, x], axis=-1), ops.cast(x, jnp.float16)
    return Model(x, [2 - x[:, ::-1, 1:], x[..., 0], joined, half, ops.mean(x, axis=(1, 2))])


def with_arguments():
    x, start = Input((5, 4)), Input((3,))
    h = LSTM(3, return_sequences=True)(Masking()(x), initial_state=[start, start])
    return Model([x, start], [Dropout(0.5)(h, training=False), BatchNormalization()(h, training=True)])


def around():
    x = Input((5, 4))
    return Model(x, TimeDistributed(Sequential([Dense(3), Dense(2)]), name="steps")(x))


def cut():
    x = Input((4,))
    h = Dense(3, name="hidden")(x)
    return Model(h, Dense(2)(h) * h[:, :1])


def with_functions():
    init = jkeras.initializers.HeNormal(seed=2)
    first = Dense(3, kernel_initializer=init, kernel_regularizer=jkeras.regularizers.L2(0.1), kernel_constraint="max_norm")
    return Sequential([Input((4,)), first, Dense(2, dtype="mixed_bfloat16", trainable=False)], name="mine")


DATA = {"by_name": {"a": FLAT, "b": X}, "inside_twice": [FLAT, FLAT + 1], "with_arguments": [X, FLAT[:, :3]]}
DATA |= {"operators": X, "around": X, "cut": FLAT[:, :3]}
WIRINGS = [shared, by_name, inside, inside_twice, operators, with_arguments, around, cut, with_functions]
