"""Each random term of a fit tested: dropped, or with one of its effects taken out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.comparison.ratio import likelihood_ratio
from lmmtools.comparison.reference import reference_notes
from lmmtools.comparison.together import require_fits
from lmmtools.core.basis import is_constant
from lmmtools.errors import ModelError
from lmmtools.frames import Frame, frame
from lmmtools.nesting import Nesting, nesting
from lmmtools.results import estimate
from lmmtools.singular import least_squares, less_one_effect

__all__ = ["ranova", "tested_without"]


def ranova(fit: Any) -> Frame:
    """Likelihood-ratio tests of a fit's random terms, one at a time.

    Parameters
    ----------
    fit : LMMFit
        By REML or ML; the smaller models are fitted by the same method, and keep its residual structure.

    Returns
    -------
    Frame
        A row for the fit, ``<none>``, and one for each test: ``npar, loglik, aic, chisq, df, p_value, reference``, of
        the model without what the row names. The references are those of `lrt`.

    Raises
    ------
    ModelError
        If `fit` is no fit, or has no random effects.

    Notes
    -----
    As `ranova` of lmerTest (Kuznetsova, Brockhoff & Christensen 2017, J. Stat. Softw. 82(13)) reduces terms:
    ``(x + z | g)`` to ``(x | g)`` and ``(z | g)``, ``(x | g)`` and ``(0 + f | g)`` of a factor to ``(1 | g)``, with
    effects that an interaction contains kept; ``(1 | g)`` is dropped. ``(0 + x | g)`` of a covariate is dropped too:
    ``(1 | g)`` is no special case of it. So are terms of a structure with correlations of its own.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    >>> table = lt.ranova(fit)
    >>> table.index[1], round(float(table["chisq"].iloc[1]), 4), table["reference"].iloc[1]
    ('Days in (1 + Days | Subject)', 42.8368, '½ χ²(1) + ½ χ²(2)')
    """
    require_fits("ranova", (fit,), at_least=1)
    if not fit.design.terms:
        raise ModelError(
            "ranova: this model has no random effects to test. Its residual structure is compared with others by "
            "residual_structures(fit), or with one other by lrt(…)."
        )
    rows = {"<none>": _numbers(fit.npar, fit.criterion) | {"chisq": np.nan, "df": pd.NA, "p_value": np.nan,
                                                           "reference": ""}}  # fmt: skip
    failed = []
    for label, terms in _smaller(fit):
        try:
            rows[label] = tested_without(fit, terms)
        except ModelError as error:
            failed.append(f"{label}: {error}")
    return frame(
        pd.DataFrame.from_dict(rows, orient="index"),
        caption=f"Likelihood-ratio tests of random effects ({fit.method} fits), one taken out at a time",
        label="tbl-ranova",
        notes=(*reference_notes(row["reference"] for row in rows.values()), *failed),
        headings={"npar": "Parameters", "loglik": "log-lik.", "aic": "AIC", "chisq": "χ²", "df": "df", "p_value": "p",
                  "reference": "Reference"},
        formats={"npar": "int", "loglik": "fixed3", "aic": "fixed2", "chisq": "fixed3", "df": "int", "p_value": "p",
                 "reference": "text"},
    )  # fmt: skip


def _numbers(npar: int, criterion: float) -> dict[str, Any]:
    return {"npar": npar, "loglik": -0.5 * criterion, "aic": criterion + 2.0 * npar}


def tested_without(fit: Any, terms: tuple[Any, ...]) -> dict[str, Any]:
    """The test against the model with these random terms."""
    design = replace(fit.design, terms=terms)
    if terms or design.residual is not None:
        small = estimate(design, reml=fit.reml)
        criterion, npar, step = small.criterion, small.npar, nesting(small, fit)
        if not step.inside:
            raise ModelError("the smaller model is not nested in the fit, so that there is no test.")
    else:
        small, (criterion, npar, *_) = None, least_squares(design, reml=fit.reml)
        step = Nesting(True, True, fit.working.gram.rank, (), ())
    return _numbers(npar, criterion) | likelihood_ratio(small, fit, (criterion, fit.criterion), step)


def _smaller(fit: Any) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """What is taken out, and the random terms that remain, for each test."""
    terms, written = fit.design.terms, [bar.label for bar in fit.design.parsed.random]
    # as written, where the engine's order is another
    order = sorted(range(len(terms)), key=lambda k: written.index(terms[k].label) if terms[k].label in written else k)
    for k in order:
        term = terms[k]
        before, after = terms[:k], terms[k + 1 :]
        if term.structure in ("us", "diag") and len(term.names) > 1:
            reduced = list(_reduced(term))
            if reduced:
                yield from ((f"{label} in {term.label}", (*before, less, *after)) for label, less in reduced)
                continue
        yield term.label, (*before, *after)


def _reduced(term: Any) -> Iterator[tuple[str, Any]]:
    """The term less one effect, or an intercept alone in place of a factor's indicators."""
    for label, keep in less_one_effect(term):
        yield label, term.with_effects(keep)
    variables = {name.split("[", 1)[0] for name in term.names}
    whole = term.matrix.sum(axis=1)
    if len(variables) == 1 and term.structure == "us" and is_constant(whole):
        ones = np.ones((len(whole), 1), order="F")
        yield variables.pop(), replace(term, names=("Intercept",), matrix=ones)
