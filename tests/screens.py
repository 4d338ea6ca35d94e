"""A pseudo-terminal for the tests of what is shown, and what a user sees on it."""

import fcntl
import os
import pty
import struct
import sys
import termios
import threading


def screen(written, columns):
    """Return the lines that a user sees, and all states of the line of the cursor on the way there."""
    lines, at, seen = [""], 0, []
    for sign in written.replace("\r\n", "\n"):
        if sign == "\n":
            lines.append("")
            at = 0
        elif sign == "\r":
            seen.append(lines[-1].rstrip())
            at = 0
        else:
            if at == columns:
                lines.append("")
                at = 0
            lines[-1] = lines[-1][:at].ljust(at) + sign + lines[-1][at + 1 :]
            at += 1
    return [line.rstrip() for line in lines], seen


class Terminal:
    """A pseudo-terminal that is Python's standard output and error."""

    def __init__(self, monkeypatch, columns):
        self._columns, self._read = columns, b""
        self._keyboard, device = pty.openpty()
        fcntl.ioctl(device, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self._screen = open(device, "w", encoding="utf-8")  # noqa: SIM115
        self._reader = threading.Thread(target=self._keep_reading)
        self._reader.start()
        monkeypatch.delenv("COLUMNS", raising=False)
        monkeypatch.setenv("TERM", "xterm")
        for name in ("stdout", "stderr", "__stdout__"):
            monkeypatch.setattr(sys, name, self._screen)

    def _keep_reading(self):
        try:
            while data := os.read(self._keyboard, 4096):
                self._read += data
        except OSError:  # nobody writes any more
            pass

    def end(self, monkeypatch):
        """Return the lines on the screen, the states of the live line, and all that was written."""
        monkeypatch.undo()
        self._screen.close()
        self._reader.join()
        os.close(self._keyboard)
        written = self._read.decode()
        return *screen(written, self._columns), written
