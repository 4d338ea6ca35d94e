"""What ``fit`` and ``evaluate`` show: a live bar on a terminal, one plain line per epoch elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from jkeras.training.terminal import BETWEEN, LiveLine, columns, fold, is_notebook, is_terminal, shorten


def format_logs(logs: Mapping[str, Any]) -> str:
    """Write logs as Keras does: four digits, or powers of ten for small numbers.

    Example:
      >>> format_logs({"accuracy": 0.5, "loss": 0.0001})
      'accuracy: 0.5000 - loss: 1.0000e-04'
    """
    return BETWEEN.join(_fields(logs))


def _fields(logs: Mapping[str, Any]) -> list[str]:
    return [f"{name}: {_number(value)}" for name, value in logs.items()]


def _number(value: Any) -> str:
    try:
        number = float(value) if np.ndim(value) == 0 else None
    except (TypeError, ValueError):
        number = None
    if number is None:
        return " ".join(str(value).split())  # a matrix, too, in one line
    return f"{number:.4f}" if abs(number) > 1e-3 or number == 0 else f"{number:.4e}"


def _duration(seconds: float) -> str:
    for limit, unit, factor in ((1e-3, "us", 1e6), (1, "ms", 1e3)):
        if seconds < limit:
            return f"{seconds * factor:.3g}{unit}"
    return f"{seconds:.1f}s" if seconds < 100 else f"{seconds:.0f}s"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}" if minutes else f"{rest}s"


class Display:
    """Shows nothing: ``verbose=0``. The base of the others."""

    def begin(self, epoch: int, epochs: int, steps: int | None) -> None:
        """Say that an epoch begins."""

    def update(self, step: int, logs: Mapping[str, Any]) -> None:
        """Say how far it is."""

    def end(self, steps: int, logs: Mapping[str, Any], compiling: float) -> None:
        """Say how it ended; ``compiling`` seconds of it went into compilation."""

    def clear(self) -> None:
        """Make room for what may be written past Python's streams."""

    def close(self) -> None:
        """Leave the terminal as it was; called even after an error."""

    @property
    def is_live(self) -> bool:
        """Whether updates during an epoch are shown."""
        return False


class Lines(Display):
    """One plain line per epoch: ``verbose=2``, and wherever there is no screen; on a screen it is folded between fields."""

    def __init__(self) -> None:
        self._screen = sys.stdout

    def begin(self, epoch: int, epochs: int, steps: int | None) -> None:
        """Note the time."""
        self._prefix = f"Epoch {epoch + 1}/{epochs}{BETWEEN}" if epochs > 1 else ""
        self._started = time.perf_counter()

    def end(self, steps: int, logs: Mapping[str, Any], compiling: float) -> None:
        """Print the line."""
        print(self.line(steps, logs, compiling), flush=True)

    def line(self, steps: int, logs: Mapping[str, Any], compiling: float) -> str:
        """Write steps, time, time per step, logs, and compile time apart."""
        running, limit = max(time.perf_counter() - self._started - compiling, 0.0), columns(self._screen)
        times = [_duration(running), f"{_duration(running / max(steps, 1))}/step"]
        if limit:  # figures of one name stand below each other, and every epoch's line is folded at the same places
            times = [times[0].rjust(6), times[1].rjust(11)]
        fields = [f"{self._prefix}{steps}/{steps}", *times, *_fields(logs)]
        if compiling >= 0.01:
            fields.append(f"compiled in {_duration(compiling)}")
        return fold(fields, limit, len(self._prefix) or 4)


class Bar(Lines):
    """A live bar on a terminal, always one line; each finished epoch leaves its line or lines."""

    DELAY, PAUSE = 0.0, 0.05  # seconds until it is first drawn, and between drawings

    def __init__(self) -> None:
        super().__init__()
        self._live = LiveLine(self._screen)

    @property
    def is_live(self) -> bool:
        """Updates are shown."""
        return True

    def begin(self, epoch: int, epochs: int, steps: int | None) -> None:
        """Start the bar."""
        super().begin(epoch, epochs, steps)
        self._total, self._first = steps, (0, 0.0)
        self._due = self._started + self.DELAY
        self._live.watch()
        self.update(0, {})

    def update(self, step: int, logs: Mapping[str, Any]) -> None:
        """Move the bar, where it is time to."""
        now = time.perf_counter()
        if step and not self._first[0]:
            self._first = step, now  # what came before was mostly compilation
        if now < self._due and (step != self._total or self.DELAY):
            return
        self._due = now + self.PAUSE
        ordered = {name: logs[name] for name in ("loss", *logs) if name in logs}  # there may be no room for the last ones
        room = (columns(self._screen) or 79) - 2  # the terminal writes ^C behind it
        self._live.draw(shorten([*self._head(step, now, room), *_fields(ordered)], room))

    def _head(self, step: int, now: float, room: int) -> list[str]:
        """Write how far it is, and how long it will take, or where no end is known how long it has taken."""
        if not self._total:
            return [f"{self._prefix}{step}/?", _clock(now - self._started)]
        since, at = self._first
        left = _clock((now - at) / (step - since) * (self._total - step)) if step > since else ""
        width = min(20, room // 6)
        full = min(width * step // self._total, width)
        done, todo = self._signs()
        count = f"{step:{len(str(self._total))}}/{self._total}"
        return [f"{self._prefix}{count} {done * full}{todo * (width - full)} {left:>5}"]

    def _signs(self) -> str:
        try:
            "━─".encode(getattr(self._screen, "encoding", None) or "utf-8")
        except UnicodeEncodeError:
            return "=."
        return "━─"

    def end(self, steps: int, logs: Mapping[str, Any], compiling: float) -> None:
        """Replace the bar by the epoch's line."""
        self._live.end(self.line(steps, logs, compiling))

    def clear(self) -> None:
        """Take the bar away until it is moved again."""
        self._live.clear()

    def close(self) -> None:
        """Take the bar away; the cursor is then at the beginning of a line."""
        self._live.close()


class NotebookBar(Bar):
    """A live bar below a notebook's cell: only for what takes long, and seldom moved, as all that is written may be kept."""

    DELAY, PAUSE = 1.0, 1.0


def display(verbose: Any, quiet_elsewhere: bool = False) -> Display:
    """Choose what is shown.

    Args:
      verbose: 0 nothing, 1 or ``"auto"`` a bar on a terminal or in a notebook and lines elsewhere, 2 lines.
      quiet_elsewhere: whether ``"auto"`` shows nothing where there is neither (``predict``).

    Raises:
      ValueError: for anything else.

    Example:
      >>> type(display(2)).__name__
      'Lines'
    """
    if verbose not in (0, 1, 2, "auto"):
        raise ValueError(f"verbose must be 0, 1, 2 or 'auto', but got {verbose!r}.")
    if verbose == 0:
        return Display()
    if verbose != 2 and is_terminal(sys.stdout):
        return Bar()
    if verbose != 2 and is_notebook(sys.stdout):
        return NotebookBar()
    return Display() if verbose == "auto" and quiet_elsewhere else Lines()
