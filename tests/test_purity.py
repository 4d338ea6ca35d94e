"""init, apply and the Trainer's functions depend on their arguments alone, keep nothing, and leak nothing."""

import gc
import os
import subprocess
import sys
import textwrap
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from layer_case import quick_jit
from layer_table import CASES

import jkeras
from jkeras import Input, Model, Sequential, functional, sequential
from jkeras.core import Context, ShapeError
from jkeras.layers import LSTM, BatchNormalization, Dense, Dropout, Embedding, Flatten

KEY = jax.random.key(0)
X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")


def spec(*shape, dtype="float32"):
    return jax.ShapeDtypeStruct(shape, dtype)


# -- the first call is inside a transformation ------------------------------------------------------------------------

INSIDE = {
    "jit": lambda f: jax.jit(f)(X),
    "vmap": lambda f: jax.vmap(lambda row: f(row[None])[0])(X),
    "grad": lambda f: jax.grad(lambda x: f(x).sum())(jnp.asarray(X)),
    "jit of vmap": lambda f: jax.jit(jax.vmap(lambda row: f(row[None])[0]))(X),
    "scan": lambda f: jax.lax.scan(lambda carry, row: (carry, f(row[None])[0]), 0, X)[1],
    "eval_shape": lambda f: jax.eval_shape(f, X),
}
MADE = {
    "a model": lambda: Sequential([Input((4,)), Dense(3, "tanh"), BatchNormalization(), Dense(2)]),
    "a layer": lambda: Dense(2),
    "a model whose shape is not known": lambda: Sequential([Dense(3), Dense(2)]),
    "a composite": lambda: jkeras.layers.TimeDistributed(Dense(2)),
}


@pytest.mark.parametrize("inside", INSIDE)
@pytest.mark.parametrize("what", MADE)
def test_a_first_call_inside_a_transformation_leaves_numbers_and_gives_what_a_later_call_gives(inside, what):
    made = MADE[what]()
    lift = (lambda x: x[:, None]) if what == "a composite" else (lambda x: x)
    first = INSIDE[inside](lambda x: made(lift(x)))
    weights = made.get_weights()
    assert all(np.isfinite(w).all() for w in weights)
    if inside not in ("grad", "eval_shape"):
        np.testing.assert_allclose(first, made(lift(jnp.asarray(X))), rtol=1e-5, atol=1e-6)
    for before, after in zip(weights, made.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_model_first_called_inside_jit_is_fitted_and_frozen_statistics_are_no_tracers():
    model = Sequential([Input((4,)), BatchNormalization(), Dense(1)])
    jax.jit(lambda x: model(x, training=True))(X)
    model.compile("sgd", "mse")
    model.fit(X, X[:, :1], verbose=0)
    assert np.isfinite(model.predict(X, verbose=0)).all()


# -- arguments alone --------------------------------------------------------------------------------------------------


def test_init_for_other_sizes_gives_what_a_fresh_layer_gives_whatever_came_before():
    def make():
        return sequential([Dense(8), BatchNormalization(), Dense(1)])

    used = make()
    used.init(KEY, spec(1, 4))
    used.apply(*used.init(KEY, spec(1, 3)), np.ones((2, 3), "float32"))
    jax.tree.map(np.testing.assert_array_equal, used.init(KEY, spec(1, 5)), make().init(KEY, spec(1, 5)))


def test_a_functional_layer_is_initialised_for_another_length_by_its_specs_alone():
    x = Input((None, 4))
    layer = functional(x, Flatten()(LSTM(2, return_sequences=True)(x)))
    for length in (3, 6):
        params, state = layer.init(KEY, spec(1, length, 4))
        assert layer.apply(params, state, np.ones((2, length, 4), "float32"))[0].shape == (2, 2 * length)


@pytest.mark.parametrize("warm", ["init", "fit", "call", "nothing"])
def test_penalties_and_constraints_need_no_earlier_call(warm):
    model = Sequential([Dense(1, kernel_regularizer=lambda w: 1000 + 0 * w.sum(), kernel_constraint="non_neg")])
    model.compile("sgd", "mse")
    if warm == "init":
        model.init(KEY, spec(1, 4))
    if warm == "call":
        model(X)
    if warm == "fit":
        model.fit(X, X[:, :1], verbose=0)
    params = {"dense": {"kernel": jnp.ones((4, 1)), "bias": jnp.zeros(1)}}
    state = model.trainer.start(params, {}, KEY)
    after, logs = model.trainer.step(state, (np.ones((2, 4)), np.full((2, 1), -1e5)))
    assert float(logs["loss"]) == pytest.approx((4 + 1e5) ** 2 + 1000)
    assert (np.asarray(after.params["dense"]["kernel"]) == 0).all()


def test_a_trainer_goes_on_as_it_was_made_whatever_the_shell_does_meanwhile():
    model = Sequential([Input((4,)), Dense(3), BatchNormalization(), Dropout(0.3), Dense(1)])
    model.compile("adam", "mse", seed=1)
    trainer = model.trainer
    state = trainer.init(KEY)
    step = quick_jit(trainer.step)
    expected = step(state, (X, X[:, :1]))
    model.layers[0].trainable = False
    model.compile("sgd", "mae")
    model.fit(X, X[:, :1], verbose=0)
    model.set_weights([w + 1 for w in model.get_weights()])
    after = quick_jit(trainer.step)(state, (X, X[:, :1]))
    for now, then in zip(jax.tree.leaves(after), jax.tree.leaves(expected), strict=True):
        assert (now == then).all()


def test_apply_does_not_heed_what_the_layer_is_told_to_hold_or_freeze():
    model = Sequential([Input((4,)), BatchNormalization(), Dense(2)])
    params, state = model.init(KEY)
    expected = model.apply(params, state, X, training=True)
    model.trainable = False
    model.set_weights([w + 1 for w in model.get_weights()])
    jax.tree.map(np.testing.assert_array_equal, model.apply(params, state, X, training=True), expected)
    frozen, _ = model.apply(params, state, X, Context(training=True, frozen=model.frozen))
    np.testing.assert_allclose(frozen, model.apply(params, state, X)[0], rtol=1e-6)


_ROWS = """
    import hashlib, sys
    import jax, numpy as np
    from layer_case import quick_jit
    from layer_table import CASES
    import jkeras

    order, noise = sys.argv[1], sys.argv[2] == "noise"
    digests = {}
    key = jax.random.key(3)
    for i, case in enumerate(CASES if order == "forwards" else CASES[::-1]):
        xs = case.symbols(jkeras)
        layer = case.make(jkeras)
        if noise:  # calls of the shell in between
            other = case.model(jkeras)
            other.get_weights() if i % 2 else other(case.data())
        y = case.call(layer, jkeras, xs)
        leaves = jkeras.core.nest.flatten(y)
        model = jkeras.Model(xs, leaves[0] if len(leaves) == 1 else leaves)
        model.compile("sgd", "mse" if len(leaves) == 1 else ["mse"] * len(leaves), seed=1)
        trainer = model.trainer

        def everything(key):
            params, state = model.init(key)
            out, _ = model.layer.apply(params, state, case.data(), training=True, key=key)
            targets = [np.zeros(leaf.shape, "float32") for leaf in jkeras.core.nest.flatten(out)]
            data = (case.data(), targets[0] if len(targets) == 1 else targets)
            return params, out, trainer.grads(params, state, data, key)

        found = hashlib.sha256()
        for leaf in jax.tree.leaves(quick_jit(everything)(key)):
            found.update(np.asarray(leaf, np.float32).tobytes())
        digests[case.name] = found.hexdigest()
    for name in sorted(digests):
        print(name, digests[name])
"""


@pytest.mark.slow
def test_every_row_of_the_table_gives_the_same_bits_in_two_processes_in_other_orders_and_beside_shell_calls():
    def start(*arguments):
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}
        env |= {"PYTHONHASHSEED": str(len(arguments[0])), "XLA_FLAGS": "--xla_backend_optimization_level=0"}
        command = [sys.executable, "-c", textwrap.dedent(_ROWS), *arguments]
        return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    running = [start("forwards", "quiet"), start("backwards", "noise")]
    first, second = (process.communicate() for process in running)
    assert [process.returncode for process in running] == [0, 0], (first[1][-2000:], second[1][-2000:])
    assert len(first[0].splitlines()) == len(CASES)
    assert first[0] == second[0]


# -- nothing is kept, nothing leaks -----------------------------------------------------------------------------------


def test_init_and_apply_do_not_keep_the_arrays_that_they_are_given():
    dense = Dense(3)
    x = jnp.ones((50, 40))
    params, state = dense.init(KEY, x)
    dense.apply(params, state, x)
    seen = [weakref.ref(leaf) for leaf in (x, *jax.tree.leaves(params))]
    del x, params, state
    gc.collect()
    assert [ref() for ref in seen] == [None] * len(seen)


@pytest.mark.parametrize("make", [lambda: Dense(3), lambda: MADE["a composite"](), lambda: sequential([Dense(3), Dropout(0.5)])])
def test_a_traced_init_or_apply_leaks_no_tracer(make):
    layer = make()
    shape = (2, 3, 4)
    with jax.checking_leaks():
        jax.jit(lambda x: layer.init(KEY, x)[0])(jnp.ones(shape))
        params, state = layer.init(KEY, spec(*shape))
        jax.jit(lambda p, x: layer.apply(p, state, x, training=True, key=KEY)[0])(params, jnp.ones(shape))


def _live():
    gc.collect()
    return sum(array.nbytes for array in jax.live_arrays())


def test_what_models_layers_and_pure_calls_held_is_freed_with_them():
    table = np.ones((500, 50), "float32")  # 100 kB

    def use():
        model = Sequential([Input((3,), dtype="int32"), Embedding(500, 50, weights=table), Flatten(), Dense(1)])
        model.compile("adam", "mse")
        ids = np.ones((8, 3), "int32")
        model.fit(ids, np.ones((8, 1)), verbose=0)
        model.predict(ids, verbose=0)
        model(ids)
        trainer = model.trainer
        state = trainer.init(KEY)
        trainer.step(state, (ids, np.ones((8, 1))))
        jax.jit(lambda p: model.apply(p, {}, ids)[0])(state.params)
        layer = Embedding(500, 50, embeddings_initializer=lambda key, shape, dtype: jnp.asarray(table))
        layer.apply(*layer.init(KEY, ids), ids)
        return weakref.ref(model), weakref.ref(model.layers[0]), weakref.ref(layer), weakref.ref(trainer)

    use()
    before = _live()
    refs = [ref for _ in range(3) for ref in use()]
    assert _live() - before <= 2 * table.nbytes
    assert [ref() for ref in refs] == [None] * len(refs)


# -- what is refused when it is written -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda: jkeras.initializers.VarianceScaling(scale=-1), "scale.*positive.*-1"),
        (lambda: jkeras.initializers.VarianceScaling(distribution="norml"), "distribution"),
        (lambda: Dropout(0.5, noise_shape=3), "noise_shape.*tuple.*3"),
        (lambda: Dropout(0.5, noise_shape=(None, 0)), "noise_shape.*positive.*0"),
        (lambda: Dense(2, trainable="no"), "Dense: trainable must be True or False.*'no'"),
        (lambda: setattr(Dense(2), "trainable", None), "trainable must be True or False.*None"),
        (lambda: Sequential([Input((2,)), Dense(1)], trainable="yes"), "trainable must be True or False"),
        (lambda: setattr(Sequential(), "trainable", 1), "trainable must be True or False"),
    ],
)
def test_an_argument_that_cannot_be_meant_is_refused(write, words):
    with pytest.raises(ValueError, match=f"(?s){words}"):
        write()


def test_an_initializer_is_called_as_in_keras_and_as_in_jax():
    draw = jkeras.initializers.GlorotUniform(seed=1)
    for shape in ((3, 3), [3, 3]):
        np.testing.assert_array_equal(draw(shape), draw(shape=shape, dtype="float32"))
    assert np.abs(draw((3, 3))).max() <= 1
    assert draw((3,), "float16").dtype == jnp.float16
    unseeded = jkeras.initializers.HeNormal()
    assert (unseeded((4, 4)) != unseeded((4, 4))).any()
    np.testing.assert_array_equal(unseeded(KEY, (4, 4)), unseeded(KEY, (4, 4), jnp.float32))
    assert jkeras.initializers.Zeros()((2,)).tolist() == [0, 0]


def test_no_initializer_is_keras_default_and_not_zeros():
    kernel = Dense(3, kernel_initializer=None).init(KEY, spec(1, 4))[0]["kernel"]
    np.testing.assert_array_equal(kernel, Dense(3).init(KEY, spec(1, 4))[0]["kernel"])


def test_an_array_given_to_a_constructor_may_be_changed_afterwards():
    table = np.ones((3, 2), "float32")
    layer = Embedding(3, 2, weights=table)
    table[:] = 7
    assert (layer.init(KEY, spec(1, dtype="int32"))[0]["embeddings"] == 1).all()


def test_an_unknown_width_is_refused_where_the_layer_is_called_and_nothing_is_remembered():
    dense = Dense(3)
    with pytest.raises(ShapeError, match="'kernel' would have the unknown size"):
        dense(Input((None,)))
    assert dense(Input((4,))).shape == (None, 3)


# -- linear cost ------------------------------------------------------------------------------------------------------


def _chain(n):
    x = h = Input((4,))
    for _ in range(n):
        h = jkeras.layers.Activation("relu")(h)
    return Model(x, h)


def _calls(n):
    dense, x = Dense(4), Input((4,))
    h = x
    for _ in range(n):
        h = dense(h)
    return Model(x, h)


def _nest(n):
    model = Sequential([Input((4,)), Dense(4)])
    for _ in range(n):
        x = Input((4,))
        model = Model(x, model(x))
    return model


def _fan(n):
    x = Input((4,))
    return Model(x, jkeras.layers.Add()([Dense(4)(x) for _ in range(n)]))


BUILT = {
    "Sequential": (lambda n: Sequential([Input((4,)), *[Dense(4) for _ in range(n)]]).layers, 150),
    "grown by add": (lambda n: [m := Sequential([Input((4,))]), *[m.add(Dense(4)) for _ in range(n)], m.layers], 150),
    "a chain": (_chain, 150),
    "a fan": (_fan, 150),
    "calls of one layer": (_calls, 150),
    "levels of nesting": (_nest, 30),
    "get_weights": (lambda n: _chain_of_dense(n).get_weights(), 60),
    "frozen": (lambda n: _chain_of_dense(n).frozen, 60),
    "mixing": (lambda n: jkeras.core.describe.mixing((m := _chain_of_dense(n)).layer, m.input_spec), 60),
}


def _chain_of_dense(n):
    return Sequential([Input((4,)), *[Dense(4) for _ in range(n)]])


@pytest.mark.parametrize("what", BUILT)
def test_twice_the_size_costs_about_twice_the_python_calls(what):
    build, n = BUILT[what]

    def work(n):
        calls = 0

        def count(frame, event, argument):
            nonlocal calls
            calls += event == "call"

        sys.setprofile(count)
        try:
            build(n)
        finally:
            sys.setprofile(None)
        return calls

    work(5)
    small, large = work(n), work(2 * n)
    assert large <= 2.4 * small, (small, large)
