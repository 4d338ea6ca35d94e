"""Where batches come from: arrays in memory, or a stream of batches; either way they arrive as segments."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jkeras.core.errors import DataError
from jkeras.core.store import owned
from jkeras.training.data import check, count, unpack
from jkeras.training.engine import Engine, Segment, fill_up
from jkeras.training.step import Batch, Trainer, TrainState


class Arrays:
    """Batches gathered on the device from arrays that were put there once.

    Attributes:
      steps: batches per epoch.
    """

    def __init__(
        self, trainer: Trainer, batch: Batch, batch_size: int | None, training: bool, steps: int | None, shuffle: bool = False
    ):
        self._n = count(batch)
        self._data = jax.tree.map(jnp.asarray, batch)
        self._size = trainer.fixed_batch or min(batch_size or 32, self._n)
        self._shuffle, self._mixes = shuffle, trainer.mixes_examples(training)
        available = -(-self._n // self._size)
        if steps is not None and steps > available:
            raise DataError(f"{steps} steps were asked for, but {self._n} examples in batches of {self._size} make {available}.")
        self.steps = available if steps is None else steps

    def segments(self, engine: Engine, state: TrainState | None) -> Iterator[Segment]:
        """Yield an epoch: in the order that belongs to ``state``, or in the given order for None."""
        n, size = self._n, self._size
        full, rest = divmod(n, size)
        pads = bool(rest) and not self._mixes
        total = (full + 1) * size if pads else n
        if self._shuffle and state is not None:
            order = engine.order(state, n, total)
        else:
            order = jnp.asarray(np.pad(np.arange(n, dtype=np.int32), (0, total - n)))
        if pads:
            yield Segment(self._data, order, n, self.steps, size, True)
            return
        if full:
            yield Segment(self._data, order[: full * size], n, min(full, self.steps), size, False)
        if rest and self.steps > full:
            yield Segment(self._data, order[full * size :], rest, 1, rest, False)


class Stream:
    """Batches as an iterable yields them; a shorter one is filled up to the size of the first where that changes nothing.

    Attributes:
      steps: batches per epoch, or None until the iterable ends.
    """

    def __init__(self, trainer: Trainer, items: Iterable, training: bool, steps: int | None, what: str):
        self._items, self._trainer, self._mixes, self._what = items, trainer, trainer.mixes_examples(training), what
        self._iterator: Iterator | None = None
        self._restarts = iter(items) is not items
        self._size: int | None = None
        self.steps = steps

    def segments(self, engine: Engine, state: TrainState | None) -> Iterator[Segment]:
        """Yield one segment per batch."""
        if self._iterator is None or (self._restarts and self.steps is None):
            self._iterator = iter(self._items)
        taken = 0
        while self.steps is None or taken < self.steps:
            try:
                item = next(self._iterator)
            except StopIteration:
                if not taken and self._restarts:
                    self._iterator = iter(self._items)
                    item = next(self._iterator, None)
                    if item is not None:
                        yield self._segment(item)
                        taken += 1
                        continue
                if self.steps is not None:
                    warnings.warn(f"{self._what} ended after {taken} of {self.steps} batches.", stacklevel=2)
                break
            yield self._segment(item)
            taken += 1
        if not taken:
            raise DataError(f"{self._what} yielded no batch.")

    def _segment(self, item: Any) -> Segment:
        item = tuple(item) if isinstance(item, list) else item  # data loaders yield lists
        batch = check(self._trainer, *unpack(item, self._what), what=f"{self._what}: ")
        n = count(batch)
        self._size = self._size or self._trainer.fixed_batch or n
        padded = not self._mixes
        if padded and n < self._size:
            batch = fill_up(batch, self._size)
        size = max(n, self._size) if padded else n
        return Segment(jax.tree.map(owned, batch), np.arange(size, dtype=np.int32), n, 1, size, padded)  # type: ignore[arg-type]
