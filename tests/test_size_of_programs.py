"""No layer loops in Python over examples, time or space: what it traces to has as many steps for twice as many of them."""

import jax
import numpy as np
import pytest
from layer_table import CASES

import jkeras


def steps_in(jaxpr):
    """Count the equations of a program, those inside loops and branches included."""
    inner = [
        p for equation in jaxpr.eqns for value in equation.params.values() for p in jax.tree.leaves(value, is_leaf=_is_program)
    ]
    return len(jaxpr.eqns) + sum(steps_in(getattr(p, "jaxpr", p)) for p in inner if _is_program(p))


def _is_program(value):
    return hasattr(value, "eqns") or hasattr(getattr(value, "jaxpr", None), "eqns")


def program_of(case, axis, times):
    """Trace a row on inputs of which an axis is so many times as long, with the weights of the others."""
    layer = case.model(jkeras, lengths_known=False)
    params, state = layer.init(jax.random.key(0), case.data())
    data = jax.tree.map(lambda x: np.concatenate([x] * times, axis) if x.ndim == case.inputs[0].ndim else x, case.data())
    return jax.make_jaxpr(lambda x: layer.apply(params, state, x)[0])(data).jaxpr


# A crop of what is too small resizes it, which takes more steps than cutting what is large enough.
STRETCHED = [case for case in CASES if case.free is not None and case.name != "CenterCrop of less"]


@pytest.mark.slow
@pytest.mark.parametrize("case", STRETCHED, ids=str)
def test_a_longer_input_makes_no_longer_program(case):
    lengths = [steps_in(program_of(case, case.free, times)) for times in (1, 2)]
    assert lengths[0] == lengths[1]


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if "state" not in case.name], ids=str)
def test_more_examples_make_no_longer_program(case):
    lengths = []
    for times in (1, 2):
        layer = case.model(jkeras)
        specs = jax.tree.map(lambda x, n=times: jax.ShapeDtypeStruct((len(x) * n, *x.shape[1:]), x.dtype), case.data())
        params, state = jax.eval_shape(lambda specs=specs, layer=layer: layer.init(jax.random.key(0), specs))
        lengths.append(steps_in(jax.make_jaxpr(lambda p, s, x, layer=layer: layer.apply(p, s, x)[0])(params, state, specs).jaxpr))
    assert lengths[0] == lengths[1]
