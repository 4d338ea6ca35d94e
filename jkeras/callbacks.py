"""Callbacks: code of the user's that ``fit`` calls at the beginning and end of training, epochs and batches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Callback:
    """Base of all callbacks: override what you need.

    ``logs`` are plain dictionaries of floats: at a batch's end the means of the epoch so far, at an epoch's end with those of
    the validation as ``val_...``. Setting ``self.model.stop_training = True`` ends training after the batch or epoch. While
    a callback runs, the model holds the weights of the last finished step, and weights that it sets are trained on.

    Attributes:
      model: the model being trained.
      params: ``{"verbose", "epochs", "steps"}``.
    """

    model: Any = None
    params: dict[str, Any]

    def set_model(self, model: Any) -> None:
        """Remember the model."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Remember what kind of run this is."""
        self.params = params

    def on_train_begin(self, logs: Any = None) -> None:
        """Run before the first epoch."""

    def on_train_end(self, logs: Any = None) -> None:
        """Run after the last epoch; not after an error."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Run before an epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Run after an epoch and its validation."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Run before a batch, counted from 0. Overriding this makes ``fit`` dispatch every batch by itself."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Run after a batch. Overriding this makes ``fit`` dispatch every batch by itself."""


_BATCH_METHODS = ("on_train_batch_begin", "on_train_batch_end")


class History(Callback):
    """What ``fit`` returns: the logs of every epoch.

    Attributes:
      history: log name to the list of its values, one per epoch.
      epoch: the numbers of the epochs, from 0.
      seed: the seed from which this model's weights, shuffling and dropout were drawn; ``compile(seed=...)`` repeats it.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        self.seed: int | None = None
        self.params = {}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Add an epoch's logs."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def __repr__(self) -> str:
        last = ", ".join(f"{name}: {_short(values[-1])}" for name, values in self.history.items())
        return f"<History of {len(self.epoch)} epochs; {last}>"


def _short(value: Any) -> str:
    try:
        return f"{float(value):.4g}"
    except (TypeError, ValueError):
        return str(value)


class CallbackList:
    """Several callbacks called one after another."""

    def __init__(self, callbacks: Any, model: Any, params: dict[str, Any]):
        given = callbacks if isinstance(callbacks, Iterable) else [] if callbacks is None else [callbacks]
        self.callbacks = list(given)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(
                    f"callbacks must be jkeras.callbacks.Callback objects, but got {callback!r}, a {type(callback).__name__}."
                )
        for callback in self.callbacks:
            callback.set_params(params)
            callback.set_model(model)

    @property
    def wants_batches(self) -> bool:
        """Whether any callback overrides a method that runs at every batch."""
        return any(getattr(type(c), m) is not getattr(Callback, m) for c in self.callbacks for m in _BATCH_METHODS)

    @property
    def are_ours(self) -> bool:
        """Whether there are only callbacks that do not look at the model."""
        return all(type(callback) is History for callback in self.callbacks)

    def call(self, method: str, *args: Any) -> None:
        """Call a method of each."""
        for callback in self.callbacks:
            getattr(callback, method)(*args)


__all__ = ["Callback", "History"]
