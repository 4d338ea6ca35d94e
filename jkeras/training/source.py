"""Where batches come from: arrays in memory, or a stream of batches; either way they arrive as segments."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jkeras.core.errors import DataError
from jkeras.training.data import check, count, kept, unpack
from jkeras.training.engine import Engine, Segment, fill_up
from jkeras.training.step import Batch, Trainer, TrainState

_SMALL, _LEAST = 32 << 20, 4096  # bytes that may be spent on room in a program for other numbers of examples; examples


class Arrays:
    """Batches gathered on the device from arrays that were put there once, with room for more examples (:func:`roomy`).

    Attributes:
      steps: batches per epoch.
    """

    def __init__(
        self, engine: Engine, batch: Batch, batch_size: int | None, training: bool, steps: int | None, shuffle: bool = False
    ):
        self._n = count(batch)
        self._size = engine.trainer.fixed_batch or min(batch_size or 32, self._n)
        engine.check_batch(batch, self._size)
        self._shuffle, self._mixes = shuffle, engine.trainer.mixes_examples(training)
        self.steps = available = -(-self._n // self._size)
        if steps is not None:
            self.steps = min(steps, available)
            if steps > available:
                warnings.warn(
                    f"{steps} steps an epoch were asked for, but {self._n} examples in batches of {self._size} make {available}: "
                    "each epoch ends with the data.",
                    stacklevel=3,
                )
        self._data, self._rows = roomy(batch, self._n, self._size)

    def segments(self, engine: Engine, state: TrainState | None) -> Iterator[Segment]:
        """Yield an epoch: in the order that belongs to ``state``, or in the given order for None."""
        n, size, rows = self._n, self._size, self._rows
        full, rest = divmod(n, size)
        pads = bool(rest) and not self._mixes
        if self._shuffle and state is not None:
            order = engine.order(state, n, rows)
        else:
            order = jax.device_put(np.pad(np.arange(n, dtype=np.int32), (0, rows - n)))
        if pads:
            yield Segment(self._data, order, n, self.steps, size, True)
            return
        if full:
            yield Segment(self._data, order, n, min(full, self.steps), size, False)
        if rest and self.steps > full:
            last = np.asarray(order)[full * size : n]
            yield Segment(self._data, jax.device_put(np.pad(last, (0, rows - rest))), rest, 1, rest, False)


def roomy(batch: Batch, n: int, size: int) -> tuple[Batch, int]:
    """Put arrays on the device with unused rows behind them, so that one program serves data of many sizes.

    Up to 32 MB the number of rows is 4,096 or that times a power of 4; above, up to an eighth more than needed. JAX arrays that
    are laid out over devices, or lie on one that is not the host, keep their size.

    Args:
      batch: the arrays.
      n: their number of examples.
      size: of the batches, whose number of rows the result holds at least.

    Returns:
      The arrays, and their number of rows (of the order too, where the arrays kept their size).
    """
    needed = -(-n // size) * size
    leaves = jax.tree.leaves(batch)
    if any(isinstance(leaf, jax.Array) and (leaf.committed or jax.default_backend() != "cpu") for leaf in leaves):
        return jax.tree.map(jnp.asarray, batch), needed
    rows = _LEAST
    while rows < needed:
        rows *= 4
    width = sum(leaf.nbytes for leaf in leaves) // n
    if rows * width > _SMALL:
        eighth = max(1, 1 << max(0, (needed - 1).bit_length() - 4))
        rows = -(-needed // eighth) * eighth

    def put(array: Any) -> jax.Array:
        host = np.asarray(array)
        room = np.zeros((rows, *host.shape[1:]), host.dtype)
        room[:n] = host
        return jnp.asarray(room)

    return jax.tree.map(put, batch), rows


class Stream:
    """Batches as an iterable yields them; a shorter one is filled up to a known size where that changes nothing.

    Args:
      trainer: whose batches these are.
      items: an iterable; ``iter`` is called on it once for every epoch, or once in all where it is its own iterator.
      training: whether they are trained on.
      steps: batches per epoch, None for as many as there are.
      what: what the data are called in messages.
      afresh: whether every epoch begins at the beginning, as validation does, even where ``steps`` ended the last one early.

    Attributes:
      steps: batches per epoch, or None until the iterable ends.
    """

    def __init__(self, trainer: Trainer, items: Iterable, training: bool, steps: int | None, what: str, afresh: bool = False):
        self._items, self._trainer, self._mixes, self._what = items, trainer, trainer.mixes_examples(training), what
        self._kind, self._afresh = "train" if training else "test", afresh
        self._iterator: Iterator | None = None
        self._given = steps
        self._warned = False
        self.steps = steps if steps is not None else _length(items)

    def segments(self, engine: Engine, state: TrainState | None) -> Iterator[Segment]:
        """Yield one segment per batch of an epoch."""
        begun = self._iterator is not None
        if not begun or self._given is None or self._afresh:
            self._iterator = iter(self._items)
        self._tell("on_epoch_begin")
        taken = 0
        while self._given is None or taken < self._given:
            item = next(self._iterator, _END)  # type: ignore[arg-type]
            if item is _END and begun and not taken and self._given is not None and not self._afresh:
                self._iterator = iter(self._items)  # the last epoch ended where the data did
                item = next(self._iterator, _END)  # type: ignore[arg-type]
            if item is _END:
                break
            yield self._segment(item, engine)
            taken += 1
        if not taken:
            raise DataError(f"{self._what} yielded no batch.")
        self._tell("on_epoch_end")
        if self._given is None:
            self.steps = taken
        elif taken < self._given:
            self._iterator = None
            if not self._warned:
                warnings.warn(f"{self._what} ended after {taken} of {self._given} batches.", stacklevel=2)
                self._warned = True

    def _tell(self, hook: str) -> None:
        """Call a hook of a ``PyDataset``."""
        getattr(self._items, hook, lambda: None)()

    def _segment(self, item: Any, engine: Engine) -> Segment:
        item = tuple(item) if isinstance(item, list) else item  # data loaders yield lists
        batch = check(self._trainer, *unpack(item, self._what), what=f"{self._what}: ")
        return single(engine, batch, self._kind, self._mixes)


_END = object()


def _length(items: Any) -> int | None:
    try:
        return len(items)
    except TypeError:
        return None


def single(engine: Engine, batch: Batch, kind: str, mixes: bool) -> Segment:
    """Make a segment of one batch, filled up to a size that is compiled already where no example meets another."""
    n = count(batch)
    size = n if mixes else engine.trainer.fixed_batch or engine.sizes[kind].fit(n)
    return Segment(fill_up(batch, size) if size > n else kept(batch), None, n, 1, size, not mixes)


class Peeked:
    """A stream whose first batch has been looked at; it is yielded again, and ``iter`` is not called twice for an epoch."""

    def __init__(self, items: Iterable):
        self._items = items
        self._begun: Iterator | None = iter(items)
        self.first = next(self._begun, None)

    def __len__(self) -> int:
        return len(self._items)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._items, name)  # the hooks of a PyDataset

    def __iter__(self) -> Iterator:
        if self._begun is None:
            return iter(self._items)
        begun, self._begun = self._begun, None
        return begun if self.first is None else itertools.chain([self.first], begun)
