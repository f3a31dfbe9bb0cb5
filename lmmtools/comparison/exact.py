"""The likelihood-ratio test of one variance in finite samples, by simulation of its null distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lmmtools.arguments import check_count
from lmmtools.comparison.simulated import SimulatedTest, simulated_test
from lmmtools.comparison.spectral import Spectrum, distinct, draw_ratios, reduced_eigenvalues
from lmmtools.comparison.together import require_fits
from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import counted, quoted
from lmmtools.resampling.blocks import generator_of
from lmmtools.results import estimate
from lmmtools.singular import least_squares

__all__ = ["exact_lrt", "find_term"]

_SEED = 20_042_004
# Above so many effects that differ their eigenvalues take minutes.
_MOST_EFFECTS = 6000


def exact_lrt(
    fit: Any,
    term: str | None = None,
    *,
    fixed: Sequence[str] = (),
    n: int = 100_000,
    rng: np.random.Generator | int | None = None,
) -> SimulatedTest:
    """Test that one random term has variance zero, against the statistic's distribution in samples of this size.

    Parameters
    ----------
    fit : LMMFit
        The larger model, by REML or ML.
    term : str, optional
        The term: its name in ``varcorr`` (``"Subject"``, ``"Subject.1"``) or as it is written,
        ``"(0 + Days | Subject)"``. May be left out where there is one.
    fixed : sequence of str
        Coefficients that are zero under the hypothesis too; by ML.
    n : int
        How many values of the null distribution are drawn.
    rng : numpy.random.Generator or int, optional
        The same draws each time when left out.

    Returns
    -------
    SimulatedTest
        ``.statistic .p_value .mc_error .method``.

    Raises
    ------
    ModelError
        If the fit has a residual structure, the term more than one (co)variance parameter or too many effects, if the
        model is by ML and has other random terms, or if fixed effects are tested by REML.
    LMMError
        If there is no such term or coefficient, `n` is no whole number of at least 1,000, or `rng` gives no random
        numbers.

    Notes
    -----
    With one random term, of one variance and independent effects or effects with a known covariance, the distribution
    is exact up to simulation. With several, a REML fit's restricted ratio of the full model to that without the term is
    held against the distribution in the model with the tested term alone, as if the others were known; `method` then
    says approximate. p is the share of draws larger than the statistic, so that it is below one for a statistic of
    zero: the probability that the ratio is positive.

    References
    ----------
    Crainiceanu, C. M., Ruppert, D. (2004). Likelihood ratio tests in linear mixed models with one variance component.
    J. R. Stat. Soc. B 66.
    Greven, S., Crainiceanu, C. M., Küchenhoff, H., Peters, A. (2008). Restricted likelihood ratio testing for zero
    variance components in linear mixed models. J. Comput. Graph. Stat. 17.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    >>> test = lt.exact_lrt(fit, "Batch")
    >>> round(test.statistic, 4), round(test.p_value, 3)
    (6.369, 0.004)
    """
    require_fits("exact_lrt", (fit,), at_least=1)
    check_count(n, "exact_lrt: n, the number of draws,", at_least=1000)
    rng = generator_of(_SEED if rng is None else rng, "exact_lrt")
    _refuse_residual(fit)
    k = find_term("exact_lrt", fit, term)
    _refuse_parameters(fit.design.terms[k])
    dropped = _columns(fit, fixed)
    others = tuple(t for i, t in enumerate(fit.design.terms) if i != k)
    if others and not fit.reml:
        raise ModelError(
            "exact_lrt: with other random terms the restricted likelihood ratio is what can be simulated; "
            "use fit.refit(reml=True), or bootstrap_lrt(smaller, larger, n, rng) for the fits by ML."
        )
    statistic = max(_null_criterion(fit, others, dropped) - fit.criterion, 0.0)
    mu, xi = _spectra(fit, k)
    draws = draw_ratios(
        mu, None if fit.reml else xi, n=fit.nobs, p=fit.design.X.shape[1], tested=len(dropped), draws=n,
        rng=rng,
    )  # fmt: skip
    method, null = _method(fit, others, dropped, n), _hypothesis(fit, k, dropped)
    return simulated_test(float(statistic), draws, method=method, null=null)


def _refuse_residual(fit: Any) -> None:
    if fit.design.residual is not None:
        raise ModelError(
            f"exact_lrt: the simulated distribution is that for independent residuals of equal variance (over their "
            f"weights); these have the structure `{fit.design.residual.text}`. Use bootstrap_lrt(smaller, larger, n, "
            "rng), or ranova(fit) for many groups."
        )
    if not fit.design.terms:
        raise ModelError("exact_lrt: this model has no random effects, so that there is no variance to test.")


def _method(fit: Any, others: tuple[Any, ...], dropped: list[int], n: int) -> str:
    kind = "restricted likelihood ratio" if fit.reml else "likelihood ratio"
    given = f", approximate: as if {quoted([t.label for t in others])} were known" if others else ""
    means = f", {counted(len(dropped), 'fixed effect')} tested as well" if dropped else ""
    return f"{kind}, finite-sample null distribution from {n:,} draws{means}{given}"


def _hypothesis(fit: Any, k: int, dropped: list[int]) -> str:
    names = [fit.design.fixed_names[j] for j in dropped]
    more = f", {quoted(names)} zero" if names else ""
    return f"{fit.design.terms[k].label} has variance zero{more}"


def find_term(name: str, fit: Any, term: str | None) -> int:
    """Place of a random term that is named by its group in `varcorr` or as it is written.

    Raises
    ------
    LMMError
        If there is no such term, or more than one.
    """
    terms = fit.design.terms
    known = quoted(dict.fromkeys(t for one in terms for t in (one.group, one.label)))
    if term is None:
        if len(terms) == 1:
            return 0
        raise LMMError(f"{name}: the model has {len(terms)} random terms; say which: {known}.")
    wanted = "".join(str(term).split())
    for key in (lambda t: t.group, lambda t: t.label):
        found = [k for k, t in enumerate(terms) if "".join(key(t).split()) == wanted]
        if len(found) == 1:
            return found[0]
    found = [k for k, t in enumerate(terms) if _short(t.label) == _short(str(term))]
    if len(found) == 1:
        return found[0]
    many = f"{len(found)} random terms" if found else "no random term"
    raise LMMError(f"{name}: the model has {many} {term!r}; name one of {known}.")


def _short(label: str) -> str:
    """A term as it is written, an intercept that goes without saying left out."""
    return "".join(label.split()).replace("(1+", "(")


def _refuse_parameters(term: Any) -> None:
    """Refuse a term with more than one (co)variance parameter."""
    from lmmtools.core.covariance import n_theta

    m = n_theta(term.structure, len(term.names))
    if m > 1 or (len(term.names) > 1 and term.structure != "homdiag"):
        raise ModelError(
            f"exact_lrt: {term.label} has {counted(m, '(co)variance parameter')}, and the distribution is known for "
            "one variance; use bootstrap_lrt(smaller, larger, n, rng), or lrt for many groups."
        )


def _columns(fit: Any, fixed: Sequence[str]) -> list[int]:
    """Places of the coefficients that are tested as well."""
    names = list(fit.design.fixed_names)
    wanted = [fixed] if isinstance(fixed, str) else list(fixed)
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise LMMError(f"exact_lrt: there is no fixed effect {quoted(unknown)}; the model has {quoted(names)}.")
    if wanted and fit.reml:
        raise ModelError(
            "exact_lrt: fixed effects are tested by ML, since restricted likelihoods of models that differ in them are "
            "not comparable; use fit.refit(reml=False)."
        )
    return sorted({names.index(name) for name in wanted})


def _null_criterion(fit: Any, others: tuple[Any, ...], dropped: list[int]) -> float:
    """The criterion without the term, and without the fixed effects that are tested."""
    design = replace(fit.design, terms=others)
    if dropped:
        kept = [j for j in range(design.X.shape[1]) if j not in dropped]
        names = tuple(design.fixed_names[j] for j in kept)
        design = replace(design, X=np.asfortranarray(design.X[:, kept]), fixed_names=names)
    return estimate(design, reml=fit.reml).criterion if others else least_squares(design, reml=fit.reml)[0]


def _spectra(fit: Any, k: int) -> tuple[Spectrum, Spectrum]:
    """Eigenvalues of Z'P₀Z and of Z'Z for one term, rows weighted, a known covariance's root within Z."""
    from scipy.sparse import csr_array

    design, term = fit.design, fit.design.terms[k]
    root = np.ones(fit.nobs) if design.weights is None else np.sqrt(design.weights / design.weights.mean())
    basis = np.linalg.qr(root[:, None] * design.X)[0] if design.X.shape[1] else np.zeros((fit.nobs, 0))
    z = root[:, None] * term.matrix
    q, levels = z.shape[1], len(term.levels)
    places = (term.codes[:, None] * q + np.arange(q)).ravel()
    Z = csr_array((z.ravel(), places, np.arange(fit.nobs + 1) * q), shape=(fit.nobs, levels * q))
    C = Z.T @ basis
    if q == 1 and term.known_root is None:
        squares = np.bincount(term.codes, z[:, 0] ** 2, levels)
        _refuse_size(term, len(np.unique(np.round(squares / squares.max(), 12))) * (C.shape[1] + 1), levels)
        return distinct(*reduced_eigenvalues(squares, C)), distinct(squares)
    _refuse_size(term, levels * q, levels * q)
    G = (Z.T @ Z).toarray()
    if term.known_root is not None:
        relate = np.kron(term.known_root, np.eye(q))
        G, C = relate.T @ G @ relate, relate.T @ C
    return distinct(np.linalg.eigvalsh(G - C @ C.T)), distinct(np.linalg.eigvalsh(G))


def _refuse_size(term: Any, effects: int, most: int) -> None:
    if min(effects, most) > _MOST_EFFECTS:
        raise ModelError(
            f"exact_lrt: {term.label} has {most:,} effects of different sizes, whose eigenvalues would take minutes; "
            "with so many groups lrt's mixture is as good, or use bootstrap_lrt(smaller, larger, n, rng)."
        )
