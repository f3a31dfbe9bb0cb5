"""Conditional AIC on real data: by refits, at the boundary, and where it does not exist."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.core.charts import chart
from lmmtools.inference.conditional_aic import (
    _few_products,
    _projected_products,
    _shifts_of_rows,
    conditional_aic,
)
from tests.definitions.conditional_aic import perturbed_trace
from tests.reference.lme4_fits import fitted

FEW = 60  # each row costs two refits
CASES = (
    ("Dyestuff", "Yield ~ 1 + (1 | Batch)", {}),
    ("Dyestuff", "Yield ~ 1 + (1 | Batch)", {"reml": False}),
    ("sleepstudy", "Reaction ~ Days + (Days | Subject)", {}),
    ("sleepstudy", "Reaction ~ Days + (Days || Subject)", {"reml": False}),
    ("sleepstudy", "Reaction ~ Days + (Days | Subject)", {"weights": "w"}),
    ("Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)", {"reml": False}),
    ("Pastes", "strength ~ 1 + (1 | batch/cask)", {}),
)

# Sums of lme4's hatvalues (1.1-31), θ held: interior, singular, weighted, nested, without an intercept.
HATVALUES = {
    "Dyestuff__ri_ml": 4.69516036049206,
    "Alfalfa__splitplot_reml": 24.7786084721905,
    "Machines__nested_reml": 17.7646072122043,
    "TVbo__tv_reml": 38.4742972262523,
    "Wafer__pdDiag_reml": 83.3666276910435,
    "Wafer__rs2_ml": 83.3373031199342,
    "sleepstudy__noint_reml": 33.5464015359687,
    "sleepstudy__weights_reml": 27.3281734385905,
}


def _data(name):
    data = lt.load_dataset(name).head(FEW)
    return data.assign(w=1.0 / (1.0 + np.arange(len(data)) % 3))


def _collapsing():
    """Groups whose slopes do not differ: the covariance found has rank one."""
    rng = np.random.default_rng(3)
    data = _data("sleepstudy")
    subject = np.arange(FEW) // 10
    return data.assign(Reaction=30.0 * rng.normal(size=6)[subject] + data["Days"] + 25.0 * rng.normal(size=FEW))


@pytest.mark.parametrize("name", HATVALUES)
def test_with_theta_held_they_are_lme4s(name):
    assert conditional_aic(fitted(name)).hat_trace == pytest.approx(HATVALUES[name], rel=1e-6)


@pytest.mark.parametrize(("name", "formula", "options"), CASES, ids=[f"{n}-{i}" for i, (n, _, _) in enumerate(CASES)])
def test_the_effective_degrees_of_freedom_are_those_of_refits(name, formula, options):
    fit = lt.fit_lmm(formula, _data(name), **options)
    assert conditional_aic(fit).effective_df == pytest.approx(perturbed_trace(fit), abs=1e-5)


@pytest.mark.parametrize("reml", [True, False])
def test_so_they_are_where_a_combination_of_effects_has_collapsed(reml):
    fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", _collapsing(), reml=reml)
    assert fit.is_singular
    found = conditional_aic(fit)
    assert found.effective_df == pytest.approx(perturbed_trace(fit), abs=1e-4)
    assert found.effective_df > found.hat_trace


def test_without_any_variance_it_is_the_linear_model():
    fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff2"), reml=False)
    found = conditional_aic(fit)
    assert found.effective_df == pytest.approx(1.0)
    assert found.loglik == pytest.approx(fit.loglik)
    assert found.caic == pytest.approx(fit.criterion + 2 * 2)


def test_units_and_codings_change_nothing():
    data = _data("sleepstudy")
    fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", data)
    other = lt.fit_lmm("y ~ x + (x | Subject)", data.assign(y=1e-3 * data["Reaction"] + 1e4, x=7 * data["Days"] + 500))
    assert conditional_aic(other).effective_df == pytest.approx(conditional_aic(fit).effective_df, rel=1e-6)
    assert conditional_aic(other).hat_trace == pytest.approx(conditional_aic(fit).hat_trace, rel=1e-6)


def test_a_factor_that_the_fixed_effects_hold_already_adds_nothing():
    # every g is in the columns of X: nothing of it is left to move the fitted values
    data = _data("sleepstudy")
    fit = lt.fit_lmm("Reaction ~ Subject + (1 | Subject) + (0 + Days | Subject)", data, reml=False)
    assert conditional_aic(fit).effective_df == pytest.approx(perturbed_trace(fit), abs=1e-4)


def test_refused_where_the_parameters_are_no_optimum():
    fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    bad = dataclasses.replace(fit, certificate=dataclasses.replace(fit.certificate, status="not an optimum"))
    with pytest.raises(lt.ModelError, match="no optimum"):
        conditional_aic(bad)
    with pytest.raises(lt.LMMError, match="takes a fit"):
        conditional_aic(fit.design)


def test_flat_directions_that_move_no_fitted_value_do_not_count():
    data = lt.load_dataset("Machines")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        flat = lt.fit_lmm("score ~ Machine + (1 | Worker) + (0 + Machine | Worker)", data)
    whole = lt.fit_lmm("score ~ Machine + (0 + Machine | Worker)", data)
    assert flat.certificate.status == "flat direction"
    assert conditional_aic(flat).effective_df == pytest.approx(conditional_aic(whole).effective_df, abs=1e-4)


@pytest.mark.filterwarnings("ignore::lmmtools.errors.LMMWarning")
@pytest.mark.parametrize("reml", [True, False])
def test_a_covariance_that_no_row_shows_is_no_matter(reml):
    """No subject is both: the covariance of `Male` and `Female` is in no likelihood and moves no fitted value."""
    data = lt.load_dataset("Orthodont")
    both = lt.fit_lmm("distance ~ age * Sex + (0 + Sex | Subject)", data, reml=reml)
    apart = lt.fit_lmm("distance ~ age * Sex + diag(0 + Sex | Subject)", data, reml=reml)
    found, expected = lt.conditional_aic(both), lt.conditional_aic(apart)
    assert found.effective_df == pytest.approx(expected.effective_df, rel=1e-6)
    assert found.caic == pytest.approx(expected.caic, rel=1e-7)


@pytest.mark.filterwarnings("ignore::lmmtools.errors.LMMWarning")
def test_of_as_few_rows_as_effects_the_products_are_made_row_by_row():
    """Columns that hold the response are no design, so 𝒫 is formed; it is that of the cross-products elsewhere."""
    data = lt.load_dataset("sleepstudy").iloc[:40]
    fit = lt.fit_lmm("Reaction ~ Days + (Days || Subject)", data, weights=np.linspace(0.5, 2.0, 40))
    g = _shifts_of_rows(fit, chart(fit.working, fit.working_theta, reduced=True))
    root = np.sqrt(fit.design.weights) / fit.working.noise_scale
    by_rows = _few_products(fit, np.column_stack([g, root * fit.design.y]), root)
    for ours, theirs in zip(_projected_products(fit, g), by_rows, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-9 * np.abs(theirs).max())
    rng = np.random.default_rng(1)
    few = pd.DataFrame(rng.normal(size=(6, 3)), columns=list("xzw")).assign(
        y=rng.normal(size=6) + np.repeat([0.0, 2.0, 4.0], 2), g=np.repeat(list("abc"), 2)
    )
    try:
        found = conditional_aic(lt.fit_lmm("y ~ x + z + w + (x || g)", few))
        assert 4.0 <= found.effective_df < 6.1
    except lt.ModelError as error:
        assert "reproduce" not in str(error)
