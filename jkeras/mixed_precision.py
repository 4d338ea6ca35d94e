"""What scripts of Keras 2 and 3 write for half precision: names for what is in ``config``, ``dtype_policies``, ``optimizers``."""

from jkeras.config import dtype_policy, set_dtype_policy
from jkeras.dtype_policies import DTypePolicy
from jkeras.optimizers import LossScaleOptimizer

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy

__all__ = [
    "DTypePolicy",
    "LossScaleOptimizer",
    "Policy",
    "dtype_policy",
    "global_policy",
    "set_dtype_policy",
    "set_global_policy",
]
