"""The shipped fits with residual structures by nlme and glmmTMB, in our notation; see README.md in this folder."""

import warnings
from functools import cache

import numpy as np
import pandas as pd

import lmmtools as lt
from tests.reference.lme4_fits import data, read
from tests.reference.other_fits import theta_of

FILES = ("residual_structures.json.gz", "residual_structures_more.json.gz")

# glmmTMB integrates beta out (REML) of the joint density of beta and the effects, which have the residual variance
# 2^-26 that `dispformula = ~0` leaves: all but X'V^-1 X of 2^26 X'X has to cancel, nine digits of sixteen in the
# fits of Orthodont, twelve in that of sleepstudy. With that variance held at exp(-20), exp(-18), exp(-16), exp(-14)
# its criterion of Orthodont__tmb_cs4_reml is 5e-6, 6e-7, 7e-8, 4e-9 below its own at the same parameters, computed
# densely; its ML criterion, without that determinant, is ours to 1e-8 in all four.
ROUNDED = {
    "sleepstudy__tmb_ar1_nores_reml": 1e-3,
    "Orthodont__tmb_us4_reml": 3e-6,
    "Orthodont__tmb_toep4_reml": 3e-6,
    "Orthodont__tmb_cs4_reml": 3e-6,
}


@cache
def structured() -> dict[str, dict]:
    """Every fit by its name, such as ``Ovary__lme_ar1_reml``."""
    return {fit["id"]: fit for name in FILES for fit in read(name)}


@cache
def tables() -> dict[str, dict]:
    """nlme's tables of likelihood-ratio tests by their names."""
    return {table["id"]: table for table in read("residual_structures.json.gz", "tables")}


def rows(reference: dict) -> pd.DataFrame:
    """The data of a fit.

    Beside the columns of the set there are ``row``, the place of a row in its group where R counted rows
    (``form = ~ 1 | g``), and ``fitted_there``, the fitted values at the reference's parameters where a
    variance is a function of them.
    """
    frame = data(reference["data_frame"])
    if reference["row"]:
        frame = frame.assign(row=frame.groupby(reference["row"], observed=True).cumcount() + 1)
    if "fitted_values" in reference:
        frame = frame.assign(fitted_there=reference["fitted_values"])
    return frame


@cache
def design_there(name: str) -> lt.Design:
    """Our design of the same model; a variance that depends on fitted values takes those of the reference."""
    reference = structured()[name]
    residual = reference["residual"].replace("fitted()", "fitted_there")
    return lt.build_design(
        reference["formula"], rows(reference), contrasts=reference["contrasts"] or None, residual=residual or None
    )


@cache
def refitted(name: str, residual: str | None = None) -> lt.LMMFit:
    """Our fit of the same model, or with another residual structure, made once."""
    reference = structured()[name]
    fit = lt.fit_lmm if "|" in reference["formula"] else lt.fit_gls
    with warnings.catch_warnings():
        warnings.simplefilter("error", lt.LMMWarning)
        warnings.filterwarnings("ignore", "The fit is as good as any")  # the certificate says so, and tests ask it
        return fit(
            reference["formula"],
            rows(reference),
            reml=reference["method"] == "REML",
            residual=(residual or reference["residual"]) or None,
            contrasts=reference["contrasts"] or None,
        )


def parameters_there(name: str) -> np.ndarray:
    """The reference's parameters as our [theta, phi]."""
    reference, design = structured()[name], design_there(name)
    names = design.residual.names if design.residual else ()
    phi = [reference["residual_params"][label] for label in names]
    return np.concatenate([theta_of(reference, design), phi])


def slack(name: str) -> float:
    """How far the reference's criterion may be off at its own parameters."""
    return ROUNDED.get(name, 1e-6)


# The eight models that Jennrich and Schluchter (1986, Biometrics 42, 805-820) compare on the growth of 27 children
# (Potthoff and Roy 1964) by maximum likelihood: mean, residual structure, number of parameters, -2 log-likelihood by
# nlme 3.1-162 (gls; lme for the sixth), whose third decimals are those that textbooks print (Verbeke and Molenberghs
# 2000, the growth data).
EIGHT = {
    1: ("distance ~ Sex * factor(age)", "us(age | Subject) * varident(age)", 18, 416.509302),
    2: ("distance ~ Sex * age", "us(age | Subject) * varident(age)", 14, 419.477048),
    3: ("distance ~ Sex + age", "us(age | Subject) * varident(age)", 13, 426.152703),
    4: ("distance ~ Sex * age", "toep(age | Subject)", 8, 424.643061),
    5: ("distance ~ Sex * age", "ar1(factor(age) | Subject)", 6, 440.681006),
    6: ("distance ~ Sex * age + (age | Subject)", None, 8, 427.805951),
    7: ("distance ~ Sex * age", "cs(Subject)", 6, 428.639058),
    8: ("distance ~ Sex * age", None, 5, 478.241760),
}
