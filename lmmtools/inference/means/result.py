"""The table of marginal means, or of slopes by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from lmmtools.errors import LMMError
from lmmtools.formats import nearest, quoted
from lmmtools.frames import Frame
from lmmtools.inference.contrasts import reference, reference_notes, t_quantile, two_sided
from lmmtools.inference.means.adjust import check_adjustment
from lmmtools.inference.means.contrasts import Contrasts, contrasts_of
from lmmtools.inference.means.rows import Rows, estimates
from lmmtools.inference.means.shown import among, capital, percent, shown_as

__all__ = ["MarginalMeans", "means_table"]


class MarginalMeans(Frame):
    """Marginal means, or slopes by group: a row a combination of levels, with standard error, df and interval.

    Made by :func:`lmmtools.marginal_means`. A selection or a changed copy is a table like any other: contrasts are
    taken of the whole.
    """

    _metadata: ClassVar[list[str]] = [*Frame._metadata, "_rows"]
    _rows: Rows | None = None

    @property
    def _constructor(self) -> type[MarginalMeans]:
        return MarginalMeans

    @property
    def L(self) -> np.ndarray:
        """The linear functions of the fixed effects, shape (rows, p); meaningless in rows that are not estimable."""
        return self._whole("L").L.copy()

    @property
    def level(self) -> float:
        """Confidence level of the intervals."""
        return self._whole("level").level

    @property
    def rows(self) -> Rows:
        """What the table was made of."""
        return self._whole("rows")

    def _whole(self, what: str) -> Rows:
        rows = self._rows
        if rows is None or not self._described or not self.index.equals(rows.levels.index):
            raise LMMError(
                f"{what}: this table is a part or a changed copy of what marginal_means returned: ask the whole, or "
                "choose levels by at={…} there."
            )
        return rows

    def test(self, null: float = 0.0) -> Frame:
        """Each mean (or slope) against one value.

        Parameters
        ----------
        null : float

        Returns
        -------
        Frame
            The levels, then ``estimate, std_error, df, statistic, p_value``.

        Raises
        ------
        LMMError
            If `null` is no number, or this is no whole table.
        """
        if not isinstance(null, Real) or not np.isfinite(null):
            raise LMMError(f"test: null must be a finite number; got {null!r}.")
        rows = self._whole("test")
        found = estimates(rows)
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = np.where(found.zero, np.nan, (found.estimate - float(null)) / found.std_error)
        table = rows.levels.assign(
            estimate=found.estimate, std_error=found.std_error, df=found.df, statistic=statistic,
            p_value=two_sided(statistic, found.df),
        )  # fmt: skip
        return shown_as(
            table, rows, f"{capital(rows.what)}{among(rows.levels.columns)}, each against {float(null):g}; reference: "
            f"{reference(rows.fit, rows.ddf)}", "tbl-means-test", self.notes,
        )  # fmt: skip

    def contrasts(
        self,
        method: str | Mapping[str, Any] | Sequence[Any] | np.ndarray = "pairwise",
        adjust: str | None = None,
        by: str | Sequence[str] | None = None,
        *,
        ref: Any = None,
    ) -> Contrasts:
        """Contrasts of the means, or slopes, within each combination of `by`.

        Parameters
        ----------
        method : str, mapping or array_like
            ``"pairwise"`` (all differences, the first minus the second), ``"trt.vs.ctrl"`` (each minus the control),
            ``"eff"`` (each minus their average), ``"consec"`` (each minus the one before) or ``"poly"`` (orthogonal
            polynomials over the values of levels that are numbers, over their places otherwise; the smallest whole
            numbers). Or coefficients of one's own: a mapping of names to them, each a sequence with a number for
            each mean of a family, in the table's order, or a mapping of levels to numbers; or an array of shape
            (means,) or (contrasts, means).
        adjust : {"tukey", "holm", "bonferroni", "sidak", "none"}, optional
            For the contrasts of one combination of `by` together. By default Tukey's for all pairs, Holm's for the
            other named families, none for polynomials and coefficients of one's own. Tukey's is for all pairs only.
        by : str or sequence of str, optional
            Columns within whose combinations contrasts are taken; those the means were made by, by default. Empty
            for contrasts across all rows.
        ref : optional
            The control of ``"trt.vs.ctrl"``, by its level or label; the first by default.

        Returns
        -------
        Contrasts
            `by`, then ``contrast, estimate, std_error, df, statistic, p_value, ci_low, ci_high``. Intervals are
            adjusted as p-values are, Holm's apart, which has none: there they are Bonferroni's.

        Raises
        ------
        LMMError
            If the method or adjustment is unknown, coefficients do not fit the means, or this is no whole table.
        ModelError
            If there is one mean only.
        """
        rows = self._whole("contrasts")
        by = rows.by if by is None else (by,) if isinstance(by, str) else tuple(by)
        for name in by:
            if name not in rows.levels:
                raise LMMError(f"contrasts: by={name!r} is no column of the means"
                               f"{nearest(str(name), rows.levels)}; they have {quoted(rows.levels)}.")  # fmt: skip
        return contrasts_of(rows, method, check_adjustment(adjust, method), by, ref, self.notes)


def means_table(rows: Rows) -> MarginalMeans:
    """The table of means, or slopes, with an interval for each alone."""
    found = estimates(rows)
    half = np.where(found.zero, 0.0, t_quantile(found.df, rows.level) * found.std_error)
    table = rows.levels.assign(
        estimate=found.estimate, std_error=found.std_error, df=found.df, ci_low=found.estimate - half,
        ci_high=found.estimate + half,
    )  # fmt: skip
    notes = (*rows.notes, *reference_notes(rows.fit, rows.ddf, found.df[found.tested]))
    made = shown_as(
        table, rows,
        f"{capital(rows.what)}{among(rows.levels.columns)} ({rows.fit.method}), each with its "
        f"{percent(rows.level)} interval; reference: {reference(rows.fit, rows.ddf)}",
        "tbl-means", notes, MarginalMeans,
    )  # fmt: skip
    made._rows = rows
    return made
