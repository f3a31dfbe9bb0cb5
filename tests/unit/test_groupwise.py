"""Regressions within levels, conditional modes as a table, and shrinkage: against definitions, level by level."""

import dataclasses
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import lmmtools as lt
from lmmtools.groupwise import GroupFits
from tests.definitions.groupwise import error_covariance, own_regression, weights
from tests.designs import problems, wider_problems
from tests.oracle import dense_model


def fitted(problem):
    """The fit, or no example where the design is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        try:
            return lt.fit_lmm(problem.formula, problem.data, reml=problem.reml, **problem.options)
        except lt.ModelError:
            assume(False)


def covariance(fit, factor):
    """T of all terms of a factor over sigma^2, and their columns side by side."""
    places = [k for k, term in enumerate(fit.design.terms) if term.factor == factor]
    q = sum(len(fit.Lambda[k]) for k in places)
    T, at = np.zeros((q, q)), 0
    for k in places:
        stop = at + len(fit.Lambda[k])
        T[at:stop, at:stop], at = fit.Lambda[k] @ fit.Lambda[k].T, stop
    return T, np.hstack([fit.design.terms[k].matrix for k in places]), fit.design.terms[places[0]].codes


def check_regressions(fit, R):
    """Every level's own regression, weights and compromise, from its rows."""
    design = fit.design
    y = design.y - (0.0 if design.offset is None else design.offset)
    target = fit.fitted.to_numpy() - (0.0 if design.offset is None else design.offset)
    for factor in design.factors:
        groups, shrunk = lt.fit_groups(fit, factor=factor), lt.shrinkage(fit, factor)
        T, Z, codes = covariance(fit, factor)
        rss = 0.0
        for j in range(len(groups.columns.levels)):
            rows = np.flatnonzero(codes == j)
            own, bread, left = own_regression(Z[rows], y[rows], R[np.ix_(rows, rows)])
            rss += left
            size = np.nanmax(np.abs(own), initial=1.0)
            np.testing.assert_allclose(groups.found.coef[j, :, 0], own, atol=1e-7 * size)
            near = 1e-9 * np.nanmax(bread, initial=1)
            np.testing.assert_allclose(groups.found.unscaled[j], bread, rtol=1e-6, atol=near)
            np.testing.assert_allclose(shrunk.std_error[j], fit.sigma * np.sqrt(np.diag(bread)), rtol=1e-6)
            made, _, _ = own_regression(Z[rows], target[rows], R[np.ix_(rows, rows)])
            there = np.isfinite(made)
            # the compromise is the regression of the fitted values, where they determine it
            np.testing.assert_allclose(shrunk.compromise[j, there], made[there], atol=1e-7 * size)
            if shrunk.weights is not None:
                W = weights(Z[rows], T, R[np.ix_(rows, rows)])
                np.testing.assert_allclose(shrunk.weights[j], W, atol=1e-8 * max(np.abs(W).max(), 1.0))
                if there.all():
                    mode = W @ (shrunk.least_squares[j] - shrunk.population[j])
                    np.testing.assert_allclose(shrunk.mode[j], mode, atol=1e-6 * size)
        assert groups.pooled_df == groups.df.sum()
        if groups.pooled_df:
            assert groups.pooled_sigma**2 * groups.pooled_df == pytest.approx(rss, rel=1e-7, abs=1e-9)


def check_errors(fit):
    """Standard errors of the modes, given beta and not."""
    dense = dense_model(fit.design, reml=fit.reml)
    theta = np.append(fit.theta, fit.phi)
    at = dense.fit_at(theta)
    for given_beta in (True, False):
        cov = at.modes_cov if given_beta else error_covariance(dense, theta)
        _, expected = dense.by_factor(dataclasses.replace(at, modes_cov=cov))
        table = lt.conditional_modes(fit, given_beta=given_beta)
        for factor, blocks in expected.items():
            ours = table.loc[table["factor"] == factor, "std_error"].to_numpy() ** 2
            theirs = np.diagonal(blocks, axis1=1, axis2=2).ravel()
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-8 * fit.sigma**2)


@settings(max_examples=12)
@given(st.one_of(problems(), wider_problems()))
def test_every_level_is_what_its_rows_say(problem):
    fit = fitted(problem)
    R = np.diag(np.ones(fit.nobs) if fit.design.weights is None else 1 / fit.design.weights)
    check_regressions(fit, R)
    check_errors(fit)


@pytest.mark.parametrize("residual", ["ar1(age | Subject)", "varident(Sex)", "car1(age | Subject) * varident(Sex)"])
def test_residual_structures_are_the_metric(residual):
    data = lt.load_dataset("Orthodont")
    data = data.drop(data.index[[0, 1, 2, 9, 30, 31]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        fit = lt.fit_lmm("distance ~ age + (age | Subject)", data, residual=residual)
    check_regressions(fit, dense_model(fit.design, reml=True).R(np.append(fit.theta, fit.phi)))
    check_errors(fit)
    assert any("Generalised" in note for note in lt.fit_groups(fit).table.notes)


def test_de_leeuws_identity():
    """E(B | Y) = B~[I − Ω(Ω + σ²I)⁻¹] + B^Ω(Ω + σ²I)⁻¹ for orthonormal columns (rows of B are children)."""
    data = lt.load_dataset("Orthodont")
    ages = np.array([8.0, 10.0, 12.0, 14.0])
    basis = np.column_stack([np.full(4, 0.5), (ages - 11) / np.sqrt(20)])
    np.testing.assert_allclose(basis.T @ basis, np.eye(2), atol=1e-15)
    data = data.assign(p0=0.5, p1=(data["age"] - 11) / np.sqrt(20))
    fit = lt.fit_lmm("distance ~ 0 + (p0 + p1):Sex + (0 + p0 + p1 | Subject)", data, reml=False)
    s = lt.shrinkage(fit)
    Omega = fit.random_covariance["Subject"].to_numpy()
    share = Omega @ np.linalg.inv(Omega + fit.sigma**2 * np.eye(2))
    Y = np.array([data.loc[data["Subject"].astype(str) == one, "distance"] for one in s.matrix("mode").index])
    np.testing.assert_allclose(s.least_squares, Y @ basis, rtol=1e-12)
    expected = s.population @ (np.eye(2) - share).T + (Y @ basis) @ share.T
    np.testing.assert_allclose(s.compromise, expected, rtol=1e-11)
    assert len(np.unique(s.population.round(9), axis=0)) == 2  # boys and girls


@pytest.fixture(scope="module")
def sparse():
    """Three levels of a few rows, one of one row, one of one value, one where x is zero."""
    rng = np.random.default_rng(5)
    g = np.repeat(list("abcdefgh"), [5, 6, 4, 1, 3, 2, 6, 5])
    x = np.round(rng.normal(3, 2, len(g)), 1)
    x[g == "e"], x[g == "f"] = 2.5, 0.0
    y = 4 + x + rng.normal(size=8)[np.unique(g, return_inverse=True)[1]] * (1 + x) + rng.normal(size=len(g))
    return pd.DataFrame({"y": y, "x": x, "z": rng.normal(size=len(g)), "g": g})


def test_what_cannot_be_estimated_has_no_value_and_a_reason(sparse):
    groups = lt.fit_groups("y ~ x | g", sparse)
    assert isinstance(groups, GroupFits)
    lacking = groups.not_estimated.set_index(["level", "effect"])["reason"].to_dict()
    assert lacking == {
        ("d", "Intercept"): "1 row for 2 coefficients",
        ("d", "x"): "1 row for 2 coefficients",
        ("e", "Intercept"): "x has one value in its 3 rows, so that it cannot be told from Intercept",
        ("e", "x"): "x has one value, 2.50, in its 3 rows",
        ("f", "x"): "x is zero in its 2 rows",
    }
    assert groups.coef.loc["f", "Intercept"] == pytest.approx(sparse.loc[sparse["g"] == "f", "y"].mean())
    assert groups.coef.isna().sum().to_dict() == {"Intercept": 2, "x": 3}
    assert groups.df.loc[["d", "e", "f"]].tolist() == [0, 2, 1]
    assert np.isnan(groups.sigma.loc["d"])
    assert any("Intercept in 2 levels and x in 3 levels" in note for note in groups.table.notes)


def test_a_column_that_centring_left_nothing_of_is_zero():
    x = [0.1, 0.7, 0.4, 1.0, 0.2, 0.1 + 0.2 - 0.3, 5e-17]
    data = pd.DataFrame({"y": np.arange(7.0), "x": x, "g": list("aaabbcd")})
    groups = lt.fit_groups("y ~ x | g", data)
    assert groups.coef.loc["c":, "x"].isna().all()


def test_a_level_without_an_estimate_starts_from_the_population(sparse):
    fit = lt.fit_lmm("y ~ x + (x | g)", sparse)
    s = lt.shrinkage(fit)
    np.testing.assert_allclose(s.population, np.tile(fit.fixef, (8, 1)), rtol=1e-8)
    assert np.isnan(s.least_squares[3]).all()
    assert s.reliability[3].tolist() == [0.0, 0.0]
    T, Z = fit.random_covariance["g"].to_numpy(), np.array([[1.0, sparse.loc[sparse["g"] == "d", "x"].item()]])
    left = sparse.loc[sparse["g"] == "d", "y"].to_numpy() - Z @ fit.fixef.to_numpy()
    np.testing.assert_allclose(s.mode[3], T @ Z.T @ np.linalg.solve(Z @ T @ Z.T + fit.sigma**2, left), rtol=1e-7)
    assert s.own.tolist() == [True, True, True, False, False, False, True, True]
    assert any("3 levels" in note for note in s.notes)
    assert s.summary["without"].tolist() == [2, 3]


def test_a_difference_between_levels_is_part_of_the_population(sparse):
    data = sparse.assign(sex=np.where(sparse["g"] < "d", "m", "f"))
    fit = lt.fit_lmm("y ~ x * sex + (x | g)", data)
    s = lt.shrinkage(fit)
    b = fit.fixef.to_numpy()
    np.testing.assert_allclose(s.population[3], b[:2], rtol=1e-7)  # one row, a woman
    np.testing.assert_allclose(s.population[0], [b[0] + b[2], b[1] + b[3]], rtol=1e-7)


def test_a_population_that_few_rows_do_not_determine_is_missing(sparse):
    s = lt.shrinkage(lt.fit_lmm("y ~ x + z + (x | g)", sparse))
    assert np.isnan(s.population[3]).all()
    assert np.isfinite(s.population[0]).all()
    assert any("not determined" in note for note in s.notes)
    assert "cannot be shown" in lt.figure(lt.plots.shrinkage, lt.fit_lmm("y ~ x + z + (x | g)", sparse)).caption


def test_own_variances():
    groups = lt.fit_groups("distance ~ age | Subject", lt.load_dataset("Orthodont"))
    ratio = groups.std_error(pooled=False) / groups.std_error()
    np.testing.assert_allclose(ratio["age"], groups.sigma / groups.pooled_sigma, rtol=1e-12)
    own = groups.intervals(0.9, pooled=False)
    assert own["df"].unique().tolist() == [2]
    np.testing.assert_allclose((own["high"] - own["low"]) / own["std_error"], 2 * 2.919985580355516, rtol=1e-12)


def test_weights_offset_and_formulas_of_their_own():
    data = lt.load_dataset("sleepstudy").assign(w=np.linspace(1, 3, 180), o=np.arange(180.0))
    fit = lt.fit_lmm("Reaction ~ Days + offset(o) + (Days | Subject)", data, weights="w")
    ours, alone = lt.fit_groups(fit), lt.fit_groups("Reaction ~ Days | Subject", data, weights="w", offset="o")
    np.testing.assert_allclose(ours.coef, alone.coef, rtol=1e-12)
    assert alone.fit is None and ours.fit is fit
    bars = lt.fit_groups("Reaction ~ (Days | Subject)", data, weights="w", offset="o")
    np.testing.assert_array_equal(bars.coef, alone.coef)


def test_the_default_factor_has_most_effects():
    data = lt.load_dataset("sleepstudy").assign(h=lambda d: (np.arange(180) * 7 % 5).astype(str))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        fit = lt.fit_lmm("Reaction ~ Days + (1 | h) + (Days || Subject)", data)
    assert lt.fit_groups(fit).factor == lt.shrinkage(fit).factor == "Subject"
    assert set(lt.fit_groups(fit).effects) == {"Intercept", "Days"}
    assert set(lt.conditional_modes(fit)["factor"]) == {"h", "Subject"}
    assert "`h`" in lt.shrinkage(fit).notes[0]


def test_zero_variance_ends_at_the_population():
    s = lt.shrinkage(lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff2")))
    assert not s.mode.any() and not s.weights.any() and not s.reliability.any()
    np.testing.assert_array_equal(s.compromise, s.population)
    assert any("zero" in note for note in s.notes)
    assert np.isnan(s.summary["kept"].iloc[0])


def test_no_fixed_effects():
    fit = lt.fit_lmm("Yield ~ 0 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    s = lt.shrinkage(fit)
    np.testing.assert_array_equal(s.population, np.zeros((6, 1)))
    np.testing.assert_allclose(s.weights[:, 0, 0] * s.least_squares[:, 0], s.mode[:, 0], rtol=1e-12)
    np.testing.assert_allclose(
        lt.conditional_modes(fit, given_beta=False)["std_error"], lt.conditional_modes(fit)["std_error"], rtol=0
    )


def test_related_levels_have_no_weights():
    A = pd.DataFrame(0.5 + 0.5 * np.eye(6), index=list("ABCDEF"), columns=list("ABCDEF"))
    fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"), known={"Batch": A})
    s = lt.shrinkage(fit)
    assert s.weights is None and s.table["weight"].isna().all()
    assert any("learn from one another" in note for note in s.notes)


def refused(match, call, kind=lt.LMMError):
    with pytest.raises(kind, match=match):
        call()


def test_bad_input_has_its_sentence():
    data = lt.load_dataset("sleepstudy")
    fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", data)
    gls = lt.fit_gls("Reaction ~ Days", data, residual="cs(Subject)")
    for ask in (lt.fit_groups, lt.shrinkage, lt.conditional_modes):
        refused("no random effects", lambda ask=ask: ask(gls), lt.ModelError)
        refused("takes a fitted model", lambda ask=ask: ask(data), lt.ModelError)
        refused(r"did you mean `Subject`", lambda ask=ask: ask(fit, factor="subject"))
        refused("is no grouping factor", lambda ask=ask: ask(fit, factor=["Subject"]))
    refused("needs data", lambda: lt.fit_groups("Reaction ~ Days | Subject"))
    refused("formula of a mixed model", lambda: lt.fit_groups(fit.formula, data), lt.FormulaError)
    refused("names no groups", lambda: lt.fit_groups("Reaction ~ Days", data), lt.FormulaError)
    refused("one level only", lambda: lt.fit_groups("Reaction ~ Days | Subject", data.iloc[:10]), lt.DataError)
    refused("leave them out", lambda: lt.fit_groups(fit, data))
    refused("between 0 and 1", lambda: lt.conditional_modes(fit, level=95))
    refused("pooled must be True or False", lambda: lt.fit_groups(fit).std_error("own"))
    refused("did you mean `mode`", lambda: lt.shrinkage(fit).matrix("modes"))
    refused("several grouping factors", lambda: lt.fit_groups("Reaction ~ 1 | Subject/Days", data))


def test_residuals_correlated_across_levels_are_refused():
    data = lt.load_dataset("Orthodont").assign(h=lambda d: (np.arange(108) // 3 % 6).astype(str))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        fit = lt.fit_lmm("distance ~ age + (1 | h)", data, residual="ar1(age | Subject)")
    refused("correlated across levels of `h`", lambda: lt.shrinkage(fit), lt.ModelError)
    refused("correlated across levels of `h`", lambda: lt.fit_groups(fit), lt.ModelError)
    assert len(lt.conditional_modes(fit)) == 6
