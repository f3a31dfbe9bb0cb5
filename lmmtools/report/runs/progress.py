"""What the terminal shows while a study runs: a bar where there is a terminal, else a line for each run."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from lmmtools.report.asked.expand import Run
from lmmtools.report.runs.outcome import Outcome

__all__ = ["Progress"]


class Progress:
    """A progress bar on standard error, to be used as a context manager."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        self._console = Console(stderr=True, highlight=False, markup=False)
        self._bar = Bar(
            BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"),
            console=self._console, transient=True, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._task: Any = None

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def start(self, runs: tuple[Run, ...]) -> None:
        """Say how many runs there are."""
        self._task = self._bar.add_task("", total=len(runs))

    def end(self, outcome: Outcome) -> None:
        """Say how a run ended."""
        seconds = sum(outcome.seconds.values())
        self._console.print(f"{outcome.run.name}: {outcome.status}, {seconds:.1f} s")
        self._bar.update(self._task, advance=1, description=outcome.run.name)
