"""Ctrl-C during training: held back while a step and the taking of its result would be torn apart."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


class _Shield:
    """Ctrl-C held back: while ``depth`` is above 0 a first one waits until it is 0 again, a second one does not.

    As a context it sets ``depth``, in the thread that is guarded; this costs less than a microsecond.
    """

    def __init__(self) -> None:
        self.depth, self.pending, self.thread = 0, False, 0

    def handle(self, number: int, frame: Any) -> None:
        """Take a signal."""
        if self.depth and not self.pending:
            self.pending = True
        else:
            self.pending = False
            raise KeyboardInterrupt

    def __enter__(self) -> None:
        self.depth += self.thread == threading.get_ident()

    def __exit__(self, *error: object) -> None:
        if self.thread == threading.get_ident():
            self.depth -= 1
            if self.pending and not self.depth and error[0] is None:
                self.pending = False
                raise KeyboardInterrupt


_SHIELD = _Shield()


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Let :func:`shielded` hold back Ctrl-C inside the block, where Python's own handler would take it."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return
    _SHIELD.depth, _SHIELD.pending, _SHIELD.thread = 0, False, threading.get_ident()
    signal.signal(signal.SIGINT, _SHIELD.handle)
    try:
        yield
    finally:
        _SHIELD.thread = 0
        if signal.getsignal(signal.SIGINT) == _SHIELD.handle:  # nobody has put another in its place
            signal.signal(signal.SIGINT, signal.default_int_handler)


def shielded() -> contextlib.AbstractContextManager[None]:
    """Hold back Ctrl-C until the block is done, so that a step and the taking of its result are never torn apart.

    It is a flag that the handler of :func:`guarded` looks at. A second Ctrl-C is not held back.
    """
    return _SHIELD
