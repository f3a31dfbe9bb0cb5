"""What the fork server imports by its name before it forks the first kernel."""

from lmmtools.report.runs.warm import preload

preload()
