"""``jkeras.random`` against closed forms: moments, support, shapes, and who may give the seed."""

import inspect

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import jkeras

N = 20_000

# What is drawn, its mean and its variance in closed form, and the interval that holds it.
MOMENTS = {
    "gamma(0.5)": (lambda seed: jkeras.random.gamma((N,), 0.5, seed=seed), 0.5, 0.5, (0, np.inf)),
    "gamma(7)": (lambda seed: jkeras.random.gamma((N,), 7.0, seed=seed), 7.0, 7.0, (0, np.inf)),
    "beta(2, 6)": (lambda seed: jkeras.random.beta((N,), 2.0, 6.0, seed=seed), 2 / 8, 2 * 6 / (8**2 * 9), (0, 1)),
    "beta(1, 1)": (lambda seed: jkeras.random.beta((N,), 1.0, 1.0, seed=seed), 1 / 2, 1 / 12, (0, 1)),
    "binomial(10, 0.3)": (lambda seed: jkeras.random.binomial((N,), 10, 0.3, seed=seed), 3.0, 2.1, (0, 10)),
    "binomial(200, 0.9)": (lambda seed: jkeras.random.binomial((N,), 200, 0.9, seed=seed), 180.0, 18.0, (0, 200)),
    "dropout(0.2)": (lambda seed: jkeras.random.dropout(jnp.ones(N), 0.2, seed=seed), 1.0, 0.2 / 0.8, (0, 1.25)),
    "normal(1, 2)": (lambda seed: jkeras.random.normal((N,), 1.0, 2.0, seed=seed), 1.0, 4.0, (-np.inf, np.inf)),
    "uniform(-1, 3)": (lambda seed: jkeras.random.uniform((N,), -1.0, 3.0, seed=seed), 1.0, 16 / 12, (-1, 3)),
}


@pytest.mark.parametrize("kind", MOMENTS)
def test_numbers_have_the_mean_and_variance_of_their_closed_form(kind):
    draw, mean, variance, (least, most) = MOMENTS[kind]
    for seed in (3, jkeras.random.SeedGenerator(4), jax.random.key(5)):
        found = np.asarray(draw(seed), "float64")
        assert abs(found.mean() - mean) < 5 * np.sqrt(variance / N)  # five standard errors
        assert abs(found.var() / variance - 1) < 0.1
        assert least <= found.min() <= found.max() <= most
    if kind.startswith("binomial"):
        assert (found == np.round(found)).all()


def test_parameters_may_be_arrays_of_which_each_counts_where_it_stands():
    found = np.asarray(jkeras.random.binomial((N, 3), [4, 10, 50], [1.0, 0.0, 0.5], seed=0))
    assert (found[:, 0] == 4).all()
    assert (found[:, 1] == 0).all()
    assert abs(found[:, 2].mean() - 25) < 5 * np.sqrt(12.5 / N)
    means = np.asarray(jkeras.random.gamma((N, 2), [1.0, 9.0], seed=0)).mean(0)
    np.testing.assert_allclose(means, [1, 9], atol=0.15)


def test_arguments_their_order_and_their_defaults_are_those_of_keras():
    for name in jkeras.random.__all__:
        ours = [(p.name, p.default) for p in inspect.signature(getattr(jkeras.random, name)).parameters.values()]
        given = inspect.signature(getattr(keras.random, name)).parameters.values()
        assert ours == [(p.name, p.default) for p in given if p.kind is not p.VAR_KEYWORD], name
    assert {name for name in dir(keras.random) if not name.startswith("_")} == set(jkeras.random.__all__)


def test_dropout_drops_together_what_noise_shape_joins_and_nothing_or_everything_at_the_ends():
    x = jnp.arange(1.0, 25).reshape(2, 3, 4)
    found = np.asarray(jkeras.random.dropout(x, 0.5, noise_shape=(None, 1, None), seed=3))
    kept = found != 0
    assert (kept == kept[:, :1]).all()
    assert kept.any()
    assert not kept.all()
    np.testing.assert_array_equal(found[kept], 2 * np.asarray(x)[kept])
    np.testing.assert_array_equal(jkeras.random.dropout(x, 0.0), x)
    np.testing.assert_array_equal(jkeras.random.dropout(x * jnp.nan, 1.0), 0 * x)
    assert jkeras.random.dropout(x.astype("bfloat16"), 0.5, seed=1).dtype == "bfloat16"


@pytest.mark.parametrize("rate", [-0.1, 1.5, True])
def test_a_rate_that_is_no_fraction_and_a_noise_shape_of_other_axes_are_refused(rate):
    with pytest.raises(ValueError, match="rate must be a fraction, 0 to 1"):
        jkeras.random.dropout(jnp.ones(3), rate)
    with pytest.raises(ValueError, match="as many axes as the array, 1"):
        jkeras.random.dropout(jnp.ones(3), 0.5, noise_shape=(3, 1))


@pytest.mark.parametrize("make", [jax.random.key, jax.random.PRNGKey])
def test_a_key_of_jax_in_either_form_is_a_seed_and_may_be_traced(make):
    def draw(key):
        return jkeras.random.gamma((3,), 2.0, seed=key)

    np.testing.assert_allclose(jax.jit(draw)(make(1)), draw(make(1)), rtol=1e-6)
    np.testing.assert_array_equal(jkeras.random.normal((3,), seed=make(1)), jax.random.normal(jax.random.key(1), (3,)))


@pytest.mark.parametrize("seed", [1.5, "one", -1, True, jnp.ones(2), jnp.ones(3)], ids=str)
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(ValueError, match="seed must be an integer of at least 0"):
        jkeras.random.uniform((2,), seed=seed)
