"""Optimizers that divide gradients by what they have been so far, or not at all: SGD, RMSprop, Adagrad, Adadelta, Ftrl."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import optax

from jkeras.optimizers.common import constructor, stepwise


@constructor
def SGD(learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False) -> Any:
    r"""Make stochastic gradient descent, :math:`w \leftarrow w - \eta g`, with momentum :math:`v \leftarrow \mu v - \eta g`.

    Args:
      learning_rate: :math:`\eta`, a number or a schedule.
      momentum: :math:`\mu`, 0 to 1; the learning rate is inside the velocity, as in Keras, which matters with a schedule.
      nesterov: whether the step looks ahead, :math:`w \leftarrow w + \mu v - \eta g`.
      weight_decay: how much of each weight, times the learning rate, is taken off before each step; None (default) for nothing.
      clipnorm, clipvalue, global_clipnorm: limits of each gradient's norm, of each entry, of the norm of all together.
      use_ema: whether a running mean of the weights is kept, which takes their place when ``fit`` ends.
      ema_momentum: how much of that mean stays in each step, from 0 to 1.
      ema_overwrite_frequency: after how many steps the mean takes the place of the weights; None (default) for at the end.
      loss_scale_factor: by what the loss is multiplied before gradients are taken, and these divided after.
      gradient_accumulation_steps: of how many batches the mean gradient makes one step.
      name: for Keras's sake.

    Raises:
      ValueError: for a negative learning rate, a momentum out of range, or several limits at once.

    Example:
      >>> SGD(0.1).init({"w": jnp.zeros(2)}) is not None
      True

    Reference: ``keras.optimizers.SGD``.
    """
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum must be between 0 and 1, but got {momentum!r}.")
    inertia = optax.trace(momentum, nesterov) if momentum else optax.identity()
    return optax.chain(optax.scale_by_learning_rate(learning_rate), inertia)


@constructor
def RMSprop(
    learning_rate: Any = 0.001, rho: float = 0.9, momentum: float = 0.0, epsilon: float = 1e-7, centered: bool = False
) -> Any:
    r"""Make RMSprop: :math:`v \leftarrow \rho v + (1 - \rho) g^2`, :math:`w \leftarrow w - \eta g / \sqrt{v + \epsilon}`.

    Args:
      learning_rate: :math:`\eta`, a number or a schedule.
      rho: :math:`\rho`, how much of the mean square stays.
      momentum: as for :func:`SGD`, which has the common arguments, too.
      epsilon: inside the root, as in Keras.
      centered: whether the square of the mean gradient is subtracted from :math:`v`.

    Example:
      >>> RMSprop(rho=0.5).rho
      0.5

    Reference: Tieleman and Hinton, Coursera lecture 6.5 (2012); ``keras.optimizers.RMSprop``.
    """
    scale = optax.scale_by_stddev if centered else optax.scale_by_rms
    mean_square = scale(decay=rho, eps=epsilon, eps_in_sqrt=True)
    inertia = optax.trace(momentum) if momentum else optax.identity()
    return optax.chain(mean_square, optax.scale_by_learning_rate(learning_rate), inertia)


@constructor
def Adagrad(learning_rate: Any = 0.001, initial_accumulator_value: float = 0.1, epsilon: float = 1e-7) -> Any:
    r"""Make Adagrad: :math:`v \leftarrow v + g^2`, :math:`w \leftarrow w - \eta g / \sqrt{v + \epsilon}`.

    Args:
      learning_rate: :math:`\eta`, a number or a schedule.
      initial_accumulator_value: what :math:`v` begins with, not negative.
      epsilon: :math:`\epsilon`. The common arguments are those of :func:`SGD`.

    Example:
      >>> Adagrad(0.1).config["initial_accumulator_value"]
      0.1

    Reference: Duchi et al. (2011), JMLR 12; ``keras.optimizers.Adagrad``.
    """
    if not initial_accumulator_value >= 0:
        raise ValueError(f"initial_accumulator_value must not be negative, but got {initial_accumulator_value!r}.")
    squares = optax.scale_by_rss(initial_accumulator_value, epsilon)
    return optax.chain(squares, optax.scale_by_learning_rate(learning_rate))


@constructor
def Adadelta(learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7) -> Any:
    r"""Make Adadelta: steps as long as the last ones have been, in proportion to gradients as large as the last ones.

    .. math::
        v &\leftarrow \rho v + (1 - \rho) g^2, \qquad s = g \sqrt{u + \epsilon} / \sqrt{v + \epsilon} \\
        u &\leftarrow \rho u + (1 - \rho) s^2, \qquad w \leftarrow w - \eta s

    Args:
      learning_rate: :math:`\eta`, a number or a schedule; 1 is the paper's.
      rho: :math:`\rho`, how much of both means stays.
      epsilon: :math:`\epsilon`. The common arguments are those of :func:`SGD`.

    Example:
      >>> Adadelta(1.0).rho
      0.95

    Reference: Zeiler, arXiv:1212.5701; ``keras.optimizers.Adadelta``.
    """
    return optax.chain(optax.scale_by_adadelta(rho, epsilon), optax.scale_by_learning_rate(learning_rate))


@constructor
def Ftrl(
    learning_rate: Any = 0.001,
    learning_rate_power: float = -0.5,
    initial_accumulator_value: float = 0.1,
    l1_regularization_strength: float = 0.0,
    l2_regularization_strength: float = 0.0,
    l2_shrinkage_regularization_strength: float = 0.0,
    beta: float = 0.0,
) -> Any:
    r"""Make "follow the regularized leader", which sets weights to exactly 0 where :math:`\lambda_1` outweighs gradients.

    .. math::
        z &\leftarrow z + g + 2 \lambda_s w - w (n'^{-p} - n^{-p}) / \eta, \qquad n' = n + g^2 \\
        w &\leftarrow \frac{\mathrm{clip}(z, \pm \lambda_1) - z}{n'^{-p} / \eta + 2 \lambda_2 + \beta / \eta}

    Args:
      learning_rate: :math:`\eta`, a number or a schedule.
      learning_rate_power: :math:`p`, not positive.
      initial_accumulator_value: what :math:`n` begins with, not negative.
      l1_regularization_strength, l2_regularization_strength: :math:`\lambda_1`, :math:`\lambda_2`, not negative.
      l2_shrinkage_regularization_strength: :math:`\lambda_s`, not negative.
      beta: :math:`\beta`. The common arguments are those of :func:`SGD`.

    Raises:
      ValueError: for a power above 0 or a strength below.

    Example:
      >>> Ftrl(l1_regularization_strength=0.1).name
      'ftrl'

    Reference: McMahan et al. (2013), doi:10.1145/2487575.2488200; ``keras.optimizers.Ftrl``.
    """
    amounts = (initial_accumulator_value, l1_regularization_strength, l2_regularization_strength)
    if not all(amount >= 0 for amount in (*amounts, l2_shrinkage_regularization_strength)):
        raise ValueError("the initial accumulator and the strengths of regularization must not be negative.")
    if learning_rate_power > 0:
        raise ValueError(f"learning_rate_power must not be positive, but got {learning_rate_power!r}.")

    def start(w: Any) -> tuple[Any, Any]:
        return jnp.full_like(w, initial_accumulator_value), jnp.zeros_like(w)

    def step(g: Any, w: Any, squares: Any, linear: Any, t: Any) -> tuple[Any, tuple[Any, Any]]:
        rate = jnp.asarray(learning_rate, w.dtype)
        more = squares + jnp.square(g)
        before, after = (n**-learning_rate_power for n in (squares, more))
        linear = linear + g + 2 * l2_shrinkage_regularization_strength * w - (after - before) / rate * w
        curvature = after / rate + 2 * (l2_regularization_strength + beta / (2 * rate))
        kept = jnp.clip(linear, -l1_regularization_strength, l1_regularization_strength)
        return (kept - linear) / curvature - w, (more, linear)

    return stepwise(start, step)
