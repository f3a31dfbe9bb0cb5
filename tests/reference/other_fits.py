"""The shipped fits of nlme and glmmTMB, and their covariances as our theta; see README.md in this folder."""

import re
import warnings
from functools import cache

import numpy as np

import lmmtools as lt
from tests.reference.lme4_fits import data, read

# Where our criterion is lower, and by how much: of two minima the reference is in the higher one.
# glmmTMB stops where an autoregression over ten days leaves no residual (its sd is 0.009 of a reaction time; with a
# residual sd of 15 the criterion is five lower), nlme at an sd of 0.72 where zero is lower.
OTHERS_LOWER = {"sleepstudy__tmb_ar1_reml": 5.01955, "Orthodont__lme_ident_ml": 1.44805}


@cache
def others() -> dict[str, dict]:
    """Every fit by its name, such as ``Oats__lme_cs_reml``."""
    return {fit["id"]: fit for fit in read("nlme_glmmtmb.json.gz")}


@cache
def design_of(name: str) -> lt.Design:
    """Our design of the same model."""
    reference = others()[name]
    return lt.build_design(reference["formula"], data(reference["data_frame"]))


@cache
def refitted(name: str) -> lt.LMMFit:
    """Our fit of the same model, made once."""
    reference = others()[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error", lt.LMMWarning)
        return lt.fit_lmm(reference["formula"], data(reference["data_frame"]), reml=reference["method"] == "REML")


def covariances(reference: dict, design: lt.Design) -> list[np.ndarray]:
    """The reference's covariance of each of our terms, in the order of our design.

    nlme names a nested factor by its inner part alone, and puts the blocks of one factor into one matrix.
    """
    left = {block["group"]: _covariance(block) for block in reference["random"]}
    found, factors = [], {term.factor for term in design.terms}
    for term in design.terms:
        parts = term.factor.split(":")
        names = {term.factor, ":".join(reversed(parts)), *(part for part in parts if part not in factors)}
        group = next(g for g in left if g in names)
        q = len(term.names)
        found.append(left[group][:q, :q])
        left[group] = left[group][q:, q:]
        if not len(left[group]):
            del left[group]
    return found


def _covariance(block: dict) -> np.ndarray:
    sd, corr = np.array(block["sd"], dtype=float), np.array(block["corr"], dtype=float)
    return np.outer(sd, sd) * np.where(np.eye(len(sd), dtype=bool), 1.0, corr)


def theta_there(name: str) -> np.ndarray:
    """The reference's parameters as our theta."""
    return theta_of(others()[name], design_of(name))


def theta_of(reference: dict, design: lt.Design) -> np.ndarray:
    """The covariances and sigma of a reference as the theta of our design."""
    sigma, out = reference["sigma"], []
    for term, covariance in zip(design.terms, covariances(reference, design), strict=True):
        sd = np.sqrt(np.diag(covariance)) / sigma
        if term.structure == "us":
            L = np.linalg.cholesky(covariance / sigma**2)
            out += [L[i, j] for j in range(len(L)) for i in range(j, len(L))]
            continue
        out += [sd[0]] if term.structure in ("homdiag", "homcs", "ar1") else list(sd)
        if term.structure in ("homcs", "cs", "ar1", "hetar1"):
            out.append(covariance[0, 1] / (sigma**2 * sd[0] * sd[1]))
    return np.array(out)


def base(name: str) -> str:
    """Name without the method: ``Oats__lme_cs``."""
    return re.sub(r"_(reml|ml)$", "", name)
