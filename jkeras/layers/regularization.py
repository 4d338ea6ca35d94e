"""Dropout."""

from __future__ import annotations

from typing import Any

from jkeras.core import Context, Definition, layer
from jkeras.core.arguments import checked_shape
from jkeras.core.errors import ShapeError
from jkeras.layers.common import drop, fraction, no_weights, seeded


@layer
def Dropout(rate: float, noise_shape: Any = None, seed: int | None = None) -> Definition:
    """Set a random fraction of the input to 0 while training, and scale up the rest; ``rate`` is the fraction dropped.

    Shapes: any to the same. Params: none. Each call, layer and step draws its own entries.

    Args:
      rate: the fraction dropped, 0 to 1; the others are divided by ``1 - rate``.
      noise_shape: a shape that broadcasts against the input, None for its own sizes; ``(None, 1, None)`` drops the same
        features at all time steps.
      seed: sets this layer's stream apart from that of others with the same name.

    Raises:
      ValueError: when ``rate`` is not between 0 and 1, or no key was given in training.

    Example:
      >>> Dropout(0.5)(Input((32,))).shape
      (None, 32)

    Reference: Srivastava et al., JMLR 15 (2014); ``keras.layers.Dropout``.
    """
    rate = fraction("rate", rate)
    if noise_shape is not None:
        noise_shape = checked_shape("noise_shape", noise_shape)

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        if not ctx.training or rate == 0:
            return x, state
        if noise_shape is not None and len(noise_shape) != x.ndim:
            raise ShapeError(f"noise_shape {tuple(noise_shape)} must have as many axes as the input, {x.ndim}.")
        shape = None if noise_shape is None else tuple(x.shape[i] if n is None else n for i, n in enumerate(noise_shape))
        return drop(x, rate, seeded(ctx, seed), shape), state

    return Definition(no_weights, apply, mixes_examples="never")
