"""Callbacks: code of the user's that ``fit``, ``evaluate`` and ``predict`` call at the beginning and end of what they do."""

from __future__ import annotations

from typing import Any

from jkeras.core.errors import UnknownNameError, kind_of, nearest, noted
from jkeras.core.nest import flatten


class Callback:
    """Base of all callbacks: override what you need.

    ``logs`` is a plain dictionary of floats in every hook: at a batch's end the means of the epoch so far, at an epoch's end
    with those of the validation as ``val_...``, at the end of a batch of ``predict`` ``{"outputs": ...}``, else empty. What is
    added to the logs in ``on_epoch_end`` is recorded and shown, since ``History`` and the display come last.

    While a callback runs, the model holds the weights of the last finished step; weights and a learning rate that it sets count
    from the next step on. ``self.model.stop_training = True`` ends training after the batch or epoch, ``stop_evaluating`` and
    ``stop_predicting`` the same for ``evaluate`` and ``predict``. A hook for batches makes every batch a dispatch of its own.

    Attributes:
      model: the model being trained.
      params: ``{"verbose", "epochs", "steps"}``.

    Example:
      >>> class Print(Callback):
      ...     def on_epoch_end(self, epoch, logs=None):
      ...         print(epoch, sorted(logs))
      >>> model = Sequential([Input((2,)), Dense(1)])
      >>> model.compile("sgd", "mse")
      >>> _ = model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0, callbacks=[Print()])
      0 ['loss']
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
        """Run after the last epoch, with its logs; not after an error."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Run before an epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Run after an epoch and its validation."""

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Run before a batch of training: the older name of ``on_train_batch_begin``."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Run after a batch of training: the older name of ``on_train_batch_end``."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Run before a batch of training, counted from 0 in each epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Run after a batch of training."""
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Any = None) -> None:
        """Run before an evaluation, that of ``fit``'s validation data included."""

    def on_test_end(self, logs: Any = None) -> None:
        """Run after an evaluation."""

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Run before a batch of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Run after a batch of an evaluation."""

    def on_predict_begin(self, logs: Any = None) -> None:
        """Run before a prediction."""

    def on_predict_end(self, logs: Any = None) -> None:
        """Run after a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Run before a batch of a prediction."""

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """Run after a batch of a prediction."""


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

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle what was recorded, without the model, which puts itself back where it is copied too."""
        return {name: value for name, value in vars(self).items() if name != "model"}

    def on_train_begin(self, logs: Any = None) -> None:
        """Begin to count epochs; what an earlier ``fit`` recorded stays, where the same object is given again, as in Keras."""
        self.epoch = []

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
    """Several callbacks called one after another.

    Args:
      callbacks: a callback, a list of them, or None.
      add_history: whether a ``History`` follows last, where there is none.
      model: the model that they are to look at.
      **params: what they are told of the run: ``verbose``, ``epochs``, ``steps``.

    Raises:
      TypeError: for what is no callback.
    """

    def __init__(self, callbacks: Any = None, add_history: bool = False, model: Any = None, **params: Any):
        self.callbacks = [] if callbacks is None else flatten(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                hint = " It is a class: call it." if isinstance(callback, type) and issubclass(callback, Callback) else ""
                got = f"{callback!r}, {kind_of(callback)}"
                raise TypeError(f"callbacks must be jkeras.callbacks.Callback objects, but got {got}.{hint}")
        given = [callback for callback in self.callbacks if isinstance(callback, History)]
        self.history = given[-1] if given else History() if add_history else None
        if add_history and not given:
            self.callbacks.append(self.history)
        self.set_model(model)
        self.set_params(params)

    def set_model(self, model: Any) -> None:
        """Tell each its model."""
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        """Tell each of the run."""
        for callback in self.callbacks:
            callback.set_params(params)

    def wants_batches(self, doing: str) -> bool:
        """Whether any callback overrides a hook for batches of ``"train"``, ``"test"`` or ``"predict"``."""
        hooks = [f"on_{doing}_batch_begin", f"on_{doing}_batch_end"]
        hooks += ["on_batch_begin", "on_batch_end"] if doing == "train" else []
        return any(_overrides(callback, hook) for callback in self.callbacks for hook in hooks)

    def expect(self, logs: list[str], judged: bool) -> None:
        """Refuse a monitor that no epoch will log; one that a callback of the user's own may add is let through.

        Args:
          logs: what training logs.
          judged: whether there is validation data, which logs the same as ``val_...``.

        Raises:
          UnknownNameError: with the nearest name.
        """
        if any(_overrides(one, "on_epoch_end") and not type(one).__module__.startswith("jkeras.") for one in self.callbacks):
            return
        there = [*logs, *(f"val_{name}" for name in logs if judged), "learning_rate"]
        for callback in self.callbacks:
            monitor = getattr(callback, "monitor", None)
            if monitor is not None and monitor not in there:
                why = nearest(monitor, there)
                if not judged and monitor.removeprefix("val_") in logs:
                    why = " There is no validation data: give validation_data or validation_split."
                raise UnknownNameError(f"{type(callback).__name__}: no epoch will log {monitor!r}.{why}")

    @property
    def are_ours(self) -> bool:
        """Whether there are only callbacks that do not look at the model."""
        return all(type(callback) is History for callback in self.callbacks)

    def call(self, hook: str, *place: int, logs: Any = None) -> None:
        """Call a hook of each with the same logs; an error notes whose it was, and where."""
        logs, callback = {} if logs is None else logs, None
        with noted(lambda: f"In {type(callback).__name__}.{hook}({', '.join(map(str, place))})."):
            for callback in self.callbacks:
                getattr(callback, hook)(*place, logs)


def _overrides(callback: Any, hook: str) -> bool:
    found = getattr(callback, hook)
    return getattr(found, "__func__", found) is not getattr(Callback, hook)
