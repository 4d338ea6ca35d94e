"""Keras's learning rate schedules: functions of the step, made of Optax's where these are the formula.

Any function ``step -> number`` is a schedule, one of ``optax`` too.
"""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax

from jkeras.core.arguments import bind
from jkeras.core.named import Configured, classed, look_up, tables
from jkeras.core.plain import made, written


class LearningRateSchedule(Configured):
    """A schedule and the call that made it; call it with a step, a number or an array."""

    module = "schedules"

    def __init__(self, function: Callable[[Any], Any]):
        self.function = function

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of a step."""
        return jnp.asarray(self.function(step))


def constructor(function: Callable[..., Callable[[Any], Any]]) -> Any:
    """Make a class of schedules of a function that returns one."""
    kind, signature = function.__name__, inspect.signature(function)

    def __init__(self: LearningRateSchedule, *args: Any, **kwargs: Any) -> None:  # noqa: N807, it becomes the class's
        bound = bind(kind, signature, args, kwargs)
        self.config = dict(bound.arguments)
        for name, value in self.config.items():
            if name.endswith("decay_steps") and not value > 0:
                raise ValueError(f"{kind}: {name} must be positive, but got {value!r}.")
        self.function = function(*bound.args, **bound.kwargs)

    return classed(LearningRateSchedule, function, __init__, signature)


@constructor
def ExponentialDecay(
    initial_learning_rate: float,
    decay_steps: int,
    decay_rate: float,
    staircase: bool = False,
    name: str = "ExponentialDecay",
) -> Any:
    r"""Fall by a factor: :math:`\eta_0 r^{t / T}`.

    Args:
      initial_learning_rate: :math:`\eta_0`.
      decay_steps: :math:`T`, positive.
      decay_rate: :math:`r`.
      staircase: whether :math:`t / T` is rounded down.
      name: for Keras's sake.

    Example:
      >>> round(float(ExponentialDecay(0.1, 100, 0.5)(100)), 4)
      0.05
    """
    if decay_rate > 0:
        return optax.exponential_decay(initial_learning_rate, decay_steps, decay_rate, staircase=staircase)
    return lambda step: initial_learning_rate * decay_rate ** _passed(step, decay_steps, staircase)


def _passed(step: Any, decay_steps: int, staircase: bool) -> Any:
    share = step / decay_steps
    return jnp.floor(share) if staircase else share


@constructor
def InverseTimeDecay(
    initial_learning_rate: float,
    decay_steps: int,
    decay_rate: float,
    staircase: bool = False,
    name: str = "InverseTimeDecay",
) -> Any:
    r"""Fall like one over time: :math:`\eta_0 / (1 + r t / T)`. Arguments as for :func:`ExponentialDecay`.

    Example:
      >>> round(float(InverseTimeDecay(0.1, 100, 1.0)(100)), 4)
      0.05
    """
    return lambda step: initial_learning_rate / (1 + decay_rate * _passed(step, decay_steps, staircase))


@constructor
def PiecewiseConstantDecay(boundaries: Any, values: Any, name: str = "PiecewiseConstant") -> Any:
    """Stay at one value up to a boundary and itself, then at the next.

    Args:
      boundaries: steps, each larger than the one before.
      values: one more than boundaries.
      name: for Keras's sake.

    Raises:
      ValueError: for another number of values, or boundaries that do not grow.

    Example:
      >>> schedule = PiecewiseConstantDecay([100, 200], [1.0, 0.5, 0.25])
      >>> schedule(100).item(), schedule(101).item(), schedule(500).item()
      (1.0, 0.5, 0.25)
    """
    if len(values) != len(boundaries) + 1 or not len(boundaries):
        raise ValueError(f"PiecewiseConstantDecay needs one value more than boundaries, but got {values!r} and {boundaries!r}.")
    if any(a >= b for a, b in itertools.pairwise(boundaries)):
        raise ValueError(f"PiecewiseConstantDecay: boundaries must grow, but got {boundaries!r}.")
    limits, levels = np.asarray(boundaries), np.asarray(values, float)
    return lambda step: jnp.asarray(levels)[jnp.searchsorted(jnp.asarray(limits), step)]


@constructor
def PolynomialDecay(
    initial_learning_rate: float,
    decay_steps: int,
    end_learning_rate: float = 0.0001,
    power: float = 1.0,
    cycle: bool = False,
    name: str = "PolynomialDecay",
) -> Any:
    r"""Fall along a power: :math:`(\eta_0 - \eta_1) (1 - t / T)^p + \eta_1`.

    Args:
      initial_learning_rate, end_learning_rate: :math:`\eta_0`, :math:`\eta_1`.
      decay_steps: :math:`T`, positive.
      power: :math:`p`.
      cycle: whether :math:`T` grows to its next multiple once it is passed; else the rate stays at :math:`\eta_1`.
      name: for Keras's sake.

    Example:
      >>> round(float(PolynomialDecay(0.1, 100, 0.0)(50)), 4)
      0.05
    """
    if not cycle:
        return optax.polynomial_schedule(initial_learning_rate, end_learning_rate, power, decay_steps)

    def decay(step: Any) -> Any:
        span = decay_steps * jnp.maximum(jnp.ceil(step / decay_steps), 1)
        return (initial_learning_rate - end_learning_rate) * (1 - step / span) ** power + end_learning_rate

    return decay


@constructor
def CosineDecay(
    initial_learning_rate: float,
    decay_steps: int,
    alpha: float = 0.0,
    name: str = "CosineDecay",
    warmup_target: float | None = None,
    warmup_steps: int = 0,
) -> Any:
    r"""Fall along half a cosine: :math:`\eta_0 ((1 - \alpha)(1 + \cos \pi t / T) / 2 + \alpha)`, after a rise if one is wanted.

    Args:
      initial_learning_rate: :math:`\eta_0`; where the rise begins, if there is one.
      decay_steps: :math:`T`, positive; the steps of the rise are not among them.
      alpha: :math:`\alpha`, what is left at the end, as a share.
      name: for Keras's sake.
      warmup_target: to what the rate rises, along a line, before it falls; None (default) for no rise.
      warmup_steps: in how many steps.

    Example:
      >>> schedule = CosineDecay(0.0, 100, warmup_target=0.1, warmup_steps=10)
      >>> [round(float(schedule(step)), 4) for step in (0, 5, 10, 60, 110)]
      [0.0, 0.05, 0.1, 0.05, 0.0]

    Reference: Loshchilov and Hutter, arXiv:1608.03983.
    """
    if warmup_target is None:
        return optax.cosine_decay_schedule(initial_learning_rate, decay_steps, alpha)
    fall = optax.cosine_decay_schedule(warmup_target, decay_steps, alpha)
    if not warmup_steps:
        return fall
    rise = optax.linear_schedule(initial_learning_rate, warmup_target, warmup_steps)
    return optax.join_schedules([rise, fall], [warmup_steps])


@constructor
def CosineDecayRestarts(
    initial_learning_rate: float,
    first_decay_steps: int,
    t_mul: float = 2.0,
    m_mul: float = 1.0,
    alpha: float = 0.0,
    name: str = "SGDRDecay",
) -> Any:
    """Fall along half a cosine again and again.

    Args:
      initial_learning_rate, alpha: as for :func:`CosineDecay`.
      first_decay_steps: how long the first fall takes, positive.
      t_mul: by what each takes longer than the one before.
      m_mul: by what each begins higher.
      name: for Keras's sake.

    Example:
      >>> schedule = CosineDecayRestarts(0.1, 10)
      >>> [round(float(schedule(step)), 4) for step in (0, 5, 10, 20, 30)]
      [0.1, 0.05, 0.1, 0.05, 0.1]

    Reference: Loshchilov and Hutter, arXiv:1608.03983.
    """

    def decay(step: Any) -> Any:
        passed = jnp.asarray(step / first_decay_steps)
        if t_mul == 1:
            turn = jnp.floor(passed)
            share = passed - turn
        else:
            turn = jnp.floor(jnp.log(1 - passed * (1 - t_mul)) / math.log(t_mul))
            share = (passed - (1 - t_mul**turn) / (1 - t_mul)) / t_mul**turn
        fall = 0.5 * m_mul**turn * (1 + jnp.cos(math.pi * share))
        return initial_learning_rate * ((1 - alpha) * fall + alpha)

    return decay


def _no_name(identifier: Any) -> Any:
    """Return a function as it is; a schedule needs arguments, so no name stands for one."""
    return look_up(identifier, {}, "schedule")


tables["schedule"] = _no_name


def serialize(learning_rate_schedule: Any) -> Any:
    """Return a schedule as plain data: the call that made it.

    Raises:
      TypeError: for a function that no constructor here made.

    Example:
      >>> serialize(ExponentialDecay(0.1, 100, 0.5))["config"]["decay_rate"]
      0.5
    """
    return written(learning_rate_schedule, "schedule")


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """Return the schedule that :func:`serialize` wrote down.

    Args:
      config: plain data.
      custom_objects: functions of your own by name.

    Example:
      >>> float(deserialize(serialize(ExponentialDecay(0.5, 100, 0.5)))(0))
      0.5
    """
    return made(config, "schedule", custom_objects)


__all__ = [
    "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "LearningRateSchedule",
    "PiecewiseConstantDecay", "PolynomialDecay", "deserialize", "serialize",
]  # fmt: skip
