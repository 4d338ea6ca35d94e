"""Adam and its family: means of gradients divided by means of their sizes."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jkeras.optimizers.common import constructor, decayed, stepwise


def _zeros(count: int) -> Any:
    return lambda w: (jnp.zeros_like(w),) * count


def moved(mean: Any, value: Any, beta: float) -> Any:
    """Return a running mean of which ``beta`` stays."""
    return mean + (value - mean) * (1 - beta)


def direction(beta_1: float, beta_2: float, epsilon: float, amsgrad: bool = False) -> optax.GradientTransformation:
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
        factor: Any = jnp.sqrt(1 - beta_2**count) / (1 - beta_1**count)
        steps = jax.tree.map(lambda m, v: factor.astype(m.dtype) * m / (jnp.sqrt(v) + epsilon), mu, largest)
        return steps, optax.ScaleByAmsgradState(count, mu, nu, largest if amsgrad else ())

    return optax.GradientTransformation(init, update)


def _adam(learning_rate: Any, beta_1: float, beta_2: float, epsilon: float, amsgrad: bool) -> Any:
    return optax.chain(direction(beta_1, beta_2, epsilon, amsgrad), optax.scale_by_learning_rate(learning_rate))


@constructor
def Adam(
    learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7, amsgrad: bool = False
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
      amsgrad: whether the largest :math:`v` so far is used instead of the present one. The common arguments are those of
        :func:`SGD`.

    Example:
      >>> Adam(3e-4).config["learning_rate"]
      0.0003

    Reference: Kingma and Ba, arXiv:1412.6980; Reddi et al., arXiv:1904.09237; ``keras.optimizers.Adam``.
    """
    return _adam(learning_rate, beta_1, beta_2, epsilon, amsgrad)


@constructor
def AdamW(
    learning_rate: Any = 0.001,
    weight_decay: float | None = 0.004,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    amsgrad: bool = False,
) -> Any:
    """Make :func:`Adam` that takes ``learning_rate * weight_decay`` of each weight off before each step.

    Args:
      learning_rate, beta_1, beta_2, epsilon, amsgrad: as for :func:`Adam`.
      weight_decay: not negative. The other common arguments are those of :func:`SGD`.

    Example:
      >>> AdamW().weight_decay
      0.004

    Reference: Loshchilov and Hutter, arXiv:1711.05101; ``keras.optimizers.AdamW``.
    """
    step = _adam(learning_rate, beta_1, beta_2, epsilon, amsgrad)
    return decayed(step, learning_rate, weight_decay) if weight_decay else step


@constructor
def Adamax(learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7) -> Any:
    r"""Make Adam of the largest gradient in the place of the root of the mean square.

    .. math::
        u \leftarrow \max(\beta_2 u, |g|), \qquad w \leftarrow w - \frac{\eta}{1 - \beta_1^t} \frac{m}{u + \epsilon}

    Args:
      learning_rate, beta_1, beta_2, epsilon: as for :func:`Adam`. The common arguments are those of :func:`SGD`.

    Example:
      >>> Adamax(0.002).kind
      'Adamax'

    Reference: Kingma and Ba, arXiv:1412.6980, section 7; ``keras.optimizers.Adamax``.
    """

    def step(g: Any, w: Any, m: Any, u: Any, t: Any) -> tuple[Any, tuple[Any, Any]]:
        m, u = moved(m, g, beta_1), jnp.maximum(beta_2 * u, jnp.abs(g))
        return -jnp.asarray(learning_rate, w.dtype) * m / ((1 - beta_1**t) * (u + epsilon)), (m, u)

    return stepwise(_zeros(2), step)


class Ahead(NamedTuple):
    """What Nadam remembers: int32 steps, both means, and the product of the momenta so far."""

    count: Any
    mean: Any
    square: Any
    product: Any


@constructor
def Nadam(learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7) -> Any:
    r"""Make Adam that looks ahead, with a momentum :math:`\mu_t = \beta_1 (1 - 0.96^t / 2)` that grows.

    .. math::
        w \leftarrow w - \frac{\eta}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}
        \left( \frac{\mu_{t+1} m}{1 - \prod_{i \le t + 1} \mu_i} + \frac{(1 - \mu_t) g}{1 - \prod_{i \le t} \mu_i} \right)

    ``optax.nadam`` keeps the momentum as it is.

    Args:
      learning_rate, beta_1, beta_2, epsilon: as for :func:`Adam`. The common arguments are those of :func:`SGD`.

    Example:
      >>> Nadam(0.002).kind
      'Nadam'

    Reference: Dozat (2016), openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ; ``keras.optimizers.Nadam``.
    """

    def init(params: Any) -> Ahead:
        dtype = next((leaf.dtype for leaf in jax.tree.leaves(params)), jnp.float32)
        zeros = optax.tree.zeros_like(params)
        return Ahead(jnp.zeros((), jnp.int32), zeros, zeros, jnp.ones((), dtype))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Ahead]:
        count: Any = optax.safe_increment(state.count)
        t = count.astype(state.product.dtype)
        now, ahead = (beta_1 * (1 - 0.5 * 0.96**step) for step in (t, t + 1))
        product = state.product * now
        mean = jax.tree.map(lambda m, g: moved(m, g, beta_1), state.mean, updates)
        square = jax.tree.map(lambda v, g: moved(v, jnp.square(g), beta_2), state.square, updates)

        def step(g: Any, m: Any, v: Any) -> Any:
            forward = (ahead * m / (1 - product * ahead) + (1 - now) * g / (1 - product)).astype(g.dtype)
            return -jnp.asarray(learning_rate, g.dtype) * forward / (jnp.sqrt(v / (1 - beta_2**t)).astype(g.dtype) + epsilon)

        return jax.tree.map(step, updates, mean, square), Ahead(count, mean, square, product)

    return optax.GradientTransformation(init, update)


@constructor
def Lamb(learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7) -> Any:
    r"""Make Adam whose step of each array is as long as the array: :math:`\eta s \|w\| / \|s\|` for Adam's step s.

    Here :math:`\epsilon` is added after the bias correction. An array of zeros moves by Adam's step.

    Args:
      learning_rate, beta_1, beta_2, epsilon: as for :func:`Adam`. The common arguments are those of :func:`SGD`.

    Example:
      >>> Lamb().kind
      'Lamb'

    Reference: You et al., arXiv:1904.00962; ``optax.lamb``; ``keras.optimizers.Lamb``.
    """
    adam = optax.scale_by_adam(beta_1, beta_2, epsilon)
    return optax.chain(adam, optax.scale_by_trust_ratio(), optax.scale_by_learning_rate(learning_rate))


@constructor
def Lion(learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99) -> Any:
    r"""Make Lion, all of whose steps are :math:`\pm \eta`.

    .. math::
        w \leftarrow w - \eta\, \mathrm{sign}(\beta_1 m + (1 - \beta_1) g), \qquad m \leftarrow \beta_2 m + (1 - \beta_2) g

    Args:
      learning_rate: :math:`\eta`, a number or a schedule; a tenth of Adam's is the rule.
      beta_1, beta_2: how much of the mean enters the step, and stays; ``beta_1`` is above 0 and at most 1.

    Example:
      >>> Lion(1e-4).beta_2
      0.99

    Reference: Chen et al., arXiv:2302.06675; ``optax.lion``; ``keras.optimizers.Lion``.
    """
    if not 0 < beta_1 <= 1:
        raise ValueError(f"beta_1 must be above 0 and at most 1, but got {beta_1!r}.")
    return optax.chain(optax.scale_by_lion(beta_1, beta_2), optax.scale_by_learning_rate(learning_rate))


@constructor
def ScheduleFreeAdamW(
    learning_rate: Any = 0.0025, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8, warmup_steps: int = 0
) -> Any:
    r"""Make AdamW that averages its weights instead of lowering its learning rate; the weights of the model are y.

    .. math::
        z &\leftarrow z - \eta g / (\sqrt{v / (1 - \beta_2^t)} + \epsilon) \\
        x &\leftarrow (1 - 1/t) x + z / t, \qquad y = (1 - \beta_1) z + \beta_1 x

    Args:
      learning_rate: :math:`\eta`, a number or a schedule.
      beta_1: how much of the average is in the weights; above 0, at most 1.
      beta_2: how much of the mean square stays.
      epsilon: :math:`\epsilon`.
      warmup_steps: in how many steps the learning rate grows from 0. The common arguments are those of :func:`SGD`.

    Example:
      >>> ScheduleFreeAdamW(warmup_steps=100).name
      'schedule_free_adam_w'

    Reference: Defazio et al., arXiv:2405.15682; ``keras.optimizers.ScheduleFreeAdamW``.
    """
    if not 0 < beta_1 <= 1:
        raise ValueError(f"beta_1 must be above 0 and at most 1, but got {beta_1!r}.")

    def start(w: Any) -> tuple[Any, Any]:
        return jnp.asarray(w), jnp.zeros_like(w)

    def step(g: Any, y: Any, z: Any, v: Any, t: Any) -> tuple[Any, tuple[Any, Any]]:
        rate = jnp.asarray(learning_rate, y.dtype)
        rate = rate * jnp.minimum(t / warmup_steps, 1) if warmup_steps > 0 else rate
        v = moved(v, jnp.square(g), beta_2)
        x = (y - (1 - beta_1) * z) / beta_1
        z = z - rate * g / (jnp.sqrt(v / (1 - beta_2**t)) + epsilon)
        x = (1 - 1 / t) * x + z / t
        return (1 - beta_1) * z + beta_1 * x - y, (z, v)

    return stepwise(start, step)
