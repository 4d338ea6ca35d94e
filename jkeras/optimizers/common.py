"""What every optimizer does besides its own step: decay, clipping, accumulation, averages; and the classes of optimizers."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jkeras.core.arguments import bind, whole_number
from jkeras.core.named import classed
from jkeras.core.nest import path_of
from jkeras.optimizers.face import Optimizer
from jkeras.optimizers.rates import Settable, checked_rate, is_schedule, is_stateful


def _tail(
    weight_decay: float | None = None,
    clipnorm: float | None = None,
    clipvalue: float | None = None,
    global_clipnorm: float | None = None,
    use_ema: bool = False,
    ema_momentum: float = 0.99,
    ema_overwrite_frequency: int | None = None,
    loss_scale_factor: float | None = None,
    gradient_accumulation_steps: int | None = None,
    name: str | None = None,
) -> None:
    """Take the arguments that every optimizer has."""


_COMMON = inspect.signature(_tail).parameters
CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")


def constructor(function: Callable[..., Any]) -> Any:
    """Make the class of optimizers of a function ``(learning_rate, ...) -> optax.GradientTransformation``.

    The class takes the function's arguments, then those that every optimizer has, then those of the function that are given by
    name alone. It keeps the learning rate in the state and does around the function's step what the common arguments say. A
    function that takes ``weight_decay`` itself is left to do that. The function is called once with learning rate 0 where an
    optimizer is made, so that it can refuse what is wrong, and again while steps are traced.

    Common arguments:
      weight_decay: how much of each weight, times the learning rate, is taken off before each step; None (default) for nothing.
      clipnorm, clipvalue, global_clipnorm: limits of each gradient's norm, of each entry, of the norm of all together; at most
        one of them.
      use_ema: whether a running mean of the weights is kept, which takes their place when ``fit`` ends.
      ema_momentum: how much of that mean stays in each step, from 0 to 1.
      ema_overwrite_frequency: after how many steps the mean takes the place of the weights; None (default) for at the end.
      loss_scale_factor: by what the loss is multiplied before gradients are taken in half precision, and they are divided after.
      gradient_accumulation_steps: of how many batches the mean gradient makes one step.
      name: what it is called.
    """
    kind, own = function.__name__, inspect.signature(function).parameters
    first = [given for given in own.values() if given.kind is not given.KEYWORD_ONLY]
    last = [given.replace(kind=given.POSITIONAL_OR_KEYWORD) for given in own.values() if given.kind is given.KEYWORD_ONLY]
    tail = [given for name, given in _COMMON.items() if name not in own]
    signature = inspect.Signature([*first, *tail, *last])

    def __init__(self: Optimizer, *args: Any, **kwargs: Any) -> None:  # noqa: N807, it becomes the class's
        config = dict(bind(kind, signature, args, kwargs).arguments)
        try:
            made = whole(config, ())
        except ValueError as error:
            error.args = (str(error) if str(error).startswith(kind) else f"{kind}: {error}",)
            raise
        factor = config["loss_scale_factor"]
        self._record(kind, config, made, *([] if factor is None else [functools.partial(_fixed, factor)]))
        self._remade = whole

    def whole(config: Mapping[str, Any], undecayed: tuple[str, ...]) -> Any:
        common = {**{name: parameter.default for name, parameter in _COMMON.items()}, **config}
        if undecayed and common["weight_decay"]:
            common["weight_decay"] = functools.partial(_unless, undecayed, common["weight_decay"])
        given = {name: value for name, value in common.items() if name in own}
        rate = checked_rate(kind, given.pop("learning_rate"))
        function(0.0, **given)
        return assembled(functools.partial(function, **given), rate, common, "weight_decay" in own)

    return classed(Optimizer, function, __init__, signature, usual={given.name: given.default for given in tail})


def _unless(patterns: tuple[str, ...], decay: float, path: Any, weight: Any) -> float:
    """Return the decay of a weight: none where a pattern is found in its path."""
    name = path_of(path)
    return 0.0 if any(re.search(pattern, name) for pattern in patterns) else decay


def _fixed(factor: float, opt_state: Any) -> float:
    return factor


def assembled(function: Callable[[Any], Any], rate: Any, common: Mapping[str, Any], decays: bool) -> Any:
    """Return the whole transformation: averages around accumulation around clipping before decay before the step itself."""
    decay = None if decays else common["weight_decay"]
    every = common["gradient_accumulation_steps"]
    plain = is_schedule(rate) and not is_stateful(rate)
    if every is not None:
        every = whole_number("gradient_accumulation_steps", every, 2)
        rate = functools.partial(_at_last_batch, rate, every) if plain else rate

    def core(learning_rate: Any) -> Any:
        step = function(learning_rate)
        return decayed(step, learning_rate, decay) if decay else step

    settable = Settable(rate) if plain else rate
    whole: Any = optax.chain(*clipping(common), optax.inject_hyperparams(core)(learning_rate=settable))
    if every is not None:
        whole = accumulating(whole, every)
    if common["use_ema"]:
        whole = averaging(whole, common["ema_momentum"], common["ema_overwrite_frequency"], every or 1)
    factor = common["loss_scale_factor"]
    if factor is not None and not factor > 0:
        raise ValueError(f"loss_scale_factor must be positive, but got {factor!r}.")
    return optax.with_extra_args_support(whole)


def _at_last_batch(schedule: Callable[[Any], Any], every: int, step: Any) -> Any:
    """Return the rate of the batch at which the step is taken: Keras's schedules count batches, not steps."""
    return schedule((step + 1) * every - 1)


def clipping(common: Mapping[str, Any]) -> list[optax.GradientTransformation]:
    """Return what brings gradients under the one limit that is not None, if there is one."""
    given = {name: common[name] for name in CLIPS if common[name] is not None}
    for name, value in given.items():
        if not value > 0:
            raise ValueError(f"{name} must be positive, but got {value!r}.")
    if len(given) > 1:
        raise ValueError("only one of clipnorm, clipvalue and global_clipnorm can be used.")
    clips: dict[str, Callable[[float], optax.GradientTransformation]] = {
        "clipnorm": lambda most: optax.stateless_with_tree_map(lambda g, _: optax.projections.projection_l2_ball(g, most)),
        "clipvalue": optax.clip,
        "global_clipnorm": optax.clip_by_global_norm,
    }
    return [clips[name](value) for name, value in given.items()]


def decayed(step: Any, learning_rate: Any, decay: Any) -> Any:
    """Take ``learning_rate * decay`` of each weight off before the step, which sees the rest; ``decay`` a number or a function.

    Args:
      step: the optimizer's own step.
      learning_rate: a number.
      decay: a number, or ``(path, weight) -> number``.
    """

    def taken(path: Any, weight: Any) -> Any:
        share = decay(path, weight) if callable(decay) else decay
        return -weight * jnp.asarray(share, weight.dtype) * jnp.asarray(learning_rate, weight.dtype)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        off = jax.tree_util.tree_map_with_path(taken, params)
        updates, state = step.update(updates, state, optax.tree.add(params, off))
        return optax.tree.add(off, updates), state

    return optax.GradientTransformation(step.init, update)


class Accumulated(NamedTuple):
    """What :func:`accumulating` remembers: int32 batches so far, the sum of gradients, and the state within."""

    count: Any
    total: Any
    inner: Any


def accumulating(inner: Any, every: int) -> Any:
    """Make one step of the mean gradient of ``every`` batches; ``optax.MultiSteps`` takes a running mean, which rounds."""
    inner = optax.with_extra_args_support(inner)

    def init(params: Any) -> Accumulated:
        return Accumulated(jnp.zeros((), jnp.int32), optax.tree.zeros_like(params), inner.init(params))

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Accumulated]:
        count: Any = optax.safe_increment(state.count)
        total = optax.tree.add(state.total, updates)

        def step() -> tuple[Any, Any, Any]:
            mean = jax.tree.map(lambda g: g / every, total)
            return *inner.update(mean, state.inner, params, **extra), optax.tree.zeros_like(total)

        def wait() -> tuple[Any, Any, Any]:
            return optax.tree.zeros_like(total), state.inner, total

        updates, within, total = jax.lax.cond(count % every == 0, step, wait)
        return updates, Accumulated(count, total, within)

    return optax.GradientTransformationExtraArgs(init, update)


class Averaged(NamedTuple):
    """What :func:`averaging` remembers: int32 batches so far, the running mean of the weights, and the state within."""

    count: Any
    average: Any
    inner: Any


def averaging(inner: Any, momentum: float, frequency: int | None, every: int) -> Any:
    """Keep a running mean of the weights, and put it in their place after each ``frequency`` steps.

    Args:
      inner: what makes the steps.
      momentum: how much of the mean stays; in the first step nothing does, so that it begins with the weights.
      frequency: after how many steps; None for never.
      every: how many batches make a step.
    """
    if not 0 <= momentum <= 1:
        raise ValueError(f"ema_momentum must be from 0 to 1, but got {momentum!r}.")
    if frequency is not None:
        whole_number("ema_overwrite_frequency", frequency)
    inner = optax.with_extra_args_support(inner)

    def init(params: Any) -> Averaged:
        return Averaged(jnp.zeros((), jnp.int32), optax.tree.zeros_like(params), inner.init(params))

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Averaged]:
        updates, within = inner.update(updates, state.inner, params, **extra)
        steps = state.count // every
        after = optax.tree.add(params, updates)
        stays = jnp.where(steps == 0, 0.0, momentum)
        average = jax.tree.map(lambda a, w: stays.astype(w.dtype) * a + (1 - stays).astype(w.dtype) * w, state.average, after)
        if frequency is not None:
            now = (steps + 1) % frequency == 0
            updates = jax.tree.map(lambda u, a, w: jnp.where(now, a - w, u), updates, average, params)
        return updates, Averaged(optax.safe_increment(state.count), average, within)

    return optax.GradientTransformationExtraArgs(init, update)


def average_in(state: Any) -> Any:
    """Return the running mean of the weights in an optimizer's state, or None."""
    found = [node for node in jax.tree.leaves(state, is_leaf=lambda n: isinstance(n, Averaged)) if isinstance(node, Averaged)]
    return found[0].average if found else None


class Slots(NamedTuple):
    """What :func:`stepwise` remembers: int32 steps so far, and some trees like the weights."""

    count: Any
    slots: tuple[Any, ...]


def stepwise(start: Callable[[Any], tuple[Any, ...]], step: Callable[..., tuple[Any, tuple[Any, ...]]]) -> Any:
    """Make a transformation of a rule for one weight.

    Args:
      start: a weight to the arrays that its rule remembers.
      step: ``(gradient, weight, *arrays, t) -> (update, arrays)``, t being the number of the step, from 1, in the weight's dtype.
    """

    def init(params: Any) -> Slots:
        leaves, structure = jax.tree.flatten(params)
        arrays = zip(*(start(leaf) for leaf in leaves), strict=True)
        return Slots(jnp.zeros((), jnp.int32), tuple(jax.tree.unflatten(structure, slot) for slot in arrays))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Slots]:
        count: Any = optax.safe_increment(state.count)
        leaves, structure = jax.tree.flatten(updates)
        weights, *slots = (structure.flatten_up_to(tree) for tree in (params, *state.slots))
        found = [
            step(g.astype(w.dtype), w, *own, count.astype(w.dtype)) for g, w, *own in zip(leaves, weights, *slots, strict=True)
        ]
        after = zip(*(arrays for _, arrays in found), strict=True)
        whole = tuple(jax.tree.unflatten(structure, slot) for slot in after)
        return jax.tree.unflatten(structure, [u for u, _ in found]), Slots(count, whole)

    return optax.GradientTransformation(init, update)
