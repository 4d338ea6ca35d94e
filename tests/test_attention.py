"""Attention beyond the table of layers: what Keras cannot do, masks given by hand, names of inputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jkeras
from jkeras import Input, Model
from jkeras.layers import AdditiveAttention, Attention, GroupQueryAttention, Masking, MultiHeadAttention

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 5, 4)).astype("float32")
Y = RNG.normal(size=(3, 7, 4)).astype("float32")


def test_values_may_be_longer_than_keys_with_and_without_dropout():  # Keras 3.15.1 fails here without dropout
    plain, dropping = MultiHeadAttention(2, 3, value_dim=5), MultiHeadAttention(2, 3, value_dim=5, dropout=0.5)
    plain(X, Y)
    dropping(X, Y)
    dropping.set_weights(plain.get_weights())
    np.testing.assert_allclose(plain(X, Y), dropping(X, Y), atol=1e-6)


def test_the_output_is_the_closed_form_for_one_head_and_no_bias():
    layer = MultiHeadAttention(1, 4, use_bias=False)
    layer(X, Y)
    q, k, v, o = (np.asarray(w).reshape(4, 4) for w in layer.get_weights())
    scores = np.einsum("btd,bsd->bts", X @ q, Y @ k) / 2
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    np.testing.assert_allclose(layer(X, Y), weights @ (Y @ v) @ o, atol=1e-5)


def test_one_group_of_queries_per_key_is_multi_head_attention():
    grouped, many = GroupQueryAttention(3, 2, 2), MultiHeadAttention(2, 3)
    grouped(X, Y)
    many(X, Y)
    many.set_weights(grouped.get_weights())
    np.testing.assert_allclose(grouped(X, Y, use_causal_mask=True), many(X, Y, use_causal_mask=True), atol=1e-6)


def test_inputs_are_taken_by_name_too():
    layer = MultiHeadAttention(2, 3)
    x, y = Input((5, 4)), Input((7, 4))
    assert layer(query=x, value=y, key=y).shape == (None, 5, 4)
    np.testing.assert_array_equal(layer(query=X, value=Y), layer(X, Y))
    np.testing.assert_array_equal(layer(X, value=Y, key=Y), layer(X, Y, Y))


@pytest.mark.parametrize("make", [lambda: MultiHeadAttention(2, 3), lambda: GroupQueryAttention(3, 4, 2)])
def test_a_causal_output_does_not_change_with_later_steps(make):
    layer, later = make(), X.copy()
    later[:, 3:] += 1
    a, b = layer(X, X, use_causal_mask=True), layer(later, later, use_causal_mask=True)
    np.testing.assert_array_equal(a[:, :3], b[:, :3])
    assert (a[:, 3:] != b[:, 3:]).any()


@pytest.mark.parametrize("constructor", [Attention, AdditiveAttention])
def test_masked_values_are_not_seen(constructor):
    layer, cut = constructor(), Y.copy()
    cut[:, 4:] = 0
    x, y = Input((5, 4)), Input((7, 4))
    model = Model([x, y], layer([x, Masking()(y)]))
    np.testing.assert_allclose(model.predict([X, cut], verbose=0), layer([X, Y[:, :4]]), atol=1e-6)


def test_a_mask_given_by_hand_is_that_which_an_input_brings():
    x, y, valid = Input((5, 4)), Input((7, 4)), Input((7,), dtype="bool")
    layer, cut = MultiHeadAttention(2, 3), Y.copy()
    cut[:, 4:] = 0
    brought = Model([x, y], layer(x, Masking()(y))).predict([X, cut], verbose=0)
    given = Model([x, y, valid], layer(x, y, value_mask=valid)).predict([X, cut, np.any(cut != 0, -1)], verbose=0)
    np.testing.assert_allclose(given, brought, atol=1e-6)


def test_what_does_not_go_together_is_refused_in_words():
    with pytest.raises(jkeras.core.ShapeError, match="must have the same steps"):
        MultiHeadAttention(2, 3)(X, X, Y)
    with pytest.raises(jkeras.core.ShapeError, match="takes a query and a value"):
        MultiHeadAttention(2, 3)(X)
    with pytest.raises(ValueError, match="divisible by num_key_value_heads"):
        GroupQueryAttention(3, 4, 3)
    with pytest.raises(jkeras.core.ShapeError, match="takes a list"):
        Attention()(X)


def test_attention_of_a_hundred_steps_differentiates_forwards_and_backwards():
    layer = MultiHeadAttention(2, 3)
    params, state = layer.init(jax.random.key(0), (jax.ShapeDtypeStruct(X.shape, "float32"),) * 2)

    def loss(params):
        return jnp.sum(layer.apply(params, state, (X, X))[0] ** 2)

    gradient = jax.grad(loss)(params)
    _, along = jax.jvp(loss, (params,), (gradient,))
    squares = sum(float(jnp.sum(g**2)) for g in jax.tree.leaves(gradient))
    assert float(along) == pytest.approx(squares, rel=1e-4)
