"""Inference of fits with residual structures, from blocks of clusters, against definitions with V written out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import lmmtools as lt
from lmmtools.inference.kenward_roger import kenward_roger
from lmmtools.inference.robust import robust_vcov
from lmmtools.inference.satterthwaite import satterthwaite
from tests.definitions import kenward_roger as kenward_roger_definition
from tests.definitions import satterthwaite as satterthwaite_definition
from tests.definitions.conditional_aic import conditional
from tests.definitions.robust import robust
from tests.oracle import dense_model

LINEAR = (
    "us(t | g) * varident(t)",
    "us(t | g)",
    "us(t | g, by=f) * varident(t:f)",
    "cs(g)",
    "cs(g, by=f) * varident(f)",
    "cs(g, by=f)",
    "toep(t | g)",
    "varident(f)",
    "varident(t)",
    "varfixed(v)",
    "cs(g) * varfixed(v)",
)
CURVED = (
    "cs(g) * varident(f)",
    "toep(t | g, 2) * varident(f)",
    "ar1(t | g)",
    "ar1(t | g, by=f) * varpower(v)",
    "car1(s | g) * varident(f)",
    "arma(t | g, 1, 1)",
    "exp(s | g)",
    "ratio(s + v | g) * varexp(x)",
    "gaus(s | g, nugget=True)",
    "varpower(v | f)",
    "varexp(x) * varident(f)",
    "varconstpower(v)",
)
RANDOM = ("", "", "(1 | g)", "(1 + x | g)", "(x || g)", "(1 | h)", "(0 + x | g) + (1 | h)")
EXAMPLES = settings(max_examples=15)


@dataclass(frozen=True)
class Case:
    """A design, its fit and the dense model at [θ̂, φ̂]."""

    text: str
    fit: lt.LMMFit
    data: pd.DataFrame

    @property
    def parameters(self) -> np.ndarray:
        return np.concatenate([self.fit.theta, self.fit.phi])

    @property
    def dense(self):
        return dense_model(self.fit.design, reml=self.fit.reml)


def drawn(rng: np.random.Generator) -> pd.DataFrame:
    """Groups of one to five rows with gaps in time, shuffled; f is constant in each, h crosses them."""
    sizes = rng.integers(1, 6, rng.integers(9, 15))
    g = np.repeat(np.arange(len(sizes)), sizes)
    t = np.concatenate([np.sort(rng.choice(5, size, replace=False)) for size in sizes])
    n = len(g)
    data = pd.DataFrame(
        {
            "g": [f"g{k}" for k in g],
            "f": np.array(["a", "b"])[g % 2],
            "t": t,
            "s": t + rng.uniform(0.0, 0.5, n),
            "x": rng.normal(size=n),
            "v": rng.uniform(0.5, 3.0, n),
            "w": rng.uniform(0.5, 2.0, n),
            "h": np.array(["p", "q", "r", "s"])[rng.integers(0, 4, n)],
        }
    )
    effects = rng.normal(size=len(sizes))
    noise = rng.normal(size=n) * np.where(data["f"] == "a", 1.0, 1.6) + 0.5 * rng.normal(size=5)[t]
    data["y"] = 2.0 + data["x"] + effects[g] * (1.0 + 0.5 * data["x"]) + noise
    return data.sample(frac=1.0, random_state=int(rng.integers(2**31)))


@st.composite
def cases(draw, structures, *, reml=None):
    """A fit that is an optimum inside the bounds of its residual parameters, or no example."""
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    structure, random = draw(st.sampled_from(structures)), draw(st.sampled_from(RANDOM))
    # in so few rows a function of a covariate beside a random slope often has its optimum at infinity
    assume(not (structure.startswith(("varpower", "varexp", "varconstpower")) and "x" in random))
    weights = draw(st.sampled_from([None, None, "w"]))
    data = drawn(rng)
    reml = draw(st.booleans()) if reml is None else reml
    fixed = draw(st.sampled_from(["y ~ x + f", "y ~ x * f", "y ~ t", "y ~ 1"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        try:
            options = {"residual": structure, "weights": weights, "reml": reml}
            if random:
                fit = lt.fit_lmm(f"{fixed} + {random}", data, **options)
            else:
                fit = lt.fit_gls(fixed, data, **options)
        except lt.ModelError:
            assume(False)
    assume(fit.certificate.status.startswith("certified"))
    # observed second derivatives are compared in other coordinates, in which they differ by what the gradient lacks of
    # zero: so parameters must be known to 1e-7
    least = fit.certificate.hessian_eigenvalues.min(initial=1.0)
    assume(least > 1e-3 and fit.certificate.deviance_left < 1e-14 * least)
    part = fit.working.residual
    assume(not np.any(part.form.on_bound(fit.working_theta[fit.working.places[-1]])))
    return Case(structure, fit, data)


def rows(p: int, seed: int) -> np.ndarray:
    return np.vstack([np.eye(p), np.random.default_rng(seed).normal(size=(2, p))])


def check_kenward_roger(case: Case, seed: int, *, linear: bool, observed: bool = False) -> None:
    fit, p = case.fit, len(case.fit.beta)
    try:
        found = kenward_roger(fit, "observed" if observed else "expected")
    except lt.ModelError as error:
        known = ["information about every covariance parameter", "formula of 1997 does not hold"]
        assert any(said in str(error) for said in known + ["with the observed information"] * observed), error
        assume(False)
    expected = kenward_roger_definition.kenward_roger(case.dense, case.parameters, observed=observed)
    if linear:
        assert found.linear, case.text
    assert found.linear == (kenward_roger_definition.linear_directions(case.dense) is not None), case.text
    size = np.sqrt(np.outer(np.diagonal(expected.Phi), np.diagonal(expected.Phi)))
    np.testing.assert_allclose(found.covariance / size, expected.covariance / size, atol=1e-7)
    L = rows(p, seed)
    np.testing.assert_allclose(found.df(L), [expected.df(l) for l in L], rtol=1e-7)
    np.testing.assert_allclose(found.f_test(L[: p // 2 + 1]), expected.f_test(L[: p // 2 + 1]), rtol=1e-6)


@EXAMPLES
@given(cases(LINEAR, reml=True), st.integers(0, 2**31))
def test_kenward_roger_in_linear_parameters(case, seed):
    check_kenward_roger(case, seed, linear=True)


@EXAMPLES
@given(cases(CURVED, reml=True), st.integers(0, 2**31))
def test_kenward_roger_with_second_derivatives(case, seed):
    check_kenward_roger(case, seed, linear=False)


@EXAMPLES
@given(cases(LINEAR, reml=True), st.integers(0, 2**31))
def test_kenward_roger_in_linear_parameters_with_the_observed_information(case, seed):
    check_kenward_roger(case, seed, linear=True, observed=True)


@EXAMPLES
@given(cases(CURVED, reml=True), st.integers(0, 2**31))
def test_kenward_roger_with_second_derivatives_and_the_observed_information(case, seed):
    check_kenward_roger(case, seed, linear=False, observed=True)


@EXAMPLES
@given(cases((*LINEAR, *CURVED)), st.integers(0, 2**31))
def test_satterthwaite(case, seed):
    fit = case.fit
    found, expected = satterthwaite(fit), satterthwaite_definition.satterthwaite(case.dense, case.parameters)
    L = rows(len(fit.beta), seed)
    np.testing.assert_allclose(found.df(L), [expected.df(l) for l in L], rtol=1e-6)
    np.testing.assert_allclose(found.f_test(L[:2]), expected.f_test(L[:2]), rtol=1e-6)


@EXAMPLES
@given(cases((*LINEAR, *CURVED)), st.sampled_from(["CR0", "CR1", "CR2"]), st.booleans())
def test_robust_covariances(case, kind, larger):
    """By residual group, and by clusters of several."""
    fit, data = case.fit, case.data
    assume(all(term.factor == "g" for term in fit.design.terms))
    cluster = data["g"].str.slice(1).astype(int) // (3 if larger else 1)
    found = robust_vcov(fit, cluster, kind)
    covariance, df = robust(case.dense, case.parameters, pd.factorize(cluster)[0], kind)
    size = np.sqrt(np.outer(np.diagonal(covariance), np.diagonal(covariance)))
    np.testing.assert_allclose(found.to_numpy() / size, covariance / size, atol=1e-7)
    np.testing.assert_allclose(found.df, df, rtol=1e-6)


@EXAMPLES
@given(cases((*LINEAR, *CURVED)))
def test_conditional_aic(case):
    fit = case.fit
    try:
        found = lt.conditional_aic(fit)
    except lt.ModelError:
        assume(False)
    expected = conditional(case.dense, case.parameters)
    np.testing.assert_allclose(found.hat_trace, np.trace(expected.hat), atol=1e-8)
    np.testing.assert_allclose(found.loglik, expected.loglik, atol=1e-8)
    np.testing.assert_allclose(found.effective_df, np.trace(expected.jacobian), atol=1e-6)
