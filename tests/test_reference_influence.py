"""Deletion against lme4: six models refitted without each row or level, and the leverages of every lme4 fit."""

import gzip
import json
from functools import cache

import numpy as np
import pytest

import lmmtools as lt
from lmmtools.projection import projection
from tests.reference.lme4_fits import HERE, LARGE, data, fitted, references


@cache
def _file():
    with gzip.open(HERE / "influence.json.gz", "rt", encoding="utf-8") as file:
        return json.load(file)


FITS = {one["id"]: one for one in _file()["fits"]}


@cache
def deleted(name, method="refit"):
    """The reference, our fit, and its influence without each of what the reference left out."""
    reference = FITS[name]
    fit = lt.fit_lmm(reference["formula"], data(reference["dataset"]), reml=reference["method"] == "REML")
    by = name.rsplit("_", 1)[1]
    found = lt.influence(fit, None if by == "obs" else by, method=method)
    return reference, fit, found


def test_all_six_are_here():
    assert len(FITS) == 6
    assert {len(one["deleted"]) for one in FITS.values()} == {6, 18, 27, 30, 103, 180}


@pytest.mark.parametrize("name", FITS)
def test_refits_are_lme4s(name):
    """lme4's own optimum moves theta by 1e-7, of which beta and sigma take a part: 1e-6 of their scale is asked."""
    reference, fit, found = _in_order(name)
    coefficients = [f"dfbeta_{c}" for c in fit.fixef.index]
    scale = np.abs(reference["dfbeta"]).max()
    np.testing.assert_allclose(found[coefficients], reference["dfbeta"], rtol=1e-6, atol=1e-6 * scale)
    np.testing.assert_allclose(found["cooks_distance"], reference["cooks_distance"], rtol=1e-6, atol=1e-8)
    m, p = len(found), len(fit.beta)
    ratio = np.asarray(reference["lme4_cooks_distance"]) / found["cooks_distance"]
    np.testing.assert_allclose(ratio, (m - p) / m, rtol=1e-4)  # lme4's own refits stop sooner than the polished ones


@pytest.mark.parametrize("name", FITS)
def test_so_are_sigma_and_the_standard_deviations(name):
    reference, _, found = _in_order(name)
    parameters = found.attrs["parameters"]
    np.testing.assert_allclose(parameters["sigma"], reference["sigma_deleted"], rtol=1e-6)
    theta = np.array(reference["theta_deleted"])
    sds = parameters[[c for c in parameters.columns if str(c).startswith("sd(")]].to_numpy()
    rows = np.abs(theta) if theta.shape[1] == 1 else np.column_stack([theta[:, 0], np.hypot(theta[:, 1], theta[:, 2])])
    np.testing.assert_allclose(sds / parameters[["sigma"]].to_numpy(), rows, rtol=1e-6)


def _in_order(name):
    """Ours in the reference's order."""
    reference, fit, found = deleted(name)
    order = [str(label) for label in reference["deleted"]]
    parameters = found.parameters
    own = [str(label) for label in found.index]
    if set(own) != set(order):  # rows, which R counts from one
        own = [str(k + 1) for k in range(len(own))]
    place = [own.index(label) for label in order]
    table = found.iloc[place].copy()
    table.attrs["parameters"] = parameters.iloc[place]
    return reference, fit, table


@pytest.mark.parametrize("name", [name for name, one in FITS.items() if "lme4_cooks_distance_merMod" in one])
def test_the_joint_distance_is_lme4s_of_the_fit_itself(name):
    reference, fit, _ = deleted(name)
    found = lt.influence(fit, method="fixed")
    np.testing.assert_allclose(found["cooks_distance_joint"], reference["lme4_cooks_distance_merMod"], rtol=1e-6)


@pytest.mark.parametrize("name", FITS)
def test_one_step_is_near_the_refit(name):
    """Four fifths at least of what deletion does to the parameters, over all rows or levels."""
    _, fit, full = deleted(name)
    by = full.by or None
    step, held = (lt.influence(fit, by, method=m) for m in ("one-step", "fixed"))
    refit = full.parameters.to_numpy()
    left, moved = np.abs(step.parameters.to_numpy() - refit), np.abs(held.parameters.to_numpy() - refit)
    assert np.nansum(left) < 0.2 * np.nansum(moved) + 1e-9


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] if references()[n]["n"] >= LARGE else []) for n in _file()["hatvalues"]],
)
def test_leverages_are_lme4s_hatvalues(name):
    """theta differs by 1e-7 between the optima, leverages by less than that."""
    reference = _file()["hatvalues"][name]
    found = projection(fitted(name)).leverage
    np.testing.assert_allclose(found[:10], reference["first10"], atol=1e-6)
    assert found.sum() == pytest.approx(reference["sum"], rel=1e-6)
