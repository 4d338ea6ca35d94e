"""Policies of precision, as objects."""

from __future__ import annotations

from typing import Any

from jkeras.core.policy import DTypePolicy


def get(identifier: Any) -> DTypePolicy:
    """Return a policy by its name, a dtype, or what :func:`serialize` returned.

    Raises:
      ValueError: for another name.

    Example:
      >>> get("mixed_float16").compute_dtype
      'float16'
    """
    return deserialize(identifier) if isinstance(identifier, dict) else DTypePolicy(identifier)


def serialize(dtype_policy: Any) -> dict[str, Any]:
    """Return a policy as plain data.

    Example:
      >>> serialize(get("mixed_float16"))["config"]
      {'name': 'mixed_float16'}
    """
    config = DTypePolicy(dtype_policy).get_config()
    return {"module": "dtype_policies", "class_name": "DTypePolicy", "config": config}


def deserialize(config: Any, custom_objects: Any = None) -> DTypePolicy:
    """Return the policy that :func:`serialize` wrote down.

    Args:
      config: plain data.
      custom_objects: for Keras's sake.

    Raises:
      ValueError: for data that describe no policy.

    Example:
      >>> deserialize(serialize("mixed_bfloat16"))
      <DTypePolicy "mixed_bfloat16">
    """
    known = config.get("config") if isinstance(config, dict) else None
    if not isinstance(known, dict) or set(known) != {"name"}:
        raise ValueError(f"the data describe no policy: {config!r}.")
    return DTypePolicy(known["name"])


__all__ = ["DTypePolicy", "deserialize", "get", "serialize"]
