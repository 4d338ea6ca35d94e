"""Policies of precision by Keras's names, and the one that layers are made with unless they are told another."""

from __future__ import annotations

from typing import Any

from jkeras.core.arguments import checked_dtype
from jkeras.core.errors import nearest

MIXED = {"mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}  # to the dtype in which layers compute


class DTypePolicy(str):
    """In which dtype a layer computes and in which its weights are; a name, and as good as that name.

    Args:
      name: ``"mixed_bfloat16"`` or ``"mixed_float16"``, half precision over weights in float32; or a dtype, for both.

    Raises:
      ValueError: for another name.

    Example:
      >>> policy = jkeras.dtype_policies.DTypePolicy("mixed_bfloat16")
      >>> policy.compute_dtype, policy.variable_dtype
      ('bfloat16', 'float32')
    """

    def __new__(cls, name: Any) -> DTypePolicy:
        """Make the policy of a name."""
        word = name if isinstance(name, str) else checked_dtype("DTypePolicy", name)
        if word not in MIXED:
            try:
                word = checked_dtype("DTypePolicy", word)
            except ValueError as error:
                raise ValueError(f"{error} Policies are {' and '.join(MIXED)}, too.{nearest(word, MIXED)}") from None
        return super().__new__(cls, word)

    @property
    def name(self) -> str:
        """The name."""
        return str(self)

    @property
    def compute_dtype(self) -> str:
        """The dtype in which a layer computes."""
        return MIXED.get(self, str(self))

    @property
    def variable_dtype(self) -> str:
        """The dtype of its weights."""
        return "float32" if self in MIXED else str(self)

    def get_config(self) -> dict[str, str]:
        """Return its name."""
        return {"name": str(self)}

    @classmethod
    def from_config(cls, config: Any) -> DTypePolicy:
        """Make one from what :meth:`get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self}">'


class _InForce:
    """The policy of layers that are made from now on; what is made keeps its own."""

    policy = DTypePolicy("float32")


def in_force() -> DTypePolicy:
    """Return the policy that layers are made with unless they are told another."""
    return _InForce.policy


def put_in_force(policy: Any) -> None:
    """Set it."""
    _InForce.policy = DTypePolicy(policy)
