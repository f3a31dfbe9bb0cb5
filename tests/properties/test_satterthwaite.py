"""Satterthwaite's degrees of freedom from the fast path against their definition with V written out."""

from __future__ import annotations

import warnings

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import lmmtools as lt
from lmmtools.inference.satterthwaite import satterthwaite
from tests.definitions import satterthwaite as definition
from tests.designs import KNOWN_PARTS, RANDOM_PARTS, SEVERAL_PARTS, STRUCTURED_PARTS, Problem, problems
from tests.oracle import dense_model


def fit_of(problem: Problem) -> lt.LMMFit:
    """The fit, or no example where the design is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        try:
            return lt.fit_lmm(problem.formula, problem.data, reml=problem.reml, **problem.options)
        except lt.ModelError:
            assume(False)


def check(problem: Problem, seed: int) -> None:
    fit = fit_of(problem)
    p = len(fit.beta)
    assume(p > 0 and fit.certificate.flat_by != "data")
    found = satterthwaite(fit)
    expected = definition.satterthwaite(dense_model(fit.design, reml=problem.reml), fit.theta)
    rng = np.random.default_rng(seed)
    L = np.vstack([np.eye(p), rng.normal(size=(2, p))])
    df, dense = found.df(L), np.array([expected.df(l) for l in L])
    loose = np.isnan(df)
    np.testing.assert_allclose(df[~loose], dense[~loose], rtol=1e-6)
    if loose.any():  # their variance depends on one that the restricted likelihood says nothing of: known to no df
        assert fit.certificate.flat_by == "design"
        assert np.all(dense[loose] < 1e-6)
        return
    # orthonormal: random rows may all but repeat each other, and F then has the digits that they leave
    rows = np.linalg.qr(rng.normal(size=(p, p)))[0][: rng.integers(1, p + 1)]
    np.testing.assert_allclose(found.f_test(rows), expected.f_test(rows), rtol=1e-6)


@given(problems(RANDOM_PARTS), st.integers(0, 2**31))
def test_one_factor(problem, seed):
    check(problem, seed)


@settings(max_examples=30)
@given(problems(SEVERAL_PARTS), st.integers(0, 2**31))
def test_several_factors(problem, seed):
    check(problem, seed)


@settings(max_examples=30)
@given(problems(KNOWN_PARTS, known=True), st.integers(0, 2**31))
def test_known_matrices(problem, seed):
    check(problem, seed)


@settings(max_examples=30)
@given(problems(STRUCTURED_PARTS), st.integers(0, 2**31))
def test_structures(problem, seed):
    check(problem, seed)
