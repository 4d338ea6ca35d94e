"""Optimizers around an optimizer: one scales losses for half precision, the other has rates of their own for parts of a model."""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jkeras.core.arguments import whole_number
from jkeras.core.errors import nearest
from jkeras.core.named import makers, tables
from jkeras.core.nest import path_of
from jkeras.optimizers.face import Optimizer


class Wrapping(Optimizer):
    """An optimizer around another, whose learning rate and arguments are its own.

    Attributes:
      inner_optimizer: the other.
    """

    inner_optimizer: Optimizer

    def _given_rate(self) -> Any:
        return self.inner_optimizer._given_rate()

    def __getattr__(self, name: str) -> Any:
        inner = self.__dict__.get("inner_optimizer")
        if inner is not None and name in inner.config:
            return inner.config[name]
        return super().__getattr__(name)


def _register(kind: type) -> type:
    makers[Optimizer.module][kind.__name__] = kind
    return kind


class Scaled(NamedTuple):
    """What a :class:`LossScaleOptimizer` remembers: float32 scale, int32 finite steps since it changed, and the state within."""

    scale: Any
    steps: Any
    inner: Any


@_register
class LossScaleOptimizer(Wrapping):
    """Multiply losses by a scale before gradients are taken in float16, and divide gradients by it: small ones would be 0.

    A step whose gradients are not finite is left out, and the scale halved; after many finite ones it is doubled. A model whose
    policy is ``mixed_float16`` gets one around its optimizer in ``compile``, unless told ``auto_scale_loss=False``.

    Args:
      inner_optimizer: what makes the steps: an optimizer, its name or an Optax transformation.
      initial_scale: the scale at first.
      dynamic_growth_steps: after how many finite steps it is doubled.
      name: for Keras's sake.

    Example:
      >>> round(float(LossScaleOptimizer(jkeras.optimizers.SGD(0.1)).learning_rate), 4)
      0.1

    Reference: Micikevicius et al., arXiv:1710.03740; ``keras.optimizers.LossScaleOptimizer``.
    """

    def __init__(
        self, inner_optimizer: Any, initial_scale: float = 2.0**15, dynamic_growth_steps: int = 2000, name: str | None = None
    ):
        self.inner_optimizer = inner = tables["optimizer"](inner_optimizer)
        if not initial_scale > 0:
            raise ValueError(f"LossScaleOptimizer: initial_scale must be positive, but got {initial_scale!r}.")
        growth = whole_number("dynamic_growth_steps", dynamic_growth_steps)
        config = {"inner_optimizer": inner, "initial_scale": initial_scale, "dynamic_growth_steps": growth, "name": name}
        self._record(type(self).__name__, config, _scaling(inner.transformation, initial_scale, growth), _scale_in)

    @property
    def dynamic_scale(self) -> Any:
        """By what the loss is multiplied in the next step."""
        return _scale_in(self._state()) if self.built else self.config["initial_scale"]


def _is_scaled(node: Any) -> bool:
    return isinstance(node, Scaled)


def _scale_in(state: Any) -> Any:
    return next(node.scale for node in jax.tree.leaves(state, is_leaf=_is_scaled) if _is_scaled(node))


def _scaling(inner: Any, initial: float, growth: int) -> Any:
    """Leave out steps whose gradients are not finite, and set the scale by that."""
    inner = optax.with_extra_args_support(inner)

    def init(params: Any) -> Scaled:
        return Scaled(jnp.float32(initial), jnp.zeros((), jnp.int32), inner.init(params))

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Scaled]:
        finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(g)) for g in jax.tree.leaves(updates)]))
        updates, within = inner.update(updates, state.inner, params, **extra)
        updates = jax.tree.map(lambda u: jnp.where(finite, u, jnp.zeros_like(u)), updates)
        within = jax.tree.map(lambda new, old: jnp.where(finite, new, old), within, state.inner)
        grown = state.steps == growth - 1
        scale = jnp.where(finite, jnp.where(grown, 2.0, 1.0), 0.5) * state.scale
        steps = jnp.where(finite & ~grown, state.steps + 1, 0)
        return updates, Scaled(scale.astype(jnp.float32), steps.astype(jnp.int32), within)

    return optax.GradientTransformationExtraArgs(init, update)


@_register
class PathOptimizer(Wrapping):
    """An optimizer whose steps are longer, shorter or of another kind for some weights, by patterns of their paths.

    Args:
      inner_optimizer: what makes the steps of all other weights: an optimizer, its name or an Optax transformation.
      by_path: pattern of paths, ``"encoder/*"``, to a number by which the learning rate is multiplied there, 0 for weights that
        do not learn, or to another optimizer. A weight goes by the first pattern that its path fits; a path is
        ``"encoder/dense/kernel"``.
      name: what it is called.

    Raises:
      ValueError: for a negative number, or ``use_ema``; where training starts, for a pattern that no weight fits.

    Example:
      >>> optimizer = PathOptimizer("adam", {"embedding/*": 0, "*/bias": 2.0, "head/*": jkeras.optimizers.SGD(0.1)})
      >>> params = {"embedding": {"table": jnp.ones(2)}, "head": {"bias": jnp.ones(2), "kernel": jnp.ones(2)}}
      >>> updates, _ = optimizer.update(params, optimizer.init(params), params)
      >>> updates["embedding"]["table"].tolist(), round(float(updates["head"]["kernel"][0]), 4)
      ([0.0, 0.0], -0.1)

    Reference: ``optax.partition``.
    """

    def __init__(self, inner_optimizer: Any, by_path: Mapping[str, Any], name: str | None = None):
        self.inner_optimizer = inner = tables["optimizer"](inner_optimizer)
        rules: dict[Any, Any] = {"": inner.transformation}
        if any(isinstance(one, Optimizer) and one.config.get("use_ema") for one in (inner, *by_path.values())):
            raise ValueError("PathOptimizer: running means of weights are kept of all of them, not by path: leave use_ema out.")
        for pattern, rule in by_path.items():
            if isinstance(rule, (int, float)) and not isinstance(rule, bool):
                if not rule >= 0:
                    raise ValueError(f"PathOptimizer: a rate must not be negative, but that of {pattern!r} is {rule!r}.")
                rules[pattern] = optax.chain(inner.transformation, optax.scale(rule)) if rule else optax.set_to_zero()
            else:
                rules[pattern] = tables["optimizer"](rule).transformation
        config = {"inner_optimizer": inner, "by_path": dict(by_path), "name": name}
        whole = optax.partition(rules, functools.partial(_labels, list(by_path)))
        self._record(type(self).__name__, config, whole, inner.loss_scale)


def _labels(patterns: list[str], params: Any) -> Any:
    """Return the first pattern that the path of each weight fits, ``""`` for none."""
    paths = [path_of(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    for pattern in patterns:
        if not fnmatch.filter(paths, pattern):
            raise ValueError(
                f"PathOptimizer: no weight that learns fits {pattern!r}.{nearest(pattern, paths)} There are {paths}."
            )
    fits = [next((pattern for pattern in patterns if fnmatch.fnmatchcase(path, pattern)), "") for path in paths]
    return jax.tree.unflatten(jax.tree.structure(params), fits)
