"""Modules written for stax, Flax, Equinox and Haiku as layers: their own numbers, training, any pytree as params."""

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.example_libraries import stax
from layer_case import quick_jit

from jkeras import Input, Model, Sequential
from jkeras.core import NNX, Equinox, Haiku, Linen, Pair, ShapeError
from jkeras.layers import Dense

KEY = jax.random.key(0)
X = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
Y = np.tanh(X @ np.arange(4.0)[:, None]).astype("float32")


class Perceptron(nn.Module):
    @nn.compact
    def __call__(self, x, training=False):
        x = nn.BatchNorm(use_running_average=not training, momentum=0.5)(nn.Dense(8)(x))
        return nn.Dense(2)(nn.Dropout(0.2, deterministic=not training)(nn.relu(x)))


class Block(nnx.Module):
    def __init__(self, rngs):
        self.first, self.norm = nnx.Linear(4, 8, rngs=rngs), nnx.BatchNorm(8, momentum=0.5, rngs=rngs)
        self.second = nnx.Linear(8, 2, rngs=rngs)

    def __call__(self, x):
        return self.second(nnx.relu(self.norm(self.first(x))))


def net(x):
    return hk.Linear(2)(jax.nn.relu(hk.Linear(8)(x)))


STAX = stax.serial(stax.Dense(8), stax.Relu, stax.Dense(2))
FOREIGN = {
    "stax": lambda: Pair(*STAX),
    "Flax Linen": lambda: Linen(Perceptron()),
    "Flax NNX": lambda: NNX(Block),
    "Equinox": lambda: Equinox(lambda key: eqx.nn.MLP(4, 2, 8, 1, key=key)),
    "Haiku": lambda: Haiku(hk.transform(net)),
}


@pytest.fixture(params=FOREIGN)
def foreign(request):
    return FOREIGN[request.param]()


def test_it_trains_between_layers_of_keras_under_fit(foreign):
    x = Input((4,))
    model = Model(x, Dense(1)(foreign(x)))
    model.compile("adam", "mse", seed=1)
    assert model.output_shape == (None, 1)
    before = [w.copy() for w in model.get_weights()]
    losses = model.fit(X, Y, epochs=60, batch_size=8, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    moved = [bool((a != b).any()) for a, b in zip(before, model.get_weights(), strict=True)]
    assert sum(moved) >= 4
    model.set_weights(before)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_it_trains_in_a_loop_of_ones_own(foreign):
    init, apply = foreign
    params, state = init(KEY, jax.ShapeDtypeStruct((1, 4), "float32"))
    optimizer = optax.adam(1e-2)
    opt_state = optimizer.init(params)

    @quick_jit
    def step(params, state, opt_state, i):
        def loss(params):
            y, after = apply(params, state, X, training=True, key=jax.random.fold_in(KEY, i))
            return jnp.square(y - Y).mean(), after

        (value, after), grads = jax.value_and_grad(loss, has_aux=True)(params)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), after, opt_state, value

    losses = []
    for i in range(60):
        params, state, opt_state, loss = step(params, state, opt_state, i)
        losses.append(float(loss))
    assert losses[-1] < 0.8 * losses[0]


def test_a_stax_network_gives_what_stax_gives():
    model = Sequential([Input((4,)), STAX])
    _, apply = STAX
    np.testing.assert_allclose(model.predict(X, verbose=0), apply(model.params["pair"]["pair"], X), rtol=1e-5, atol=1e-6)


def test_a_linen_module_gives_what_flax_gives_in_both_phases():
    made, module = Linen(Perceptron()), Perceptron()
    params, state = made.init(KEY, jax.ShapeDtypeStruct((1, 4), "float32"))
    variables = {"params": params["params"], **state}
    np.testing.assert_allclose(made.apply(params, state, X)[0], module.apply(variables, X), rtol=1e-6)
    y, after = made.apply(params, state, X, training=True, key=KEY)
    theirs, changed = module.apply(variables, X, training=True, mutable=["batch_stats"], rngs={"dropout": KEY})
    np.testing.assert_allclose(y, theirs, rtol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, after["batch_stats"], changed["batch_stats"])


def test_an_nnx_module_gives_what_flax_gives_in_both_phases():
    made, module = NNX(Block), Block(nnx.Rngs(KEY))
    params, state = made.init(KEY, jax.ShapeDtypeStruct((1, 4), "float32"))
    module.train()
    np.testing.assert_allclose(made.apply(params, state, X, training=True)[0], module(X), rtol=1e-5, atol=1e-6)
    _, after = made.apply(params, state, X, training=True)
    np.testing.assert_allclose(after["rest"]["norm"]["mean"], module.norm.mean[...], rtol=1e-5)
    module.eval()
    np.testing.assert_allclose(made.apply(params, after, X)[0], module(X), rtol=1e-5, atol=1e-6)


def test_an_equinox_module_is_mapped_over_the_batch():
    def create(key):
        return eqx.nn.MLP(4, 2, 8, 1, key=key)

    made = Equinox(create)
    params, state = made.init(KEY, jax.ShapeDtypeStruct((1, 4), "float32"))
    np.testing.assert_allclose(made.apply(params, state, X)[0], jax.vmap(create(KEY))(X), rtol=1e-6)


def test_a_haiku_function_with_state_keeps_it():
    def counted(x):
        calls = hk.get_state("calls", (), init=jnp.zeros)
        hk.set_state("calls", calls + 1)
        return hk.Linear(2)(x)

    made, module = Haiku(hk.transform_with_state(counted)), hk.transform_with_state(counted)
    params, state = made.init(KEY, jax.ShapeDtypeStruct((1, 4), "float32"))
    theirs, _ = module.init(KEY, jnp.ones((1, 4)))
    y, after = made.apply(params, state, X)
    np.testing.assert_allclose(y, module.apply(theirs, state["state"], None, X)[0], rtol=1e-6)
    assert float(jax.tree.leaves(after)[0]) == float(jax.tree.leaves(state)[0]) + 1


def test_params_may_be_any_pytree():
    class Point:
        def __init__(self, w, b):
            self.w, self.b = w, b

    jax.tree_util.register_pytree_node(Point, lambda p: ((p.w, p.b), None), lambda _, leaves: Point(*leaves))
    pair = (lambda key, x: Point(jnp.ones((x.shape[-1], 1)), jnp.zeros(1)), lambda point, x: x @ point.w + point.b)
    model = Sequential([Input((4,)), pair])
    model.compile("sgd", "mse")
    np.testing.assert_allclose(model.predict(X, verbose=0)[:, 0], X.sum(1), rtol=1e-5, atol=1e-6)
    model.fit(X, Y, verbose=0)
    assert isinstance(model.params["pair"]["pair"], Point)
    assert [w.shape for w in model.get_weights()] == [(4, 1), (1,)]


def test_a_pair_whose_init_takes_no_spec_is_told_what_init_must_be():
    with pytest.raises(TypeError, match=r"init\(key, x_spec\) -> params"):
        Sequential([Input((4,)), (lambda key: {}, lambda params, x: x)])


def test_what_a_module_from_elsewhere_cannot_take_is_a_shape_error():
    with pytest.raises(ShapeError, match="Equinox cannot take an input of shape"):
        Equinox(lambda key: eqx.nn.Linear(3, 2, key=key))(Input((4,)))


def test_params_without_leaves_and_pairs_of_the_contracts_own_form_are_pairs_too():
    model = Sequential([Input((4,)), stax.serial(stax.Relu, stax.Flatten)])
    np.testing.assert_array_equal(model.predict(X, verbose=0), np.maximum(X, 0))
    own = (lambda key, x: ({"w": jnp.ones(x.shape[-1])}, {"n": jnp.zeros(())})), lambda p, s, x, ctx: (x * p["w"], s)
    model = Sequential([Input((4,)), own])
    model.compile("sgd", "mse")
    model.fit(X, 2 * X, verbose=0)
    assert [w.shape for w in model.get_weights()] == [(4,), ()]


def test_what_draws_in_every_phase_is_built_fitted_and_has_no_keys_among_its_weights():
    def drops(x):
        return hk.dropout(hk.next_rng_key(), 0.5, hk.Linear(2)(x))

    for made in (NNX(lambda rngs: nnx.Dropout(0.5, rngs=rngs)), Haiku(hk.transform(drops)), Pair(*stax.Dropout(0.5))):
        x = Input((4,))
        model = Model(x, Dense(1)(made(x)))
        model.compile("sgd", "mse")
        model.fit(X, Y, verbose=0)
        model.set_weights(model.get_weights())
        model.summary(print_fn=lambda text: None)
