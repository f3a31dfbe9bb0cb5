"""Ranges that run beyond all distances: what the certificate says of them, and when it does not."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.estimable.endless import endless_ranges
from lmmtools.estimable.limits import copies_of
from lmmtools.formats import shown

pytestmark = pytest.mark.filterwarnings("ignore:The fit is as good as any:lmmtools.LMMWarning")


@pytest.fixture(scope="module")
def field():
    """Sixty places along a line, whose values wander about a slow trend: no sill is in sight."""
    rng = np.random.default_rng(2)
    x = np.sort(rng.uniform(0.0, 10.0, 60))
    y = 0.3 * x + 3.0 * (x / 5.0 - 1.0) ** 3 + 0.1 * rng.normal(size=60)
    return pd.DataFrame({"x": x, "y": y, "z": rng.normal(size=60)})


@pytest.mark.parametrize("structure", ["exp(x)", "exp(x, nugget=True)", "spher(x, nugget=True)"])
def test_a_range_without_end_is_told_as_one(field, structure):
    fit = lt.fit_gls("y ~ z", field, residual=structure)
    certificate, name = fit.certificate, structure.partition("(")[0] + ".range"
    assert fit.residual_params[name] > 1e4
    assert (certificate.status, certificate.flat_by) == ("flat direction", "data")
    assert f"`{name}` has run beyond all distances" in certificate.sentence
    assert "the semivariogram is a straight line" in certificate.sentence
    assert ("where it starts (σ² times the nugget" in certificate.sentence) is ("nugget" in structure)
    assert certificate.sentence.endswith("the intercept's, is not.")


@pytest.mark.parametrize(
    ("kind", "multiple", "power"), [("exp", 1.0, 1), ("spher", 1.5, 1), ("gaus", 1.0, 2), ("ratio", 1.0, 2)]
)
def test_start_and_slope_are_all_that_the_criterion_sees(field, kind, multiple, power):
    """Far beyond all distances the number that is told and another range give one and the same criterion."""
    design = lt.build_design("y ~ z", field, residual=f"{kind}(x, nugget=True)")
    criterion = lt.Criterion(design, reml=True)
    r = 3e6 if power == 1 else 2e4
    proportion = 0.004 if power == 1 else 0.01  # of the nugget's variance to that of the rise at distance one

    def at(r):
        share = proportion / r**power
        return np.array([r, share / (1.0 + share)])

    assert abs(criterion(at(r)) - criterion(at(0.5 * r))) < 0.01
    working = criterion.working.from_theta(at(r))
    said = endless_ranges(criterion, working, criterion.solve(criterion.working.stacked(working)))
    assert len(said) == 1
    sigma2 = lt.Criterion(design, reml=True).solve(criterion.working.stacked(working)).sigma2
    sigma2 *= (criterion.working.y_scale * criterion.working.noise_scale) ** 2
    rise = float(sigma2) * (1.0 - at(r)[1]) * multiple / r**power
    assert f"({shown(rise)} " in said[0], (said, rise)


def test_a_range_that_levels_of_groups_end_is_not_endless():
    """Several groups tell how high the semivariogram rises: half of a long range would be another model."""
    rng = np.random.default_rng(3)
    level, t = np.repeat(rng.normal(size=10), 20), np.tile(np.arange(20.0), 10)
    data = pd.DataFrame({"y": level + 1e-6 * rng.normal(size=200), "t": t, "g": np.repeat(np.arange(10), 20)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = lt.fit_gls("y ~ 1", data, residual="exp(t | g)")
    assert fit.residual_params["exp.range"] > 1e6
    assert "beyond all distances" not in fit.certificate.sentence


def test_a_range_within_the_field_is_certified(field):
    rng = np.random.default_rng(5)
    distance = np.abs(np.subtract.outer(*[field["x"].to_numpy()] * 2))
    y = np.linalg.cholesky(np.exp(-distance / 0.8)) @ rng.normal(size=60)
    fit = lt.fit_gls("y ~ z", field.assign(y=y), residual="exp(x)")
    assert fit.certificate.status == "certified"


def test_copies_of_rows_under_a_nugget_are_told():
    children = lt.load_dataset("Orthodont")
    twice = pd.concat([children, children.iloc[[2]]], ignore_index=True)
    fit = lt.fit_gls("distance ~ Sex * age", twice, residual="exp(age | Subject, nugget=True)")
    assert fit.certificate.status == "certified"  # far from a nugget of zero there is an optimum
    criterion = lt.Criterion(fit.design)
    towards = criterion.working.from_theta(np.array([40.0, 0.0]))
    assert "rises without bound as `exp.nugget` goes to zero: leave" in copies_of(criterion, towards)
    assert not copies_of(criterion, fit.working_theta)
    other = twice.assign(distance=[*children["distance"], 28.0])
    fit = lt.fit_gls("distance ~ Sex * age", other, residual="exp(age | Subject, nugget=True)")
    assert fit.certificate.status == "certified"
