"""Callbacks that set what training does next, or with which weights a model is judged."""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable
from typing import Any

from jkeras.callbacks.callback import Callback


class LearningRateScheduler(Callback):
    """Set the learning rate before each epoch; it is in the logs as ``learning_rate``.

    Args:
      schedule: ``(epoch, learning_rate) -> float``, or of the epoch alone, counted from 0.
      verbose: 1 to say what is set.

    Raises:
      TypeError: for what is no function of one or two arguments.
      ValueError: from ``fit``, where the function returns no number.

    Example:
      >>> model = Sequential([Input((2,)), Dense(1)])
      >>> model.compile("sgd", "mse")
      >>> halve = LearningRateScheduler(lambda epoch: 0.5 ** epoch)
      >>> model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=3, verbose=0, callbacks=[halve]).history["learning_rate"]
      [1.0, 0.5, 0.25]
    """

    def __init__(self, schedule: Callable[..., Any], verbose: int = 0):
        self._takes_rate = _takes_two(schedule)
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Set the learning rate."""
        optimizer = self.model.optimizer
        rate = self.schedule(epoch, float(optimizer.learning_rate)) if self._takes_rate else self.schedule(epoch)
        rate = float(rate) if getattr(rate, "shape", None) == () else rate
        if not isinstance(rate, numbers.Real) or isinstance(rate, bool):
            raise ValueError(f"LearningRateScheduler: the schedule must return a number, but returned {rate!r}.")
        optimizer.learning_rate = float(rate)
        if self.verbose:
            print(f"Epoch {epoch + 1}: the learning rate is {float(rate):.4g}.")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Log the learning rate."""
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


def _takes_two(schedule: Any) -> bool:
    """Whether a schedule takes the learning rate beside the epoch."""
    if not callable(schedule):
        raise TypeError(f"LearningRateScheduler: schedule must be a function of the epoch, but got {schedule!r}.")
    try:
        signature = inspect.signature(schedule)
    except ValueError:  # of a function written in C
        return False
    for count in (2, 1):
        try:
            signature.bind(*[0] * count)
        except TypeError:
            continue
        return count == 2
    raise TypeError(f"LearningRateScheduler: schedule must take (epoch) or (epoch, learning_rate), but takes {signature}.")


class TerminateOnNaN(Callback):
    """Stop training after a batch whose loss is not finite. Like all callbacks that look at batches it makes each a dispatch.

    Args:
      raise_error: whether an error is raised instead.

    Raises:
      RuntimeError: from ``fit``, with ``raise_error``.

    Example:
      >>> model = Sequential([Input((1,)), Dense(1)])
      >>> model.compile(jkeras.optimizers.SGD(1e30), "mse")
      >>> x = np.full((64, 1), 1e15)
      >>> len(model.fit(x, -x, epochs=9, verbose=0, callbacks=[TerminateOnNaN()]).epoch)
      Batch 1: the loss is inf, so training stops.
      1
    """

    def __init__(self, raise_error: bool = False):
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Look at the loss."""
        loss = (logs or {}).get("loss", 0.0)
        if math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(f"The loss is {loss} after batch {batch}.")
        print(f"Batch {batch}: the loss is {loss}, so training stops.")
        self.model.stop_training = True


class SwapEMAWeights(Callback):
    """Judge and predict with the running mean of the weights that an optimizer with ``use_ema=True`` keeps; train with the rest.

    In ``fit`` it is for the validation, and by itself for ``evaluate(callbacks=[...])`` and ``predict``. The weights that train
    come back after it.

    Args:
      swap_on_epoch: whether the means are in the model from the end of each epoch to the beginning of the next, so that other
        callbacks see them.

    Raises:
      ValueError: from ``fit``, ``evaluate`` and ``predict``, for an optimizer that keeps no mean.

    Example:
      >>> model = Sequential([Input((2,)), Dense(1)])
      >>> model.compile(jkeras.optimizers.SGD(0.1, use_ema=True), "mse")
      >>> x, y = np.ones((4, 2)), np.ones((4, 1))
      >>> sorted(model.fit(x, y, validation_data=(x, y), verbose=0, callbacks=[SwapEMAWeights()]).history)
      ['loss', 'val_loss']
    """

    def __init__(self, swap_on_epoch: bool = False):
        self.swap_on_epoch = swap_on_epoch
        self._own: Any = None  # the weights that train, while the means are in the model

    def _swap_in(self) -> None:
        if self._own is None:
            averaged, self._own = self.model.averaged_params(), self.model.params
            self.model.params = averaged

    def _swap_out(self) -> None:
        if self._own is not None:
            self.model.params, self._own = self._own, None

    def on_train_begin(self, logs: Any = None) -> None:
        """Say now if there is no mean."""
        self._own = None
        self.model.averaged_params()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Train on with the weights that train."""
        self._swap_out()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Show the means, if they are to be seen between epochs."""
        if self.swap_on_epoch:
            self._swap_in()

    def on_train_end(self, logs: Any = None) -> None:
        """Leave the weights as ``fit`` has left them: they are the means."""
        self._own = None

    def on_test_begin(self, logs: Any = None) -> None:
        """Judge with the means."""
        self._swap_in()

    def on_test_end(self, logs: Any = None) -> None:
        """Put the weights back."""
        self._swap_out()

    def on_predict_begin(self, logs: Any = None) -> None:
        """Predict with the means."""
        self._swap_in()

    def on_predict_end(self, logs: Any = None) -> None:
        """Put the weights back."""
        self._swap_out()
