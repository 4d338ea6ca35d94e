"""Keras's optimizers by name and with its defaults, each an Optax transformation.

Keras and Optax define some optimizers differently by default; what is here reproduces Keras's, and any
``optax.GradientTransformation`` can be used in its place, unchanged. A learning rate is a number or a schedule
``step -> number``; a number is kept in the optimizer's state, where it can be changed without compiling anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax

from jkeras.core.named import look_up
from jkeras.optimizers.face import FOREIGN, Optimizer, Settable, checked_rate, constructor


def _common(
    kind: str,
    config: dict[str, Any],
    core: optax.GradientTransformation,
    *,
    weight_decay: float | None,
    clipnorm: float | None,
    clipvalue: float | None,
    global_clipnorm: float | None,
) -> tuple[dict[str, Any], optax.GradientTransformation]:
    """Clip before, decay after: what every Keras optimizer can do."""
    for name, value in (("clipnorm", clipnorm), ("clipvalue", clipvalue), ("global_clipnorm", global_clipnorm)):
        if value is not None and value <= 0:
            raise ValueError(f"{kind}: {name} must be positive, but got {value!r}.")
    if sum(value is not None for value in (clipnorm, clipvalue, global_clipnorm)) > 1:
        raise ValueError(f"{kind}: only one of clipnorm, clipvalue and global_clipnorm can be used.")
    parts = []
    if clipnorm is not None:
        parts.append(optax.stateless_with_tree_map(lambda g, _: optax.projections.projection_l2_ball(g, clipnorm)))
    if clipvalue is not None:
        parts.append(optax.clip(clipvalue))
    if global_clipnorm is not None:
        parts.append(optax.clip_by_global_norm(global_clipnorm))
    whole = optax.chain(*parts, core) if parts else core
    shown = {
        **config,
        "weight_decay": weight_decay,
        "clipnorm": clipnorm,
        "clipvalue": clipvalue,
        "global_clipnorm": global_clipnorm,
    }
    return shown, optax.GradientTransformation(whole.init, whole.update)


def _settable(rate: Any) -> Any:
    return Settable(rate) if callable(rate) and not hasattr(rate, "init") else rate


def _decay(learning_rate: Any, weight_decay: float | None) -> Any:
    """Take off ``learning_rate * weight_decay`` of each weight, last in the chain: momentum does not see it."""
    return optax.add_decayed_weights(-learning_rate * weight_decay) if weight_decay else optax.identity()


@constructor
def SGD(
    learning_rate: Any = 0.01,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float | None = None,
    clipnorm: float | None = None,
    clipvalue: float | None = None,
    global_clipnorm: float | None = None,
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

    def make(learning_rate: Any) -> optax.GradientTransformation:
        inertia = optax.trace(momentum, nesterov) if momentum else optax.identity()
        return optax.chain(optax.scale_by_learning_rate(learning_rate), inertia, _decay(learning_rate, weight_decay))

    rate = checked_rate("SGD", learning_rate)
    config = {"learning_rate": learning_rate, "momentum": momentum, "nesterov": nesterov}
    return _common(
        "SGD", config, optax.inject_hyperparams(make)(learning_rate=_settable(rate)),
        weight_decay=weight_decay, clipnorm=clipnorm, clipvalue=clipvalue, global_clipnorm=global_clipnorm,
    )  # fmt: skip


@constructor
def RMSprop(
    learning_rate: Any = 0.001,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    centered: bool = False,
    weight_decay: float | None = None,
    clipnorm: float | None = None,
    clipvalue: float | None = None,
    global_clipnorm: float | None = None,
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

    def make(learning_rate: Any) -> optax.GradientTransformation:
        scale = optax.scale_by_stddev if centered else optax.scale_by_rms
        inertia = optax.trace(momentum) if momentum else optax.identity()
        mean_square = scale(decay=rho, eps=epsilon, eps_in_sqrt=True)
        step = optax.scale_by_learning_rate(learning_rate)
        return optax.chain(mean_square, step, inertia, _decay(learning_rate, weight_decay))

    rate = checked_rate("RMSprop", learning_rate)
    config = {"learning_rate": learning_rate, "rho": rho, "momentum": momentum, "epsilon": epsilon, "centered": centered}
    return _common(
        "RMSprop", config, optax.inject_hyperparams(make)(learning_rate=_settable(rate)),
        weight_decay=weight_decay, clipnorm=clipnorm, clipvalue=clipvalue, global_clipnorm=global_clipnorm,
    )  # fmt: skip


@constructor
def Adam(
    learning_rate: Any = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    amsgrad: bool = False,
    weight_decay: float | None = None,
    clipnorm: float | None = None,
    clipvalue: float | None = None,
    global_clipnorm: float | None = None,
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

    def corrected(count: Any) -> Any:
        return jnp.sqrt(1 - beta_2 ** (count + 1.0))

    def make(learning_rate: Any, eps: Any, factor: Any) -> optax.GradientTransformation:
        if amsgrad:
            # Keras keeps the largest uncorrected v; the correction then multiplies the step.
            moments = optax.scale_by_amsgrad(beta_1, beta_2, eps=epsilon, bias_correction_nu=False)
            moments = optax.chain(moments, optax.scale(factor))
        else:
            moments = optax.scale_by_adam(beta_1, beta_2, eps=eps)
        return optax.chain(moments, optax.scale_by_learning_rate(learning_rate), _decay(learning_rate, weight_decay))

    rate = checked_rate("Adam", learning_rate)
    core = optax.inject_hyperparams(make)(learning_rate=_settable(rate), eps=lambda n: epsilon / corrected(n), factor=corrected)
    config = {"learning_rate": learning_rate, "beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon, "amsgrad": amsgrad}
    return _common(
        "Adam", config, core,
        weight_decay=weight_decay, clipnorm=clipnorm, clipvalue=clipvalue, global_clipnorm=global_clipnorm,
    )  # fmt: skip


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
