"""Normalization of features by what was found in data, and Pipeline, which applies layers one after the other."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np

from jkeras.core import Definition, Layer, layer, sequential
from jkeras.core.constructors import as_layer
from jkeras.core.errors import ShapeError
from jkeras.core.shapes import shape_of
from jkeras.layers.common import real
from jkeras.layers.encoding import batches_of

_EPSILON = 1e-7  # Keras's: a smaller deviation counts as this


@layer
def Normalization(
    axis: Any = -1, mean: Any = None, variance: Any = None, invert: bool = False, adapted: Any = None
) -> Definition:
    r"""Subtract a mean and divide by a standard deviation that are known, or were found in data.

    .. math:: y = \frac{x - \mu}{\max(\sigma, 10^{-7})}

    Shapes: any to the same, as floating numbers. Params: none. State, where they were not given: ``mean`` and ``variance``, of
    the sizes on ``axis``, 0 and 1 before ``adapt``, and ``count``, which is 0, for Keras's sake.

    Args:
      axis: the axis, or several, along which each entry has a mean of its own; None for one mean of all.
      mean, variance: what is subtracted, and the square of the divisor; both or neither.
      invert: whether to multiply and add instead.
      adapted: the mean and variance that ``adapt(data)`` found; it fills them in. ``data`` are an array, or batches.

    Raises:
      ValueError: when only one of mean and variance is given, or they do not fit.
      ShapeError: when the input has no such axis, or a size on it is unknown.

    Example:
      >>> norm = Normalization()
      >>> norm.adapt(np.array([[0.0, 7.0], [2.0, 9.0]]))
      >>> norm(jnp.array([[0.0, 9.0]])).tolist()
      [[-1.0, 1.0]]

    Reference: ``keras.layers.Normalization``.
    """
    if (mean is None) != (variance is None):
        raise ValueError("give both mean and variance, or neither.")
    known = (mean, variance) if mean is not None else adapted
    statistics = None if known is None else [np.asarray(value, "float32") for value in known]
    if statistics is not None and statistics[0].shape != statistics[1].shape:
        raise ValueError(f"mean and variance must have one shape, but have {statistics[0].shape} and {statistics[1].shape}.")

    def init(key: Any, x: Any) -> Any:
        sizes = tuple(x.shape[i] for i in _kept(axis, x))
        if statistics is not None:
            _spread(statistics[0], axis, x)  # refuse what does not fit
        if mean is not None:
            return {}, {}
        found = statistics or [np.zeros(sizes, "float32"), np.ones(sizes, "float32")]
        return {}, {**dict(zip(("mean", "variance"), map(jnp.asarray, found), strict=True)), "count": jnp.zeros((), jnp.int32)}

    def apply(params: Any, state: Any, x: Any, ctx: Any) -> Any:
        x = ctx.cast(real(x))
        given = state or dict(zip(("mean", "variance"), statistics or (), strict=True))
        centre, variance = (_spread(given[name], axis, x).astype(x.dtype) for name in ("mean", "variance"))
        deviation = jnp.maximum(jnp.sqrt(variance), _EPSILON)
        return (x * deviation + centre if invert else (x - centre) / deviation), state

    def adapt(this: Layer, data: Any) -> None:
        """Find the mean and variance of data, and take them from now on."""
        if mean is not None:
            raise ValueError(f"{this.label} was given its mean and variance: without them it finds them.")
        found = [value.astype("float32") for value in _statistics(data, axis)]
        if this.built and tuple(this.mean.shape) != found[0].shape:
            raise ShapeError(f"{this.label} was built for means {tuple(this.mean.shape)}, but the data have {found[0].shape}.")
        this.become(adapted=[value.tolist() for value in found])
        if this.built:
            this.mean.assign(found[0])
            this.variance.assign(found[1])

    return Definition(init, apply, mixes_examples="never", methods={"adapt": adapt})


def _kept(axis: Any, x: Any) -> tuple[int, ...]:
    """Return the axes that keep a mean of their own, in ascending order."""
    axes = () if axis is None else tuple(axis) if isinstance(axis, (list, tuple)) else (axis,)
    where = sorted(a + x.ndim if a < 0 else a for a in axes)
    if any(not 0 <= a < x.ndim or not isinstance(x.shape[a], int) for a in where):
        raise ShapeError(f"axis {axis!r} names no axis of known size of an input {shape_of(x)}.")
    return tuple(where)


def _spread(value: Any, axis: Any, x: Any) -> Any:
    """Give a mean the axes that broadcast against the input; one of fewer axes stands on the last of those kept."""
    kept = _kept(axis, x)
    if value.ndim > len(kept):
        raise ValueError(f"a mean of shape {tuple(value.shape)} has more axes than axis={axis!r} keeps.")
    shape = [1] * x.ndim
    for place, size in zip(reversed(kept), reversed(value.shape), strict=False):
        if size not in (1, x.shape[place]):
            raise ShapeError(f"a mean of shape {tuple(value.shape)} does not fit an input {shape_of(x)} on axis {axis!r}.")
        shape[place] = size
    return value.reshape(shape)


def _statistics(data: Any, axis: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance over all axes but those kept, batch by batch (Chan, Golub and LeVeque, 1983)."""
    count, mean, squares = 0, np.zeros(()), np.zeros(())
    for batch in batches_of(data):
        batch = batch.astype("float64")
        over = tuple(i for i in range(batch.ndim) if i not in _kept(axis, batch))
        many = int(np.prod([batch.shape[i] for i in over]))
        if many == 0:
            continue
        centre, deviation = batch.mean(over), batch.var(over) * many
        if count and centre.shape != mean.shape:
            raise ShapeError(f"batches must be alike, but one has means {centre.shape} after others had {mean.shape}.")
        gap = centre - mean if count else np.zeros_like(centre)
        squares = squares + deviation + gap**2 * count * many / (count + many)
        mean = (mean if count else centre) + gap * many / (count + many)
        count += many
    if not count:
        raise ValueError("adapt found no entries in the data.")
    if not np.isfinite(squares).all():
        raise ValueError("adapt found numbers in the data that are not finite.")
    return np.asarray(mean), np.asarray(squares / count)


@layer
def Pipeline(layers: Any) -> Definition:
    """Apply layers one after the other, as in training where a call does not say otherwise.

    Shapes: those of the layers. Params and state: theirs. Layers that work on the host, such as ``TextVectorization``, may be
    among them; the pipeline works on the host then.

    Args:
      layers: a list of layers.

    Raises:
      TypeError: for what is no layer.

    Example:
      >>> Pipeline([Rescaling(1 / 255), Resizing(8, 8)])(jnp.full((1, 4, 4, 3), 255.0)).max().item()
      1.0

    Reference: ``keras.layers.Pipeline``.
    """
    chain = [as_layer(candidate, "Pipeline") for candidate in layers]
    inside: Any = sequential(chain).definition

    def host(x: Any) -> Any:
        for one in chain:
            x = one(x) if one.definition.host else one(x, training=True)
        return x

    on_host = any(one.definition.host for one in chain)
    return dataclasses.replace(inside, training=True, program=None, host=host if on_host else None)
