"""The regressions of all levels of a factor as a value: coefficients, standard errors, intervals, what has none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.arguments import check_flag, check_level
from lmmtools.formats import counted, listed, shown, with_unit
from lmmtools.frames import Frame, frame
from lmmtools.groupwise.columns import Columns
from lmmtools.groupwise.leastsquares import Within
from lmmtools.groupwise.reasons import reasons

__all__ = ["GroupFits"]


@dataclass(frozen=True, eq=False, repr=False)
class GroupFits:
    """Least-squares regressions within the levels of one grouping factor; made by :func:`fit_groups`.

    Attributes
    ----------
    response : str
    columns : Columns
        The factor, its levels, and the columns Z of the regressions.
    units : tuple of str, length Q
        Of the coefficients; empty where not known.
    found : Within
        The regressions as arrays over the J levels.
    fit : LMMFit or None
        The model whose columns they are.
    notes : tuple of str
        What a reader of the tables must know.
    """

    response: str
    columns: Columns
    units: tuple[str, ...]
    found: Within
    fit: Any
    notes: tuple[str, ...]

    @property
    def factor(self) -> str:
        """The grouping factor."""
        return self.columns.factor

    @property
    def effects(self) -> tuple[str, ...]:
        """Names of the coefficients."""
        return self.columns.names

    @property
    def df(self) -> pd.Series:
        """Residual degrees of freedom of each level: its rows less the rank of its columns."""
        return self._series(self.columns.rows - self.found.rank, "df")

    @property
    def sigma(self) -> pd.Series:
        """Residual standard deviation of each level, of a row with weight one; NaN without degrees of freedom."""
        df = self.df.to_numpy()
        s = np.sqrt(np.where(df > 0, self.found.rss[:, 0], np.nan) / np.maximum(df, 1))
        return self._series(s, "sigma")

    @property
    def pooled_df(self) -> int:
        """Degrees of freedom of `pooled_sigma`."""
        return int(self.df.sum())

    @property
    def pooled_sigma(self) -> float:
        """√(Σ RSS_j / Σ df_j): the residual standard deviation, were it one in all levels."""
        df = self.df.to_numpy()
        return float(np.sqrt(self.found.rss[df > 0, 0].sum() / df.sum())) if df.sum() else float("nan")

    @property
    def coef(self) -> Frame:
        """The coefficients, a row a level; NaN where one cannot be estimated (see `not_estimated`)."""
        return self._wide(self.found.coef[:, :, 0], "Coefficients of", "tbl-group-coef")

    def std_error(self, pooled: bool = True) -> Frame:
        """Standard errors of the coefficients, a row a level.

        Parameters
        ----------
        pooled : bool
            With `pooled_sigma` in all levels, as nlme has it by default; otherwise each with its own `sigma`, NaN
            where a level has no residual degrees of freedom.
        """
        how = "one residual variance" if check_flag(pooled, "pooled") else "each level's own residual variance"
        return self._wide(self._errors(pooled), f"Standard errors ({how}) of", "tbl-group-errors")

    def intervals(self, level: float = 0.95, pooled: bool = True) -> Frame:
        """Confidence intervals, a row for each level and coefficient.

        Parameters
        ----------
        level : float
        pooled : bool
            As of `std_error`; t quantiles have `pooled_df` degrees of freedom, or each level's own.

        Returns
        -------
        Frame
            ``level, effect, estimate, std_error, df, low, high``; NaN where nothing can be estimated.

        Raises
        ------
        LMMError
            If level lies outside (0, 1).
        """
        from scipy.special import stdtrit

        check_level(level)
        errors = self._errors(check_flag(pooled, "pooled"))
        J, Q = errors.shape
        df = np.full(J, self.pooled_df) if pooled else self.df.to_numpy()
        quantile = np.where(df > 0, stdtrit(np.maximum(df, 1), 0.5 + level / 2), np.nan)[:, None]
        estimate = self.found.coef[:, :, 0]
        percent = f"{100 * level:g} %"
        table = pd.DataFrame({
            "level": np.repeat(self.columns.levels.astype(str), Q), "effect": np.tile(self.effects, J),
            "estimate": estimate.ravel(), "std_error": errors.ravel(), "df": np.repeat(df, Q),
            "low": (estimate - quantile * errors).ravel(), "high": (estimate + quantile * errors).ravel(),
        })  # fmt: skip
        return frame(
            table,
            caption=f"Regressions of {self.response} within {counted(J, 'level')} of {self.factor}, with {percent} "
            f"intervals ({'one residual variance' if pooled else 'own residual variances'})",
            label="tbl-group-intervals",
            notes=self._notes(),
            headings={"level": self.factor, "effect": "Coefficient", "estimate": "Estimate", "std_error": "Std. error",
                      "df": "df", "low": f"{percent} low", "high": "high"},
            index=False,
        )  # fmt: skip

    @property
    def table(self) -> Frame:
        """A row a level: ``rows, df, sigma``, then each coefficient and, as ``se(…)``, its pooled standard error."""
        table = pd.DataFrame({"rows": self.columns.rows, "df": self.df.to_numpy(), "sigma": self.sigma.to_numpy()})
        errors = self._errors(True)
        for k, name in enumerate(self.effects):
            table[name], table[f"se({name})"] = self.found.coef[:, k, 0], errors[:, k]
        table.index = self._index
        heads = dict(zip(self.effects, self._headings, strict=True))
        return frame(
            table,
            caption=f"Regressions of {self.response} within {counted(len(table), 'level')} of {self.factor}",
            label="tbl-groups",
            notes=self._notes(),
            headings={"rows": "Rows", "df": "df", "sigma": "SD", **heads},
        )

    @property
    def not_estimated(self) -> Frame:
        """What cannot be estimated in which level, and why: ``level, effect, rows, reason``."""
        return frame(
            reasons(self.columns, self.found.determined),
            caption=f"Coefficients that cannot be estimated within a level of {self.factor}",
            label="tbl-groups-without",
            headings={"level": self.factor, "effect": "Coefficient", "rows": "Rows", "reason": "Why"},
            formats={"level": "text"},
            index=False,
        )

    @property
    def _index(self) -> pd.Index:
        return pd.Index(self.columns.levels.astype(str), name=self.factor)

    @property
    def _headings(self) -> list[str]:
        return [with_unit(name, unit) for name, unit in zip(self.effects, self.units, strict=True)]

    def _series(self, values: np.ndarray, name: str) -> pd.Series:
        return pd.Series(values, index=self._index, name=name)

    def _errors(self, pooled: bool) -> np.ndarray:
        s = self.pooled_sigma if pooled else self.sigma.to_numpy()[:, None]
        return s * np.sqrt(np.diagonal(self.found.unscaled, axis1=1, axis2=2))

    def _wide(self, values: np.ndarray, what: str, label: str) -> Frame:
        return frame(
            pd.DataFrame(values, index=self._index, columns=list(self.effects)),
            caption=f"{what} the regressions of {self.response} within levels of {self.factor}",
            label=label,
            notes=self._notes(),
            headings=dict(zip(self.effects, self._headings, strict=True)),
        )

    def _notes(self) -> tuple[str, ...]:
        pooled = f"Pooled residual SD {shown(self.pooled_sigma, 4)} on {self.pooled_df:,} degrees of freedom."
        if not self.pooled_df:
            pooled = "No level has more rows than coefficients, so there are no residuals and no standard errors."
        lacking = ~self.found.determined
        if not lacking.any():
            return (pooled, *self.notes)
        lost = zip(self.effects, lacking.sum(axis=0), strict=True)
        each = [f"{name} in {counted(int(k), 'level')}" for name, k in lost if k]
        return (pooled, f"Cannot be estimated: {listed(each)}; `not_estimated` says why.", *self.notes)

    def __repr__(self) -> str:
        return repr(self.table)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return self.table._repr_mimebundle_(include, exclude)
