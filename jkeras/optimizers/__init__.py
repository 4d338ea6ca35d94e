"""Keras's optimizers by name and with its defaults, each an Optax transformation.

Keras and Optax define some optimizers differently by default; what is here reproduces Keras's, and any
``optax.GradientTransformation`` can be used in its place, unchanged. A learning rate is a number or a schedule
``step -> number``; a number is kept in the optimizer's state, where it can be changed without compiling anew.

Each function here returns its part of the chain; :func:`~jkeras.optimizers.face.constructor` does what is common to all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jkeras.core.named import look_up
from jkeras.optimizers.face import FOREIGN, Optimizer, constructor


def _decay(learning_rate: Any, weight_decay: float | None) -> Any:
    """Take off ``learning_rate * weight_decay`` of each weight, last in the chain: momentum does not see it."""
    return optax.add_decayed_weights(-learning_rate * weight_decay) if weight_decay else optax.identity()


@constructor
def SGD(
    learning_rate: Any = 0.01,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float | None = None,
) -> Any:
    r"""Make stochastic gradient descent, :math:`w \leftarrow w - \eta g`, with momentum :math:`v \leftarrow \mu v - \eta g`.

    Args:
      learning_rate: :math:`\eta`, a number or a schedule.
      momentum: :math:`\mu`, 0 to 1; the learning rate is inside the velocity, as in Keras, which matters with a schedule.
      nesterov: whether the step looks ahead, :math:`w \leftarrow w + \mu v - \eta g`.
      weight_decay: how much of each weight, times the learning rate, is taken off at each step.
      clipnorm, clipvalue, global_clipnorm: limits of each gradient's norm, of each entry, of the norm of all together.

    Raises:
      ValueError: for a negative learning rate, a momentum out of range, or several limits at once.

    Example:
      >>> SGD(0.1).init({"w": jnp.zeros(2)}) is not None
      True

    Reference: ``keras.optimizers.SGD``.
    """
    if not 0 <= momentum <= 1:
        raise ValueError(f"SGD: momentum must be between 0 and 1, but got {momentum!r}.")
    inertia = optax.trace(momentum, nesterov) if momentum else optax.identity()
    return optax.chain(optax.scale_by_learning_rate(learning_rate), inertia, _decay(learning_rate, weight_decay))


@constructor
def RMSprop(
    learning_rate: Any = 0.001,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    centered: bool = False,
    weight_decay: float | None = None,
) -> Any:
    r"""Make RMSprop: :math:`v \leftarrow \rho v + (1 - \rho) g^2`, :math:`w \leftarrow w - \eta g / \sqrt{v + \epsilon}`.

    Args:
      learning_rate: :math:`\eta`, a number or a schedule.
      rho: :math:`\rho`, how much of the mean square stays.
      momentum: as for :func:`SGD`.
      epsilon: inside the root, as in Keras.
      centered: whether the square of the mean gradient is subtracted from :math:`v`.
      weight_decay, clipnorm, clipvalue, global_clipnorm: as for :func:`SGD`.

    Example:
      >>> RMSprop()
      RMSprop(learning_rate=0.001, rho=0.9, momentum=0.0, epsilon=1e-07, centered=False)

    Reference: Tieleman and Hinton, Coursera lecture 6.5 (2012); ``keras.optimizers.RMSprop``.
    """
    scale = optax.scale_by_stddev if centered else optax.scale_by_rms
    mean_square = scale(decay=rho, eps=epsilon, eps_in_sqrt=True)
    inertia = optax.trace(momentum) if momentum else optax.identity()
    return optax.chain(mean_square, optax.scale_by_learning_rate(learning_rate), inertia, _decay(learning_rate, weight_decay))


@constructor
def Adam(
    learning_rate: Any = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    amsgrad: bool = False,
    weight_decay: float | None = None,
) -> Any:
    r"""Make Adam as Keras defines it.

    .. math::
        m &\leftarrow \beta_1 m + (1 - \beta_1) g, \qquad v \leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        w &\leftarrow w - \eta \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t} \frac{m}{\sqrt{v} + \epsilon}

    Here :math:`\epsilon` is added before the bias correction ("epsilon hat" in the paper); ``optax.adam`` adds it after.

    Args:
      learning_rate: :math:`\eta`, a number or a schedule.
      beta_1, beta_2: how much of the two means stays.
      epsilon: :math:`\epsilon`.
      amsgrad: whether the largest :math:`v` so far is used instead of the present one.
      weight_decay, clipnorm, clipvalue, global_clipnorm: as for :func:`SGD`.

    Example:
      >>> Adam(3e-4).config["learning_rate"]
      0.0003

    Reference: Kingma and Ba, arXiv:1412.6980; Reddi et al., arXiv:1904.09237; ``keras.optimizers.Adam``.
    """
    moments = _adam_direction(beta_1, beta_2, epsilon, amsgrad)
    return optax.chain(moments, optax.scale_by_learning_rate(learning_rate), _decay(learning_rate, weight_decay))


def _adam_direction(beta_1: float, beta_2: float, epsilon: float, amsgrad: bool) -> optax.GradientTransformation:
    """Divide the mean gradient by the root of the mean square, the correction of their biases being a factor of the whole.

    ``optax.scale_by_adam`` corrects each before it adds epsilon; ``optax.scale_by_amsgrad`` keeps the largest corrected square.
    """

    def init(params: Any) -> optax.ScaleByAmsgradState:
        mu, nu = optax.tree.zeros_like(params), optax.tree.zeros_like(params)
        return optax.ScaleByAmsgradState(jnp.zeros((), jnp.int32), mu, nu, optax.tree.zeros_like(params) if amsgrad else ())

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, optax.ScaleByAmsgradState]:
        count = optax.safe_increment(state.count)
        mu = optax.tree.update_moment(updates, state.mu, beta_1, 1)
        nu = optax.tree.update_moment(updates, state.nu, beta_2, 2)
        largest = jax.tree.map(jnp.maximum, state.nu_max, nu) if amsgrad else nu
        factor = jnp.sqrt(1 - beta_2**count) / (1 - beta_1**count)
        steps = jax.tree.map(lambda m, v: factor.astype(m.dtype) * m / (jnp.sqrt(v) + epsilon), mu, largest)
        return steps, optax.ScaleByAmsgradState(count, mu, nu, largest if amsgrad else ())

    return optax.GradientTransformation(init, update)


_TABLE: dict[str, Callable[..., Optimizer]] = {
    "SGD": SGD,
    "sgd": SGD,
    "RMSprop": RMSprop,
    "rmsprop": RMSprop,
    "Adam": Adam,
    "adam": Adam,
}


def get(identifier: Any) -> Any:
    """Return the optimizer of a given name or object; an ``optax.GradientTransformation`` is wrapped in one.

    Raises:
      UnknownNameError: for a name that is not in the table, with the nearest that is.

    Example:
      >>> get("adam").kind
      'Adam'
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if callable(getattr(identifier, "init", None)) and callable(getattr(identifier, "update", None)):
        return Optimizer(FOREIGN, {}, identifier)
    if isinstance(identifier, str) and identifier not in _TABLE and identifier.lower() in _TABLE:
        identifier = identifier.lower()
    found = look_up(identifier, _TABLE, "optimizer") if isinstance(identifier, str) else identifier
    if callable(found) and found in _TABLE.values():
        return found()
    raise TypeError(f"An optimizer is a name, an object of jkeras.optimizers or an Optax transformation, but got {identifier!r}.")


__all__ = ["SGD", "Adam", "Optimizer", "RMSprop", "get"]
