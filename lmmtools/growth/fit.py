"""From two formulas and the responses to a fitted growth curve model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import ModelError, UnboundedLikelihood
from lmmtools.formats import counted, shown
from lmmtools.growth.estimators import ALGORITHMS, Estimate, estimate
from lmmtools.growth.existence import require_maximum
from lmmtools.growth.problem import Problem
from lmmtools.growth.responses import Responses
from lmmtools.growth.result import GmanovaFit
from lmmtools.growth.sides import Side
from lmmtools.growth.stated import one_of, stated
from lmmtools.growth.structures import RANDOM, STRUCTURES, parameters

__all__ = ["fit_gmanova"]


def fit_gmanova(
    Y: Any,
    between: Any,
    within: Any,
    sigma: str = "free",
    *,
    data: Any = None,
    times: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    algorithm: str | None = None,
) -> GmanovaFit:
    """Fit the growth curve model Y = G B X' + E, the rows of E independent from N(0, Σ), by maximum likelihood.

    Parameters
    ----------
    Y : str, data frame or array_like, shape (n, m)
        Long data as ``"response ~ time | subject"``, columns of `data`; or a row for each subject and a column for each
        occasion.
    between : str or matrix, shape (n, g)
        G, what subjects differ in: a formula such as ``"~ Sex"``; ``"equal"`` (``"~ 1"``), ``"free"`` (a curve of its
        own for each subject); or the matrix.
    within : str or matrix, shape (m, p)
        X, the curve over occasions: a formula such as ``"~ age"``, ``"~ poly(age, 2)"``; or the matrix.
    sigma : {"free", "diagonal", "scalar", "random", "random, unrestricted"}
        Σ: any covariance matrix, a variance for each occasion, σ²I; or XΩX' + σ²I, of coefficients that vary at random
        among subjects with covariance Ω, or with any symmetric Ω that leaves Σ positive definite.
    data : data frame, optional
        Long data; or, with a wide Y, a row for each subject, matched to Y by labels, by position if either has none.
    times : array_like, shape (m,), Mapping or data frame, optional
        With a wide Y: when the occasions were, or columns with a value for each; read off Y's column names if those are
        numbers.
    contrasts : Mapping, optional
        Coding of factors by column, as for `fit_lmm`.
    algorithm : {"closed form", "alternating"}, optional
        The closed form (Khatri's for a free Σ) is used where there is one, that is unless Σ is diagonal;
        ``"alternating"`` finds the same by alternating generalised least squares.

    Returns
    -------
    GmanovaFit

    Raises
    ------
    UnboundedLikelihood
        If the likelihood has no maximum; found from dimensions and ranks, before anything is estimated. Its `npar` is
        the number of parameters.
    FormulaError
        If a formula cannot be read, or has random terms.
    DataError
        If values are missing, are no numbers, or rows do not match.
    ModelError
        If columns of G or of X are dependent, an argument is unknown, or X has as many columns as there are occasions
        and Ω cannot be told from σ².

    Notes
    -----
    Estimation is by maximum likelihood only. For REML, missing occasions, or other structures of Σ fit the same model
    to long data with `fit_gls`, or with `fit_lmm` where coefficients are random.

    References
    ----------
    Potthoff, R. F. and Roy, S. N. (1964). A generalized multivariate analysis of variance model useful especially for
    growth curve problems. Biometrika 51.
    Khatri, C. G. (1966). A note on a MANOVA model applied to problems in growth curve. Ann. Inst. Stat. Math. 18.
    de Leeuw, J. (2004). Mixed linear models. UCLA Department of Statistics Papers.

    Examples
    --------
    >>> import lmmtools as lt
    >>> data = lt.load_dataset("Orthodont")
    >>> fit = lt.fit_gmanova("distance ~ age | Subject", "~ 0 + Sex", "~ age", data=data)
    >>> round(fit.deviance, 2), fit.npar
    (220.99, 14)
    >>> fit.test({"boys − girls": {"Sex[Male]": 1, "Sex[Female]": -1}}, "age")["p_value"].round(4).tolist()
    [0.0183]
    """
    structure = one_of(sigma, STRUCTURES, "sigma")
    _check_algorithm(algorithm, structure)
    responses, G, X, problem = stated(Y, between, within, data, times, contrasts)
    try:
        require_maximum(problem, structure, responses.occasions)
    except UnboundedLikelihood as error:
        error.npar = problem.g * problem.p + parameters(structure, problem.m, problem.p)
        raise
    chosen = algorithm or ("alternating" if structure == "diagonal" else "closed form")
    found = estimate(problem, structure, chosen)
    return _result(responses, G, X, problem, structure, chosen, found)


def _result(
    responses: Responses, G: Side, X: Side, problem: Problem, structure: str, algorithm: str, found: Estimate
) -> GmanovaFit:
    subjects, occasions = responses.subjects, responses.occasions
    return GmanovaFit(
        response=responses.text,
        between_text=G.text,
        within_text=X.text,
        structure=structure,
        Y=responses.Y,
        between=pd.DataFrame(G.matrix, index=subjects, columns=list(G.names)),
        within=pd.DataFrame(X.matrix, index=occasions, columns=list(X.names)),
        B=pd.DataFrame(problem.coefficients(found.A), index=list(G.names), columns=list(X.names)),
        Sigma=pd.DataFrame(found.Sigma, index=occasions, columns=occasions),
        deviance=found.deviance,
        algorithm=algorithm,
        n_evaluations=found.steps,
        messages=(*G.messages, *X.messages, *_verdict(found), *_about_omega(found, structure)),
        problem=problem,
        random=_omega(problem, found, list(X.names)),
        units=responses.units,
    )


def _omega(problem: Problem, found: Estimate, names: list[str]) -> pd.DataFrame | None:
    """Ω over the columns of X as they were given."""
    if found.components is None:
        return None
    return pd.DataFrame(problem.from_within(found.components.Omega), index=names, columns=names)


def _about_omega(found: Estimate, structure: str) -> tuple[str, ...]:
    """What its eigenvalues say, in an orthonormal basis of X: their signs are those in any."""
    if structure not in RANDOM:
        return ()
    components = found.components
    rank, p = components.rank, len(components.values)
    if structure == "random":
        said = (
            f"Ω is singular, of rank {rank} of {p}: the coefficients of the subjects vary no more than σ² makes the "
            f"least-squares ones vary, {'in any' if not rank else 'in some'} direction."
        )
        return (said,) if rank < p else ()
    negative = int(np.sum(components.values < components.sigma2))
    said = (
        f"Ω has {counted(negative, 'negative eigenvalue')}: it is the covariance of no random coefficients, and Σ to "
        "be read as a covariance of the observations alone."
    )
    return (said,) if negative else ()


def _verdict(found: Estimate) -> tuple[str, ...]:
    """What the search has to say."""
    said = []
    if not found.converged:
        said.append(
            f"the iteration was still moving after {found.steps} steps: the estimate is no optimum to rounding."
        )
    if found.others:
        others = ", ".join(shown(value, 6) for value in found.others[:3])
        said.append(
            f"the likelihood has more than one local maximum: deviances {others} besides {shown(found.deviance, 6)}, "
            "which is the lowest that was found."
        )
    return tuple(said)


def _check_algorithm(algorithm: Any, structure: str) -> None:
    if algorithm is None:
        return
    one_of(algorithm, ALGORITHMS, "algorithm")
    if algorithm == "closed form" and structure == "diagonal":
        raise ModelError("a diagonal Σ has no closed form: leave algorithm out, or use algorithm='alternating'.")
