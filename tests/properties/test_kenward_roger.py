"""Kenward and Roger's inference from cross-products against its definition with V written out."""

from __future__ import annotations

import warnings
from dataclasses import replace
from unittest import mock

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import lmmtools as lt
from lmmtools.core.several import chainlevels, layout
from lmmtools.inference.kenward_roger import kenward_roger
from tests.definitions import kenward_roger as definition
from tests.designs import KNOWN_PARTS, RANDOM_PARTS, SEVERAL_PARTS, Problem, problems
from tests.oracle import dense_model

# Linear in variances and covariances though not in θ; and parameters that no data tell apart.
HOMCS_PARTS = ("homcs(0 + f | g)", "homcs(0 + f | g) + (1 + x | h)", "(1 | g) + homcs(1 + x + z | h)", "cs(1 + x | g)")
FLAT_PARTS = ("(1 | g) + (0 + f | g)", "(1 + x | g) + homcs(1 + x | g)", "(1 | g) + (1 | g:h) + (0 + f | g)")
LINEAR_KNOWN_PARTS = tuple(part for part in KNOWN_PARTS if "ar1" not in part)
NESTED_PARTS = ("(1 | g/k)", "(1 + x | g) + (1 + x | g:k)", "(1 | g/k) + (1 | h)", "(1 | g:h) + (1 | g) + (0 + x | k)")


def fit_of(problem: Problem) -> lt.LMMFit:
    """The REML fit, or no example where the design is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        try:
            return lt.fit_lmm(problem.formula, problem.data, **problem.options)
        except lt.ModelError:
            assume(False)


def check(problem: Problem, seed: int) -> None:
    fit = fit_of(replace(problem, reml=True))
    p = len(fit.beta)
    assume(p > 0 and fit.certificate.flat_by != "data")
    try:
        found = kenward_roger(fit)
    except lt.ModelError:  # the restricted likelihood says nothing of a variance that standard errors depend on
        assert fit.certificate.flat_by == "design"
        return
    expected = definition.kenward_roger(dense_model(fit.design), fit.theta)
    size = np.sqrt(np.outer(np.diagonal(expected.covariance), np.diagonal(expected.covariance)))
    np.testing.assert_allclose(found.covariance / size, expected.covariance / size, atol=1e-8)
    rng = np.random.default_rng(seed)
    L = np.vstack([np.eye(p), rng.normal(size=(2, p))])
    np.testing.assert_allclose(found.df(L), [expected.df(l) for l in L], rtol=1e-8)
    # orthonormal: random rows may all but repeat each other, and F then has the digits that they leave
    rows = np.linalg.qr(rng.normal(size=(p, p)))[0][: rng.integers(1, p + 1)]
    repeated = np.vstack([rows, rng.normal(size=(2, len(rows))) @ rows])
    np.testing.assert_allclose(found.f_test(rows), expected.f_test(rows), rtol=1e-7)
    np.testing.assert_allclose(found.f_test(repeated), expected.f_test(rows), rtol=1e-7)


@given(problems(RANDOM_PARTS), st.integers(0, 2**31))
def test_one_factor(problem, seed):
    check(problem, seed)


@given(problems((*SEVERAL_PARTS, *HOMCS_PARTS, *FLAT_PARTS)), st.integers(0, 2**31))
def test_several_factors_and_compound_symmetry(problem, seed):
    check(problem, seed)


@given(problems(LINEAR_KNOWN_PARTS, known=True), st.integers(0, 2**31))
def test_known_matrices(problem, seed):
    check(problem, seed)


@settings(max_examples=40)
@given(problems((*SEVERAL_PARTS, *NESTED_PARTS)), st.integers(0, 2**31))
def test_whatever_is_eliminated_first(problem, seed):
    """Small designs go into one dense step: here a factor, or a chain of nested ones, is eliminated before it."""
    with mock.patch.object(layout, "_SMALL", 0), mock.patch.object(chainlevels, "_SMALL", 0):
        check(problem, seed)
