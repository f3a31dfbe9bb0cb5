"""Singular fits explained: what has no variance, and what each simpler model would change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.collapsed import zero_directions
from lmmtools.errors import LMMError, ModelError
from lmmtools.frames import Frame, frame
from lmmtools.results import estimate

__all__ = ["explain_singular", "least_squares", "less_one_effect"]


def explain_singular(fit: Any) -> Frame:
    """What is singular in a fit, and what β̂ and its standard errors are under each simpler model.

    Parameters
    ----------
    fit : LMMFit

    Returns
    -------
    Frame
        A row for each coefficient under each simpler model: ``model, criterion_change, npar, coefficient, estimate,
        std_error, shift, se_ratio``, the shift in standard errors of the fit. The notes name what has no variance.
        Models are the fit's own less a term's correlations, one of its effects, or the term; those that the design
        cannot tell apart are left out. Empty where the fit is not singular.

    Raises
    ------
    LMMError
        If `fit` is no fitted model.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff2"))
    >>> lt.explain_singular(fit).notes[0]
    '`Intercept` by Batch has variance zero: it is the same in every level of `Batch`.'
    """
    if not hasattr(fit, "design") or not hasattr(fit, "Lambda"):
        raise LMMError(f"explain_singular: takes a fit, as fit_lmm returns it; got {type(fit).__name__}.")
    zero = zero_directions(fit.design, fit.Lambda, fit.sigma)
    rows, failed = [], []
    for label, terms in _simpler(fit, {direction.group for direction in zero}):
        try:
            rows += _rows(fit, label, *_refit(fit, terms))
        except ModelError:
            failed.append(label)
    columns = ["model", "criterion_change", "npar", "coefficient", "estimate", "std_error", "shift", "se_ratio"]
    notes = [direction.sentence for direction in zero] or ["No combination of random effects has variance zero."]
    if failed:
        notes.append(f"Not estimable with these data: {'; '.join(failed)}.")
    return frame(
        pd.DataFrame(rows, columns=columns),
        caption=f"Fixed effects under simpler random effects ({fit.method})",
        label="tbl-singular",
        notes=tuple(notes),
        index=False,
        headings={
            "model": "Without", "criterion_change": "Criterion +", "npar": "Parameters", "coefficient": "Coefficient",
            "estimate": "Estimate", "std_error": "Std. error", "shift": "Shift (SE)", "se_ratio": "SE ratio",
        },
        formats={"estimate": "estimate", "std_error": "estimate", "criterion_change": "fixed4",
                 "shift": "fixed4", "se_ratio": "fixed4"},
    )  # fmt: skip


def _simpler(fit: Any, groups: set[str]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """What to leave out and the terms that remain, for each singular term."""
    terms = fit.design.terms
    for k, term in enumerate(terms):
        if term.group not in groups:
            continue
        others = (terms[:k], terms[k + 1 :])
        if term.structure == "us" and len(term.names) > 1:
            yield f"correlations in {term.label}", (*others[0], replace(term, structure="diag"), *others[1])
        if term.structure in ("us", "diag"):
            for label, keep in less_one_effect(term):
                less = term.with_effects(keep)
                yield f"{label} by {term.factor}", (*others[0], less, *others[1])
        yield f"{term.label}", (*others[0], *others[1])


def less_one_effect(term: Any) -> Iterator[tuple[str, list[int]]]:
    """Effects that may go without what they are marginal to: not the intercept; a factor's columns together."""
    variables = [name.split("[", 1)[0] for name in term.names]
    for variable in dict.fromkeys(variables):
        keep = [i for i, other in enumerate(variables) if other != variable]
        contains = any(variable in other.split(":") for other in variables if other != variable)
        if variable != "Intercept" and keep and not contains:
            yield variable, keep


def _refit(fit: Any, terms: tuple[Any, ...]) -> tuple[float, int, np.ndarray, np.ndarray]:
    """Criterion, number of parameters, β̂ and its standard errors with other random effects."""
    design = replace(fit.design, terms=terms)
    if terms or design.residual is not None:
        other = estimate(design, reml=fit.reml)
        return other.criterion, other.npar, other.beta, np.sqrt(np.diagonal(other.beta_cov))
    return least_squares(design, reml=fit.reml)


def least_squares(design: Any, *, reml: bool) -> tuple[float, int, np.ndarray, np.ndarray]:
    """The same without random effects: weighted least squares, the criterion with all constants."""
    n, p = design.X.shape
    y = design.y if design.offset is None else design.y - design.offset
    root = np.ones(n) if design.weights is None else np.sqrt(design.weights)
    Q, R = np.linalg.qr(root[:, None] * design.X)
    beta = np.linalg.solve(R, Q.T @ (root * y)) if p else np.empty(0)
    r2 = float(np.sum((root * (y - design.X @ beta)) ** 2))
    nu = n - p if reml else n
    value = nu * (1.0 + np.log(2.0 * np.pi * r2 / nu)) - 2.0 * np.log(root).sum()
    value += 2.0 * np.log(np.abs(np.diagonal(R))).sum() if reml else 0.0
    half = np.linalg.inv(R) if p else R
    return float(value), p + 1, beta, np.sqrt(r2 / nu * np.sum(half**2, axis=1))


def _rows(fit: Any, label: str, criterion: float, npar: int, beta: np.ndarray, stderr: np.ndarray) -> list[tuple]:
    own = fit.stderr.to_numpy()
    parts = zip(fit.design.fixed_names, beta, stderr, (beta - fit.beta) / own, stderr / own, strict=True)
    return [(label, criterion - fit.criterion, npar, *part) for part in parts]
