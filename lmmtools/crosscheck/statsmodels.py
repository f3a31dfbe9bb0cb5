"""The same model in statsmodels' MixedLM: can it be said there, how long would it take, what does it find.

It gets the arrays of the design (exog, exog_re, exog_vc), so both engines fit the same numbers; what its optimiser
warns of is kept, never shown as a warning of ours. Its parameters are always turned into our terms: T, the
covariance of the random effects over sigma^2 (its `cov_re_unscaled`), the terms side by side.

Terms of the factor whose levels are the groups (`layout`) are its random effects; those of a factor nested in it are
variance components, one for each variance, with a column for each level in the group; and so are all terms where
factors cross and all rows are one group.

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

from lmmtools.crosscheck.layout import Layout, layout_of

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


@dataclass(frozen=True)
class _Component:
    """One variance of MixedLM's `vcomp`: a term, and the columns that share it."""

    term: int
    columns: tuple[int, ...]


@dataclass(frozen=True)
class _Split:
    """Which terms are random effects of the groups, and what becomes a variance component."""

    layout: Layout
    effects: tuple[int, ...]
    components: tuple[_Component, ...]


def _split(design: Any) -> _Split:
    layout, effects, components = layout_of(design), [], []
    for k, term in enumerate(design.terms):
        columns = tuple(range(term.matrix.shape[1]))
        if term.structure == "homdiag":
            components.append(_Component(k, columns))
        elif term.factor == layout.factor:
            effects.append(k)
        else:
            components += [_Component(k, (column,)) for column in columns]
    return _Split(layout, tuple(effects), tuple(components))


def why_not_expressible(design: Any) -> str:
    """Why MixedLM cannot be given this model, or an empty string."""
    if design.residual is not None:
        return f"MixedLM has independent residuals of one variance; it cannot express {design.residual.text}"
    if not design.terms:
        return "MixedLM needs random effects, and this model has none"
    if design.weights is not None:
        return "MixedLM has no weights for observations (it refuses the argument)"
    if any(t.known_root is not None for t in design.terms):
        return "MixedLM has no known covariance between levels"
    if design.X.shape[1] == 0:
        return "MixedLM needs at least one fixed effect"
    own = [t.structure if isinstance(t.structure, str) else type(t.structure).__name__ for t in design.terms]
    unknown = sorted(set(own) - {"us", "diag", "homdiag"})
    if unknown:
        return f"MixedLM has no covariance structure {', '.join(unknown)}"
    factor = layout_of(design).factor
    inner = [t for t in design.terms if t.factor != factor and t.structure == "us" and t.matrix.shape[1] > 1]
    if inner:
        beside = f"beside {factor}, in which it is nested" if factor else "beside factors that it crosses"
        return (
            f"MixedLM has uncorrelated effects only for a second factor; here {inner[0].factor}, {beside}, has "
            f"{inner[0].matrix.shape[1]} correlated ones"
        )
    return ""


def estimate_seconds(n_rows: int, n_groups: int, n_effects: int, width: int = 0) -> float:
    """About how many seconds MixedLM takes: it loops in Python over groups and pairs of covariance parameters.

    Calibrated on MathAchieve (1 s), 20,000 rows in 2,000 groups (1 to 3 s), 1e6 rows in 10,000 groups (87 s)
    and 125,000 groups of three (more than 100 s); within a factor of three on all of them. With crossed or nested
    factors its dense algebra over the `width` columns of a group comes on top: 3,435 rows of 148 × 19 levels (2 s),
    3,000 rows of 800 × 300 (14 s).
    """
    m = n_effects * (n_effects + 1) / 2
    return n_groups * 3e-4 * (1 + m) + n_rows * 4e-5 * m + 4e-9 * n_rows * float(width) ** 2


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
    """T as statsmodels keeps it: the covariance matrix of the groups' random effects, and variance components."""
    from statsmodels.regression.mixed_linear_model import MixedLMParams

    split = _split(design)
    parts = split.layout.parts(T)
    cov_re = block_diag(*(parts[k] for k in split.effects)) if split.effects else np.zeros((0, 0))
    vcomp = np.array([parts[c.term][c.columns[0], c.columns[0]] for c in split.components])
    return MixedLMParams.from_components(fe_params=beta, cov_re=cov_re, vcomp=vcomp)


def _model(design: Any) -> tuple[Any, Any]:
    """A new MixedLM of the design's arrays, and the mask of free parameters its `fit` wants (or None)."""
    from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams

    split = _split(design)
    effects = [design.terms[k] for k in split.effects]
    y = design.y if design.offset is None else design.y - design.offset
    exog_re = np.hstack([t.matrix for t in effects]) if effects else None
    spec = _components(design, split)
    model = MixedLM(np.array(y), np.array(design.X), groups=split.layout.codes, exog_re=exog_re, exog_vc=spec)
    widths = [(t.structure, t.matrix.shape[1]) for t in effects]
    masks = [np.ones((q, q)) if structure == "us" else np.eye(q) for structure, q in widths]
    mask = block_diag(*masks) if masks else np.zeros((0, 0))
    if np.all(mask == 1):
        return model, None
    ones = np.ones(design.X.shape[1])
    return model, MixedLMParams.from_components(fe_params=ones, cov_re=mask, vcomp=np.ones(len(split.components)))


def _components(design: Any, split: _Split) -> Any:
    """The variance components' columns, group by group: a column for each level there and each effect."""
    from statsmodels.regression.mixed_linear_model import VCSpec

    if not split.components:
        return None
    layout = split.layout
    rows = np.split(np.argsort(layout.codes, kind="stable"), np.cumsum(np.bincount(layout.codes))[:-1])
    names, mats = [], []
    for c in split.components:
        matrix, slots = design.terms[c.term].matrix[:, list(c.columns)], layout.slots[c.term]
        per_group = []
        for at in rows:
            levels = np.arange(int(slots[at].max()) + 1)
            block = (slots[at][:, None] == levels)[:, :, None] * matrix[at][:, None, :]
            per_group.append(block.reshape(len(at), -1))
        mats.append(per_group)
        names.append([[f"b{i}" for i in range(block.shape[1])] for block in per_group])
    return VCSpec([f"v{i}" for i in range(len(mats))], names, mats)


def _read(design: Any, result: Any) -> dict[str, Any]:
    """The result's numbers in our terms; read at once, for some are evaluated through the model."""
    split, cov_re = _split(design), np.asarray(result.cov_re_unscaled)
    blocks, start = [np.zeros((q, q)) for q in split.layout.sizes], 0
    for k in split.effects:
        q = split.layout.sizes[k]
        blocks[k] = cov_re[start : start + q, start : start + q]
        start += q
    for c, value in zip(split.components, np.asarray(result.vcomp) / result.scale, strict=True):
        blocks[c.term][list(c.columns), list(c.columns)] = value
    p = design.X.shape[1]
    return {
        "T": block_diag(*blocks),
        "beta": np.asarray(result.fe_params, dtype=float),
        "variances": np.diag(np.asarray(result.cov_params()))[:p].copy(),
        "sigma2": float(result.scale),
        "loglik": float(result.llf),
        "error": "",
    }
