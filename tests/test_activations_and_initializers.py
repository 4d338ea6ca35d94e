"""Activations, initializers, regularizers and constraints give what Keras's or their formulas say, and know their names."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from layer_case import quick_jit

import jkeras
from jkeras import activations, constraints, initializers, regularizers
from jkeras.core.errors import UnknownNameError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import keras
    from keras.src.activations import ALL_OBJECTS_DICT as KERAS_ACTIVATIONS
    from keras.src.constraints import ALL_OBJECTS_DICT as KERAS_CONSTRAINTS
    from keras.src.initializers import ALL_OBJECTS_DICT as KERAS_INITIALIZERS
    from keras.src.regularizers import ALL_OBJECTS_DICT as KERAS_REGULARIZERS

MODULES = {"activations": activations, "initializers": initializers, "regularizers": regularizers, "constraints": constraints}
LEFT_OUT = {"Initializer", "Regularizer", "Constraint", "initializer", "regularizer", "constraint"}  # bases, no functions
KERAS_IS_WRONG = {"sparsemax"}  # its result does not sum to 1
NEED_ARGUMENTS = {"threshold", "Constant", "constant"}  # Keras cannot make these by name

# No point at which any activation has a kink: 0, 0.25, 0.5, 1, 2, 3, 6.
GRID = [-1e4, -90, -30, -7, -4.2, -2.3, -1.3, -0.7, -0.3, -1e-3, 1e-3, 0.2, 0.45, 0.8, 1.2, 2.7, 4.4, 7, 30, 1e4]
X = np.array(GRID, "float32").reshape(10, 2)  # two columns, so that glu has halves and softmax has company


def names_in(table):
    return sorted(name for name in table if isinstance(name, str) and name not in LEFT_OUT)


# -- activations ------------------------------------------------------------------------------------------------------


def values_and_gradients(ours, theirs, x):
    """Return values of both functions on x and the gradients of one weighted sum of each."""

    def both(x):
        def weighted(function):
            y = function(x)
            return jnp.sum(y * jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)), y

        return weighted(ours), weighted(theirs)

    def gradient(which):
        return jax.grad(lambda x: both(x)[which][0])

    return quick_jit(lambda x: (both(x)[0][1], both(x)[1][1], gradient(0)(x), gradient(1)(x)))(x)


def assert_agrees(ours, theirs, x=X):
    our_y, their_y, our_gradient, their_gradient = values_and_gradients(ours, theirs, x)
    np.testing.assert_allclose(our_y, their_y, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(our_gradient, their_gradient, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(set(names_in(KERAS_ACTIVATIONS)) - NEED_ARGUMENTS - KERAS_IS_WRONG))
def test_an_activation_by_name_has_the_values_and_gradients_of_keras(name):
    assert_agrees(activations.get(name), keras.activations.get(name))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("celu", {"alpha": 2.0}),
        ("elu", {"alpha": 0.3}),
        ("gelu", {"approximate": True}),
        ("glu", {"axis": 0}),
        ("hard_shrink", {"threshold": 0.25}),
        ("leaky_relu", {"negative_slope": 0.4}),
        ("log_softmax", {"axis": 0}),
        ("relu", {"negative_slope": 0.1, "max_value": 2.0, "threshold": 0.5}),
        ("soft_shrink", {"threshold": 0.25}),
        ("softmax", {"axis": 0}),
        ("squareplus", {"b": 2.0}),
        ("threshold", {"threshold": 0.25, "default_value": -7.0}),
    ],
)
def test_an_activation_takes_the_arguments_that_keras_has(name, arguments):
    ours, theirs = getattr(activations, name), getattr(keras.activations, name)
    assert_agrees(lambda x: ours(x, **arguments), lambda x: theirs(x, **arguments))


@pytest.mark.parametrize(
    "name", sorted(set(activations.__all__) - {"get", "serialize", "deserialize"} - NEED_ARGUMENTS - KERAS_IS_WRONG)
)
def test_an_activation_computes_in_the_precision_of_its_input(name):
    ours, x = getattr(activations, name), np.array([[-9.0, -1.3], [0.2, 2.7]], "float32")
    half, quarter = quick_jit(lambda x: (ours(x.astype("float16")), ours(x.astype("bfloat16"))))(x)
    assert (half.dtype, quarter.dtype) == (jnp.float16, jnp.bfloat16)
    exact = keras.activations.get(name)(jnp.asarray(x))
    np.testing.assert_allclose(half, exact, rtol=0.005, atol=0.005)
    np.testing.assert_allclose(quarter, exact, rtol=0.03, atol=0.03)


def test_no_activation_is_the_identity_and_a_function_stands_for_itself():
    assert activations.get(None)(X) is X
    assert activations.get(np.cos) is np.cos


# -- what there is, and by which names --------------------------------------------------------------------------------


@pytest.mark.parametrize("module", MODULES)
def test_everything_that_keras_exports_is_exported(module):
    theirs = {name for name in dir(getattr(keras, module)) if not name.startswith("_")}
    assert theirs <= set(dir(MODULES[module]))


NAMES = [
    *(("initializers", name) for name in names_in(KERAS_INITIALIZERS) if name not in NEED_ARGUMENTS),
    *(("regularizers", name) for name in names_in(KERAS_REGULARIZERS)),
    *(("constraints", name) for name in names_in(KERAS_CONSTRAINTS)),
]


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_a_name_stands_for_the_same_class_as_in_keras(module, name):
    theirs = getattr(keras, module).get(name)
    ours = MODULES[module].get(name)
    assert ours.kind == type(theirs).__name__
    theirs_config = {k: v for k, v in theirs.get_config().items() if k in ours.config}
    assert {k: v for k, v in ours.config.items() if k in theirs_config} == pytest.approx(theirs_config)


MISSPELT = [
    ("activations", "rellu", "relu"),
    ("activations", "soft_max", "softmax"),
    ("initializers", "glorot_unifrom", "glorot_uniform"),
    ("initializers", "he_normale", "he_normal"),
    ("regularizers", "l1l3", "l1l2"),
    ("constraints", "max_nrom", "max_norm"),
]


@pytest.mark.parametrize(("module", "name", "meant"), MISSPELT)
def test_a_misspelt_name_is_refused_and_the_nearest_offered(module, name, meant):
    with pytest.raises(UnknownNameError, match=f"{module[:-1]} called '{name}'.*Did you mean '(?i:{meant})'"):
        MODULES[module].get(name)


@pytest.mark.parametrize(
    ("layer", "arguments"),
    [
        ("Dense", {"activation": "rellu"}),
        ("Dense", {"kernel_initializer": "glorot_unifrom"}),
        ("Dense", {"activity_regularizer": "l1l3"}),
        ("Conv1D", {"kernel_size": 3, "kernel_regularizer": "l1l3"}),
        ("Conv1D", {"kernel_size": 3, "bias_constraint": "max_nrom"}),
        ("LSTM", {"recurrent_activation": "sigmod"}),
        ("LSTM", {"recurrent_initializer": "ortogonal"}),
        ("LSTM", {"recurrent_constraint": "max_nrom"}),
        ("Embedding", {"output_dim": 2, "embeddings_initializer": "unifrom"}),
    ],
)
def test_a_misspelt_name_is_refused_where_the_layer_is_written(layer, arguments):
    with pytest.raises(UnknownNameError, match=f"{layer}: There is no .* Did you mean"):
        getattr(jkeras.layers, layer)(3, **arguments)


@pytest.mark.parametrize("module", MODULES)
def test_what_is_neither_a_name_nor_a_function_is_refused(module):
    with pytest.raises(TypeError, match="name or a function, but got 3"):
        MODULES[module].get(3)


def test_a_misspelt_argument_is_refused_and_the_nearest_offered():
    with pytest.raises(TypeError, match=r"RandomNormal takes no argument 'stdev'.*Did you mean 'stddev'"):
        initializers.RandomNormal(stdev=1.0)
    with pytest.raises(TypeError, match="MaxNorm takes no argument 'max_norm'"):
        constraints.MaxNorm(max_norm=1.0)


# -- initializers -----------------------------------------------------------------------------------------------------

DENSE, CONV = (80, 120), (5, 16, 24)  # a convolution's fans count its receptive field: 5 * 16 and 5 * 24, as the matrix's
FANS = {"fan_in": 80, "fan_out": 120, "fan_avg": 100}
CUT_OFF = 0.87962566103423978  # standard deviation of a normal distribution cut off at 2


def draw(initializer, shape, seed=0, **more):
    return np.asarray(quick_jit(lambda seed: initializer(jax.random.key(seed), shape, **more))(seed))


def assert_uniform(w, limit):
    """Check that w fills the interval from -limit to limit evenly: its ends, its mean and its variance."""
    assert np.abs(w).max() <= limit
    assert min(w.max(), -w.min()) > 0.99 * limit
    assert abs(w.mean()) < 5 * limit / np.sqrt(3 * w.size)
    np.testing.assert_allclose(w.var(), limit**2 / 3, rtol=0.06)


def assert_truncated_normal(w, deviation):
    """Check that w is normal, cut off at 2 standard deviations, with standard deviation ``deviation`` after the cut."""
    end = 2 * deviation / CUT_OFF
    assert np.abs(w).max() <= end * (1 + 1e-5)
    assert np.abs(w).max() > 0.97 * end
    assert abs(w.mean()) < 5 * deviation / np.sqrt(w.size)
    np.testing.assert_allclose(w.std(), deviation, rtol=0.04)


@pytest.mark.parametrize("shape", [DENSE, CONV], ids=["dense", "conv"])
@pytest.mark.parametrize(
    ("name", "scale", "mode"), [("glorot", 1, "fan_avg"), ("he", 2, "fan_in"), ("lecun", 1, "fan_in")], ids=lambda v: str(v)
)
def test_glorot_he_and_lecun_have_the_spread_of_their_papers(name, scale, mode, shape):
    assert_uniform(draw(initializers.get(f"{name}_uniform"), shape), np.sqrt(3 * scale / FANS[mode]))
    assert_truncated_normal(draw(initializers.get(f"{name}_normal"), shape), np.sqrt(scale / FANS[mode]))


@pytest.mark.parametrize("mode", FANS)
@pytest.mark.parametrize("shape", [DENSE, CONV], ids=["dense", "conv"])
def test_variance_scaling_has_the_variance_asked_for(mode, shape):
    deviation = np.sqrt(0.5 / FANS[mode])
    assert_truncated_normal(draw(initializers.VarianceScaling(0.5, mode), shape), deviation)
    assert_uniform(draw(initializers.VarianceScaling(0.5, mode, "uniform"), shape), deviation * np.sqrt(3))
    normal = draw(initializers.VarianceScaling(0.5, mode, "untruncated_normal"), shape)
    np.testing.assert_allclose(normal.std(), deviation, rtol=0.04)
    assert np.abs(normal).max() > 3 * deviation


@pytest.mark.parametrize("name", ["glorot_uniform", "he_normal", "lecun_uniform"])
def test_an_initializer_with_fans_takes_a_bias_whose_fans_are_its_length_as_in_keras(name):
    shape = (4000,)
    expected = np.asarray(keras.initializers.get(name)(shape)).std()
    np.testing.assert_allclose(draw(initializers.get(name), shape).std(), expected, rtol=0.06)


def test_random_uniform_fills_its_interval():
    w = draw(initializers.RandomUniform(-0.1, 0.3), DENSE)
    assert_uniform(w - 0.1, 0.2 * (1 + 1e-6))
    assert_uniform(draw(initializers.get("uniform"), DENSE), 0.05)


def test_random_normal_and_truncated_normal_have_the_mean_and_deviation_asked_for():
    w = draw(initializers.RandomNormal(1.0, 0.2), DENSE)
    assert abs(w.mean() - 1) < 5 * 0.2 / np.sqrt(w.size)
    np.testing.assert_allclose(w.std(), 0.2, rtol=0.04)
    assert np.abs(w - 1).max() > 3 * 0.2
    assert_truncated_normal(draw(initializers.TruncatedNormal(1.0, 0.2), DENSE) - 1, 0.2 * CUT_OFF)


@pytest.mark.parametrize("shape", [(20, 12), (12, 20), (16, 16), (3, 4, 7), (3, 2, 9)], ids=str)
def test_orthogonal_matrices_have_orthonormal_rows_or_columns_times_the_gain(shape):
    w = draw(initializers.Orthogonal(gain=1.5), shape).reshape(-1, shape[-1])
    gram = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
    np.testing.assert_allclose(gram, 1.5**2 * np.eye(min(w.shape)), atol=1e-5)


def test_constant_initializers_give_their_constants():
    table = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(draw(initializers.Zeros(), (2, 3)), np.zeros((2, 3)))
    np.testing.assert_array_equal(draw(initializers.Ones(), (2, 3)), np.ones((2, 3)))
    np.testing.assert_array_equal(draw(initializers.Constant(0.25), (2, 3)), np.full((2, 3), 0.25))
    np.testing.assert_array_equal(draw(initializers.Constant(table), (2, 3)), table)
    np.testing.assert_array_equal(draw(initializers.get(table), (2, 3)), table)
    np.testing.assert_array_equal(draw(initializers.Identity(2.0), (3, 5)), 2 * np.eye(3, 5))


FIXED = {"zeros", "ones", "constant", "identity", "identityinitializer", "stft", "stftinitializer"}  # they draw nothing
EVERY = sorted(set(initializers.__all__) - {"get", "serialize", "deserialize", "Initializer"})


@pytest.mark.parametrize("name", EVERY)
def test_an_initializer_draws_in_float32_or_in_the_dtype_asked_for(name):
    initializer = initializers.get(name)
    for dtype in (None, jnp.float16, jnp.bfloat16):
        more = {} if dtype is None else {"dtype": dtype}
        drawn = jax.eval_shape(
            lambda key, more=more: initializer(key, (4, 1, 4) if "stft" in name.lower() else (4, 4), **more), jax.random.key(0)
        )
        assert drawn.dtype == (dtype or jnp.float32)


@pytest.mark.parametrize("name", [name for name in EVERY if name.lower() not in FIXED])
def test_the_key_decides_unless_there_is_a_seed(name):
    constructor = getattr(initializers, name)
    makers = [constructor(), constructor(seed=1), constructor(seed=2)]

    def drawn(seed):
        return [initializer(jax.random.key(seed), (4, 4)) for initializer in makers]

    draws = quick_jit(drawn)
    (free, seeded, other), (free_too, seeded_too, _), (free_again, _, _) = draws(0), draws(1), draws(0)
    np.testing.assert_array_equal(free, free_again)
    np.testing.assert_array_equal(seeded, seeded_too)
    assert (free != free_too).all()
    assert (seeded != other).all()


def kernels(*layers):
    """Initialise a chain of layers on 4 features and return their kernels."""
    model = jkeras.Sequential([jkeras.Input((4,)), *layers])
    return [np.asarray(arrays["kernel"]) for arrays in quick_jit(model.init)(jax.random.key(0))[0].values()]


def test_layers_draw_weights_of_their_own_unless_they_share_a_seed():
    first, second = kernels(jkeras.layers.Dense(4), jkeras.layers.Dense(4))
    assert (first != second).all()
    shared = initializers.GlorotUniform(seed=5)
    first, second = kernels(*(jkeras.layers.Dense(4, kernel_initializer=shared) for _ in range(2)))
    np.testing.assert_array_equal(first, second)


def test_a_function_of_key_shape_and_dtype_initialises():
    def own(key, shape, dtype):
        return jax.random.normal(key, shape, dtype) + 100 * shape[0]

    (kernel,) = kernels(jkeras.layers.Dense(3, kernel_initializer=own))
    assert kernel.shape == (4, 3)
    assert (np.abs(kernel - 400) < 10).all()
    assert kernel.std() > 0
    (kernel,) = kernels(jkeras.layers.Dense(500, kernel_initializer=jax.nn.initializers.he_normal()))
    assert_truncated_normal(kernel, np.sqrt(2 / 4))


def test_a_function_of_shape_and_dtype_as_keras_wants_it_initialises():
    def own(shape, dtype=None):
        return np.full(shape, shape[-1], dtype)

    (kernel,) = kernels(jkeras.layers.Dense(3, kernel_initializer=own))
    np.testing.assert_array_equal(kernel, np.full((4, 3), 3.0, "float32"))
    assert kernel.dtype == np.float32


# -- regularizers and constraints -------------------------------------------------------------------------------------

W = np.random.default_rng(0).normal(size=(3, 4, 5)).astype("float32")
W[:, 1, 2] = 0  # a vector of norm 0 must not become NaN

BY_ARGUMENTS = [
    ("regularizers", "L1", {"l1": 0.3}),
    ("regularizers", "L2", {"l2": 0.2}),
    ("regularizers", "L1L2", {"l1": 0.3, "l2": 0.2}),
    ("constraints", "MaxNorm", {"max_value": 0.7}),
    ("constraints", "MaxNorm", {"max_value": 1.1, "axis": 1}),
    ("constraints", "MaxNorm", {"max_value": 1.1, "axis": [0, 1]}),
    ("constraints", "UnitNorm", {"axis": 2}),
    ("constraints", "MinMaxNorm", {"min_value": 0.9, "max_value": 1.4}),
    ("constraints", "MinMaxNorm", {"min_value": 0.9, "max_value": 1.4, "rate": 0.3, "axis": 1}),
]


@pytest.mark.parametrize(("module", "name", "arguments"), BY_ARGUMENTS)
def test_a_regularizer_or_constraint_with_arguments_gives_what_keras_gives(module, name, arguments):
    ours, theirs = getattr(MODULES[module], name)(**arguments), getattr(getattr(keras, module), name)(**arguments)
    np.testing.assert_allclose(quick_jit(lambda w: ours(w))(W), theirs(jnp.asarray(W)), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("module", "name"), [pair for pair in NAMES if pair[0] != "initializers"])
def test_a_regularizer_or_constraint_by_name_gives_what_keras_gives(module, name):
    ours, theirs = MODULES[module].get(name), getattr(keras, module).get(name)
    w = W[0] if name.lower().startswith("orthogonal") else W  # which takes matrices
    np.testing.assert_allclose(quick_jit(lambda w: ours(w))(w), theirs(jnp.asarray(w)), rtol=1e-6, atol=1e-7)


def test_a_function_stands_for_itself_and_none_for_nothing():
    for module in (regularizers, constraints):
        assert module.get(np.square) is np.square
        assert module.get(None) is None
