"""Categories as numbers: CategoryEncoding and Discretization, and how indices become ones among zeros."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from jkeras.core import Definition, Layer, Masked, layer
from jkeras.core.arguments import choice, whole_number
from jkeras.layers.common import no_weights, stateless

ONES = ("one_hot", "multi_hot", "count")


def dense_only(sparse: Any) -> None:
    """Refuse ``sparse=True``, which stands among the arguments for Keras's sake."""
    if sparse:
        raise ValueError("there are dense tensors only: leave sparse= out.")


def encoded(x: Any, output_mode: str, depth: int, weights: Any = None, dtype: Any = "float32", space: Any = jnp) -> Any:
    """Return indices as they are, or as ones, or sums of ones, among ``depth`` zeros; an index out of range gives zeros.

    Args:
      x: whole numbers.
      output_mode: ``"int"``; ``"one_hot"``, ``(..., n)`` to ``(..., n, depth)``, where a last axis of size 1 goes;
        ``"multi_hot"`` and ``"count"``, ``(batch, n)`` to ``(batch, depth)``.
      depth: how many there are.
      weights: for "count", what each index counts.
      dtype: that of the ones.
      space: ``jax.numpy``, or ``numpy`` on the host.
    """
    if output_mode == "int":
        return x
    x = x[None] if x.ndim == 0 else x
    if output_mode == "one_hot" and x.ndim > 1 and x.shape[-1] == 1:
        x = x[..., 0]
    ones = (x[..., None] == space.arange(depth)).astype(dtype)  # (..., depth)
    if output_mode == "one_hot":
        return ones
    ones = ones if weights is None else ones * space.asarray(weights)[..., None]
    axis = 1 if x.ndim > 1 else 0
    return ones.max(axis) if output_mode == "multi_hot" else ones.sum(axis).astype(ones.dtype)


@layer
def CategoryEncoding(num_tokens: int | None = None, output_mode: str = "multi_hot", sparse: bool = False) -> Definition:
    """Write which of a fixed number of categories occur.

    Shapes: whole numbers from 0 up to, not including, ``num_tokens``: ``(batch, n)`` to ``(batch, num_tokens)``; with "one_hot"
    ``(..., n)`` to ``(..., n, num_tokens)``, where a last axis of size 1 goes. A number out of range counts nowhere.
    Params: none.

    Args:
      num_tokens: how many categories there are.
      output_mode: ``"multi_hot"`` writes 1 for each category of an example, ``"count"`` how often it occurs, ``"one_hot"`` 1 for
        the one of each entry.
      sparse: for Keras's sake.

    Calls may also take ``count_weights``, for "count": what each entry counts.

    Raises:
      ValueError: when ``num_tokens`` is missing or not positive, or for another mode.

    Example:
      >>> CategoryEncoding(4)(jnp.array([[0, 2], [3, 3]])).tolist()
      [[1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]

    Reference: ``keras.layers.CategoryEncoding``.
    """
    dense_only(sparse)
    if num_tokens is None:
        raise ValueError("num_tokens must be given: how many categories there are. IntegerLookup finds them in data.")
    depth = whole_number("num_tokens", num_tokens)
    choice("output_mode", output_mode, ONES)

    def apply(params: Any, state: Any, x: Any, ctx: Any) -> Any:
        weights = ctx.arguments.get("count_weights")
        if weights is not None and output_mode != "count":
            raise ValueError(f"count_weights goes with output_mode='count', but that is {output_mode!r}.")
        return encoded(x, output_mode, depth, weights, ctx.compute_dtype or "float32"), state

    return Definition(no_weights, apply, mixes_examples="never", indices=True, arguments=("count_weights",))


# -- what layers find in data -----------------------------------------------------------------------------------------


def batches_of(data: Any) -> Iterator[np.ndarray]:
    """Give the batches of data that are one array, or an iterable of batches, of which only the inputs count."""
    whole = hasattr(data, "__array__") or hasattr(data, "dtype")
    found = False
    for batch in [data] if whole else data if isinstance(data, Iterable) else []:
        found = True
        yield np.asarray(batch[0] if isinstance(batch, tuple) else batch)
    if not found:
        raise ValueError(f"adapt needs an array or batches, but got {'none' if isinstance(data, Iterable) else repr(data)}.")


@layer
def Discretization(
    bin_boundaries: Any = None,
    num_bins: int | None = None,
    epsilon: float = 0.01,
    output_mode: str = "int",
    sparse: bool = False,
    adapted: Any = None,
) -> Definition:
    """Write numbers as the bins that they fall into: bin i holds what is at least boundary i - 1 and less than boundary i.

    Shapes: any to the same, as int32, or to ones among zeros as for ``CategoryEncoding``. Params: none. Ends a mask.

    Args:
      bin_boundaries: ascending numbers, one less than there are bins.
      num_bins: instead, how many bins of equally many entries ``adapt`` shall find.
      epsilon: how exactly it finds them, a fraction of the entries.
      output_mode: ``"int"``, ``"one_hot"``, ``"multi_hot"`` or ``"count"``.
      sparse: for Keras's sake.
      adapted: the boundaries that ``adapt(data)`` found; it fills them in. ``data`` are an array, or batches.

    Raises:
      ValueError: when not exactly one of ``bin_boundaries`` and ``num_bins`` is given, or when it is used before ``adapt``.

    Example:
      >>> Discretization([0.0, 1.0])(jnp.array([-1.5, 0.0, 0.4, 3.0])).tolist()
      [0, 1, 1, 2]
      >>> bins = Discretization(num_bins=2)
      >>> bins.adapt(np.arange(10.0))
      >>> bins(jnp.array([1.0, 8.0])).tolist()
      [0, 1]

    Reference: ``keras.layers.Discretization``.
    """
    dense_only(sparse)
    choice("output_mode", output_mode, ("int", *ONES))
    if (bin_boundaries is None) == (num_bins is None):
        raise ValueError("give either bin_boundaries, or num_bins for adapt to find them.")
    count = None if num_bins is None else whole_number("num_bins", num_bins)
    given = adapted if bin_boundaries is None else bin_boundaries
    boundaries = None if given is None else np.asarray(given, "float32")
    if boundaries is not None and (boundaries.ndim != 1 or (np.diff(boundaries) < 0).any()):
        raise ValueError(f"bin_boundaries must be ascending numbers, but got {given!r}.")

    def bins(x: Any) -> Any:
        if boundaries is None:
            raise ValueError("no bins are known yet: call adapt(data) first.")
        found = jnp.searchsorted(boundaries.astype(x.dtype) if x.dtype.kind == "f" else boundaries, x, side="right")
        return Masked(encoded(found.astype(jnp.int32), output_mode, len(boundaries) + 1), None)

    def adapt(this: Layer, data: Any, steps: int | None = None) -> None:
        """Find boundaries between which there are equally many entries."""
        if count is None:
            raise ValueError(f"{this.label} was given its bin_boundaries: with num_bins= it finds them.")
        if this.store.call is not None:
            raise ValueError(f"{this.label} is part of a model already: call adapt before the layer, or make another one.")
        summary = np.zeros((2, 0), "float32")
        for i, batch in enumerate(batches_of(data)):
            if steps is not None and i >= steps:
                break
            summary = _merged(np.concatenate([_summary(batch, epsilon), summary], 1), epsilon)
        this.become(adapted=_compressed(summary, 1 / count)[0, :-1].tolist())

    return stateless(bins, indices=True, methods={"adapt": adapt})


def _summary(values: Any, epsilon: float) -> np.ndarray:
    """Return every so many-th of the values in order, and how many each stands for: ``(2, at most 1 / epsilon)``."""
    values = np.sort(np.asarray(values, "float32"), axis=None)
    step = max(values.size * epsilon, 1.0)
    chosen = values[int(step - 1) :: int(step)]
    return np.stack([chosen, np.full_like(chosen, step)])


def _merged(summary: np.ndarray, epsilon: float) -> np.ndarray:
    return _compressed(summary[:, np.argsort(summary[0])], epsilon)


def _compressed(summary: np.ndarray, epsilon: float) -> np.ndarray:
    """Return a summary with an entry for each fraction ``epsilon`` of the weight, interpolated between its own."""
    if summary.shape[1] * epsilon < 1:
        return summary
    wanted = epsilon + np.arange(0.0, 1.0, epsilon)
    weight = summary[1].cumsum()
    values, weights = (np.interp(wanted, weight / weight[-1], along) for along in (summary[0], weight))
    return np.stack([values, np.diff(weights, prepend=0)]).astype("float32")
