"""Least squares, population and compromise of all levels as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError
from lmmtools.formats import nearest, quoted, with_unit
from lmmtools.frames import Frame, frame
from lmmtools.groupwise.columns import Columns

__all__ = ["Shrinkage"]

_KINDS = ("least_squares", "std_error", "population", "mode", "compromise", "reliability")


@dataclass(frozen=True, eq=False, repr=False)
class Shrinkage:
    """Least squares, population and compromise of J levels and Q effects; made by :func:`shrinkage`.

    Attributes
    ----------
    response, method : str
        The method is ``REML`` or ``ML``.
    columns : Columns
        The factor, its levels and their columns Z.
    units : tuple of str, length Q
    least_squares, std_error : ndarray, shape (J, Q)
        Within-level estimates and σ̂√((Z_j'R⁻¹Z_j)⁻¹)_kk; NaN where a level has none.
    population : ndarray, shape (J, Q)
        The same coefficients of the rest of the model; NaN where they are not determined.
    mode : ndarray, shape (J, Q)
        Conditional modes.
    weights : ndarray, shape (J, Q, Q), or None
        W_j; None where levels are correlated by a known covariance.
    covariance : ndarray, shape (Q, Q)
        T, the fitted covariance of the effects.
    others : tuple of str
        The other grouping factors, whose modes are part of the population.
    notes : tuple of str
    """

    response: str
    method: str
    columns: Columns
    units: tuple[str, ...]
    least_squares: np.ndarray
    std_error: np.ndarray
    population: np.ndarray
    mode: np.ndarray
    weights: np.ndarray | None
    covariance: np.ndarray
    others: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def factor(self) -> str:
        """The grouping factor."""
        return self.columns.factor

    @property
    def effects(self) -> tuple[str, ...]:
        """Names of the effects."""
        return self.columns.names

    @property
    def compromise(self) -> np.ndarray:
        """Population plus conditional mode, shape (J, Q)."""
        return self.population + self.mode

    @property
    def reliability(self) -> np.ndarray:
        """T_kk/(T_kk + std_error²), shape (J, Q): zero for a level without an estimate of its own."""
        T = np.diagonal(self.covariance)
        error = np.where(np.isnan(self.std_error), np.inf, self.std_error)
        with np.errstate(invalid="ignore"):
            return np.where(T > 0, T / (T + error**2), 0.0)

    @property
    def own(self) -> np.ndarray:
        """Whether a level has an estimate of its own of all effects, shape (J,)."""
        return np.isfinite(self.least_squares).all(axis=1)

    def matrix(self, what: str) -> pd.DataFrame:
        """One of the columns with a row a level and a column an effect.

        Parameters
        ----------
        what : {"least_squares", "std_error", "population", "mode", "compromise", "reliability"}

        Raises
        ------
        LMMError
            For another name.
        """
        if what not in _KINDS:
            raise LMMError(f"matrix: {what!r} is unknown{nearest(str(what), _KINDS)}; use one of {quoted(_KINDS)}.")
        index = pd.Index(self.columns.levels.astype(str), name=self.factor)
        return pd.DataFrame(getattr(self, what).copy(), index=index, columns=list(self.effects))

    @property
    def table(self) -> Frame:
        """A row for each level and effect.

        ``level, effect, rows, least_squares, std_error, population, compromise, mode, weight`` (W_kk), and
        ``reliability``.
        """
        J, Q = self.mode.shape
        weight = np.full((J, Q), np.nan) if self.weights is None else np.diagonal(self.weights, axis1=1, axis2=2)
        table = pd.DataFrame({
            "level": np.repeat(self.columns.levels.astype(str), Q), "effect": np.tile(self.effects, J),
            "rows": np.repeat(self.columns.rows, Q), "least_squares": self.least_squares.ravel(),
            "std_error": self.std_error.ravel(), "population": self.population.ravel(),
            "compromise": self.compromise.ravel(), "mode": self.mode.ravel(), "weight": weight.ravel(),
            "reliability": self.reliability.ravel(),
        })  # fmt: skip
        return frame(
            table,
            caption=f"From least squares within each level of {self.factor} to the model of {self.response} "
            f"({self.method})",
            label="tbl-shrinkage",
            notes=self.notes,
            headings={"level": self.factor, "effect": "Effect", "rows": "Rows", "least_squares": "Least squares",
                      "std_error": "Std. error", "population": "Population", "compromise": "Compromise",
                      "mode": "Mode", "weight": "Weight", "reliability": "Reliability"},
            formats={"weight": "fixed3", "reliability": "fixed3"},
            index=False,
        )  # fmt: skip

    @property
    def summary(self) -> Frame:
        """Averages over the levels, a row an effect.

        ``sd`` of the effects, ``spread`` of the modes (root mean square), ``kept``, spread² over sd², mean
        ``reliability``, and ``without``, the levels that have no estimate of their own.
        """
        sd = np.sqrt(np.diagonal(self.covariance))
        spread = np.sqrt(np.mean(self.mode**2, axis=0))
        with np.errstate(divide="ignore", invalid="ignore"):
            kept = np.where(sd > 0, spread**2 / sd**2, np.nan)
        table = pd.DataFrame({
            "effect": self.effects, "sd": sd, "spread": spread, "kept": kept,
            "reliability": self.reliability.mean(axis=0), "without": np.isnan(self.least_squares).sum(axis=0),
        })  # fmt: skip
        return frame(
            table,
            caption=f"Spread of the effects of {self.factor}, and of their conditional modes",
            label="tbl-shrinkage-summary",
            notes=("Reliability is the mean over all levels, zero for those without an estimate of their own.",),
            headings={"effect": "Effect", "sd": "Fitted SD", "spread": "SD of the modes", "kept": "Variance kept",
                      "reliability": "Reliability", "without": "Levels without"},
            formats={"kept": "percent", "reliability": "fixed3"},
            index=False,
        )  # fmt: skip

    @property
    def headings(self) -> tuple[str, ...]:
        """Effects with their units."""
        return tuple(with_unit(name, unit) for name, unit in zip(self.effects, self.units, strict=True))

    def __repr__(self) -> str:
        return repr(self.table)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return self.table._repr_mimebundle_(include, exclude)
