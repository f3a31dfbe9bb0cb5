"""How each Python engine is asked for a fit with standard errors, and how its θ is read.

An engine is made ready once for a case (its own kind of frame, its own formula) and then called as often as
it is timed. It returns θ in lme4's order, so that every optimum can be judged by one criterion. Nothing
here imports an engine before it is asked for, and lmmtools is one of them: peers live in another
environment.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from benchmarks.cases import Case

Ready = Callable[[], Callable[[], np.ndarray]]  # a fit, which returns how to read its θ (not timed)


def theta_of(T: np.ndarray) -> np.ndarray:
    """θ, the lower triangle by columns of a factor of the relative covariance T (q, q), singular or not."""
    values, vectors = np.linalg.eigh(np.atleast_2d(np.asarray(T, float)))
    upper = np.linalg.qr((vectors * np.sqrt(values.clip(min=0))).T, mode="r")
    signs = np.where(np.diag(upper) < 0, -1.0, 1.0)
    Lambda = (upper * signs[:, None]).T
    return np.concatenate([Lambda[j:, j] for j in range(len(Lambda))])


def by_columns(theta: np.ndarray, sizes: list[int]) -> np.ndarray:
    """θ of unstructured terms with so many effects each, from lower triangles by rows."""
    parts, start = [], 0
    for q in sizes:
        Lambda = np.zeros((q, q))
        Lambda[np.tril_indices(q)] = theta[start : (start := start + q * (q + 1) // 2)]
        parts += [Lambda[j:, j] for j in range(q)]
    return np.concatenate(parts)


def lmmtools(case: Case, frame: pd.DataFrame) -> Ready:
    """All that an LMMFit holds: standard errors, conditional modes with covariances, the certificate."""
    import lmmtools as lt

    def fit():
        result = lt.fit_lmm(case.formula, frame)
        result.beta_cov, result.modes, result.ranef_cov, result.certificate.status  # noqa: B018 - none may be put off
        return lambda: result.theta

    return fit


def mixedlm_rs(case: Case, frame: pd.DataFrame) -> Ready:
    """The mixedlm-rs wheel: statsmodels' interface, a compiled engine."""
    import mixedlm_rs as engine

    ((effects, group),) = case.terms
    terms = "~" + (" + ".join(effects) or "1")

    def fit():
        result = engine.mixedlm(case.fixed, frame, groups=group, re_formula=terms).fit()
        result.bse_fe  # noqa: B018 - standard errors are part of what is timed
        return lambda: theta_of(np.asarray(result.cov_re) / result.scale)

    return fit


def mixedlm(case: Case, frame: pd.DataFrame) -> Ready:
    """The mixedlm wheel: lme4's interface, a compiled engine; its θ runs along the rows of Λ."""
    import mixedlm as engine

    def fit():
        result = engine.lmer(case.formula, frame)
        result.vcov()
        return lambda: by_columns(np.asarray(result.theta, float), [1 + len(effects) for effects, _ in case.terms])

    return fit


def lme_python(case: Case, frame: pd.DataFrame) -> Ready:
    """The lme-python wheel: lme4's interface; takes polars frames, and group labels as text."""
    import lme_python as engine
    import polars as pl

    labels = {name: frame[name].astype(str).to_list() for name in case.groups}
    own = pl.DataFrame({name: frame[name].to_numpy() for name in frame} | labels)

    def fit():
        result = engine.lmer(case.formula, own)
        result.std_errors  # noqa: B018 - standard errors are part of what is timed
        return lambda: np.asarray(result.theta, float)

    return fit


def statsmodels(case: Case, frame: pd.DataFrame) -> Ready:
    """statsmodels' MixedLM, the engine that cross-checks use."""
    import statsmodels.formula.api as engine

    ((effects, group),) = case.terms
    terms = "~" + (" + ".join(effects) or "1")

    def fit():
        result = engine.mixedlm(case.fixed, frame, groups=frame[group], re_formula=terms).fit()
        return lambda: theta_of(np.asarray(result.cov_re) / result.scale)

    return fit


def gpboost(case: Case, frame: pd.DataFrame) -> Ready:
    """The gpboost wheel, by maximum likelihood, the only criterion it has; random intercepts only."""
    import gpboost as engine

    def fit():
        X = np.column_stack([np.ones(len(frame)), *(frame[name] for name in case.predictors)])
        model = engine.GPModel(group_data=frame[case.groups].to_numpy(), likelihood="gaussian", num_parallel_threads=1)
        model.fit(y=frame["y"].to_numpy(), X=X)
        variances = np.ravel(model.get_cov_pars())
        return lambda: np.sqrt(variances[1:] / variances[0])

    return fit


ENGINES = {
    "lmmtools": lmmtools,
    "mixedlm-rs": mixedlm_rs,
    "mixedlm": mixedlm,
    "lme-python": lme_python,
    "statsmodels": statsmodels,
    "gpboost": gpboost,
}
