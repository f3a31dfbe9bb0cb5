"""The same model in statsmodels' MixedLM: can it be said there, how long would it take, what does it find.

It gets the arrays of the design (exog, exog_re), so both engines fit the same numbers; what its optimiser
warns of is kept, never shown as a warning of ours. Its parameters are always turned into our terms: T, the
covariance of the random effects over sigma^2 (its `cov_re_unscaled`), the terms of the factor side by side.

Notes
-----
This is what the code of version 0.15 says and measurements confirm: `loglike` takes T, not sigma^2 T; an exactly
singular T makes it +inf; with an eigenvalue below 1e-10 its fixed effects come from a pseudo-inverse, so it is
always called here with `profile_fe=False` and the fixed effects given; `aic` and `bic` are NaN under REML; a
result's `llf` is evaluated through the model and changes when the model is fitted again, so every use makes a
new model.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import block_diag

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["OtherFit", "estimate_seconds", "fit_there", "loglike_there", "why_not_expressible"]


@dataclass(frozen=True)
class OtherFit:
    """What statsmodels reports, in our terms.

    Attributes
    ----------
    T : ndarray (q, q)
        Relative covariance of the random effects.
    beta, variances : ndarray (p,)
        Fixed effects, and the diagonal of what it gives as their covariance matrix (its squared standard
        errors; negative where its Hessian is not definite).
    sigma2, loglik : float
    warnings : tuple of str
        What it warned of, once each.
    error : str
        Why there is no fit; empty when there is one.
    """

    T: NDArray
    beta: NDArray
    variances: NDArray
    sigma2: float
    loglik: float
    warnings: tuple[str, ...]
    error: str


def why_not_expressible(design: Any) -> str:
    """Why MixedLM cannot be given this model, or an empty string."""
    if design.weights is not None:
        return "MixedLM has no weights for observations (it refuses the argument)"
    if len({t.factor for t in design.terms}) > 1:
        factors = ", ".join(dict.fromkeys(t.factor for t in design.terms))
        return f"MixedLM takes one grouping factor with slopes; this model has {factors}"
    if design.X.shape[1] == 0:
        return "MixedLM needs at least one fixed effect"
    unknown = sorted({t.structure for t in design.terms} - {"us", "diag", "homdiag"})
    return f"MixedLM has no covariance structure {', '.join(unknown)}" if unknown else ""


def estimate_seconds(n_rows: int, n_groups: int, n_effects: int) -> float:
    """About how many seconds MixedLM takes: it loops in Python over groups and pairs of covariance parameters.

    Calibrated on MathAchieve (1 s), 20,000 rows in 2,000 groups (1 to 3 s), 1e6 rows in 10,000 groups (87 s)
    and 125,000 groups of three (more than 100 s); within a factor of three on all of them.
    """
    m = n_effects * (n_effects + 1) / 2
    return n_groups * 3e-4 * (1 + m) + n_rows * 4e-5 * m


def fit_there(design: Any, *, reml: bool, start: NDArray | None = None) -> OtherFit:
    """
    Fit the design in statsmodels with its default optimisers.

    Parameters
    ----------
    design : Design
    reml : bool
        Which criterion.
    start : ndarray, shape (q, q), optional
        Relative covariance to start from, in place of statsmodels' own.

    Returns
    -------
    OtherFit
        Where statsmodels fails numerically, `error` quotes its exception and nothing is raised here.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model, free = _model(design)
            first = None if start is None else _parameters(design, start, np.zeros(design.X.shape[1]))
            result = model.fit(start_params=first, reml=reml, free=free)
            outcome = _read(design, result)
        except (np.linalg.LinAlgError, ValueError, FloatingPointError) as error:
            empty = np.zeros(0)
            failure = f"{type(error).__name__}: {error}"
            outcome = {"T": np.zeros((0, 0)), "beta": empty, "variances": empty, "sigma2": np.nan,
                       "loglik": np.nan, "error": failure}  # fmt: skip
    said = tuple(dict.fromkeys(" ".join(str(w.message).split()) for w in caught))
    return OtherFit(**outcome, warnings=said)


def loglike_there(design: Any, T: NDArray, beta: NDArray, *, reml: bool) -> float:
    """
    MixedLM's log-likelihood at a relative covariance and fixed effects of our choice, by a new model.

    Parameters
    ----------
    design : Design
    T : ndarray, shape (q, q)
    beta : ndarray, shape (p,)
    reml : bool
        Which criterion.

    Returns
    -------
    float
        Infinite at an exactly singular T.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its notes on singularity: the caller keeps T away from there
        model, _ = _model(design)
        model.reml, model.cov_pen, model.fe_pen, model._cov_sing = reml, None, None, 0  # set only by .fit()
        return float(model.loglike(_parameters(design, T, beta), profile_fe=False))


def _parameters(design: Any, T: NDArray, beta: NDArray) -> Any:
    """T as statsmodels keeps it: a covariance matrix for `us` and `diag`, one variance for each `homdiag`."""
    from statsmodels.regression.mixed_linear_model import MixedLMParams

    blocks, vcomp, start = [], [], 0
    for term in design.terms:
        stop = start + term.matrix.shape[1]
        if term.structure == "homdiag":
            vcomp.append(T[start, start])
        else:
            blocks.append(T[start:stop, start:stop])
        start = stop
    cov_re = block_diag(*blocks) if blocks else np.zeros((0, 0))
    return MixedLMParams.from_components(fe_params=beta, cov_re=cov_re, vcomp=np.array(vcomp))


def _model(design: Any) -> tuple[Any, Any]:
    """A new MixedLM of the design's arrays, and the mask of free parameters its `fit` wants (or None)."""
    from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams, VCSpec

    codes = design.terms[0].codes
    effects = [t.matrix for t in design.terms if t.structure != "homdiag"]
    common = [t.matrix for t in design.terms if t.structure == "homdiag"]
    spec = None
    if common:
        rows = [np.flatnonzero(codes == level) for level in range(int(codes.max()) + 1)]
        columns = [[[f"b{i}" for i in range(M.shape[1])] for _ in rows] for M in common]
        mats = [[M[at] for at in rows] for M in common]
        spec = VCSpec([f"v{i}" for i in range(len(common))], columns, mats)
    y = design.y if design.offset is None else design.y - design.offset
    exog_re = np.hstack(effects) if effects else None
    model = MixedLM(np.array(y), np.array(design.X), groups=codes, exog_re=exog_re, exog_vc=spec)
    masks = [
        np.ones((t.matrix.shape[1],) * 2) if t.structure == "us" else np.eye(t.matrix.shape[1])
        for t in design.terms
        if t.structure != "homdiag"
    ]
    mask = block_diag(*masks) if masks else np.zeros((0, 0))
    if np.all(mask == 1):
        return model, None
    ones = np.ones(design.X.shape[1])
    return model, MixedLMParams.from_components(fe_params=ones, cov_re=mask, vcomp=np.ones(len(common)))


def _read(design: Any, result: Any) -> dict[str, Any]:
    """The result's numbers in our terms; read at once, for some are evaluated through the model."""
    cov_re, vcomp = np.asarray(result.cov_re_unscaled), iter(np.asarray(result.vcomp) / result.scale)
    blocks, start = [], 0
    for term in design.terms:
        q = term.matrix.shape[1]
        if term.structure == "homdiag":
            blocks.append(next(vcomp) * np.eye(q))
        else:
            blocks.append(cov_re[start : start + q, start : start + q])
            start += q
    p = design.X.shape[1]
    return {
        "T": block_diag(*blocks),
        "beta": np.asarray(result.fe_params, dtype=float),
        "variances": np.diag(np.asarray(result.cov_params()))[:p].copy(),
        "sigma2": float(result.scale),
        "loglik": float(result.llf),
        "error": "",
    }
