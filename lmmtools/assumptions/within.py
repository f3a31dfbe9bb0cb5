"""Slopes within groups and between them: whether random effects go with the covariates.

A random effect is taken to be independent of the covariates. Where it is not, a slope within groups is not the slope
between them. With x = x̄_g + (x − x̄_g), the coefficient of the group's mean x̄_g beside that of x is their difference,
zero where effects and covariates are independent (Mundlak 1978): Hausman's test, as an added column.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from lmmtools.assumptions.added import Enlarged, degrees, enlarge
from lmmtools.assumptions.look import Look
from lmmtools.assumptions.value import Finding, judged, untested
from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import counted, estimate_format, format_column, format_value, quoted, shown
from lmmtools.frames import Frame, frame
from lmmtools.inference.contrasts import (
    DDF,
    FTest,
    check_ddf,
    df_format,
    linear_functions,
    reference,
    reference_notes,
    two_sided,
)
from lmmtools.tables import Table

__all__ = ["Mundlak", "independence", "mundlak"]

CHECK = "Independent effects"
# Variation below this share of a column's size is the rounding of means.
_ROUNDING = 1e-9
# Slopes, each with its standard error.
_SLOPES = {"within": "within_se", "between": "between_se", "difference": "std_error"}


class Mundlak(Frame):
    """The table of `mundlak`.

    Attributes
    ----------
    joint : DataFrame
        ``factor, num_df, den_df, f_value, p_value``: all differences of a factor together.
    ddf : str
    """

    _metadata: ClassVar[list[str]] = [*Frame._metadata, "joint", "ddf"]
    joint: pd.DataFrame = pd.DataFrame()
    ddf: str = ""

    @property
    def _constructor(self) -> type[Mundlak]:
        return Mundlak

    def table(self, max_rows: int = 40) -> Table:
        """The frame as a table of eight columns: standard errors stand in brackets behind what they are of."""
        if not self.caption or not {*_SLOPES, *_SLOPES.values()} <= set(self.columns):
            return super().table(max_rows)
        about, shown = self._about, pd.DataFrame(self).drop(columns=list(_SLOPES.values()))
        for slope, error in _SLOPES.items():
            cells = [format_column(self[name].tolist(), about.formats[name]) for name in (slope, error)]
            shown[slope] = [f"{value} ({se})" for value, se in zip(*cells, strict=True)]
        headings = {**about.headings, **{name: f"{about.headings[name]} (SE)" for name in _SLOPES}}
        same = {"caption": self.caption, "label": self.label, "notes": self.notes, "index": False}
        return frame(shown, headings=headings, formats=about.formats, **same).table(max_rows)


@dataclass(frozen=True)
class Compared:
    """One grouping factor: the model with the means of its levels, or why there is none.

    Attributes
    ----------
    factor : str
    names : tuple of str
        Columns of X whose means were added.
    places : tuple of int
        Where these columns are in X.
    larger : Enlarged or None
    without : tuple of str
        Columns whose mean the model has already.
    why : str
        Empty where there is a model.
    """

    factor: str
    names: tuple[str, ...] = ()
    places: tuple[int, ...] = ()
    larger: Enlarged | None = None
    without: tuple[str, ...] = ()
    why: str = ""


def mundlak(fit: Any, *, ddf: str = "satterthwaite") -> Mundlak:
    """Slopes within the levels of each grouping factor beside those between them.

    Parameters
    ----------
    fit : LMMFit
    ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", "normal"}

    Returns
    -------
    Mundlak
        A row a factor and column of the fixed part that varies both within the factor's levels and between them:
        ``factor, covariate, within, within_se, between, between_se, difference, std_error, df, statistic, p_value``;
        the test is of the difference. ``.joint`` tests all differences of a factor together. Means are those of the
        rows used; factors are taken one at a time, each with its means added to the model of the fit.

    Raises
    ------
    LMMError
        If `fit` is no fit, or `ddf` is unknown.
    ModelError
        If no grouping factor has such a column.

    Notes
    -----
    A difference says that the random effects go with the covariate: that the fit's own slope mixes the two. It may
    also come from a covariate measured with error, or from a curve; see `check_assumptions`. All fits are by REML.

    References
    ----------
    Mundlak (1978), On the pooling of time series and cross section data, Econometrica 46; Hausman (1978),
    Specification tests in econometrics, Econometrica 46; Bell, Fairbrother & Jones (2019), Fixed and random effects
    models: making an informed choice, Qual. Quant. 53.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("MathAch ~ SES + (1 | School)", lt.load_dataset("MathAchieve"))
    >>> lt.mundlak(fit)[["within", "between", "difference", "p_value"]].round(2).to_numpy().tolist()
    [[2.19, 5.87, 3.68, 0.0]]
    """
    if not hasattr(fit, "beta_cov"):
        raise LMMError(f"mundlak: takes a fit made by fit_lmm; got {type(fit).__name__}.")
    if not fit.design.terms:
        raise ModelError("mundlak: the model has no random effects, so there are none that could go with a covariate.")
    if ddf not in DDF:  # any will do: the means are added to a fit by REML
        check_ddf(ddf, fit, "mundlak")
    larger = list(comparisons(fit))
    if not any(found.larger for found in larger):
        raise ModelError("mundlak: " + "; ".join(f"`{found.factor}`: {found.why}" for found in larger) + ".")
    parts, joint, notes = [], [], []
    for found in larger:
        if found.larger is None:
            notes.append(f"Not compared for {found.factor}: {found.why}.")
            continue
        parts.append(_slopes(found, ddf))
        test = found.larger.test(ddf)
        joint.append((found.factor, test.num_df, test.den_df, test.f_value, test.p_value))
        notes.append(_joint_said(found, test))
        if found.without:
            notes.append(f"The model has the mean by {found.factor} of {quoted(found.without)} already.")
    return _shown(fit, pd.concat(parts, ignore_index=True), joint, notes, ddf, larger)


def comparisons(fit: Any) -> Iterator[Compared]:
    """Each grouping factor with its means added to the fixed part."""
    for factor, terms in fit.design.factors.items():
        yield _compared(fit, factor, terms[0].codes, len(terms[0].levels))


def _compared(fit: Any, factor: str, codes: np.ndarray, levels: int) -> Compared:
    X, names = fit.design.X, fit.design.fixed_names
    sums = np.array([np.bincount(codes, weights=x, minlength=levels) for x in X.T]).reshape(-1, levels).T
    means = sums / np.bincount(codes, minlength=levels)[:, None]
    size = np.abs(X).max(axis=0, initial=0.0)
    within = np.abs(X - means[codes]).max(axis=0, initial=0.0) > _ROUNDING * size
    between = np.ptp(means, axis=0) > _ROUNDING * size if levels > 1 else np.zeros(len(size), dtype=bool)
    places = [j for j in range(len(names)) if within[j] and between[j]]
    if not places:
        return Compared(factor, why=_why_none(within, between, levels))
    rank = np.linalg.matrix_rank(np.hstack([np.ones((levels, 1)), means / np.where(size > 0.0, size, 1.0)]))
    if levels - rank < 2:
        return Compared(factor, why=f"{counted(levels, 'level')} are too few to tell slopes between them")
    try:
        larger = enlarge(fit, means[codes][:, places], [f"mean of {names[j]} by {factor}" for j in places])
    except (ModelError, np.linalg.LinAlgError) as error:
        return Compared(factor, why=str(error).rstrip("."))
    kept = [places[k] for k in larger.kept]
    without = tuple(names[j] for j in places if j not in kept)
    return Compared(factor, tuple(names[j] for j in kept), tuple(kept), larger, without)


def _why_none(within: np.ndarray, between: np.ndarray, levels: int) -> str:
    if levels < 2:
        return "there is one level only"
    if not within.any():
        return "no column of the fixed part varies within its levels"
    return "what varies within its levels has the same mean in each of them"


def _functions(found: Compared) -> dict[str, np.ndarray]:
    """Rows of L for the slopes within, between and their differences, each (k, p)."""
    pairs = list(zip(found.places, found.larger.places, strict=True))
    return {
        "within": np.array([found.larger.row({own: 1.0}) for own, _ in pairs]),
        "between": np.array([found.larger.row({own: 1.0, mean: 1.0}) for own, mean in pairs]),
        "difference": np.array([found.larger.row({mean: 1.0}) for _, mean in pairs]),
    }


def _slopes(found: Compared, ddf: str) -> pd.DataFrame:
    table = pd.DataFrame({"factor": found.factor, "covariate": list(found.names)})
    for name, L in _functions(found).items():
        functions = linear_functions(found.larger.fit, L, ddf)
        table[name] = functions.estimate
        table["std_error" if name == "difference" else f"{name}_se"] = functions.std_error
    table["df"], table["statistic"] = functions.df, functions.estimate / functions.std_error
    table["p_value"] = two_sided(table["statistic"], table["df"])
    return table


def _joint_said(found: Compared, test: FTest) -> str:
    p = format_value(test.p_value, "p")
    p = f"p {p}" if p.startswith("<") else f"p = {p}"
    return (
        f"All differences of {found.factor} together: F({degrees(test)}) = {format_value(test.f_value, 'fixed2')}, {p}."
    )


def _shown(
    fit: Any, table: pd.DataFrame, joint: list[tuple], notes: list[str], ddf: str, larger: list[Compared]
) -> Mundlak:
    together = estimate_format(table[list(_SLOPES)].to_numpy().ravel())
    first = next(found.larger.fit for found in larger if found.larger)
    made = frame(
        table,
        caption=f"Slopes of {fit.response} within and between groups; tests of the difference: {reference(first, ddf)}",
        label="tbl-mundlak",
        notes=(*notes, *reference_notes(first, ddf, table["df"])),
        headings={"factor": "Groups", "covariate": "Covariate", "within": "Within", "within_se": "Std. error",
                  "between": "Between", "between_se": "Std. error", "difference": "Difference",
                  "std_error": "Std. error", "df": "df", "statistic": "z" if ddf == "normal" else "t",
                  "p_value": "p"},
        formats={**dict.fromkeys(_SLOPES, together),
                 **dict.fromkeys(("within_se", "between_se", "std_error"), "estimate"),
                 "df": df_format(table["df"]), "statistic": "fixed2", "p_value": "p"},
        index=False,
        cls=Mundlak,
    )  # fmt: skip
    made.joint = pd.DataFrame(joint, columns=["factor", "num_df", "den_df", "f_value", "p_value"])
    made.ddf = ddf
    return made


def independence(fit: Any, ddf: str) -> Iterator[Finding]:
    """A row a grouping factor: the differences between slopes within and between its levels, tested together."""
    for found in comparisons(fit):
        of, see = f"{found.factor} and covariates", Look("mundlak", drawn=False)
        if found.larger is None:
            yield untested(CHECK, of, found.why)
            continue
        test, table = found.larger.test(ddf), _slopes(found, ddf)
        row = table.iloc[int(table["statistic"].abs().fillna(0.0).argmax())]
        most = "" if len(table) == 1 else f" (of {len(table)} the one that differs most)"
        said = (
            f"The slope in {row['covariate']} is {shown(row['within'])} within levels of {found.factor}, "
            f"{shown(row['between'])} between them{most}. {judged(test.p_value)}"
        )
        yield Finding(CHECK, of, test.f_value, degrees(test), test.p_value, said, see)
