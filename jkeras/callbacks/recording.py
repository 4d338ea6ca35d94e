"""Callbacks that write down how training goes, or call functions that do."""

from __future__ import annotations

import csv
import os
from typing import Any

from jkeras.callbacks.callback import Callback
from jkeras.core.errors import nearest


class CSVLogger(Callback):
    """Write the logs of each epoch as a row of a CSV file, which is closed between epochs.

    The columns are ``epoch`` and the logs of the first epoch by name; where there was no validation in it, those of the
    validation too, with NA in the epochs without.

    Args:
      filename: the file, a path.
      separator: what stands between the columns.
      append: whether rows are added to a file that exists; False (default) for a new file.

    Raises:
      OSError: from ``fit``, before the first step, where the file cannot be written.

    Example:
      >>> import pathlib, tempfile
      >>> model = Sequential([Input((2,)), Dense(1, kernel_initializer="zeros")])
      >>> model.compile("sgd", "mse")
      >>> name = tempfile.mktemp(".csv")
      >>> _ = model.fit(np.zeros((4, 2)), np.zeros((4, 1)), verbose=0, callbacks=[CSVLogger(name)])
      >>> pathlib.Path(name).read_text().split()
      ['epoch,loss,val_loss', '0,0.0,NA']
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False):
        self.filename, self.separator, self.append = os.fspath(filename), separator, append
        self.keys: list[str] | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Begin a file, or find the one that is there."""
        self.keys = None
        with open(self.filename, "a" if self.append else "w"):
            pass

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write a row."""
        found = logs or {}
        begun = os.path.getsize(self.filename) > 0
        if self.keys is None:
            own = sorted(found)
            judged = any(name.startswith("val_") for name in own)
            self.keys = own if judged else [*own, *(f"val_{name}" for name in own)]
        with open(self.filename, "a", newline="") as file:
            writer = csv.writer(file, delimiter=self.separator)
            if not begun:
                writer.writerow(["epoch", *self.keys])
            writer.writerow([epoch, *(found.get(name, "NA") for name in self.keys)])


class LambdaCallback(Callback):
    """Call functions at some hooks.

    Args:
      on_epoch_begin, on_epoch_end: ``(epoch, logs)``.
      on_train_begin, on_train_end: ``(logs)``.
      on_train_batch_begin, on_train_batch_end: ``(batch, logs)``.
      kwargs: functions for other hooks of :class:`Callback`, and attributes.

    Raises:
      TypeError: for a hook that there is not, with the nearest that is.

    Example:
      >>> model = Sequential([Input((2,)), Dense(1)])
      >>> model.compile("sgd", "mse")
      >>> show = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, sorted(logs)))
      >>> _ = model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0, callbacks=[show])
      0 ['loss']
    """

    def __init__(
        self,
        on_epoch_begin: Any = None,
        on_epoch_end: Any = None,
        on_train_begin: Any = None,
        on_train_end: Any = None,
        on_train_batch_begin: Any = None,
        on_train_batch_end: Any = None,
        **kwargs: Any,
    ):
        named = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
        hooks = [name for name in dir(Callback) if name.startswith("on_")]
        for name, function in {**named, **kwargs}.items():
            if name.startswith("on_") and name not in hooks:
                raise TypeError(f"LambdaCallback: there is no hook {name!r}.{nearest(name, hooks)}")
            if name.startswith("on_") and function is not None and not callable(function):
                raise TypeError(f"LambdaCallback: {name} must be a function, but got {function!r}.")
            if function is not None:
                setattr(self, name, function)


class ProgbarLogger(Callback):
    """Do nothing: ``fit`` and ``evaluate`` show how far they are by themselves, as their ``verbose`` says.

    Example:
      >>> ProgbarLogger().model is None
      True
    """
