"""Optimizers take Keras's steps on the same gradients; Optax transformations are used as they are."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest

import jkeras

STEPS = 20
SHAPES = {"bias": (2,), "kernel": (3, 2)}


@pytest.fixture(scope="module")
def start():
    rng = np.random.default_rng(3)
    return {name: rng.normal(size=shape).astype("float32") for name, shape in SHAPES.items()}


@pytest.fixture(scope="module")
def gradients():
    """Gradients of very different sizes, one tree a step: some entries near 0, some steps far above any clipping limit."""
    rng = np.random.default_rng(4)
    sizes = 10.0 ** rng.uniform(-3, 1, STEPS)
    return [{name: (size * rng.normal(size=shape)).astype("float32") for name, shape in SHAPES.items()} for size in sizes]


def steps_of_ours(optimizer, start, gradients):
    """Parameters after every step."""
    params, state = jax.tree.map(jnp.asarray, start), optimizer.init(start)

    @jax.jit
    def step(params, state, grads):
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    path = []
    for grads in gradients:
        params, state = step(params, state, grads)
        path.append(params)
    return path


def steps_of_keras(optimizer, start, gradients):
    variables = {name: keras.Variable(value) for name, value in start.items()}
    optimizer.build(list(variables.values()))
    path = []
    for grads in gradients:
        optimizer.apply([jnp.asarray(grads[name]) for name in variables])
        path.append({name: np.asarray(variable.value) for name, variable in variables.items()})
    return path


def assert_same_path(ours, theirs, start, gradients):
    expected = steps_of_keras(theirs, start, gradients)
    got = steps_of_ours(ours, start, gradients)
    moved = max(np.abs(expected[-1][name] - start[name]).max() for name in start)
    assert moved > 1e-3  # else agreement would say nothing
    for i, (one, other) in enumerate(zip(got, expected, strict=True)):
        for name in start:
            np.testing.assert_allclose(one[name], other[name], rtol=2e-5, atol=2e-5, err_msg=f"{name} after step {i + 1}")


OWN = [
    ("SGD", {}),
    ("SGD", {"learning_rate": 0.1}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("SGD", {"nesterov": True}),
    ("SGD", {"momentum": 1.0}),
    ("RMSprop", {}),
    ("RMSprop", {"learning_rate": 0.01, "rho": 0.5}),
    ("RMSprop", {"momentum": 0.9}),
    ("RMSprop", {"centered": True}),
    ("RMSprop", {"centered": True, "momentum": 0.5, "learning_rate": 0.01}),
    ("RMSprop", {"epsilon": 1e-2}),
    ("Adam", {}),
    ("Adam", {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.9}),
    ("Adam", {"amsgrad": True, "learning_rate": 0.01}),
    ("Adam", {"epsilon": 1e-2}),
    ("Adam", {"epsilon": 1e-2, "amsgrad": True}),
    ("Adam", {"beta_1": 0.0}),
]
COMMON = [
    {"weight_decay": 0.1},
    {"clipnorm": 0.5},
    {"clipvalue": 0.05},
    {"global_clipnorm": 0.5},
    {"global_clipnorm": 0.5, "weight_decay": 0.01},
    {"clipnorm": 0.5, "learning_rate": 0.05, "weight_decay": 0.2},
]
ELABORATE = {
    "SGD": {"momentum": 0.9, "nesterov": True},
    "RMSprop": {"momentum": 0.5, "centered": True},
    "Adam": {"amsgrad": True},
}


def written(case):
    return f"{case[0]}({', '.join(f'{k}={v}' for k, v in case[1].items())})"


@pytest.mark.parametrize("case", OWN, ids=written)
def test_twenty_steps_are_those_of_keras(case, start, gradients):
    name, options = case
    assert_same_path(getattr(jkeras.optimizers, name)(**options), getattr(keras.optimizers, name)(**options), start, gradients)


@pytest.mark.parametrize("common", COMMON, ids=str)
@pytest.mark.parametrize("name", ELABORATE)
def test_clipping_and_weight_decay_are_those_of_keras(name, common, start, gradients):
    options = ELABORATE[name] | common
    assert_same_path(getattr(jkeras.optimizers, name)(**options), getattr(keras.optimizers, name)(**options), start, gradients)


SCHEDULES = {
    "exponential": (optax.exponential_decay(0.1, 5, 0.5), lambda k: k.ExponentialDecay(0.1, 5, 0.5)),
    "staircase": (
        optax.exponential_decay(0.1, 5, 0.5, staircase=True),
        lambda k: k.ExponentialDecay(0.1, 5, 0.5, staircase=True),
    ),
    "cosine": (optax.cosine_decay_schedule(0.1, 15, 0.1), lambda k: k.CosineDecay(0.1, 15, 0.1)),
    "polynomial": (optax.polynomial_schedule(0.1, 0.01, 2.0, 15), lambda k: k.PolynomialDecay(0.1, 15, 0.01, 2.0)),
    "piecewise": (optax.piecewise_constant_schedule(0.1, {6: 0.1}), lambda k: k.PiecewiseConstantDecay([5], [0.1, 0.01])),
}
SCHEDULED = [
    ("SGD", {}),
    ("SGD", {"weight_decay": 0.1}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("RMSprop", {"momentum": 0.5}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True, "weight_decay": 0.1}),
]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("case", [("SGD", {}), ("Adam", {})], ids=written)
def test_an_optax_schedule_is_the_equal_schedule_of_keras(case, schedule, start, gradients):
    name, options = case
    ours, theirs = SCHEDULES[schedule]
    theirs = getattr(keras.optimizers, name)(theirs(keras.optimizers.schedules), **options)
    assert_same_path(getattr(jkeras.optimizers, name)(ours, **options), theirs, start, gradients)


@pytest.mark.parametrize("case", SCHEDULED, ids=written)
def test_a_schedule_acts_on_momentum_and_decay_as_in_keras(case, start, gradients):
    name, options = case
    ours, theirs = SCHEDULES["exponential"]
    theirs = getattr(keras.optimizers, name)(theirs(keras.optimizers.schedules), **options)
    assert_same_path(getattr(jkeras.optimizers, name)(ours, **options), theirs, start, gradients)


# -- names and arguments ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["SGD", "RMSprop", "Adam"])
def test_an_optimizer_bears_the_name_that_keras_gives_it(kind):
    theirs, ours = getattr(keras.optimizers, kind)(), getattr(jkeras.optimizers, kind)()
    assert ours.name == theirs.name.rstrip("_0123456789")  # Keras numbers them through the process
    assert ours.get_config()["name"] == ours.name


@pytest.mark.parametrize("name", ["sgd", "SGD", "rmsprop", "RMSprop", "RMSProp", "adam", "Adam", "ADAM"])
def test_a_name_stands_for_the_optimizer_that_keras_calls_so(name, start, gradients):
    theirs = keras.optimizers.get(name)
    assert jkeras.optimizers.get(name).kind == type(theirs).__name__
    assert_same_path(jkeras.optimizers.get(name), theirs, start, gradients[:5])


@pytest.mark.parametrize(
    ("misspelt", "nearest"), [("adm", "adam"), ("rmsprob", "rmsprop"), ("sdg", "sgd"), ("Adamm", "Adam"), ("RMSpro", "RMSprop")]
)
def test_a_misspelt_name_is_refused_with_the_nearest_one(misspelt, nearest):
    with pytest.raises(ValueError, match=f"(?i)'{misspelt}'.*Did you mean '{nearest}'"):
        jkeras.optimizers.get(misspelt)


@pytest.mark.parametrize("wrong", [None, 3, 0.01, ["adam"], lambda x: x, object()], ids=lambda v: type(v).__name__)
def test_what_is_no_optimizer_is_refused(wrong):
    with pytest.raises(TypeError, match="optimizer"):
        jkeras.optimizers.get(wrong)


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adam"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"learning_rate": -0.1},
        {"learning_rate": "fast"},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"clipnorm": 0},
        {"clipvalue": -1.0},
        {"clipnorm": 1.0, "clipvalue": 1.0},
        {"global_clipnorm": 1.0, "clipnorm": 1.0},
    ],
    ids=str,
)
def test_arguments_out_of_range_are_refused(name, wrong):
    with pytest.raises(ValueError, match="|".join(wrong)):
        getattr(jkeras.optimizers, name)(**wrong)


@pytest.mark.parametrize("momentum", [-0.1, 1.1])
def test_a_momentum_out_of_range_is_refused(momentum):
    with pytest.raises(ValueError, match="momentum"):
        jkeras.optimizers.SGD(momentum=momentum)


@pytest.mark.parametrize(
    "rate", [np.float32(0.05), np.float64(0.05), jnp.float32(0.05), np.array(0.05)], ids=lambda v: type(v).__name__
)
def test_a_learning_rate_may_be_any_kind_of_number(rate, start, gradients):
    assert_same_path(jkeras.optimizers.SGD(rate), keras.optimizers.SGD(0.05), start, gradients)


# -- Optax in compile -------------------------------------------------------------------------------------------------

X = np.random.default_rng(5).normal(size=(8, 3)).astype("float32")
Y = np.random.default_rng(6).normal(size=(8, 2)).astype("float32")
TRANSFORMATIONS = {
    "adamw": lambda: optax.adamw(0.01),
    "a chain": lambda: optax.chain(optax.clip_by_global_norm(0.1), optax.sgd(0.1, momentum=0.9)),
    "one with a schedule": lambda: optax.sgd(optax.linear_schedule(0.1, 0.0, 4)),
    "one that accumulates": lambda: optax.MultiSteps(optax.sgd(0.1), 2),
    "one with changeable hyperparameters": lambda: optax.inject_hyperparams(optax.adam)(0.01),
    "one that reads the parameters": lambda: optax.lamb(0.01),
    "one for some parameters": lambda: optax.multi_transform(
        {"yes": optax.sgd(0.1), "no": optax.set_to_zero()},
        lambda tree: jax.tree_util.tree_map_with_path(lambda path, _: "yes" if path[-1].key == "kernel" else "no", tree),
    ),
}


def plain_training(transformation, params, steps):
    """The same training without jkeras: ``y = x W + b``, mean squared error."""

    def loss(params):
        return jnp.mean((X @ params["dense"]["kernel"] + params["dense"]["bias"] - Y) ** 2)

    @jax.jit
    def step(params, state):
        updates, state = transformation.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    state = transformation.init(params)
    for _ in range(steps):
        params, state = step(params, state)
    return params


@pytest.mark.parametrize("made", TRANSFORMATIONS)
def test_an_optax_transformation_goes_into_compile_unchanged(made):
    transformation = TRANSFORMATIONS[made]()
    model = jkeras.Sequential([jkeras.Input((3,)), jkeras.layers.Dense(2)])
    model.compile(transformation, "mse")
    assert model.optimizer.transformation is transformation
    before = jax.tree.map(jnp.array, model.params)
    expected = plain_training(transformation, before, STEPS)
    model.fit(X, Y, batch_size=8, epochs=STEPS, shuffle=False, verbose=0)
    for name, value in expected["dense"].items():
        np.testing.assert_allclose(model.params["dense"][name], value, rtol=2e-5, atol=2e-5, err_msg=name)
        moves = made != "one for some parameters" or name == "kernel"
        assert moves == (not np.allclose(value, before["dense"][name], atol=1e-3))


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adam"])
def test_an_optimizer_of_jkeras_can_stand_where_optax_takes_one(name, start, gradients):
    ours = optax.chain(optax.scale(0.5), getattr(jkeras.optimizers, name)())
    halved = [jax.tree.map(lambda g: 0.5 * g, grads) for grads in gradients]
    got = steps_of_ours(ours, start, gradients)[-1]
    expected = steps_of_keras(getattr(keras.optimizers, name)(), start, halved)[-1]
    for key, value in expected.items():
        np.testing.assert_allclose(got[key], value, rtol=2e-5, atol=2e-5, err_msg=key)


def test_an_optimizer_of_keras_is_refused_by_compile():
    model = jkeras.Sequential([jkeras.Input((3,)), jkeras.layers.Dense(2)])
    with pytest.raises(TypeError, match="Optax"):
        model.compile(keras.optimizers.Adam(), "mse")
