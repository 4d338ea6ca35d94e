"""What ``fit`` and ``evaluate`` show: a live bar on a terminal, one plain line per epoch elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any


def format_logs(logs: Mapping[str, Any]) -> str:
    """Write logs as Keras does: four digits, or powers of ten for small numbers.

    Example:
      >>> format_logs({"accuracy": 0.5, "loss": 0.0001})
      'accuracy: 0.5000 - loss: 1.0000e-04'
    """
    return " - ".join(f"{name}: {_number(value)}" for name, value in logs.items())


def _number(value: Any) -> str:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    return f"{number:.4f}" if abs(number) > 1e-3 or number == 0 else f"{number:.4e}"


def _duration(seconds: float) -> str:
    for limit, unit, factor in ((1e-3, "us", 1e6), (1, "ms", 1e3)):
        if seconds < limit:
            return f"{seconds * factor:.3g}{unit}"
    return f"{seconds:.1f}s" if seconds < 100 else f"{seconds:.0f}s"


class Display:
    """Shows nothing: ``verbose=0``. The base of the others."""

    def begin(self, epoch: int, epochs: int, steps: int | None) -> None:
        """Say that an epoch begins."""

    def update(self, step: int, logs: Mapping[str, Any]) -> None:
        """Say how far it is."""

    def end(self, steps: int, logs: Mapping[str, Any], compiling: float) -> None:
        """Say how it ended; ``compiling`` seconds of it went into compilation."""

    def close(self) -> None:
        """Leave the terminal as it was; called even after an error."""

    @property
    def is_live(self) -> bool:
        """Whether updates during an epoch are shown."""
        return False


class Lines(Display):
    """One plain line per epoch: ``verbose=2``, and wherever the output is not a terminal."""

    def begin(self, epoch: int, epochs: int, steps: int | None) -> None:
        """Note the time."""
        self._prefix = f"Epoch {epoch + 1}/{epochs} - " if epochs > 1 else ""
        self._started = time.perf_counter()

    def end(self, steps: int, logs: Mapping[str, Any], compiling: float) -> None:
        """Print the line."""
        print(self._prefix + self.line(steps, logs, compiling), flush=True)

    def line(self, steps: int, logs: Mapping[str, Any], compiling: float) -> str:
        """Write steps, time, time per step, logs, and compile time apart."""
        running = max(time.perf_counter() - self._started - compiling, 0.0)
        parts = [f"{steps}/{steps}", _duration(running), f"{_duration(running / max(steps, 1))}/step"]
        if logs:
            parts.append(format_logs(logs))
        if compiling >= 0.01:
            parts.append(f"compiled in {_duration(compiling)}")
        return " - ".join(parts)


class Bar(Lines):
    """A live bar drawn by rich, on a terminal; each finished epoch leaves its line."""

    def __init__(self) -> None:
        from rich.console import Console  # imported when first used, so that importing jkeras stays fast

        self._console = Console()
        self._live: Any = None

    @property
    def is_live(self) -> bool:
        """Updates are shown."""
        return True

    def begin(self, epoch: int, epochs: int, steps: int | None) -> None:
        """Start the bar."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        super().begin(epoch, epochs, steps)
        self.close()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[logs]}"),
        )
        self._live = Progress(*columns, console=self._console, transient=True)
        title = self._prefix.rstrip(" -") or "Running"
        self._task = self._live.add_task(title, total=steps, logs="")
        self._live.start()

    def update(self, step: int, logs: Mapping[str, Any]) -> None:
        """Move the bar."""
        if self._live is not None:
            self._live.update(self._task, completed=step, logs=format_logs(logs))

    def end(self, steps: int, logs: Mapping[str, Any], compiling: float) -> None:
        """Replace the bar by the epoch's line."""
        self.close()
        self._console.print(self._prefix + self.line(steps, logs, compiling), highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def display(verbose: Any, quiet_elsewhere: bool = False) -> Display:
    """Choose what is shown.

    Args:
      verbose: 0 nothing, 1 or ``"auto"`` a bar on a terminal and lines elsewhere, 2 lines.
      quiet_elsewhere: whether ``"auto"`` shows nothing where there is no terminal (``predict``).

    Raises:
      ValueError: for anything else.
    """
    if verbose not in (0, 1, 2, "auto"):
        raise ValueError(f"verbose must be 0, 1, 2 or 'auto', but got {verbose!r}.")
    if verbose == 0:
        return Display()
    on_terminal = sys.stdout.isatty()
    if verbose != 2 and on_terminal:
        return Bar()
    return Display() if verbose == "auto" and quiet_elsewhere else Lines()
