"""The replicates of a bootstrap as a table, with what follows from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from lmmtools.arguments import check_level
from lmmtools.errors import LMMError
from lmmtools.formats import counted, interval_format, listed
from lmmtools.frames import Frame, frame
from lmmtools.resampling.clusters import Clusters, cluster_factor, main_factor
from lmmtools.resampling.intervals import Limits, basic, bca, needed, none, percentile
from lmmtools.resampling.parameters import Parameters, taken
from lmmtools.tables import Table

__all__ = ["INTERVALS", "Bootstrap", "Run", "bootstrap_frame", "check_interval"]

INTERVALS = ("percentile", "basic", "bca")
# Sentences of failures that a note has, each with its count.
_MOST_SENTENCES = 3


@dataclass(frozen=True)
class Run:
    """What was done.

    Attributes
    ----------
    fit : LMMFit
    kind : str
    by : str
        The factor whose levels were drawn; empty for the other kinds.
    notes : tuple of str
        What a reader must know of this kind of replicates.
    what : Parameters or Statistic
        What was taken of every replicate.
    estimate : ndarray, shape (k,)
        The same of the fit.
    failures : tuple of (int, str)
        Number of the replicate, from 1, and what went wrong.
    singular : int
        Replicates with a singular fit.
    """

    fit: Any
    kind: str
    by: str
    notes: tuple[str, ...]
    what: Any
    estimate: np.ndarray
    failures: tuple[tuple[int, str], ...]
    singular: int


class Bootstrap(Frame):
    """Replicates of a bootstrap: a row each, a column for every parameter; NaN where a refit failed.

    Shows itself as the table of `summary`; a selection of its rows or columns is a plain `Frame`.
    """

    _metadata: ClassVar[list[str]] = ["_about", "_run"]  # pandas keeps, and pickles, what is named here
    _run: Run | None = None

    @property
    def _constructor(self) -> type[Frame]:
        return Frame

    @property
    def singular(self) -> int:
        """Number of replicates whose fit is singular; they count like all others."""
        return self._run.singular

    @property
    def failures(self) -> Frame:
        """The replicates that have no estimates, by number, and why: a column ``sentence``."""
        numbers, sentences = [k for k, _ in self._run.failures], [s for _, s in self._run.failures]
        return frame(
            pd.DataFrame({"sentence": pd.Series(sentences, index=pd.Index(numbers, name="replicate"), dtype=object)}),
            caption=f"Failures among {counted(len(self), 'replicate')}",
            label="tbl-bootstrap-failures",
            headings={"replicate": "Replicate", "sentence": "What went wrong"},
        )

    @property
    def estimates(self) -> pd.Series:
        """What the fit itself has."""
        return pd.Series(self._run.estimate.copy(), index=self.columns, name="estimate")

    def summary(self) -> Frame:
        """Bias and standard error of every parameter.

        Returns
        -------
        Frame
            ``estimate, mean, bias, std_error, bias_error, replicates``: `bias` is mean − estimate, `bias_error` its
            Monte-Carlo standard error, `replicates` how many have a value.
        """
        values = pd.DataFrame(self)
        used = values.notna().sum()
        table = pd.DataFrame({"estimate": self.estimates, "mean": values.mean(), "std_error": values.std()})
        table.insert(2, "bias", table["mean"] - table["estimate"])
        table["bias_error"], table["replicates"] = table["std_error"] / np.sqrt(used), used
        return frame(
            table,
            caption=f"{_TITLES[self._run.kind].format(by=self._run.by)} bootstrap, {counted(len(self), 'replicate')}",
            label="tbl-bootstrap",
            notes=self._what_happened(),
            headings={"estimate": "Estimate", "mean": "Mean", "bias": "Bias", "std_error": "Std. error",
                      "bias_error": "Error of the bias", "replicates": "Replicates"},
        )  # fmt: skip

    def table(self, max_rows: int = 40) -> Table:
        """The summary as a table."""
        return super().table(max_rows) if self._run is None else self.summary().table(max_rows)

    def confint(self, kind: str = "percentile", level: float = 0.95, *, by: str | None = None) -> Frame:
        """Bootstrap confidence intervals.

        Parameters
        ----------
        kind : {"percentile", "basic", "bca"}
        level : float
        by : str, optional
            For ``"bca"``: the grouping factor whose levels are left out in turn for the acceleration; by default the
            one that was drawn from, the only one, the one within whose levels all others lie, or else the one with
            most levels. The table says which.

        Returns
        -------
        Frame
            ``low, high, low_error, high_error, replicates``: the limits with their Monte-Carlo standard errors, and how
            many replicates have a value. NaN where there is no such interval; the notes say why.

        Raises
        ------
        LMMError
            If the kind is unknown, the level is not one, there are too few replicates for it, or no such factor.

        References
        ----------
        Efron (1987), Better bootstrap confidence intervals, JASA 82(397), 171-185; Maritz & Jarrett (1978), A note on
        estimating the variance of the sample median, JASA 73(361), 194-196, for the Monte-Carlo errors.
        """
        check_interval(kind)
        if by is not None and kind != "bca":
            raise LMMError(f'bootstrap: by={by!r} says whose levels are left out in turn, which only kind="bca" does.')
        self._require_enough(check_level(level))
        limits, notes = _INTERVALS[kind](self, level, by)
        rows = [(x.low, x.high, x.low_error, x.high_error) for x in limits]
        table = pd.DataFrame(rows, index=self.columns, columns=["low", "high", "low_error", "high_error"])
        table["replicates"] = pd.DataFrame(self).notna().sum()
        percent = f"{100 * level:g} %"
        together = interval_format(table["low"], table["high"])
        return frame(
            table,
            caption=f"{_KINDS[kind]} {percent} intervals, {_TITLES[self._run.kind].format(by=self._run.by).lower()} "
            f"bootstrap, {counted(len(self), 'replicate')} ({self._run.fit.method})",
            label="tbl-confint-bootstrap",
            notes=(
                "The errors are Monte-Carlo standard errors of the limits (Maritz and Jarrett): more replicates make "
                "them smaller.",
                *notes, *self._what_happened(), *_without(limits, self.columns),
            ),
            headings={"low": f"{percent} low", "high": "high", "low_error": "Error of low",
                      "high_error": "Error of high", "replicates": "Replicates"},
            formats={"low": together, "high": together, "replicates": "int"}
            | dict.fromkeys(("low_error", "high_error"), together.replace("estimate", "fixed")),
        )  # fmt: skip

    def _require_enough(self, level: float) -> None:
        left, least = len(self) - len(self._run.failures), needed(level)
        if left < least:
            failed = f", {len(self._run.failures)} of {len(self)} having failed" if self._run.failures else ""
            raise LMMError(
                f"bootstrap: {100 * level:g} % limits lie beyond the most extreme of {counted(left, 'replicate')}"
                f"{failed}: at least {least:,} are needed, and 1,000 or more for limits that hardly depend on the seed."
            )

    def _what_happened(self) -> tuple[str, ...]:
        """Notes on failures, singular fits, and values that are not there."""
        run, n = self._run, len(self)
        notes = list(run.notes)
        if run.failures:
            sentences = pd.Series([s for _, s in run.failures]).value_counts()
            said = [f"{count} × {s}" for s, count in sentences.head(_MOST_SENTENCES).items()]
            more = "" if len(sentences) <= _MOST_SENTENCES else " Others are in `.failures`."
            verb = "has" if len(run.failures) == 1 else "have"
            notes.append(
                f"{len(run.failures)} of {n:,} refits {verb} no estimates and are left out: {' '.join(said)}{more}"
            )
        if run.singular:
            notes.append(
                f"{run.singular:,} of {n:,} refits {'is' if run.singular == 1 else 'are'} singular; they count."
            )
        missing = pd.DataFrame(self).isna().sum() - len(run.failures)
        if (missing > 0).any():
            names = [f"{name} ({count:,})" for name, count in missing[missing > 0].items()]
            own = isinstance(run.what, Parameters)
            why = ", for a correlation with an effect of variance zero is not defined" if own else ""
            notes.append(
                f"Some replicates have no value of {listed(names)}{why}. Intervals and errors are those of the others."
            )
        return tuple(notes)

    def _present(self) -> list[np.ndarray]:
        """The values of each column that are there."""
        return [column[~np.isnan(column)] for column in pd.DataFrame(self).to_numpy(dtype=float).T]


def check_interval(kind: str) -> None:
    """Refuse a kind of interval that there is not.

    Raises
    ------
    LMMError
    """
    if kind not in INTERVALS:
        names = ", ".join(map(repr, INTERVALS))
        raise LMMError(f"bootstrap: interval kind={kind!r} is unknown; use one of {names}.")


_TITLES = {"parametric": "Parametric", "residual": "Residual", "cluster": "Cluster ({by})"}
_KINDS = {"percentile": "Percentile", "basic": "Basic", "bca": "BCa"}


def _each(boot: Bootstrap, level: float, one: Callable[[int, np.ndarray, float], Limits]) -> list[Limits]:
    """The limits of every column that has enough values, given its number, its values and the estimate."""
    found, least = [], needed(level)
    for k, (values, estimate) in enumerate(zip(boot._present(), boot._run.estimate, strict=True)):
        if len(values) < least:
            found.append(none(f"fewer than {least} replicates have a value"))
        else:
            found.append(none("the fit itself has no value") if np.isnan(estimate) else one(k, values, estimate))
    return found


def _percentile(boot: Bootstrap, level: float, by: str | None) -> tuple[list[Limits], tuple[str, ...]]:
    return _each(boot, level, lambda _, values, estimate: percentile(values, level)), ()


def _basic(boot: Bootstrap, level: float, by: str | None) -> tuple[list[Limits], tuple[str, ...]]:
    found = _each(boot, level, lambda _, values, estimate: basic(values, estimate, level))
    below = [
        f"`{name}`" for name, x in zip(boot.columns, found, strict=True)
        if x.low < 0.0 and (name == "sigma" or name.startswith("sd("))
    ]  # fmt: skip
    if not below:
        return found, ()
    note = f"The basic interval does not know that {listed(below)} cannot be negative; the percentile interval does."
    return found, (note,)


def _bca(boot: Bootstrap, level: float, by: str | None) -> tuple[list[Limits], tuple[str, ...]]:
    run = boot._run
    if by is None:
        factor = run.by or main_factor(run.fit.design)[0]
    else:
        factor = cluster_factor(run.fit.design, by, "bootstrap")
    clusters = Clusters(run.fit, factor)
    refits, size = clusters.left_out()
    left_out = np.array([taken(run.what, refit)[0] for refit in refits]).T
    there = [values[~np.isnan(values)] for values in left_out]

    def one(k: int, values: np.ndarray, estimate: float) -> Limits:
        return bca(values, estimate, level, there[k]) if len(there[k]) > 2 else none("nothing tells the acceleration")

    what = "each level" if size == 1 else f"each of {len(refits)} sets of its {clusters.levels:,} levels"
    note = f"BCa: the acceleration is that of a jackknife over `{factor}`, {what} left out in turn."
    if lost := sum(not refit.ok for refit in refits):
        note += f" {lost} of these {len(refits)} refits failed and {'is' if lost == 1 else 'are'} left out."
    return _each(boot, level, one), (note,)


_INTERVALS = {"percentile": _percentile, "basic": _basic, "bca": _bca}


def _without(limits: list[Limits], names: Any) -> tuple[str, ...]:
    """Notes on intervals that there are not."""
    reasons: dict[str, list[str]] = {}
    for x, name in zip(limits, names, strict=True):
        if x.reason:
            reasons.setdefault(x.reason, []).append(f"`{name}`")
    return tuple(f"No interval of {listed(those)}: {reason}." for reason, those in reasons.items())


def bootstrap_frame(rows: np.ndarray, run: Run) -> Bootstrap:
    """The replicates, shape (n, k), with what was done."""
    data = pd.DataFrame(rows, columns=list(run.what.names), index=pd.RangeIndex(1, len(rows) + 1, name="replicate"))
    made = frame(data, caption="Replicates", label="tbl-replicates", cls=Bootstrap)
    made._run = run
    return made
