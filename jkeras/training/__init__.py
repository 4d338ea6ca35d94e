"""Training: pure functions over one state, and the loops of ``fit``, ``evaluate`` and ``predict`` around them."""

from jkeras.training.objective import Objective, make_objective
from jkeras.training.step import Batch, Trainer, TrainState

__all__ = ["Batch", "Objective", "TrainState", "Trainer", "make_objective"]
