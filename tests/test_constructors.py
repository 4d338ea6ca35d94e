"""What a constructor gives: instances of a class, a record that is cloned and written as JSON, and the contract held."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jkeras
from jkeras import Input, Model, Sequential
from jkeras.core import Context, ShapeError, UnknownNameError, clone, composite, layer
from jkeras.layers import LSTM, Activation, Dense, Embedding, TimeDistributed
from jkeras.saving import from_json, to_json

KEY = jax.random.key(0)
FLAT = np.random.default_rng(5).normal(size=(12, 4)).astype("float32")


@layer
def Skip(units):
    return composite(lambda call, x: x + call("inner", x), inner=Dense(units))


# -- clone and JSON ---------------------------------------------------------------------------------------------------


def test_a_clone_is_like_the_layer_but_for_changes_and_has_arrays_of_its_own():
    first = LSTM(3, return_sequences=True, name="forward")
    second = clone(first, go_backwards=True, name="backward")
    assert second.config == {**first.config, "go_backwards": True}
    assert (first.name, second.name) == ("forward", "backward")
    x = Input((5, 4))
    assert Model(x, [first(x), second(x)]).count_params() == 2 * 4 * 3 * (4 + 3 + 1)


def test_a_clone_of_a_wrapper_clones_what_it_wraps():
    inner = Dense(2, trainable=False, dtype="mixed_bfloat16")
    outer = clone(TimeDistributed(inner))
    assert outer.config["layer"] is not inner
    assert repr(outer.config["layer"]) == repr(inner)
    assert not outer.config["layer"].trainable
    assert outer.config["layer"].given_dtype == "mixed_bfloat16"
    assert (outer.config["layer"].dtype, outer.config["layer"].compute_dtype) == ("float32", "bfloat16")


def test_a_model_has_no_arguments_to_clone():
    with pytest.raises(TypeError, match="a model, has none"):
        clone(Sequential([Input((4,)), Dense(2)]))


def test_json_keeps_names_functions_and_nesting():
    made = TimeDistributed(Dense(3, "relu", kernel_initializer=jkeras.initializers.HeNormal(seed=2), name="inner"), name="outer")
    again = from_json(to_json(made))
    assert repr(again) == repr(made)
    assert to_json(again) == to_json(made)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ('{"module": "layers", "class_name": "Dens", "config": {"units": 3}}', UnknownNameError, "Did you mean 'Dense'"),
        ('{"module": "custom", "class_name": "Nobodys", "config": {}}', UnknownNameError, "no custom layer called 'Nobodys'"),
        ('{"module": "layers", "class_name": "Dense", "config": {"units": "3"}}', ValueError, "positive integer"),
        ('{"module": "layers", "class_name": "Dense", "config": {"size": 3}}', TypeError, "no argument 'size'"),
        ('{"units": 3}', ValueError, "no layer and no function"),
        ("[1, 2]", ValueError, "describe no layer"),
    ],
)
def test_json_that_describes_no_layer_is_refused(text, error, words):
    with pytest.raises(error, match=words):
        from_json(text)


def test_what_cannot_be_written_as_json_is_named():
    with pytest.raises(TypeError, match="argument 'activation' of Dense 'd' cannot be written"):
        to_json(Dense(3, activation=lambda x: x, name="d"))
    with pytest.raises(TypeError, match="argument 'weights' of Embedding"):
        to_json(Embedding(2, 2, weights=np.ones((2, 2))))


# -- constructors are classes -----------------------------------------------------------------------------------------


def test_layers_are_instances_of_their_constructors():
    dense = Dense(3)
    assert isinstance(dense, Dense)
    assert not isinstance(dense, Activation)
    assert type(dense).__name__ == "Dense"
    assert isinstance(Skip(4), Skip)
    assert isinstance(Sequential([Input((2,)), dense]).layers[0], Dense)
    assert isinstance(Input((3,)).call.layer, jkeras.layers.InputLayer)
    assert list(inspect.signature(Dense).parameters)[:2] == ["units", "activation"]


def test_a_subclass_of_layer_is_told_how_layers_are_written():
    with pytest.raises(TypeError, match=r"Old cannot be a class.*\n *@jkeras\.layer"):

        class Old(jkeras.layers.Layer):
            def call(self, x):
                return x

    class Empty(jkeras.layers.Layer):
        pass

    with pytest.raises(TypeError, match=r"@jkeras\.layer over a function"):
        Empty()


def test_a_users_constructor_does_not_replace_the_librarys_of_the_same_name():
    library = jkeras.core.constructors.CONSTRUCTORS
    before = dict(library)

    @layer
    def Embedding(size):
        return (lambda key, x: ({}, {})), (lambda params, state, x, ctx: (x + size, state))

    assert library == before
    assert (
        from_json('{"module": "layers", "class_name": "Embedding", "config": {"input_dim": 3, "output_dim": 2}}').kind
        == "Embedding"
    )
    mine = from_json(to_json(Embedding(2)))
    assert isinstance(mine, Embedding)
    assert mine(np.ones((1, 2))).tolist() == [[3.0, 3.0]]


def test_a_layer_unpacks_into_its_pair_and_a_context_cannot_be_mistaken():
    init, apply = Dense(2)
    params, state = init(KEY, jax.ShapeDtypeStruct((1, 4), "float32"))
    plain, _ = apply(params, state, FLAT)
    np.testing.assert_array_equal(apply(params, state, FLAT, Context())[0], plain)
    for positional in (True, False, "training"):
        with pytest.raises(TypeError, match=r"training=True is written as a keyword"):
            apply(params, state, FLAT, positional)
    with pytest.raises(TypeError, match="beside training="):
        apply(params, state, FLAT, Context(), training=True)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: (lambda key, x: ({}, {}), lambda p, s, x, ctx: x), "apply must return .y, state.*returned a"),
        (lambda: (lambda key, x: ({}, {}), lambda p, s, x, ctx: (x, None)), "dictionary, but returned a tuple of"),
        (lambda: (lambda key, x: ({}, {"n": jnp.zeros(2)}), lambda p, s, x, ctx: (x, {})), r"like the one.*'n'.*returned \{\}"),
        (
            lambda: (lambda key, x: ({}, {"n": jnp.zeros(2)}), lambda p, s, x, ctx: (x, {"n": s["n"].astype("int32")})),
            "float32.*returned.*int32",
        ),
        (lambda: (lambda key, x: ({}, {"n": jnp.zeros(2)}), lambda p, s, x, ctx: (x, {"n": jnp.zeros(3)})), r"\(2,\).*\(3,\)"),
        (lambda: (lambda key, x: {}, lambda p, s, x, ctx: (x, s)), "init must return .params, state"),
        (lambda: lambda x: x, "must return .init, apply"),
        (lambda: (1, 2), "pair of functions"),
    ],
)
def test_a_layer_that_breaks_the_contract_is_told_so_by_name_when_it_is_first_called(make, words):
    def Faulty():
        return make()

    with pytest.raises((TypeError, ShapeError), match=f"(?s)Faulty.*{words}"):
        layer(Faulty)()(Input((2,)))


# -- copies ---------------------------------------------------------------------------------------------------------


@layer
def Siamese(left, right):
    return composite(lambda call, x: call("left", x) - call("right", x), left=left, right=right)


@layer
def Chained(*layers):
    inner = {f"layer_{i}": made for i, made in enumerate(layers)}

    def body(call, x):
        for name in inner:
            x = call(name, x)
        return x

    return composite(body, **inner)


@layer
def Parallel(scale, **branches):
    return composite(lambda call, x: scale * sum(call(name, x) for name in branches), **branches)


def test_a_layer_given_twice_is_one_layer_in_the_copy_too():
    dense = Dense(3)
    for copy in (clone(Siamese(dense, dense)), from_json(to_json(Siamese(dense, dense)))):
        assert copy.config["left"] is copy.config["right"]
        assert copy.config["left"] is not dense
        assert np.abs(copy(FLAT)).max() == 0
        assert len(copy.get_weights()) == 2


def test_constructors_with_starred_arguments_are_called_copied_and_written():
    for made in (Chained(Dense(3, input_shape=(4,)), Dense(2)), Parallel(2.0, a=Dense(2), b=Dense(2))):
        for copy in (clone(made), from_json(to_json(made))):
            assert type(copy) is type(made)
            assert copy(FLAT).shape == made(FLAT).shape == (12, 2)
    assert clone(Dense(3, input_shape=(4,))).input_shape_given == (4,)


def test_numbers_of_numpy_are_arguments_like_others():
    made = Chained(Dense(np.int64(3)), jkeras.layers.Dropout(np.float32(0.5)))
    assert from_json(to_json(made))(FLAT).shape == (12, 3)


def test_children_of_a_definition_may_be_models_and_nothing_else():
    from jkeras.core import Definition

    model = Sequential([Input((4,)), Dense(2)])
    made = Definition(lambda key, x: ({}, {}), lambda p, s, x, ctx: (x, s), children={"m": model})
    assert made.children["m"] is model.layer
    with pytest.raises(TypeError, match="children are layers by name, but 'm' is 3, an int"):
        Definition(lambda key, x: ({}, {}), lambda p, s, x, ctx: (x, s), children={"m": 3})
