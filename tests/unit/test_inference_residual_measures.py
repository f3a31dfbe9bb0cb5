"""Cluster-robust covariances, conditional AIC and shares of variance of fits with residual structures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.inference.robust import robust_vcov
from tests.definitions.conditional_aic import perturbed_trace
from tests.oracle import dense_model

# Standard errors and degrees of freedom of clubSandwich 0.5.8 for nlme 3.1-162 fits of Orthodont without seven rows:
# gls, and lme with (1 | Subject), both with corCAR1(~ age | Subject) and varIdent(~ 1 | Sex).
CLUBSANDWICH = {
    "gls": {
        "CR0": ([1.353552205001, 0.112571918428, 1.569571534756, 0.129050579005],
                [14.93550231, 14.75318606, 24.75599208, 24.49902941]),
        "CR1": ([1.379336468615, 0.114716338133, 1.599470822026, 0.131508906165],
                [14.93550231, 14.75318606, 24.75599208, 24.49902941]),
        "CR2": ([1.395924918557, 0.116155336062, 1.623940105414, 0.133659156683],
                [14.93019879, 14.73338094, 24.80469746, 24.54012786]),
        "CR3": ([1.446899040633, 0.120417296184, 1.690423067371, 0.138989539145],
                [14.92477046, 14.71335939, 24.84393096, 24.57301073]),
    },
    "lme": {
        "CR2": ([1.343237765560, 0.112829030279, 1.554638175921, 0.130687962520],
                [14.82962457, 14.50602186, 24.24693706, 22.30514718]),
        "CR3": ([1.390714258177, 0.116859175886, 1.615447436091, 0.135795642265],
                [14.81874656, 14.47611218, 24.32707960, 22.40421571]),
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def orthodont() -> pd.DataFrame:
    data = lt.load_dataset("Orthodont")
    data["Sex"] = pd.Categorical(data["Sex"].astype(str), ["Male", "Female"])
    return data.drop(index=data.index[[3, 7, 18, 33, 50, 77, 78]])


@pytest.fixture(scope="module")
def fits(orthodont) -> dict[str, lt.LMMFit]:
    residual = "car1(age | Subject) * varident(Sex)"
    return {
        "gls": lt.fit_gls("distance ~ age * Sex", orthodont, residual=residual),
        "lme": lt.fit_lmm("distance ~ age * Sex + (1 | Subject)", orthodont, residual=residual),
    }


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in CLUBSANDWICH for kind in CLUBSANDWICH[name]])
def test_robust_standard_errors_are_those_of_clubsandwich(name, kind, fits):
    """nlme's lme stops 1e-7 of its parameters short of ours."""
    errors, df = CLUBSANDWICH[name][kind]
    found = robust_vcov(fits[name], "Subject", kind)
    np.testing.assert_allclose(np.sqrt(np.diagonal(found)), errors, rtol=1e-9 if name == "gls" else 2e-7)
    np.testing.assert_allclose(found.df, df, rtol=1e-8 if name == "gls" else 1e-6)


@pytest.mark.parametrize("name", ["gls", "lme"])
def test_cr3_is_the_sum_over_clusters_left_out(name, fits):
    """Σ (β̂₋ⱼ − β̂)(β̂₋ⱼ − β̂)', V held."""
    fit = fits[name]
    dense = dense_model(fit.design)
    V, X, y = dense.V(np.concatenate([fit.theta, fit.phi])), dense.X, dense.response
    codes = fit.design.residual.correlation.codes
    total = np.zeros((4, 4))
    for j in range(codes.max() + 1):
        keep = codes != j
        W = np.linalg.inv(V[np.ix_(keep, keep)])
        moved = np.linalg.solve(X[keep].T @ W @ X[keep], X[keep].T @ W @ y[keep]) - fit.beta
        total += np.outer(moved, moved)
    np.testing.assert_allclose(robust_vcov(fit, "Subject", "CR3"), total, rtol=1e-9)


def test_clusters_that_others_cannot_do_without_have_no_cr3(orthodont):
    one = orthodont.assign(late=(orthodont["Subject"] == "M01") & (orthodont["age"] > 10))
    fit = lt.fit_gls("distance ~ age + late", one, residual="cs(Subject)")
    with pytest.raises(lt.ModelError, match='without 1 cluster the others do not determine.*kind="CR2"'):
        robust_vcov(fit, "Subject", "CR3")


def test_clusters_hold_whole_residual_groups(fits, orthodont):
    fit = fits["gls"]
    words = r"car1\(age \| Subject\) correlates residuals across the clusters of `age`: 27 residual groups of 27"
    with pytest.raises(lt.ModelError, match=words):
        robust_vcov(fit, orthodont["age"])
    by_sex = robust_vcov(fit, orthodont["Sex"])
    assert by_sex.n_clusters == 2
    with pytest.raises(lt.LMMError, match=r"`subject` is no grouping factor.*did you mean `Subject`"):
        robust_vcov(fit, "subject")
    alone = lt.fit_gls("distance ~ age", orthodont, residual="varident(Sex)")
    with pytest.raises(lt.LMMError, match=r"`Subject` is no grouping factor of the fit, which has none"):
        robust_vcov(alone, "Subject")
    assert robust_vcov(alone, orthodont["Subject"]).n_clusters == 27


def test_without_random_effects_the_conditional_aic_is_akaikes(fits):
    fit = fits["gls"].refit(reml=False)
    found = lt.conditional_aic(fit)
    assert found.effective_df == pytest.approx(len(fit.beta), abs=1e-10)
    assert found.caic == pytest.approx(fit.aic, abs=1e-9)
    plain = lt.fit_gls("distance ~ age", lt.load_dataset("Orthodont"), reml=False)
    assert lt.conditional_aic(plain).caic == pytest.approx(plain.aic, abs=1e-9)


@pytest.mark.slow
def test_effective_degrees_of_freedom_are_how_refits_move(fits):
    assert lt.conditional_aic(fits["lme"]).effective_df == pytest.approx(perturbed_trace(fits["lme"]), abs=1e-5)


def test_the_residual_variance_of_shares_is_the_mean_over_the_rows(fits):
    fit = fits["lme"]
    table, shares = lt.r2(fit), lt.icc(fit)
    fixed = np.var(fit.design.X @ fit.beta, ddof=1)
    between = fit.sigma**2 * float(fit.Lambda[0][0, 0]) ** 2
    within = fit.sigma**2 * np.mean(fit.noise.sd**2)
    assert table["marginal"].iloc[0] == pytest.approx(fixed / (fixed + between + within), rel=1e-12)
    assert shares["adjusted"].iloc[0] == pytest.approx(between / (between + within), rel=1e-12)
    for frame in (table, shares, lt.variance_explained(fit)):
        notes = " ".join(frame.notes)
        assert "Residual variances differ by `varident(Sex)`: their mean over the rows" in notes
        assert "car1(age | Subject) correlates count as residual variance" in notes


def test_weights_are_left_aside_of_the_mean(orthodont):
    data = orthodont.assign(w=np.linspace(0.5, 2.0, len(orthodont)))
    fit = lt.fit_lmm("distance ~ age + (1 | Subject)", data, residual="varident(Sex)", weights="w")
    between = float(fit.Lambda[0][0, 0]) ** 2
    s = np.where(data["Sex"] == "Male", 1.0, fit.residual_params["varident[Female]"])
    found = lt.icc(fit, weight=2.0)["adjusted"].iloc[0]
    assert found == pytest.approx(between / (between + np.mean(s**2) / 2.0), rel=1e-12)


def test_bootstrap_limits_of_shares_hold_their_estimate(fits):
    table = lt.r2(fits["lme"], n=60, rng=3)
    assert (table["low"] < table["conditional"]).all()
    assert (table["conditional"] < table["high"]).all()


def test_shares_without_a_meaning_are_refused(fits, orthodont):
    with pytest.raises(lt.ModelError, match="no random effects, so that no variance lies between groups"):
        lt.icc(fits["gls"])
    power = lt.fit_lmm("distance ~ age + (age | Subject)", orthodont, residual="varexp(age)")
    with pytest.raises(lt.ModelError, match=r"residual variance depends on `age` \(varexp\(age\)\).*leave `at` out"):
        lt.icc(power, at={"age": [8, 14]})
    fitted = lt.fit_lmm("distance ~ age + (age | Subject)", orthodont, residual="varexp(fitted())")
    with pytest.raises(lt.ModelError, match="residual variance depends on the fitted values"):
        lt.icc(fitted, at={"age": [8, 14]})
    other = lt.fit_lmm("distance ~ age + (age | Subject)", orthodont, residual="varident(Sex)")
    assert len(lt.icc(other, at={"age": [8, 14]})) == 2
