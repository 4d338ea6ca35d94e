"""Writing down what a layer is made of, and making it again."""

from jkeras.saving.config import from_json, to_json

__all__ = ["from_json", "to_json"]
