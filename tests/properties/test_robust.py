"""Cluster-robust covariances: by their definition on small random designs."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import lmmtools as lt
from lmmtools.inference.robust import robust_functions, robust_vcov
from tests.definitions.robust import robust
from tests.designs import RANDOM_PARTS, STRUCTURED_PARTS, Problem, problems
from tests.oracle import dense_model

# All effects within g: one factor, factors nested in g, structures.
WITHIN = (
    *RANDOM_PARTS[:-1], "(1 | g/k)", "(1 + x | g) + (1 + x | g:k)", "(1 | g:h) + (1 | g)",
    *(part for part in STRUCTURED_PARTS if "h)" not in part),
)  # fmt: skip


def _fit(problem: Problem):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        try:
            return lt.fit_lmm(problem.formula, problem.data, reml=problem.reml, **problem.options)
        except lt.ModelError:
            assume(False)


@settings(max_examples=80)
@given(problems(WITHIN), st.sampled_from(["CR0", "CR1", "CR2"]))
def test_the_covariance_and_its_degrees_of_freedom_are_the_dense_ones(problem, kind):
    fit = _fit(problem)
    assume(len(fit.beta))
    codes = np.unique(problem.data["g"].to_numpy()[fit.design.index], return_inverse=True)[1]
    V, df = robust(dense_model(fit.design, reml=fit.reml), fit.theta, codes, kind)
    ours = robust_vcov(fit, "g", kind)
    size = np.sqrt(np.outer(np.diag(fit.beta_cov), np.diag(fit.beta_cov)))
    np.testing.assert_allclose(ours.to_numpy() / size, V / size, atol=1e-7)
    np.testing.assert_allclose(ours.df.to_numpy(), df, rtol=1e-5)


@settings(max_examples=20)
@given(problems(("(1 | g)", "(1 + x | g)")), st.integers(0, 1000))
def test_wider_clusters_and_any_contrast(problem, seed):
    fit = _fit(problem)
    assume(len(fit.beta))
    halves = problem.data["g"].isin(["level 0", "level 1", "level 4"]).to_numpy() * 1
    halves[problem.data["g"] == "level 2"] = 2
    dense = dense_model(fit.design, reml=fit.reml)
    V, _ = robust(dense, fit.theta, halves, "CR2")
    ours = robust_vcov(fit, halves)
    size = np.sqrt(np.outer(np.diag(fit.beta_cov), np.diag(fit.beta_cov)))
    np.testing.assert_allclose(ours.to_numpy() / size, V / size, atol=1e-6)
    l = np.random.default_rng(seed).normal(size=len(fit.beta))
    found = robust_functions(fit, l, halves)
    assert found.std_error[0] ** 2 == pytest.approx(l @ V @ l, abs=1e-6 * (l @ fit.beta_cov @ l))
