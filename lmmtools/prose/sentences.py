"""What was fitted to what, what came out, and whether to believe it, in sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from lmmtools.errors import ModelError
from lmmtools.formats import counted, effect_unit, format_value, is_missing, listed, shown, spread
from lmmtools.prose.value import Prose, alert, literal

__all__ = ["certificate", "crosscheck", "data", "icc", "summary"]

# More than these stay in the tables.
_MOST_COEFFICIENTS, _MOST_CORRELATIONS = 12, 3


def data(fit: Any) -> Prose:
    """Rows used and left out, the response with its unit and range, groups and their sizes."""
    design = fit.design
    dropped = len(design.dropped_rows)
    left_out = f"; {counted(dropped, 'row')} with missing values {_were(dropped)} left out" if dropped else ""
    unit = design.units.get(fit.response)
    sentences = [
        f"The fit uses {counted(fit.nobs, 'row')}{left_out}.",
        f"The response is {literal(fit.response)}{f', in {literal(unit)}' if unit else ''}, from {spread(design.y)}.",
    ]
    for term in {term.factor: term for term in design.terms}.values():
        sizes = np.bincount(term.codes, minlength=len(term.levels))
        sentences.append(f"{literal(term.factor)} has {counted(len(term.levels), 'level')} {_sizes(sizes)}.")
    gone = [literal(name) for name in design.dropped_columns]
    if gone:
        sentences.append(f"Left out of the model, since other columns determine {_it(gone)}: {listed(gone)}.")
    return Prose(" ".join(sentences))


def _were(n: int) -> str:
    return "was" if n == 1 else "were"


def _it(items: list[str]) -> str:
    return "it" if len(items) == 1 else "them"


def _sizes(sizes: np.ndarray) -> str:
    low, high = int(sizes.min()), int(sizes.max())
    if low == high:
        return f"of {counted(low, 'row')} each" if len(sizes) > 1 else f"of {counted(low, 'row')}"
    return f"of {low} to {counted(high, 'row')}, half of them with {np.median(sizes):g} or fewer"


def summary(fit: Any, level: float = 0.95) -> Prose:
    """The fit in sentences, from the same strings as its tables.

    Parameters
    ----------
    fit : LMMFit
    level : float
        Of the intervals.
    """
    sentences = [_criterion(fit), _coefficients(fit, level), *_variances(fit)]
    return Prose("\n\n".join(sentence for sentence in sentences if sentence))


def _criterion(fit: Any) -> str:
    kind = "restricted log-likelihood" if fit.reml else "log-likelihood"
    return (
        f"Fitted by {fit.method}: −2 × {kind} is {format_value(fit.criterion, 'fixed2')} with "
        f"{counted(fit.npar, 'parameter')}, AIC {format_value(fit.aic, 'fixed2')}, "
        f"BIC {format_value(fit.bic, 'fixed2')}."
    )


def _coefficients(fit: Any, level: float) -> str:
    table = fit.coef_table(ddf="normal", level=level)
    if len(table) == 0:
        return "The model has no fixed effects."
    if len(table) > _MOST_COEFFICIENTS:
        return f"Its {len(table)} fixed effects are in the table."
    said = [
        f"{literal(name)} {shown(row.estimate, 4)} ({shown(row.ci_low, 4)} to {shown(row.ci_high, 4)})"
        for name, row in zip(table.index, table.itertuples(), strict=True)
    ]
    one = len(said) == 1
    return (
        f"{'The fixed effect with its' if one else 'The fixed effects with their'} {100 * level:g} % "
        f"{'interval' if one else 'intervals'} from the normal distribution: {'; '.join(said)}."
    )


def _variances(fit: Any) -> Iterable[str]:
    """A sentence for each random term, one for the residual."""
    rows = list(fit.varcorr.itertuples())
    for term in fit.design.terms:
        ours = [row for row in rows if row.grp == term.group]
        sds = [
            f"{shown(row.sdcor)}{_unit(effect_unit(fit.design.units, fit.response, row.var1))} for {literal(row.var1)}"
            for row in ours
            if not _named(row.var2)
        ]
        between = f"Between levels of {literal(term.factor)} the standard "
        between += f"{'deviation is' if len(sds) == 1 else 'deviations are'} {listed(sds)}"
        pairs = [row for row in ours if _named(row.var2)]
        if 0 < len(pairs) <= _MOST_CORRELATIONS:
            between += "; " + "; ".join(_correlation(row) for row in pairs)
        if _is_undetermined(fit, term):
            between += " (one choice among equals: see the certificate)"
        yield between + "."
    yield f"The residual standard deviation is {shown(fit.sigma)}{_unit(fit.design.units.get(fit.response))}."


def _is_undetermined(fit: Any, term: Any) -> bool:
    """Whether the certificate names a (co)variance of the term among those that another split would fit as well."""
    effects = [rf"{re.escape(name)} by {re.escape(term.factor)}(?![\w:])" for name in term.names]
    named = re.compile("|".join([*effects, re.escape(f"of {term.label}")]))
    return fit.certificate.flat_by == "design" and any(map(named.search, fit.certificate.flat))


def _named(name: object) -> bool:
    return not (is_missing(name) or name == "")


def _unit(unit: str | None) -> str:
    return f" {literal(unit)}" if unit else ""


def _correlation(row: Any) -> str:
    pair = f"{literal(row.var1)} and {literal(row.var2)}"
    if is_missing(row.sdcor):
        return f"{pair} have no correlation, one of them having no variance"
    return f"the correlation of {pair} is {format_value(row.sdcor, 'fixed2')}"


def icc(fit: Any) -> Prose:
    """The share of the variance that lies between groups, or why there is no such number."""
    from lmmtools.inference.icc import icc as shares

    try:
        table = shares(fit)
    except ModelError as error:
        return Prose(alert("NOTE", literal(error)))
    said = []
    for row in table.itertuples():
        said.append(
            f"Of the variance that the fixed effects leave, {format_value(row.adjusted, 'percent')} lies between "
            f"levels of {literal(row.group)}; of all variance, that of the fixed part included, "
            f"{format_value(row.icc, 'percent')}."
        )
    slopes = any(name != "Intercept" for term in fit.design.terms for name in term.names)
    mean = (
        " With effects besides the intercept the variance between levels differs from row to row; its mean over the "
        "rows is used."
    )
    return Prose(" ".join(said) + (mean if slopes else ""))


def certificate(fit: Any) -> Prose:
    """The certificate's verdict and numbers; a box around it when the numbers cannot be taken as they are."""
    verdict = fit.certificate
    evaluations = counted(fit.n_evaluations, "evaluation")
    text = (
        f"**{literal(verdict.status.capitalize())}.** {literal(verdict.sentence)} "
        f"The optimiser needed {evaluations} of the criterion."
    )
    kinds = {"certified": None, "certified at the boundary": "NOTE", "flat direction": "WARNING"}
    kind = kinds.get(verdict.status, "CAUTION")
    return Prose(alert(kind, text) if kind else text)


def crosscheck(check: Any) -> Prose:
    """How many quantities were compared, how each difference was classified, and what stays unexplained.

    Parameters
    ----------
    check : CrossCheck or None
        None when none was made, which is then said.
    """
    if check is None:
        return Prose("No cross-check was asked for.")
    counts = check["verdict"].astype(str).value_counts(sort=False)
    engine = f" with {literal(check.engine)}" if getattr(check, "engine", "") else ""
    verdicts = listed([f"{literal(verdict)} ({n})" for verdict, n in counts.items()]) if len(counts) else "none"
    text = f"{counted(len(check), 'quantity', 'quantities')} compared{engine}: {verdicts}."
    if check.ok:
        return Prose(f"{text} No difference is unexplained.")
    failed = check[check["verdict"] == "unexplained"]
    names = failed["quantity"] if "quantity" in failed else failed.index
    return Prose(alert("CAUTION", f"{text} Unexplained: {listed([literal(n) for n in names])}."))
