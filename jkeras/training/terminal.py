"""The last line of a terminal, written anew again and again, that makes way for whatever else is written there."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

BETWEEN = " - "


def is_terminal(stream: Any) -> bool:
    """Whether what is written to a stream appears on a screen where a carriage return goes back to the line's beginning."""
    return bool(getattr(stream, "isatty", bool)()) and os.environ.get("TERM") != "dumb"


def is_notebook(stream: Any) -> bool:
    """Whether what is written to a stream appears below the cell of a notebook."""
    return type(stream).__module__.startswith("ipykernel.")


def columns(stream: Any) -> int | None:
    """Return how long a line may be: a column less than the screen, as some break a full one; None where there is no screen."""
    return shutil.get_terminal_size().columns - 1 if is_terminal(stream) else None


def fold(fields: Sequence[str], limit: int | None, indent: int) -> str:
    """Join fields to a line, and begin another, indented, before a field for which there is no room.

    Example:
      >>> fold(["Epoch 1/2 - 8/8", "loss: 0.5", "mae: 0.25"], 30, 12)
      'Epoch 1/2 - 8/8 - loss: 0.5\\n            mae: 0.25'
    """
    lines = [fields[0]]
    for field in fields[1:]:
        longer = lines[-1] + BETWEEN + field
        if limit is None or _width(longer) <= limit:
            lines[-1] = longer
        else:
            lines.append(" " * indent + field)
    return "\n".join(lines)


def shorten(fields: Sequence[str], limit: int) -> str:
    """Join as many fields to one line as there is room for.

    Example:
      >>> shorten(["8/8", "loss: 0.5", "mae: 0.25"], 20)
      '8/8 - loss: 0.5'
    """
    from rich.cells import set_cell_size

    line = fields[0]
    if _width(line) > limit:
        return set_cell_size(line, max(limit, 0)).rstrip()
    for field in fields[1:]:
        if _width(line + BETWEEN + field) > limit:
            break
        line += BETWEEN + field
    return line


def _width(text: str) -> int:
    from rich.cells import cell_len  # imported when first used, so that importing jkeras stays fast

    return cell_len(text)  # a Chinese sign takes two columns


class LiveLine:
    """The last line on the screen, as long as nobody else writes there.

    It is written over itself by a carriage return, old letters by blanks, so that it needs no escape codes and looks the same on
    every terminal and in notebooks. While it is ``watching``, what others write to the same screen (callbacks, warnings, loggers)
    begins on a clean line, and a line that they have begun is theirs until they end it.

    Args:
      stream: where it is written.

    Example:
      >>> line = LiveLine(sys.stdout)
      >>> line.end("done")
      done
    """

    def __init__(self, stream: Any):
        self._stream, self._write = stream, stream.write
        self._shown = 0  # how many columns of the screen's last line are ours
        self._begun = ""  # the first sign of a line that somebody else has begun
        self._lock = threading.RLock()  # jax.debug.print writes from a thread of its own
        self._watches = contextlib.ExitStack()
        self._watching = False

    def watch(self) -> None:
        """Look out for what others write, until :meth:`close`."""
        if self._watching:
            return
        self._watching, self._write = True, self._stream.write
        beside = [sys.stderr] if is_terminal(sys.stderr) and sys.stderr is not self._stream else []
        for stream in [self._stream, *beside]:
            self._watches.enter_context(_watched(stream, self._make_way))

    def draw(self, text: str) -> None:
        """Write the line anew; without effect while somebody else's line is unfinished."""
        with self._lock:
            if not self._begun:
                self._replace(text, "")

    def clear(self) -> None:
        """Take the line away until it is drawn again."""
        with self._lock:
            if self._shown:
                self._write("\r" + " " * (self._shown + 2) + "\r")  # the terminal may have written ^C behind it
                self._stream.flush()
                self._shown = 0

    def end(self, text: str) -> None:
        """Put lines that stay in the place of the live one."""
        with self._lock:
            self._finish_theirs()
            first, *others = text.split("\n")
            self._replace(first, "".join(f"\n{line}" for line in others) + "\n")
            self._shown = 0

    def close(self) -> None:
        """Take the line away, leave the cursor at the beginning of a line, and look out no longer."""
        with self._lock:
            self.clear()
            self._finish_theirs()
            self._watches.close()
            self._watching = False

    def _replace(self, text: str, end: str) -> None:
        width, before = _width(text), self._shown
        self._shown = max(width, before)  # noted first: Ctrl-C may come while it is being written
        self._write(("\r" if before else "") + text + " " * (before - width) + end)
        self._stream.flush()

    def _finish_theirs(self) -> None:
        if self._begun:
            self._begun = ""
            self._write("\n")

    def _make_way(self, text: str) -> None:
        """Let somebody else's text begin on a clean line, and note whether it leaves a line unfinished."""
        with self._lock:
            if not self._watching:  # somebody has kept the stream's hidden write
                return
            self.clear()
            line = (self._begun + text).rpartition("\n")[2]
            written = [piece for piece in line.split("\r") if piece]  # the last one lies on top; blanks wipe a line
            self._begun = written[-1].strip()[:1] if written else ""


@contextlib.contextmanager
def _watched(stream: Any, before: Callable[[str], None]) -> Iterator[None]:
    """Call a function before each writing to a stream.

    The stream's own ``write`` is hidden, rather than ``sys.stdout`` replaced, since loggers keep the stream that they have found.
    """
    if not hasattr(stream, "__dict__"):
        yield
        return
    hidden, write = vars(stream).get("write"), stream.write

    @functools.wraps(write)
    def watched(text: str) -> Any:
        before(text)
        return write(text)

    stream.write = watched
    try:
        yield
    finally:
        if vars(stream).get("write") is not watched:
            pass  # somebody else has hidden ours meanwhile
        elif hidden is not None:  # the one of a live line around this one
            stream.write = hidden
        else:
            del stream.write
