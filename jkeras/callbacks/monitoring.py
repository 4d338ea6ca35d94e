"""Callbacks that look at one log after each epoch and act when it grows no better."""

from __future__ import annotations

import math
import warnings
from typing import Any

from jkeras.callbacks.callback import Callback
from jkeras.core.arguments import choice, whole_number


class Monitoring(Callback):
    """Base of callbacks that look at one log.

    Args:
      monitor: the log, ``"val_loss"`` for example.
      mode: ``"min"`` where less is better, ``"max"`` where more is, ``"auto"`` for what the loss or metric of that name says.
      min_delta: by how much it must be better to count, not negative.

    Raises:
      ValueError: for an unknown mode; when training begins, for a log of which "auto" does not know.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float):
        choice("mode", mode, ("auto", "min", "max"))
        self.monitor, self.mode, self.min_delta = monitor, mode, abs(min_delta)
        self.best: float | None = None
        self._sign = 1.0  # times which more is better

    def on_train_begin(self, logs: Any = None) -> None:
        """Forget the run before, and find out what is better."""
        mode = self.model.better(self.monitor.removeprefix("val_")) if self.mode == "auto" else self.mode
        if mode is None:
            raise ValueError(
                f"{type(self).__name__}: whether more or less of {self.monitor!r} is better is not known: give mode='min' or "
                "mode='max'."
            )
        self._sign, self.best = 1.0 if mode == "max" else -1.0, None

    def monitored(self, logs: Any) -> float | None:
        """Return the log, or warn that there is none in this epoch and return None."""
        logs = logs or {}
        value = logs.get(self.monitor)
        unjudged = self.monitor.startswith("val_") and self.monitor.removeprefix("val_") in logs  # an epoch without validation
        if value is None and not unjudged:
            there = ", ".join(map(repr, logs))
            warnings.warn(f"{type(self).__name__}: there is no log {self.monitor!r}, but {there}.", stacklevel=2)
        return None if value is None else float(value)

    def is_better(self, value: float, than: float | None) -> bool:
        """Whether a value is better by more than ``min_delta``; anything is better than None."""
        return than is None or self._sign * value - self.min_delta > self._sign * than


class EarlyStopping(Monitoring):
    """Stop training when a log has not become better for some epochs.

    Args:
      monitor: the log, ``"val_loss"`` by default.
      min_delta: by how much it must be better to count, not negative.
      patience: for how many epochs it may not be.
      verbose: 1 to say so.
      mode: ``"min"``, ``"max"``, or ``"auto"`` (default) for what the loss or metric of that name says.
      baseline: what it must be better than for an epoch to count at all; None (default) for nothing.
      restore_best_weights: whether the weights of the best epoch are put back when training ends.
      start_from_epoch: the first epoch that counts, from 0.

    Attributes:
      best: the best value so far; None before the first.
      best_epoch: its epoch, from 0.
      stopped_epoch: the epoch after which training stopped, 0 if it did not.

    Raises:
      ValueError: for an unknown mode or a negative patience; from ``fit``, for a log that there will not be.

    Example:
      >>> model = Sequential([Input((2,)), Dense(1)])
      >>> model.compile("sgd", "mse")
      >>> stop = EarlyStopping("loss", min_delta=1e9, patience=2)
      >>> len(model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=10, verbose=0, callbacks=[stop]).epoch)
      3

    Reference: Prechelt (1998), doi:10.1007/3-540-49430-8_3.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ):
        super().__init__(monitor, mode, min_delta)
        self.patience = whole_number("patience", patience, 0)
        self.start_from_epoch = whole_number("start_from_epoch", start_from_epoch, 0)
        self.verbose, self.baseline, self.restore_best_weights = verbose, baseline, restore_best_weights
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Forget the run before."""
        super().on_train_begin(logs)
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Look at the log."""
        value = self.monitored(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        better = self.is_better(value, self.best)
        if self.restore_best_weights and (better or self.best_weights is None):
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        if better:
            self.best, self.best_epoch = value, epoch
            if self.baseline is None or self.is_better(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        """Put the best weights back."""
        if self.stopped_epoch > 0 and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                print(f"Weights are those of the best epoch, {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)


class ReduceLROnPlateau(Monitoring):
    """Lower the learning rate when a log has not become better for some epochs; it is in the logs as ``learning_rate``.

    Args:
      monitor: the log, ``"val_loss"`` by default.
      factor: by what the learning rate is multiplied, above 0 and below 1.
      patience: for how many epochs the log may not become better.
      verbose: 1 to say so.
      mode: ``"min"``, ``"max"``, or ``"auto"`` (default) for what the loss or metric of that name says.
      min_delta: by how much it must be better to count, not negative.
      cooldown: for how many epochs after that nothing counts.
      min_lr: below what the learning rate does not go.

    Raises:
      ValueError: for an unknown mode, or numbers out of range; from ``fit``, for a log that there will not be.
      AttributeError: from ``fit``, for an optimizer that keeps no learning rate.

    Example:
      >>> model = Sequential([Input((2,)), Dense(1)])
      >>> model.compile(jkeras.optimizers.SGD(0.5), "mse")
      >>> lower = ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9)
      >>> model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=3, verbose=0, callbacks=[lower]).history["learning_rate"]
      [0.5, 0.5, 0.25]
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ):
        super().__init__(monitor, mode, min_delta)
        if not 0 < factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor must be above 0 and below 1, but got {factor!r}.")
        if not (min_lr >= 0 and math.isfinite(min_lr)):
            raise ValueError(f"ReduceLROnPlateau: min_lr must not be negative, but got {min_lr!r}.")
        self.factor, self.min_lr, self.verbose = factor, min_lr, verbose
        self.patience, self.cooldown = whole_number("patience", patience, 0), whole_number("cooldown", cooldown, 0)
        self.wait = self.cooldown_counter = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Forget the run before."""
        super().on_train_begin(logs)
        float(self.model.optimizer.learning_rate)  # or say now that there is none
        self.wait = self.cooldown_counter = 0

    def in_cooldown(self) -> bool:
        """Whether nothing counts at present."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Look at the log."""
        rate = float(self.model.optimizer.learning_rate)
        value = self.monitored(logs)
        if logs is not None:
            logs["learning_rate"] = rate
        if value is None:
            return
        if self.in_cooldown():
            self.cooldown_counter, self.wait = self.cooldown_counter - 1, 0
        if self.is_better(value, self.best):
            self.best, self.wait = value, 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and rate > self.min_lr:
                lower = max(rate * self.factor, self.min_lr)
                self.model.optimizer.learning_rate = lower
                self.cooldown_counter, self.wait = self.cooldown, 0
                if self.verbose:
                    print(f"Epoch {epoch + 1}: the learning rate goes down to {lower:.4g}.")
