"""What holds for every layer of the table, in jkeras alone: shapes, transformations, precision, derivatives, examples."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from layer_case import Case, Chain, Recipe, quick_jit, square_sum
from layer_table import CASES, ONE_OF_A_KIND

import jkeras
from jkeras.core import Layer
from jkeras.core.constructors import CONSTRUCTORS
from jkeras.core.named import Named


class Program(NamedTuple):
    """A row's layer, the pure model around it, and the model's arrays."""

    layer: Layer
    around: Layer
    params: Any
    state: Any
    training: bool

    def run(self, params, x):
        """Return outputs and state."""
        return self.around.apply(params, self.state, x, training=self.training, key=jax.random.key(1))

    def outputs(self, params, x):
        return self.run(params, x)[0]


def make(case: Case, lengths_known=True, **common) -> Program:
    """Make a row's layer and model, which is run in training if its layer behaves differently there."""
    layer, xs = case.make(jkeras, **common), case.symbols(jkeras, lengths_known)
    around = jkeras.functional(xs, case.call(layer, jkeras, xs))
    params, state = around.init(jax.random.key(0), jax.tree.map(lambda x: x.spec, xs if len(xs) > 1 else xs[0]))
    return Program(layer, around, params, state, case.random or case.state)


@pytest.fixture(params=CASES, ids=str, scope="module")
def case(request):
    return request.param


@pytest.fixture(scope="module")
def program(case):
    return make(case)


@pytest.fixture(scope="module")
def compiled(program):
    return quick_jit(program.outputs)


def is_float(x):
    return jnp.issubdtype(x.dtype, jnp.floating)


def cast(tree, dtype):
    return jax.tree.map(lambda x: np.asarray(x, dtype) if is_float(x) else x, tree)


def assert_close(ours, expected, tolerance=1e-5):
    """Compare trees, with a tolerance relative to the largest entry of each array."""
    assert jax.tree.structure(ours) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        assert a.shape == b.shape
        a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1, np.abs(b).max()))


# -- the table itself -------------------------------------------------------------------------------------------------


def test_every_layer_that_jkeras_exports_is_in_the_table():
    exported = {getattr(jkeras.layers, name) for name in jkeras.layers.__all__} & set(CONSTRUCTORS.values())
    apart = {"InputLayer", "IntegerLookup", "StringLookup", "TextVectorization"}  # the last three are never part of a model
    assert {case.make.what for case in CASES} == {constructor.__name__ for constructor in exported} - apart


def test_no_two_rows_of_the_table_have_the_same_name():
    assert len({case.name for case in CASES}) == len(CASES)


# -- init, shapes, records --------------------------------------------------------------------------------------------


def test_init_makes_params_and_state_where_the_row_says_so(case, program):
    own = [tree.get(program.layer.name, {}) for tree in (program.params, program.state)]
    assert [bool(jax.tree.leaves(tree)) for tree in own] == [case.params, case.state]


def test_training_asks_for_a_key_exactly_where_the_layer_draws_random_numbers(case, program):
    def run():
        return jax.eval_shape(lambda x: program.around.apply(program.params, program.state, x, training=True), case.data())

    if case.random:
        with pytest.raises(ValueError, match="draws random numbers"):
            run()
    else:
        run()


@pytest.mark.parametrize("lengths_known", [True, False])
def test_a_symbolic_size_is_that_at_run_time_and_none_where_it_varies(case, program, lengths_known):
    if not lengths_known and case.free is None:
        pytest.skip("the row has no axis of unknown length")
    made = program if lengths_known else make(case, lengths_known)

    def sizes(batch, length):
        repeats = [{0: batch, **({case.free: length} if x.ndim == case.inputs[0].ndim else {})} for x in case.inputs]
        shapes = [tuple(n * r.get(i, 1) for i, n in enumerate(x.shape)) for x, r in zip(case.inputs, repeats, strict=True)]
        xs = [jax.ShapeDtypeStruct(shape, x.dtype) for shape, x in zip(shapes, case.inputs, strict=True)]
        return jax.tree.leaves(jax.eval_shape(made.outputs, made.params, xs if len(xs) > 1 else xs[0]))

    symbolic = jax.tree.leaves(case.call(made.layer, jkeras, case.symbols(jkeras, lengths_known)))
    once, twice = sizes(1, 1), sizes(2, 1 if lengths_known else 2)
    assert len(symbolic) == len(once)
    for y, a, b in zip(symbolic, once, twice, strict=True):
        assert y.shape == tuple(m if m == n else None for m, n in zip(a.shape, b.shape, strict=True))
        assert y.dtype == a.dtype


def test_a_layer_called_twice_has_one_set_of_arrays(case, program):
    layer, xs = case.make(jkeras), case.symbols(jkeras)
    calls = [case.call(layer, jkeras, xs) for _ in range(2)]
    around = jkeras.functional(xs, calls)
    params, state = around.init(jax.random.key(0), jax.tree.map(lambda x: x.spec, xs if len(xs) > 1 else xs[0]))
    for tree, once in ((params, program.params), (state, program.state)):
        assert jax.tree.map(jnp.shape, tree) == jax.tree.map(jnp.shape, once)
    first, second = jax.eval_shape(around.apply, params, state, case.data())[0]  # which finds no other arrays
    assert first == second


def is_written(value):
    if isinstance(value, Recipe):
        return all(map(is_written, value.args))
    return not isinstance(value, Chain) and not callable(value)


def plain_config(value):
    """Replace layers and named functions by what made them, so that configurations can be compared."""
    if isinstance(value, (Layer, Named)):
        return value.kind, {name: plain_config(inner) for name, inner in value.config.items()}
    if isinstance(value, list):
        return [plain_config(part) for part in value]
    return value


@pytest.mark.parametrize("row", [case for case in CASES if is_written(case.make)], ids=str)
def test_the_repr_of_a_layer_makes_a_layer_of_the_same_configuration(row):
    layer = row.make(jkeras, name="chosen")
    names = {**vars(jkeras.initializers), **vars(jkeras.layers)}
    again = eval(repr(layer), names)
    assert again is not layer
    assert again.given_name == "chosen"
    assert plain_config(again) == plain_config(layer)
    assert repr(again) == repr(layer)


# -- transformations, precision, derivatives --------------------------------------------------------------------------


@pytest.mark.slow
def test_apply_under_vmap_inside_scan_gives_what_it_gives_batch_by_batch(case, program, compiled):
    data = case.data()
    other = jax.tree.map(lambda x: x[::-1] * 2 if is_float(x) else x[::-1], data)

    def square(a, b):
        return jax.tree.map(lambda x, y: np.stack([np.stack([x, y]), np.stack([y, x])]), a, b)

    def transformed(params, data):
        return jax.lax.scan(lambda carry, x: (carry, jax.vmap(program.outputs, (None, 0))(params, x)), 0, data)[1]

    expected = square(compiled(program.params, data), compiled(program.params, other))
    assert_close(quick_jit(transformed)(program.params, square(data, other)), expected)


@pytest.mark.slow
@pytest.mark.parametrize("row", ONE_OF_A_KIND, ids=str)
def test_apply_gives_the_same_op_by_op_and_compiled(row):
    program = make(row)
    outputs = quick_jit(program.outputs)(program.params, row.data())
    with jax.disable_jit():
        assert_close(program.outputs(program.params, row.data()), outputs)


def test_mixed_bfloat16_computes_in_bfloat16_and_keeps_params_and_state_in_float32(case, program, compiled):
    half = make(case, dtype="mixed_bfloat16")
    y, state = quick_jit(half.run)(half.params, case.data())
    assert all(leaf.dtype == jnp.bfloat16 for leaf in jax.tree.leaves(y) if not case.whole)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves((half.params, half.state, state)) if is_float(leaf))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((y, state)))
    assert_close(y, compiled(program.params, case.data()), 0.05)


def directions_from(leaves, rng):
    """Draw 3 directions in which to move each array; steps that are masked, being all one number, stay."""
    moving = [np.any(leaf != leaf[..., :1], -1, keepdims=True) if leaf.ndim > 2 else True for leaf in leaves]
    return [rng.normal(size=(3, *leaf.shape)) * moves for leaf, moves in zip(leaves, moving, strict=True)]


def test_gradients_in_float64_through_checkpoint_are_the_limits_of_finite_differences(case, program):
    if case.stopped or case.whole:
        pytest.skip("the layer's gradient is not its derivative")
    wide, step = program._replace(state=cast(program.state, "float64")), 1e-5
    leaves, structure = jax.tree.flatten(cast((program.params, list(case.inputs)), "float64"))
    places = [i for i, leaf in enumerate(leaves) if is_float(leaf)]
    floats = [leaves[i] for i in places]
    directions = directions_from(floats, np.random.default_rng(3))
    beside = [f + step * np.concatenate([d, -d]) for f, d in zip(floats, directions, strict=True)]

    def loss(outputs, floats):
        at = [floats[places.index(i)] if i in places else leaf for i, leaf in enumerate(leaves)]
        params, xs = structure.unflatten(at)
        y = outputs(params, xs if len(xs) > 1 else xs[0])
        assert all(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves(y))
        return square_sum(y)

    def run(floats, beside):
        gradient = jax.grad(lambda floats: loss(jax.checkpoint(wide.outputs), floats))(floats)
        return gradient, jax.vmap(lambda floats: loss(wide.outputs, floats))(beside)

    with jax.enable_x64(True):
        gradient, losses = jax.tree.map(np.asarray, quick_jit(run)(floats, beside))
    estimated = (losses[:3] - losses[3:]) / (2 * step)
    exact = sum(np.tensordot(d, g, g.ndim) for d, g in zip(directions, gradient, strict=True))
    size = np.sqrt(sum(np.sum(g**2) for g in gradient))
    assert size > 0
    assert np.abs(exact - estimated).max() <= 1e-6 * max(np.abs(exact).max(), size)


def test_an_example_does_not_influence_the_others_of_its_batch(case, program, compiled):
    mixes_examples = program.layer.definition.mixes_examples
    if mixes_examples == "always":
        pytest.skip("the layer says that it mixes_examples examples")
    run = compiled if mixes_examples == "never" else quick_jit(program._replace(training=False).outputs)
    data = case.data()

    def other(x):
        x = x.copy()
        x[1] = x[1] * 3 + 1 if is_float(x) else 6 - x[1]
        return x

    before, after = run(program.params, data), run(program.params, jax.tree.map(other, data))
    rest = [i for i in range(len(case.inputs[0])) if i != 1]
    for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(a[np.array(rest)], b[np.array(rest)])
        assert (a[1] != b[1]).any()
