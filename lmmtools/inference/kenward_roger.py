"""Kenward and Roger's adjusted covariance of the fixed effects and their degrees of freedom.

With V = Var(y) over σ², G_i its derivatives in covariance parameters, P_i, Q_ij and R_ij those of X'V⁻¹X as Kenward &
Roger (1997) have them, and W the inverse of the expected information,

    Φ_A = Φ + 2Φ[Σ W_ij(Q_ij − P_iΦP_j − ¼R_ij)]Φ,    I_ij = ½[tr(V⁻¹G_iV⁻¹G_j) − 2 tr(ΦQ_ij) + tr(ΦP_iΦP_j)].

Where Var(y) is linear in its parameters, in σ² and in the elements of σ²T of every term, R_ij is zero, and all of it
is unchanged by a linear change of parameters. So in place of the residual variance stands the scale of V itself, along
which V⁻¹GV⁻¹ is V⁻¹: then P = −X'V⁻¹X, Q_ij = P_iΦP_j, and the residual's parts are never formed as differences. What
is made of the others is in `expected`. Effects whose variance is estimated at zero take part like all others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import null_space

from lmmtools.core.covariance import LINEAR
from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import counted, listed
from lmmtools.inference.expected import Expected, expected_in_both, expected_in_T, observed_information
from lmmtools.inference.linearity import is_linear
from lmmtools.inference.whitened import Whitened, whitened
from lmmtools.projection.blocks import blocks

__all__ = ["KenwardRoger", "kenward_roger"]

# Share of a direction of V that the fixed effects leave, below which they leave nothing.
_NOTHING_LEFT = 1e-5
# What an adjusted variance may be below the unadjusted one, relatively, before it is no rounding.
_LOST = 1e-3
# What second derivatives may leave of an unadjusted variance: an expansion that takes away more does not converge.
_LEFT_OVER = 0.5
# Eigenvalues of tr(V⁻¹G_iV⁻¹G_j), scaled to a unit diagonal, of parameters that the design does not tell apart.
_SAME = 1e-10


@dataclass(frozen=True)
class KenwardRoger:
    """Inference by Kenward and Roger, in the columns of X.

    Attributes
    ----------
    whitened : Whitened
        β̂, with a root of its unadjusted covariance, Var(β̂) = root root'.
    adjusted : ndarray, shape (p, p)
        The adjusted covariance is root adjusted root'.
    slopes : ndarray, shape (m, p, p)
        C_k, such that root(I + Σ z_kC_k)root', z standard normal, is how Var(β̂) varies to first order.
    linear : bool
        Whether Var(y) is linear in covariance parameters; otherwise second derivatives are part of the adjustment.
    """

    whitened: Whitened
    adjusted: np.ndarray
    slopes: np.ndarray
    linear: bool = True

    def __post_init__(self) -> None:
        for array in (self.adjusted, self.slopes):
            array.setflags(write=False)

    @property
    def covariance(self) -> np.ndarray:
        """The adjusted covariance Φ_A, shape (p, p)."""
        return self.whitened.root @ self.adjusted @ self.whitened.root.T

    @property
    def least(self) -> float:
        """The least that the adjustment leaves of a variance, relative to the unadjusted one."""
        return float(np.linalg.eigvalsh(self.adjusted)[0]) if len(self.adjusted) else 1.0

    def df(self, L: np.ndarray) -> np.ndarray:
        """Degrees of freedom of each row of L alone, shape (k, p) → (k,): 2/A₂, which the general case comes to."""
        rows = self.whitened.rows(L)
        return 2.0 / np.sum(np.sum((rows @ self.slopes) * rows, axis=2) ** 2, axis=0)

    def f_test(self, L: np.ndarray) -> tuple[float, int, float, float]:
        """Scaled F for Lβ = 0, its numerator and denominator degrees of freedom, and the scale; L of shape (k, p).

        Rows that repeat others are left out; without any other there is no test, and what is not counted is NaN. So
        are F, denominator and scale where no F distribution has the moments.

        References
        ----------
        Kenward & Roger (1997), Biometrics 53; Halekoh & Højsgaard (2014), J. Stat. Softw. 59(9).
        """
        found = self.whitened.independent(np.atleast_2d(np.asarray(L, dtype=float)))
        q = len(found)
        if not q:
            return np.nan, 0, np.nan, np.nan
        rows = self.whitened.axes(found)
        along = rows @ self.whitened.z
        wald = float(along @ np.linalg.solve(rows @ self.adjusted @ rows.T, along))
        moved = rows @ self.slopes @ rows.T
        A1, A2 = float(np.sum(np.einsum("kii->k", moved) ** 2)), float(np.sum(moved**2))
        df, scale = _denominator(A1, A2, q)
        if not (df > 0.0 and scale > 0.0):
            return np.nan, q, np.nan, np.nan
        return scale * wald / q, q, df, scale


def _denominator(A1: float, A2: float, q: int) -> tuple[float, float]:
    """Denominator degrees of freedom and the scale of F, from the moments A₁ and A₂ of a hypothesis of q rows.

    Where a moment of F has no value the limits are taken as pbkrtest 0.5-2 takes them, and F is not scaled where its
    degrees of freedom are 2.
    """
    if q == 1:
        return 2.0 / A2, 1.0
    B = (A1 + 6.0 * A2) / (2.0 * q)
    g = ((q + 1.0) * A1 - (q + 4.0) * A2) / ((q + 2.0) * A2)
    c = np.array([g, q - g, q + 2.0 - g]) / (3.0 * q + 2.0 * (1.0 - g))
    V0, V1, V2 = 1.0 + c[0] * B, 1.0 - c[1] * B, 1.0 - c[2] * B
    V0 = 0.0 if abs(V0) < 1e-10 else V0
    mean = 1.0 - A2 / q
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = 1.0 if abs(mean) < 1e-14 and abs(V1) < 1e-14 else np.divide(mean, V1)
        rho = np.divide(ratio**2 * V0, V2) / q
        df = float(4.0 + np.divide(q + 2.0, q * rho - 1.0))
    return df, 1.0 if abs(df - 2.0) < 0.01 else df * mean / (df - 2.0)


def kenward_roger(fit: Any, information: str = "expected") -> KenwardRoger:
    """Kenward and Roger's inference for a REML fit.

    With a residual structure whose covariances make up a linear space (us × an sd for each occasion, cs, toep, sds by
    group) the parameters are its (co)variances, and second derivatives of V vanish. With any other (ar1, car1, arma,
    spatial, powers) they do not, and the adjusted covariance depends on the parameters V is written in: here these are
    σ²T, σ² and φ on its natural scale, as `residual_params` has them. Variances that depend on fitted values are taken
    as known functions of these.

    Parameters
    ----------
    fit : LMMFit
    information : {"expected", "observed"}
        About the covariance parameters. Kenward & Roger have the expected one, as pbkrtest has; SAS PROC MIXED and the
        R package mmrm invert the observed one, as tables do that are asked for ``ddf="kenward-roger-observed"``.

    Returns
    -------
    KenwardRoger

    Raises
    ------
    LMMError
        For another `information`.
    ModelError
        If the fit is by ML; if a term's covariance is not linear in its parameters (cs, ar1, hetar1 of more than two
        effects, a user's structure); if the fixed effects leave nothing to tell a variance by; if a parameter of the
        residual structure is on a bound; if rows that hang together are too many to write their covariance out. With
        the observed information also if a variance is zero, where the likelihood has a slope, or the fit no optimum.

    References
    ----------
    Kenward & Roger (1997), Small sample inference for fixed effects from restricted maximum likelihood, Biometrics
    53, 983-997.
    Halekoh & Højsgaard (2014), A Kenward-Roger approximation and parametric bootstrap methods for tests in linear
    mixed models: the R package pbkrtest, J. Stat. Softw. 59(9).
    """
    if information not in ("expected", "observed"):
        raise LMMError(f'kenward_roger: information={information!r} is unknown; use "expected" or "observed".')
    _refuse(fit)
    linear, p = True, len(fit.beta)
    if fit.working.residual is None:
        parts = expected_in_T(fit)
    else:
        _refuse_bounds(fit, nugget=information == "observed")
        found = blocks(fit, "Kenward and Roger's method", 'ddf="satterthwaite"')
        linear = is_linear(fit, found)
        parts = expected_in_both(fit, found, linear=linear)
    half = _inverse_root(fit, parts)
    if information == "observed":
        _refuse_zero(fit)
        half = _inverse_root(fit, replace(parts, info=observed_information(fit)), observed=True)
    moved = np.tensordot(half[1:].T, parts.P, axes=1)
    adjusted = np.eye(p) + 2.0 * (parts.quadratic(half[1:]) - np.sum(moved @ moved, axis=0))
    if parts.bent is not None:
        adjusted = adjusted - 0.5 * parts.bent(half)
    slopes = moved - half[0][:, None, None] * np.eye(p)
    _refuse_lost(adjusted, linear)
    return KenwardRoger(whitened(fit), adjusted, slopes, linear)


def _inverse_root(fit: Any, parts: Expected, *, observed: bool = False) -> np.ndarray:
    """A root (1 + m, k) of the inverse of the information on the scale of V and its other directions.

    Directions along which V does not change are left out: P and Q are zero along them, and what is computed of a basis
    of the others does not depend on the basis.

    Parameters
    ----------
    fit : LMMFit
    parts : Expected
    observed : bool
        Whether its information is the observed one, of parameters about which there is an expected one.

    Raises
    ------
    ModelError
        If V changes along a direction, and the restricted likelihood does not; or does not bend down.
    """
    info, full = parts.info, parts.full
    size = np.sqrt(np.diagonal(full))
    size[size == 0.0] = 1.0
    flat = _unmoved(fit, full, size) * size
    basis = null_space(flat / np.linalg.norm(flat, axis=1)[:, None]) if len(flat) else np.eye(len(size))
    basis = basis / size[:, None]
    values, vectors = np.linalg.eigh(basis.T @ info @ basis)
    found = basis @ vectors
    _refuse_more(fit, len(values))
    unseen = 2.0 * values <= _NOTHING_LEFT * np.einsum("ik,ij,jk->k", found, full, found)
    if np.any(unseen) and observed:
        _refuse_unbent(fit)
    if np.any(unseen):
        _refuse_unseen(fit, found[1:, unseen].T)
    return found / np.sqrt(values)


def _unmoved(fit: Any, full: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Directions along which V does not change, shape (k, 1 + m)."""
    if fit.working.residual is None:
        return np.pad(fit.working.gram.null_space(), ((0, 0), (1, 0)))
    values, vectors = np.linalg.eigh(full / np.outer(size, size))
    return vectors[:, values <= _SAME * values[-1]].T / size


def _refuse(fit: Any) -> None:
    """Refuse fits by ML and terms that are not linear in their parameters."""
    if not fit.reml:
        raise ModelError(
            "Kenward and Roger's method corrects the covariance of REML estimates, and this fit is by ML: use "
            'fit.refit(reml=True), or ddf="satterthwaite".'
        )
    for term, spec in zip(fit.working.terms, fit.design.terms, strict=True):
        # with at most two effects each structure is its (co)variances, and homcs always is
        small = isinstance(spec.structure, str) and term.q <= 2
        if not (term.structure in LINEAR or term.structure == "homcs" or small):
            if not isinstance(spec.structure, str):
                raise ModelError(
                    "Kenward and Roger's method takes covariances that are linear in their parameters, and whether "
                    f'those of {spec.label}, a structure of your own, are is not known. Use ddf="satterthwaite".'
                )
            raise ModelError(
                f"Kenward and Roger's method takes covariances that are linear in their parameters, and those of "
                f"{spec.label} (`{term.structure}`) are not: its correction then has second derivatives, and depends "
                'on the parameters one writes the covariance in. Use ddf="satterthwaite", or a term with us, diag, '
                "homdiag or homcs."
            )


def _refuse_more(fit: Any, k: int) -> None:
    """Refuse more covariance parameters, k with σ², than n − p contrasts free of fixed effects have (co)variances."""
    nu = fit.nobs - len(fit.beta)
    if k > nu * (nu + 1) // 2:
        raise ModelError(
            f"Kenward and Roger's method needs the information about every covariance parameter, and there are {k}, "
            f"while {fit.nobs} rows leave {counted(nu, 'degree')} of freedom beyond {len(fit.beta)} fixed effects. "
            "Leave out random or fixed effects, or collect more rows."
        )


def _refuse_bounds(fit: Any, *, nugget: bool) -> None:
    """Refuse residual parameters on bounds at which R is singular, or beyond which nothing was looked for.

    At a nugget of zero R is regular: that is refused if asked for, where slopes matter.
    """
    form = fit.working.residual.form
    side = form.on_bound(fit.working_theta[fit.working.places[-1]])
    kept = np.array([".nugget" in name and not nugget for name in fit.residual_params.index], dtype=bool)
    held = [f"{name} = {fit.residual_params[name]:.6g}" for name in fit.residual_params.index[(side != 0) & ~kept]]
    if held:
        raise ModelError(
            "Kenward and Roger's method takes the information about every covariance parameter, and "
            f"{listed(held)} is at the end of its range, where there is none or the covariance of the residuals is "
            'singular. Use ddf="satterthwaite", or a simpler residual structure.'
        )


def _refuse_zero(fit: Any) -> None:
    """Refuse the observed information at a variance of zero, where the restricted likelihood has a slope."""
    if fit.is_singular:
        zero = [f"{effect} in {group}" for group, effect in fit.zero_effects]
        raise ModelError(
            "Kenward and Roger's method with the observed information takes how the restricted likelihood bends at its "
            f"maximum, and the variance of {listed(zero or ['a combination of random effects'])} is estimated as zero, "
            'where it has a slope instead. Use ddf="kenward-roger", whose expected information is defined there, or '
            "leave that effect out."
        )


def _refuse_unbent(fit: Any) -> None:
    """Refuse an observed information that is not positive definite."""
    raise ModelError(
        "Kenward and Roger's method with the observed information takes how the restricted likelihood bends at its "
        "maximum, and along some combination of the covariance parameters it does not bend down (the certificate says "
        f'of this fit: {fit.certificate.status}). Use ddf="kenward-roger", whose information is the expected one, or a '
        "simpler covariance."
    )


def _refuse_lost(adjusted: np.ndarray, linear: bool) -> None:
    """Refuse an adjustment by an expansion that fails, or made negative by rounding: with linear V it never is."""
    if len(adjusted) and not linear and not (least := np.linalg.eigvalsh(adjusted)[0]) > _LEFT_OVER:
        raise ModelError(
            "Kenward and Roger's formula of 1997 does not hold here: its second derivatives in the parameters of this "
            "residual structure, about which the data tell too little, would leave a variance of the estimates "
            f"{least:.2g} times what it is without any adjustment. "
            'Use ddf="satterthwaite", or a structure with fewer parameters.'
        )
    if len(adjusted) and linear and not np.linalg.eigvalsh(adjusted)[0] > 1.0 - _LOST:
        raise ModelError(
            "Kenward and Roger's adjustment of the covariance of the estimates is lost in rounding, as the data tell "
            'next to nothing about some of the covariance parameters. Use ddf="satterthwaite", or leave out a random '
            "effect."
        )


def _refuse_unseen(fit: Any, directions: np.ndarray) -> None:
    """Name the terms and residual parameters that directions of T = Σ t_kD_k and φ, shape (k, m), have part in."""
    moved = np.abs(directions).max(axis=0)
    parts = zip(fit.design.terms, fit.working.slices, strict=True)
    labels = [spec.label for spec, part in parts if moved[part].max() > 1e-6 * moved.max()]
    own = moved[len(moved) - len(fit.phi) :]
    labels += list(fit.residual_params.index[own > 1e-6 * moved.max()])
    raise ModelError(
        "Kenward and Roger's method needs the information about every covariance parameter, and there is none about a "
        f"variance, or a combination of (co)variances, of {listed(labels)}: given the fixed effects, the restricted "
        "likelihood is the same whatever it is, while standard errors are not. Leave that random effect out, or the "
        "fixed effects that already contain its groups."
    )
