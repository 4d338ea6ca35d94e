"""Global settings by Keras's names: those that a library without global state can have.

The dtype of numbers is float32 unless a layer, an Input or a trainer says otherwise, and channels come last; asking is answered,
asking for something else is refused in words. The policy of precision is read where a layer is made, and is the layer's from then
on. ``epsilon`` is what the functions here return; layers take theirs as arguments.
What ``fit`` shows, and which frames tracebacks have, can be switched: no number depends on it, and no pure function reads it.
"""

from __future__ import annotations

from typing import Any

import jax

from jkeras.core.errors import UnknownNameError
from jkeras.core.policy import DTypePolicy, in_force, put_in_force


class _Settings:
    """What can be set."""

    epsilon = 1e-7
    interactive_logging = True


_SETTINGS = _Settings()


def backend() -> str:
    """Return ``"jax"``.

    Example:
      >>> jkeras.backend.backend()
      'jax'
    """
    return "jax"


def epsilon() -> float:
    """Return the small number that scripts add to a divisor, 1e-7 by default."""
    return _SETTINGS.epsilon


def set_epsilon(value: float) -> None:
    """Set what :func:`epsilon` returns; layers, losses and optimizers keep theirs.

    Args:
      value: a positive number.

    Raises:
      ValueError: for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ValueError(f"set_epsilon takes a positive number, but got {value!r}.")
    _SETTINGS.epsilon = float(value)


def floatx() -> str:
    """Return ``"float32"``, the dtype of weights and numbers unless something else is asked for where they are made."""
    return "float32"


def set_floatx(value: str) -> None:
    """Accept ``"float32"``.

    Raises:
      ValueError: for another dtype, which :func:`set_dtype_policy` sets for layers.
    """
    _only("set_floatx", value, "float32", "set_dtype_policy says in which dtype layers are made")


def dtype_policy() -> DTypePolicy:
    """Return the policy that layers are made with unless they are told another; ``"float32"`` at first."""
    return in_force()


def set_dtype_policy(policy: Any) -> None:
    """Say in which precision layers compute that are made from now on; those that are made keep theirs.

    Args:
      policy: ``"mixed_bfloat16"`` or ``"mixed_float16"``, half precision over weights in float32; or a dtype, for both.

    Raises:
      ValueError: for another name.

    Example:
      >>> set_dtype_policy("mixed_bfloat16")
      >>> jkeras.layers.Dense(2).compute_dtype
      'bfloat16'
      >>> set_dtype_policy("float32")
    """
    put_in_force(policy)


def image_data_format() -> str:
    """Return ``"channels_last"``."""
    return "channels_last"


def set_image_data_format(data_format: str) -> None:
    """Accept ``"channels_last"``.

    Raises:
      ValueError: for another order of axes, which layers take as an argument where they have one.
    """
    _only("set_image_data_format", data_format, "channels_last", "layers that have it take data_format= as an argument")


def enable_interactive_logging() -> None:
    """Let ``fit``, ``evaluate`` and ``predict`` show on the standard output how far they are; so it is at first."""
    _SETTINGS.interactive_logging = True


def disable_interactive_logging() -> None:
    """Let ``fit``, ``evaluate`` and ``predict`` write a line per epoch to the logger ``jkeras`` instead, at the level INFO.

    Nothing is seen of it unless the program has set up Python's ``logging``; ``verbose=0`` writes nothing there either.

    Example:
      >>> disable_interactive_logging()
      >>> is_interactive_logging_enabled()
      False
      >>> enable_interactive_logging()
    """
    _SETTINGS.interactive_logging = False


def is_interactive_logging_enabled() -> bool:
    """Whether progress is shown on the standard output, as it is at first, rather than logged."""
    return _SETTINGS.interactive_logging


def enable_traceback_filtering() -> None:
    """Let tracebacks leave out the frames inside JAX; so it is at first. Frames of jkeras are always shown."""
    jax.config.update("jax_traceback_filtering", "auto")


def disable_traceback_filtering() -> None:
    """Let tracebacks have the frames inside JAX as well.

    Example:
      >>> disable_traceback_filtering()
      >>> is_traceback_filtering_enabled()
      False
      >>> enable_traceback_filtering()
    """
    jax.config.update("jax_traceback_filtering", "off")


def is_traceback_filtering_enabled() -> bool:
    """Whether tracebacks leave out the frames inside JAX, as they do at first."""
    return jax.config.jax_traceback_filtering != "off"  # type: ignore[attr-defined]


def _only(function: str, value: Any, known: str, instead: str) -> None:
    if value != known:
        raise UnknownNameError(f"{function} takes {known!r} only, but got {value!r}: {instead}.")


__all__ = [
    "backend",
    "disable_interactive_logging",
    "disable_traceback_filtering",
    "dtype_policy",
    "enable_interactive_logging",
    "enable_traceback_filtering",
    "epsilon",
    "floatx",
    "image_data_format",
    "is_interactive_logging_enabled",
    "is_traceback_filtering_enabled",
    "set_dtype_policy",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
]
