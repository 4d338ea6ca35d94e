"""SpectralNormalization."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jkeras.core import Calls, Definition, Masked, as_layer, composite, describe, layer, weight
from jkeras.core.arguments import whole_number
from jkeras.core.errors import ShapeError
from jkeras.core.nest import map_nest
from jkeras.initializers import TruncatedNormal
from jkeras.layers.common import unit

_NAMES = ("kernel", "embeddings")


@layer
def SpectralNormalization(layer: Any, power_iterations: int = 1) -> Definition:
    r"""Divide the kernel of a layer by its largest singular value, which power iteration estimates.

    .. math:: v = \frac{u W^T}{\lVert u W^T \rVert}, \quad u \leftarrow \frac{v W}{\lVert v W \rVert}, \quad
        \bar W = W / (v W u^T)

    with :math:`W` the kernel as a matrix of its last axis. In training u moves on at each call; elsewhere it stays. The gradient
    takes u and v for constants.

    Shapes: those of the inner layer. Params: ``layer``. State: ``vector_u`` (1, last axis of the kernel).

    The layer is normalised outside training too. Keras on JAX normalises it in training only, so that what it trains is not
    what it predicts with.

    Args:
      layer: a layer with a ``kernel`` or ``embeddings``.
      power_iterations: how many steps of the iteration a call takes.

    Raises:
      ShapeError: when the layer has neither.
      ValueError: when ``power_iterations`` is not a positive integer.

    Example:
      >>> SpectralNormalization(Conv2D(8, 3))(Input((28, 28, 3))).shape
      (None, 26, 26, 8)

    Reference: Miyato et al., arXiv:1802.05957; ``keras.layers.SpectralNormalization``.
    """
    inner, times = as_layer(layer, "SpectralNormalization"), whole_number("power_iterations", power_iterations)

    def weights(key: Any, x: Any) -> Any:
        params, _ = describe.variables(inner, x)
        columns = params[_kernel_of(params)].shape[-1]
        return {}, {"vector_u": weight(key, "vector_u", TruncatedNormal(stddev=0.02), (1, columns))}

    def body(call: Calls, x: Any) -> Any:
        params = call.params_of("layer", x)
        name = _kernel_of(params)
        kernel, u = params[name], call.states["vector_u"]
        new, sigma = _largest(kernel.reshape(-1, kernel.shape[-1]), u, times)
        if call.ctx.training:
            call.states = {**call.states, "vector_u": new.astype(u.dtype)}
        y = call("layer", x, params={**params, name: kernel / jnp.where(sigma == 0, 1, sigma)})
        return map_nest(lambda leaf: Masked(leaf.value, leaf.mask), y)

    return composite(body, weights=weights, mixes_examples="never", layer=layer)


def _kernel_of(params: Any) -> str:
    name = next((name for name in _NAMES if hasattr(params.get(name), "shape")), None)
    if name is None:
        raise ShapeError(
            f"SpectralNormalization takes a layer with one of {', '.join(_NAMES)}, but its weights are {sorted(params)}."
        )
    return name


def _largest(matrix: Any, u: Any, times: int) -> tuple[Any, Any]:
    """Return the next u and the estimate of the largest singular value."""
    for _ in range(times):
        v = unit(u @ matrix.T, None, 1e-6)
        u = unit(v @ matrix, None, 1e-6)
    u, v = jax.lax.stop_gradient((u, v))
    return u, (v @ matrix @ u.T)[0, 0]
