"""Empirical against fitted covariances of occasions that groups have in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from lmmtools.dependence.places import Places, places_of, refuse_uncommon
from lmmtools.design.crossing import refines
from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import counted
from lmmtools.frames import Frame, frame

__all__ = ["CovarianceMatch", "covariance_match"]

_SHOWN = ("groups", "empirical", "fitted", "std_error", "z", "empirical_cor", "fitted_cor")
# Numbers held at a time.
_AT_ONCE = 4_000_000


class CovarianceMatch(Frame):
    """Empirical and fitted covariances, a row for each pair of occasions.

    Attributes
    ----------
    occasions : tuple of str
        In order.
    variable, group, unit, response, scale : str
        What occasions are of, what is seen at them, in what units, what was fitted, and its units.
    """

    _metadata: ClassVar[list[str]] = [*Frame._metadata, "occasions", "variable", "group", "unit", "response", "scale"]
    occasions: tuple[str, ...] = ()
    variable: str = ""
    group: str = ""
    unit: str = ""
    response: str = ""
    scale: str = ""

    @property
    def _constructor(self) -> type[CovarianceMatch]:
        return CovarianceMatch

    def matrix(self, what: str) -> pd.DataFrame:
        """One of the columns as a symmetric table of occasions, shape (T, T); NaN for pairs never seen together.

        Parameters
        ----------
        what : {"groups", "empirical", "fitted", "std_error", "z", "empirical_cor", "fitted_cor"}
        """
        if what not in _SHOWN:
            raise LMMError(f"matrix: {what!r} is unknown; use one of {', '.join(map(repr, _SHOWN))}.")
        names = list(self.occasions)
        at = {name: k for k, name in enumerate(names)}
        out = np.full((len(names), len(names)), np.nan)
        rows, columns = ([at[name] for name in self[side]] for side in ("first", "second"))
        out[rows, columns] = out[columns, rows] = self[what].to_numpy(dtype=float)
        return pd.DataFrame(out, index=pd.Index(names, name=self.variable), columns=names)


def covariance_match(fit: Any, *, time: Any = None, group: Any = None) -> CovarianceMatch:
    """Empirical covariances of marginal residuals by pairs of occasions, and those that the model fits.

    Parameters
    ----------
    fit : LMMFit
    time, group
        As of `semivariogram`; occasions are the different times, 40 at most, each once in a group.

    Returns
    -------
    CovarianceMatch
        ``first, second`` occasion, ``groups`` seen at both, ``empirical, fitted`` covariance, ``std_error`` of their
        difference, ``z`` the difference over it, ``empirical_cor, fitted_cor``.

    Raises
    ------
    LMMError
        If time or group cannot be found.
    ModelError
        If groups have no occasions in common, or residuals of different groups are correlated.

    Notes
    -----
    The empirical covariance of occasions s and t is the mean of rₛrₜ, r = y − Xβ̂, over the groups seen at both; the
    fitted one the mean of σ̂²(ZTZ' + R) over the same groups. Under REML what estimating β takes from the residuals,
    x'Var(β̂)x of the two rows, is added to the former, so that for a free covariance and complete data both are
    the same, under ML and under REML.

    The standard error is that of the mean of products of normal residuals with the fitted covariance,
    √Σ(VₛₛVₜₜ + Vₛₜ²)/groups, as if that were known: z is held towards zero by what was fitted, more so the
    more parameters the structure has.
    """
    what = "covariance_match"
    places = places_of(fit, time, group, what)
    refuse_uncommon(places, what)
    _refuse_across(fit, places, what)
    T = len(places.times)
    moments = np.zeros((4, T, T))
    for cut in _cuts(fit, places):
        moments += cut.moments
    return _shown(fit, places, *moments)


@dataclass(frozen=True, eq=False)
class _Cut:
    """Some groups: rows, their group's number among these, and their occasion."""

    fit: Any
    rows: np.ndarray
    codes: np.ndarray
    occasion: np.ndarray
    shape: tuple[int, int]
    root: np.ndarray
    taken: np.ndarray

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Values of all rows by group and occasion, shape (g, T, …); zero where a group was not seen."""
        out = np.zeros((*self.shape, *values.shape[1:]))
        out[self.codes, self.occasion] = values[self.rows]
        return out

    @property
    def moments(self) -> np.ndarray:
        """Sums over the groups: how many, products of residuals, fitted covariances, variances of the products."""
        seen = self.spread(np.ones(self.fit.nobs))
        r = self.spread(self.fit.residuals("marginal").to_numpy())
        taken, V = self.spread(self.taken), self.covariances
        d = np.diagonal(V, axis1=1, axis2=2)
        products = np.einsum("gs,gt->st", r, r) + np.einsum("gsp,gtp->st", taken, taken)
        square = np.einsum("gs,gt->st", d, d) + np.einsum("gst,gst->st", V, V)
        return np.array([seen.T @ seen, products, V.sum(axis=0), square])

    @property
    def covariances(self) -> np.ndarray:
        """σ²(ZTZ' + R), shape (g, T, T); zero where a group was not seen."""
        L = self.spread(self.root)
        V = L @ L.transpose(0, 2, 1)
        for term, Lambda in zip(self.fit.design.terms, self.fit.Lambda, strict=True):
            Z, level = self.spread(term.matrix @ Lambda), self.spread(term.codes + 1.0)
            if term.known_root is None:
                same = level[:, :, None] == level[:, None, :]
            else:
                known = term.known_root[np.maximum(level.astype(int) - 1, 0)]
                same = np.einsum("gsk,gtk->gst", known, known)
            V = V + np.einsum("gsq,gtq->gst", Z, Z) * same
        return self.fit.sigma**2 * V


def _cuts(fit: Any, places: Places) -> Iterator[_Cut]:
    """All groups, some at a time."""
    T = len(places.times)
    # L of R = LL' has, in a group's rows, columns of these rows alone: one column an occasion does for all groups.
    basis = np.zeros((fit.nobs, T))
    basis[np.arange(fit.nobs), places.occasion] = 1.0
    root = fit.noise.colour(basis)
    corrected = fit.reml and len(fit.beta) > 0
    taken = fit.design.X @ np.linalg.cholesky(fit.beta_cov) if corrected else np.zeros((fit.nobs, 0))
    order = np.argsort(places.codes, kind="stable")
    ends = np.append(0, np.cumsum(np.bincount(places.codes, minlength=len(places.levels))))
    step = max(_AT_ONCE // (T * T), 1)
    for start in range(0, len(places.levels), step):
        stop = min(start + step, len(places.levels))
        rows = order[ends[start] : ends[stop]]
        yield _Cut(fit, rows, places.codes[rows] - start, places.occasion[rows], (stop - start, T), root, taken)


def _refuse_across(fit: Any, places: Places, what: str) -> None:
    """Refuse groups whose residuals are correlated with those of other groups."""
    if not refines(fit.noise.groups, places.codes):
        raise ModelError(
            f"{what}: residuals of `{fit.design.residual.text}` are correlated across levels of {places.group}; take "
            "groups that hold whole groups of correlated residuals."
        )


def _shown(
    fit: Any, places: Places, counts: np.ndarray, products: np.ndarray, fitted: np.ndarray, square: np.ndarray
) -> CovarianceMatch:
    """The table, from sums over groups."""
    s, t = np.triu_indices(len(counts))
    with np.errstate(divide="ignore", invalid="ignore"):
        E, F = products / counts, fitted / counts
        error = np.sqrt(square) / counts
        table = pd.DataFrame(
            {
                "first": np.array(places.names, dtype=object)[s], "second": np.array(places.names, dtype=object)[t],
                "groups": counts[s, t].astype(int), "empirical": E[s, t], "fitted": F[s, t], "std_error": error[s, t],
                "z": (E - F)[s, t] / error[s, t],
                "empirical_cor": _correlation(E)[s, t], "fitted_cor": _correlation(F)[s, t],
            }
        )  # fmt: skip
    never = int((table["groups"] == 0).sum())
    notes = (f"{counted(never, 'pair')} of occasions were never seen together.",) if never else ()
    across = [term.factor for term in fit.design.terms if not refines(term.codes, places.codes)]
    if across:
        shared = f"random effects of {', '.join(across)} are shared"
        notes += (f"Levels of {places.group} are not independent ({shared}), which standard errors do not allow for.",)
    made = frame(
        table,
        caption=f"Empirical and fitted covariances of {fit.response} by {places.axis}, "
        f"{counted(len(places.levels), 'level')} of {places.group}",
        label="tbl-covariance-match",
        notes=(*notes, "z: difference over its standard error, were the fitted covariance known."),
        headings={"first": places.axis, "second": "and", "groups": "Seen", "empirical": "Empirical", "fitted": "Fitted",
                  "std_error": "Std. error", "z": "z", "empirical_cor": "Cor. empirical", "fitted_cor": "fitted"},
        formats={"z": "fixed2", "empirical_cor": "fixed3", "fitted_cor": "fixed3"},
        index=False,
        cls=CovarianceMatch,
    )  # fmt: skip
    made.occasions, made.variable, made.group = places.names, places.axis, places.group
    made.unit, made.response = fit.design.units.get(places.axis, ""), fit.response
    made.scale = fit.design.units.get(fit.response, "")
    return made


def _correlation(E: np.ndarray) -> np.ndarray:
    sd = np.sqrt(np.diagonal(E))
    return E / np.outer(sd, sd)
