"""A path along which the deviance of a growth curve model goes to −∞: evidence that there is no estimate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.arguments import check_count
from lmmtools.errors import LMMError, ModelError, UnboundedLikelihood
from lmmtools.formats import counted, format_value, quoted
from lmmtools.frames import Frame, frame
from lmmtools.growth.existence import exact_occasions, null_space, require_maximum
from lmmtools.growth.problem import Problem
from lmmtools.growth.stated import one_of, stated
from lmmtools.growth.structures import STRUCTURES, TITLES

__all__ = ["deviance_path"]

_SINGULAR = 1e-10  # of residuals, relative to Y
_REACHED = 1e-16  # the square of what `exact_occasions` takes for a row of Q_X that is not zero
_MOST_STEPS = 12
_START = 0.1  # of the variance within occasions, where ε begins


@dataclass(frozen=True, eq=False)
class _Path:
    """Σ_ε = K + εP with residuals R for which RP = 0, and what vanishes in words."""

    R: np.ndarray
    K: np.ndarray
    P: np.ndarray
    what: str


def deviance_path(
    Y: Any,
    between: Any,
    within: Any,
    sigma: str = "free",
    *,
    data: Any = None,
    times: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    steps: int = 6,
) -> Frame:
    """The deviance along Σ_ε = K + εP, ε → 0, of a growth curve model that has no estimate.

    Parameters
    ----------
    Y, between, within, sigma, data, times, contrasts
        The model, as for `fit_gmanova`.
    steps : int
        How many ε, each a tenth of the one before: 2 to 12, since double precision loses ε beside K then.

    Returns
    -------
    Frame
        ``epsilon, deviance, change``: the deviance n log det Σ + tr((Y − GBX')Σ⁻¹(Y − GBX')') evaluated as it is
        defined, at one B and each Σ_ε.

    Raises
    ------
    ModelError
        If the likelihood has a maximum: `fit_gmanova` finds it.
    LMMError
        If `steps` is none of 2 to 12.

    Notes
    -----
    B is chosen so that the residuals R = Y − GBX' are zero in k directions that the model's Σ can make singular; P
    projects on these, and K is what is most likely elsewhere. There tr(RΣ_ε⁻¹R') does not depend on ε, and
    n log det Σ_ε is n k log ε and a constant: the deviance falls by n k log 10 with every step, and has no minimum.

    References
    ----------
    de Leeuw, J. (2004). Mixed linear models. UCLA Department of Statistics Papers, Table 1.

    Examples
    --------
    >>> import lmmtools as lt
    >>> data = lt.load_dataset("Orthodont")
    >>> path = lt.deviance_path("distance ~ age | Subject", "free", "~ age", "diagonal", data=data, steps=4)
    >>> path["change"].round(2).tolist()
    [nan, -62.17, -62.17, -62.17]
    """
    structure = one_of(sigma, STRUCTURES, "sigma")
    if check_count(steps, "steps", at_least=2) > _MOST_STEPS:
        raise LMMError(f"steps must be at most {_MOST_STEPS}, since rounding of Σ would swallow ε; got {steps}.")
    responses, _, _, problem = stated(Y, between, within, data, times, contrasts)
    try:
        require_maximum(problem, structure, responses.occasions)
    except UnboundedLikelihood:
        path = _path(problem, structure, responses.occasions)
    else:
        raise ModelError(
            f"deviance_path: with sigma='{structure}' the deviance of this model is bounded below, so no path leads to "
            "−∞: fit_gmanova has its minimum."
        )
    scale = float(np.mean((problem.Y - problem.Y.mean(axis=0)) ** 2)) or 1.0
    epsilon = _START * scale * 10.0 ** -np.arange(steps)
    deviance = np.array([_deviance(path.R, path.K + value * path.P) for value in epsilon])
    table = pd.DataFrame({"epsilon": epsilon, "deviance": deviance, "change": np.diff(deviance, prepend=np.nan)})
    k, n = round(np.trace(path.P)), problem.n
    fall = format_value(n * k * np.log(10.0), "fixed2")
    return frame(
        table,
        caption=f"A path to −∞: the deviance along Σ = K + εP ({TITLES[structure]})",
        label=f"tbl-path-{structure.replace(', ', '-')}",
        notes=(
            f"{path.what} With k = {k} and n = {n} every tenth of ε lowers the deviance by n k log 10 = {fall}, "
            "without end.",
        ),
        headings={"epsilon": "ε", "deviance": "Deviance", "change": "Change"},
        formats={"epsilon": "sci", "deviance": "fixed2", "change": "fixed2"},
        index=False,
    )


def _deviance(R: np.ndarray, Sigma: np.ndarray) -> float:
    """As it is defined: n log det Σ + tr RΣ⁻¹R'."""
    return float(len(R) * np.linalg.slogdet(Sigma)[1] + np.sum(R * np.linalg.solve(Sigma, R.T).T))


def _path(problem: Problem, structure: str, occasions: pd.Index) -> _Path:
    find = {"scalar": _scalar, "diagonal": _diagonal, "free": _free}.get(structure)
    return find(problem, occasions) if find else _random(problem, structure)


def _scalar(problem: Problem, occasions: pd.Index) -> _Path:
    R = problem.residuals(problem.least_squares)
    m = problem.m
    return _Path(R, np.zeros((m, m)), np.eye(m), "The curves go through every observation, and σ² = ε.")


def _through(problem: Problem, v: np.ndarray) -> np.ndarray:
    """Residuals of the B nearest to least squares for which Yv is fitted exactly, as far as X reaches v."""
    QX = problem.within[0]
    A, x = problem.least_squares, QX.T @ v
    if x @ x > _REACHED:
        A = A + np.outer(problem.U @ v - A @ x, x) / (x @ x)
    return problem.residuals(A)


def _diagonal(problem: Problem, occasions: pd.Index) -> _Path:
    j = int(np.argmax(exact_occasions(problem)))
    R = _through(problem, np.eye(problem.m)[j])
    squares = np.mean(R**2, axis=0)
    gone = np.sqrt(squares) <= _SINGULAR * np.sqrt(np.mean(problem.Y**2))
    what = f"Curves go through every observation at {quoted(occasions[gone])}, and the variance there is ε."
    return _Path(R, np.diag(np.where(gone, 0.0, squares)), np.diag(gone * 1.0), what)


def _free(problem: Problem, occasions: pd.Index) -> _Path:
    N = null_space(problem)
    best = N @ np.linalg.svd(N.T @ problem.within[0])[0][:, 0]  # what X reaches best of what G explains
    R = _through(problem, best)
    K, P = _split(R, np.linalg.norm(problem.Y))
    what = (
        f"The curves explain {counted(round(np.trace(P)), 'combination')} of the observations at "
        f"{quoted(occasions, 6)} exactly, with variance ε."
    )
    return _Path(R, K, P, what)


def _split(R: np.ndarray, size: float) -> tuple[np.ndarray, np.ndarray]:
    """R'R/n, and the projection on the directions in which it is zero."""
    _, roots, rows = np.linalg.svd(np.linalg.qr(R, mode="r"))
    rank = int(np.sum(roots > _SINGULAR * size))
    kept = rows[:rank]
    return (kept.T * (roots[:rank] ** 2 / len(R))) @ kept, rows[rank:].T @ rows[rank:]


def _random(problem: Problem, structure: str) -> _Path:
    QX, _, Q2 = problem.within
    R = problem.residuals(problem.least_squares)
    R1 = R @ QX
    K1, P1 = _split(R1, np.linalg.norm(problem.Y))
    sigma2 = float(np.mean((R @ Q2) ** 2))
    if np.linalg.norm(R @ Q2) <= _SINGULAR * np.linalg.norm(problem.Y):  # σ² itself goes to zero
        return _Path(R, QX @ K1 @ QX.T, QX @ P1 @ QX.T + Q2 @ Q2.T, "No observation is off its curve, and σ² = ε.")
    lost = counted(round(np.trace(P1)), "direction")
    what = (
        f"In {lost} of the coefficients nothing varies that G does not explain: there Ω = (ε − σ²)(X'X)⁻¹, which is "
        f"negative, at σ² = {format_value(sigma2, 'estimate')}."
    )
    return _Path(R, QX @ K1 @ QX.T + sigma2 * Q2 @ Q2.T, QX @ P1 @ QX.T, what)
