"""What the terminal shows while numbers are computed and notebooks run: bars, or now and then a line."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from lmmtools.formats import counted
from lmmtools.report.asked.expand import Run
from lmmtools.report.runs.outcome import Outcome

__all__ = ["Progress"]

_LINES = 10  # for all numbers, where there is no terminal


class Progress:
    """Bars on standard error, to be used as a context manager."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        self._console = Console(stderr=True, highlight=False, markup=False)
        self._bar = Bar(
            BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"),
            console=self._console, transient=True, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._numbers: Any = None
        self._notebooks: Any = None
        self._said = 0

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def number(self, done: int, total: int, what: str) -> None:
        """Say how many numbers are computed, and those of which model were last."""
        if self._numbers is None:
            self._numbers = self._bar.add_task("", total=total)
        self._bar.update(self._numbers, completed=done, description=what)
        if not self._console.is_terminal and done and (done == total or done - self._said >= total / _LINES):
            self._said = done
            self._console.print(f"{done} of {counted(total, 'number')} computed")

    def start(self, runs: tuple[Run, ...]) -> None:
        """Say how many notebooks there are to run."""
        self._notebooks = self._bar.add_task("", total=len(runs))

    def end(self, outcome: Outcome) -> None:
        """Say how a notebook ended."""
        self._console.print(f"{outcome.run.name}: {outcome.status}, {sum(outcome.seconds.values()):.1f} s")
        self._bar.update(self._notebooks, advance=1, description=outcome.run.name)

    def say(self, words: str) -> None:
        """Say what is done besides."""
        self._bar.add_task(words, total=None)
