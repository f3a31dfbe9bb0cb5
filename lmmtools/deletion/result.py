"""The table of influence, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from lmmtools.arguments import check_count
from lmmtools.deletion.measures import MEASURES
from lmmtools.deletion.sets import Sets
from lmmtools.deletion.values import Deleted
from lmmtools.errors import LMMError
from lmmtools.formats import counted, nearest, quoted
from lmmtools.frames import Frame, frame
from lmmtools.resampling.parameters import Parameters
from lmmtools.tables import Table

__all__ = ["HEADINGS", "METHODS", "Influence", "Run", "influence_frame", "ranked"]

METHODS = {
    "one-step": "one Newton step",
    "refit": "refitted",
    "fixed": "covariance parameters held",
}
# Sets that a table of more than so many shows: the most influential.
_SHOWN = 20
HEADINGS = {
    "rows": "Rows", "leverage": "Leverage", "studentized": "Studentized", "cooks_distance": "Cook's D",
    "cooks_distance_joint": "Joint D", "cooks_distance_varcomp": "Cook's D of covariance", "dffits": "DFFITS",
    "mdffits": "MDFFITS", "covratio": "COVRATIO", "likelihood_displacement": "Likelihood displacement",
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """What was done.

    Attributes
    ----------
    fit : LMMFit
    sets : Sets
    method : str
    names : tuple of str
        Of the coefficients and covariance parameters.
    deleted : Deleted
    told : tuple of str
        What the measures show of the fit or of the method.
    """

    fit: Any
    sets: Sets
    method: str
    names: tuple[str, ...]
    deleted: Deleted
    told: tuple[str, ...] = ()

    @property
    def noun(self) -> str:
        """What one deletion takes away."""
        return "row" if self.sets.single else "level"

    @property
    def each(self) -> str:
        """What is deleted one after the other, and how, for captions."""
        of = "" if self.sets.single else f" of {self.sets.name}"
        return f"each {self.noun}{of}: {METHODS[self.method]} ({self.fit.method})"


class Influence(Frame):
    """Measures of influence: a row for each row of the data, or for each level, that is deleted.

    Of more than forty it shows those with the largest Cook's distances; the columns ``dfbeta_*`` it does not show. A
    selection of its rows or columns is a plain `Frame`. Made by :func:`lmmtools.influence`.
    """

    _metadata: ClassVar[list[str]] = [*Frame._metadata, "_run"]  # pandas keeps, and pickles, what is named here
    _run: Run | None = None

    @property
    def _constructor(self) -> type[Frame]:
        return Frame

    @property
    def method(self) -> str:
        """How estimates were made without the rows: ``"one-step"``, ``"refit"`` or ``"fixed"``."""
        return self._run.method

    @property
    def by(self) -> str:
        """The factor whose levels were deleted; empty for single rows."""
        return self._run.sets.name

    @property
    def fit(self) -> Any:
        """The fit of all rows."""
        return self._run.fit

    @property
    def estimates(self) -> pd.Series:
        """β̂, standard deviations, correlations and σ̂ of all rows, named as in `parameters`."""
        return pd.Series(Parameters.of(self.fit)(self.fit), index=list(self._run.names), name="estimate")

    @property
    def parameters(self) -> Frame:
        """The same without each row or level, a row each; compare with `estimates`."""
        run = self._run
        table = pd.DataFrame(
            np.hstack([run.deleted.beta, run.deleted.parameters]), index=run.sets.labels, columns=list(run.names)
        )
        return frame(
            table,
            caption=f"Estimates without {run.each}",
            label="tbl-deleted",
            notes=("With all rows: " + "; ".join(f"{k} {v:.5g}" for k, v in self.estimates.items()) + ".",),
        )

    @property
    def told(self) -> tuple[str, ...]:
        """Sentences about what the table cannot be trusted with; empty where there is nothing to say."""
        return self._run.told

    @property
    def reasons(self) -> pd.Series:
        """Why some rows or levels cannot be deleted, a sentence for each of them."""
        run = self._run
        at = sorted(run.deleted.reasons)
        said = [run.deleted.reasons[k] for k in at]
        return pd.Series(said, index=run.sets.labels[at], name="reason", dtype=object)

    def most(self, n: int = 10, measure: str = "cooks_distance", columns: Sequence[str] | None = None) -> Frame:
        """The n most influential rows or levels.

        Parameters
        ----------
        n : int
        measure : str
            A column; by its absolute value, `covratio` by that of its logarithm.
        columns : sequence of str, optional
            Those that are kept, with what is to be said of them; those that these deletions lack are passed over.

        Raises
        ------
        LMMError
            If there is no such column, or n is no whole number above zero.

        Examples
        --------
        >>> from lmmtools import fit_lmm, influence, load_dataset
        >>> fit = fit_lmm("Yield ~ 1 + (1 | Batch)", load_dataset("Dyestuff"))
        >>> list(influence(fit, "Batch").most(2).index)
        ['E', 'F']
        """
        check_count(n, "most: n, the number of rows,", at_least=1)
        found = self.iloc[ranked(self, measure)[:n]]
        if columns is None:
            return found
        kept = [name for name in columns if name in self.columns]
        return influence_frame(pd.DataFrame(found)[kept], self._run, Frame)

    def table(self, max_rows: int = 40) -> Table:
        """The table, or that of the most influential where there are more than `max_rows`."""
        if self._run is None:
            return super().table(max_rows)
        shown, said = self[[name for name in self.columns if not name.startswith("dfbeta_")]], ()
        if len(self) > max_rows:
            n = min(_SHOWN, max_rows)
            shown = shown.iloc[ranked(shown, "cooks_distance")[:n]]
            said = (f"The {n} of {len(self):,} with the largest Cook's distances are shown; `most` gives others.",)
        made = shown.table(max_rows)
        return Table(made.columns, made.rows, made.caption, made.label, (*said, *made.notes))


def ranked(found: pd.DataFrame, measure: str) -> np.ndarray:
    """Positions by the size of a measure, the largest first; NaN last.

    Raises
    ------
    LMMError
        If there is no such column.
    """
    if not isinstance(measure, str) or measure not in found.columns:
        raise LMMError(
            f"influence: `{measure}` is none of its measures{nearest(str(measure), list(found.columns))}; these are "
            f"{quoted(list(found.columns))}."
        )
    values = found[measure].to_numpy(dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.abs(np.log(values)) if measure == "covratio" else np.abs(values)
    return np.argsort(np.where(np.isnan(size), np.inf, -size), kind="stable")


def influence_frame(table: pd.DataFrame, run: Run, cls: type[Frame] = Influence) -> Frame:
    """The table of measures with what it says of itself."""
    made = frame(
        table,
        caption=f"Influence of {run.each}",
        label="tbl-influence-by" if run.sets.name else "tbl-influence",
        notes=_notes(run, table),
        headings={**HEADINGS, None: "Row"},
        formats=dict.fromkeys((name for name in MEASURES if name in table), "sig3"),
        cls=cls,
    )
    if cls is Influence:
        made._run = run
    return made


def _notes(run: Run, table: pd.DataFrame) -> tuple[str, ...]:
    """What each column is, in a few words, and what could not be deleted."""
    single, columns = run.sets.single, [name for name in MEASURES if name in table]
    said = {
        "leverage": f"leverage{'' if single else ' (summed over the level)'}: ∂ŷ/∂y at θ̂, ŷ = Xβ̂ + Zb̂; the sum over "
        "all rows is the effective number of parameters",
        "studentized": "studentized: y less its prediction from the other rows, over that error's standard deviation, "
        "σ̂ without the row and θ̂ held" if single else
        "studentized: root of the F that tests a mean of its own for each row of the level, θ̂ held",
        "cooks_distance": "cooks_distance: Δ'Var(β̂)⁻¹Δ/p with Δ = β̂ without − β̂ of all rows (dfbeta; lme4's "
        "cooks.distance(influence(fit)) is this times (m − p)/m, m the number of deletions)",
        "cooks_distance_joint": "cooks_distance_joint: e²h/(pσ̂²(1 − h)²) of the conditional residual e and leverage h "
        "at θ̂, of β and the random effects together (lme4's cooks.distance(fit))",
        "cooks_distance_varcomp": "cooks_distance_varcomp: the same as Cook's distance for the variances and "
        "covariances, by their observed information, over their number",
        "dffits": f"dffits: x'(β̂ − β̂ without) over its standard error at σ̂ without"
        f"{'' if single else ', root mean square over the level'}",
        "mdffits": "mdffits: Δ'Var(β̂ without)⁻¹Δ/p",
        "covratio": "covratio: |Var(β̂ without)|/|Var(β̂)|",
        "likelihood_displacement": "likelihood_displacement: −2 log-likelihood of all rows at the estimates without, "
        f"less its minimum{' (restricted, at β̂ without)' if run.fit.reml else ''}",
    }  # fmt: skip
    last = "dfbetas_*: Δ over the standard errors of β̂ at σ̂ without; Δ itself is in the columns dfbeta_*"
    each = [last] if table.columns.str.startswith("dfbetas_").any() else []
    notes = [*run.told, *(f"{note}." for note in (*(said[name] for name in columns), *each))]
    if run.deleted.reasons:
        one = next(iter(sorted(run.deleted.reasons)))
        notes.insert(0, f"{counted(len(run.deleted.reasons), run.noun)} cannot be deleted (the first: "
                        f"{run.sets.labels[one]}: {run.deleted.reasons[one]}); see `reasons`.")  # fmt: skip
    if run.method == "one-step" and run.fit.is_singular:
        notes.append('Variances estimated at zero stay there; method="refit" frees them.')
    return tuple(notes)
