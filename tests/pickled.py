"""What the tests of pickling share: models, layers of one's own with names by which another process finds them, comparisons."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np

import jkeras
from jkeras import Input, Sequential, clone, composite
from jkeras.layers import BatchNormalization, Dense, Dropout

X = np.random.default_rng(0).normal(size=(30, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


def again(thing, by=pickle):
    return by.loads(by.dumps(thing))


def same_arrays(a, b):
    a, b = jax.tree.leaves(a), jax.tree.leaves(b)
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        if jax.dtypes.issubdtype(one.dtype, jax.dtypes.prng_key):
            one, other = jax.random.key_data(one), jax.random.key_data(other)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def predictions(model, x=X):
    return model.predict(x, verbose=0)


@jkeras.layer
def Scale(start=1.0):
    def init(key, x):
        return {"scale": jnp.full(x.shape[-1], start)}, {}

    def apply(params, state, x, ctx):
        return x * params["scale"], state

    return init, apply


@jkeras.layer
def AroundDense(units):  # its inner layers are made inside: they are none of its arguments
    body = lambda call, x: x + call("second", call("first", x))
    return composite(body, first=Dense(units, "tanh"), second=Sequential([Dense(units), BatchNormalization()]))


@jkeras.layer
def Both(layer):  # one of its layers is its argument, the other is made of it
    body = lambda call, x: call("there", x) + call("back", x)
    return composite(body, there=layer, back=clone(layer, go_backwards=True))


@jkeras.layer
def Several(*rates, **options):
    return lambda key, x: ({}, {}), lambda params, state, x, ctx: (x * sum(rates) + options["offset"], state)


def cubed(x):
    return x**3


def my_loss(y_true, y_pred):
    return jnp.abs(y_true - y_pred).mean(axis=-1)


def compiled(*layers, **how):
    model = Sequential([Input((4,)), *(layers or (Dense(8, "relu"), Dropout(0.3), BatchNormalization(), Dense(1)))])
    model.compile(**{"optimizer": "adam", "loss": "mse", "metrics": ["mae"], "seed": 3, **how})
    return model
