"""What a cross-validation found: the rows' predictions, the models' scores, and how sure their differences are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lmmtools.frames import Frame

__all__ = ["CrossValidation"]


@dataclass(frozen=True, repr=False, eq=False)
class CrossValidation:
    """Predictions of rows that models were not fitted to.

    Attributes
    ----------
    scores : Frame
        A row a model: ``rmse, mae, crps, log_score``, each followed by its standard error, ``coverage`` of the
        intervals, ``rows`` scored, refits that ``failed`` and that are ``singular``.
    differences : Frame
        Each model's score less that of the one with the best log score, of the same rows, with its standard error;
        empty for one model.
    rows : Frame
        ``model, repeat, fold, row`` (the data's label), ``observed, mean, sd``, and ``pit``, the predictive
        distribution function at what was observed: uniform where predictions are right.
    failures : Frame
        ``model, repeat, fold, rows`` without a prediction, ``reason``.
    by : str
        What was left out: ``"row"`` or ``"level of Subject"``.
    folds, repeats : int
    level : float
        Of the intervals whose coverage is counted.
    response, unit : str
    """

    scores: Frame
    differences: Frame
    rows: Frame
    failures: Frame
    by: str
    folds: int
    repeats: int
    level: float
    response: str
    unit: str

    def __repr__(self) -> str:
        return repr(self.scores) if len(self.differences) == 0 else f"{self.scores!r}\n\n{self.differences!r}"

    def _repr_html_(self) -> str:
        tables = [self.scores] if len(self.differences) == 0 else [self.scores, self.differences]
        return "\n".join(table._repr_html_() for table in tables)

    def pit(self, model: str | None = None) -> Any:
        """The values of ``pit`` of one model (the first by default) that there are, as an array."""
        rows = self.rows[self.rows["model"] == (self.scores.index[0] if model is None else model)]
        return rows["pit"].dropna().to_numpy()
