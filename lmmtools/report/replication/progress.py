"""What the terminal shows while numbers are computed and notebooks run: bars, or now and then a line."""

from __future__ import annotations

from typing import Any

from lmmtools.formats import counted
from lmmtools.report.runs import progress

__all__ = ["Progress"]

_LINES = 10  # for all numbers, where there is no terminal


class Progress(progress.Progress):
    """Bars on standard error for numbers and for notebooks, to be used as a context manager."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers: Any = None
        self._said = 0

    def number(self, done: int, total: int, what: str) -> None:
        """Say how many numbers are computed, and those of which model were last."""
        if self._numbers is None:
            self._numbers = self._bar.add_task("", total=total)
        self._bar.update(self._numbers, completed=done, description=what)
        if not self._console.is_terminal and done and (done == total or done - self._said >= total / _LINES):
            self._said = done
            self._console.print(f"{done} of {counted(total, 'number')} computed")

    def say(self, words: str) -> None:
        """Say what is done besides."""
        self._bar.add_task(words, total=None)
