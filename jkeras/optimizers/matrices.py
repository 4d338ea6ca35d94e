"""Optimizers that know a matrix when they see one: Adafactor and Muon."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jkeras.core.nest import path_of
from jkeras.optimizers.adam import direction
from jkeras.optimizers.common import constructor, decayed, stepwise


def _size(x: Any) -> Any:
    return jnp.sqrt(jnp.mean(jnp.square(x)))


@constructor
def Adafactor(
    learning_rate: Any = 0.001,
    beta_2_decay: float = -0.8,
    epsilon_1: float = 1e-30,
    epsilon_2: float = 1e-3,
    clip_threshold: float = 1.0,
    relative_step: bool = True,
) -> Any:
    r"""Make Adafactor as Keras defines it: of a matrix it keeps the mean squares of rows and of columns alone.

    Of gradients g, with :math:`\beta = 1 - t^{b}` of the means of :math:`g^2 + \epsilon_1` staying, and :math:`\rho` the root of
    a mean square:

    .. math::
        v = r c^T / \bar r, \qquad u = g / \sqrt v, \qquad
        w \leftarrow w - \max(\epsilon_2, \rho(w)) \min(\eta, t^{-1/2}) \frac{u}{\max(1, \rho(u) / d)}

    Args:
      learning_rate: :math:`\eta`, a number or a schedule.
      beta_2_decay: :math:`b`, negative.
      epsilon_1, epsilon_2: :math:`\epsilon_1`, :math:`\epsilon_2`.
      clip_threshold: :math:`d`.
      relative_step: for Keras's sake; steps are at most :math:`t^{-1/2}` either way, as there. The common arguments are those of
        :func:`SGD`.

    Example:
      >>> Adafactor().kind
      'Adafactor'

    Reference: Shazeer and Stern, arXiv:1804.04235; ``keras.optimizers.Adafactor``.
    """

    def start(w: Any) -> tuple[Any, ...]:
        if w.ndim < 2:
            return jnp.zeros_like(w), jnp.zeros((), w.dtype), jnp.zeros((), w.dtype)
        return jnp.zeros((), w.dtype), jnp.zeros(w.shape[:-1], w.dtype), jnp.zeros((*w.shape[:-2], w.shape[-1]), w.dtype)

    def step(g: Any, w: Any, v: Any, rows: Any, columns: Any, t: Any) -> tuple[Any, tuple[Any, ...]]:
        new, square = t**beta_2_decay, jnp.square(g) + epsilon_1
        longest = jnp.minimum(jnp.asarray(learning_rate, w.dtype), 1 / jnp.sqrt(t))
        if w.ndim < 2:
            v = (1 - new) * v + new * square
            mean = v
        else:
            rows = (1 - new) * rows + new * jnp.mean(square, axis=-1)
            columns = (1 - new) * columns + new * jnp.mean(square, axis=-2)
            mean = (rows / jnp.mean(rows, axis=-1, keepdims=True))[..., None] * columns[..., None, :]
        u = g / jnp.sqrt(mean)
        u = u / jnp.maximum(1, _size(u) / clip_threshold)
        return -jnp.maximum(jnp.asarray(epsilon_2, w.dtype), _size(w)) * longest * u, (v, rows, columns)

    return stepwise(start, step)


def orthogonal(x: Any, steps: int, a: float, b: float, c: float) -> Any:
    r"""Bring the singular values of a matrix near 1 by Newton and Schulz's iteration, :math:`X \leftarrow (a + b Y + c Y^2) X`.

    Here :math:`Y = X X^T`, of the matrix or its transpose, whichever is smaller, divided by its norm at first.

    Args:
      x: ``(rows, columns)``.
      steps: how often.
      a, b, c: the coefficients.
    """
    tall = x.shape[-2] > x.shape[-1]
    x = x.T if tall else x
    x = x / (jnp.linalg.norm(x) + 1e-7)
    for _ in range(steps):
        y = x @ x.T
        x = a * x + (b * y + c * y @ y) @ x
    return x.T if tall else x


@constructor
def Muon(
    learning_rate: Any = 0.001,
    adam_beta_1: float = 0.9,
    adam_beta_2: float = 0.999,
    adam_weight_decay: float | None = 0.004,
    epsilon: float = 1e-7,
    weight_decay: float | None = 0.004,
    *,
    exclude_layers: Any = None,
    exclude_embeddings: bool = True,
    muon_a: float = 3.4445,
    muon_b: float = -4.775,
    muon_c: float = 2.0315,
    adam_lr_ratio: float = 1,
    momentum: float = 0.95,
    ns_steps: int = 5,
    nesterov: bool = True,
    rms_rate: float | None = 0.2,
) -> Any:
    r"""Make Muon, whose step of a matrix is its momentum with all singular values made equal; other weights go by Adam.

    Args:
      learning_rate: a number or a schedule.
      adam_beta_1, adam_beta_2, adam_weight_decay, epsilon: of the weights that go by :func:`AdamW`.
      weight_decay: of matrices. The common arguments are those of :func:`SGD`.
      exclude_layers: patterns of paths, such as ``"head"``, that go by Adam, too.
      exclude_embeddings: whether tables of embeddings do.
      muon_a, muon_b, muon_c, ns_steps: coefficients and number of steps of :func:`orthogonal`.
      adam_lr_ratio: by what the learning rate is multiplied for Adam.
      momentum: how much of the velocity stays.
      nesterov: whether the step looks ahead.
      rms_rate: r, by which with the root of the longer side a step is multiplied; None for not at all.

    Example:
      >>> Muon(exclude_layers=["head"]).momentum
      0.95

    Reference: Jordan et al. (2024), kellerjordan.github.io/posts/muon; Liu et al., arXiv:2502.16982; ``keras.optimizers.Muon``.
    """
    patterns = [re.compile(pattern) for pattern in exclude_layers or ()]

    def kind_of(path: Any, w: Any) -> str:
        name = path_of(path)
        by_adam = w.ndim != 2 or (exclude_embeddings and "embedding" in name.lower())
        return "adam" if by_adam or any(pattern.search(name) for pattern in patterns) else "muon"

    def step(g: Any, w: Any, m: Any, t: Any) -> tuple[Any, tuple[Any]]:
        m = momentum * m + g
        turned = orthogonal(g + momentum * m if nesterov else m, ns_steps, muon_a, muon_b, muon_c)
        length = 1.0 if rms_rate is None else max(w.shape) ** 0.5 * rms_rate
        return -jnp.asarray(learning_rate, w.dtype) * length * turned, (m,)

    def decay_of(path: Any, w: Any) -> float:
        share = weight_decay if kind_of(path, w) == "muon" else adam_weight_decay
        return (share(path, w) if callable(share) else share) or 0.0

    slower = optax.scale_by_learning_rate(learning_rate * adam_lr_ratio)
    rules: dict[Any, Any] = {
        "muon": stepwise(lambda w: (jnp.zeros_like(w),), step),
        "adam": optax.chain(direction(adam_beta_1, adam_beta_2, epsilon), slower),
    }
    by_kind = optax.partition(rules, lambda params: jax.tree_util.tree_map_with_path(kind_of, params))
    return decayed(by_kind, learning_rate, decay_of)
