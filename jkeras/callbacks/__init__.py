"""Keras's callbacks, and the base of your own: code that ``fit``, ``evaluate`` and ``predict`` call as they go."""

from __future__ import annotations

from jkeras.callbacks.callback import Callback, CallbackList, History
from jkeras.callbacks.monitoring import EarlyStopping, ReduceLROnPlateau
from jkeras.callbacks.recording import CSVLogger, LambdaCallback, ProgbarLogger
from jkeras.callbacks.steering import LearningRateScheduler, SwapEMAWeights, TerminateOnNaN

__all__ = [
    "CSVLogger", "Callback", "CallbackList", "EarlyStopping", "History", "LambdaCallback", "LearningRateScheduler",
    "ProgbarLogger", "ReduceLROnPlateau", "SwapEMAWeights", "TerminateOnNaN",
]  # fmt: skip
