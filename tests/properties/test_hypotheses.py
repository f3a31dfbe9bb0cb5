"""Hypotheses of types I, II and III equal their definitions over rows, for any coding, with cells missing."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmmtools as lt
from lmmtools.inference.hypotheses import hypotheses
from tests.definitions.hypotheses import Dummies, projector

ONE = ()
# The fixed part as written, and its terms.
PARTS = {
    "a": [ONE, ("a",)],
    "a + b": [ONE, ("a",), ("b",)],
    "a * b": [ONE, ("a",), ("b",), ("a", "b")],
    "a * b + x": [ONE, ("a",), ("b",), ("x",), ("a", "b")],
    "a * b * c": [ONE, ("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c"), ("a", "b", "c")],
    "(a + b + c)^2": [ONE, ("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c")],
    "a * x": [ONE, ("a",), ("x",), ("a", "x")],
    "a * x * z": [ONE, ("a",), ("x",), ("z",), ("a", "x"), ("a", "z"), ("x", "z"), ("a", "x", "z")],
    "a * x + b": [ONE, ("a",), ("x",), ("b",), ("a", "x")],
    "a * b * x": [ONE, ("a",), ("b",), ("x",), ("a", "b"), ("a", "x"), ("b", "x"), ("a", "b", "x")],
    "a / b": [ONE, ("a",), ("a", "b")],
    "a / b / c": [ONE, ("a",), ("a", "b"), ("a", "b", "c")],
    "a : b": [ONE, ("a", "b")],
    "a : b + a : c": [ONE, ("a", "b"), ("a", "c")],
    "x + x : a": [ONE, ("x",), ("x", "a")],
    "a + a : x": [ONE, ("a",), ("a", "x")],
    "0 + a": [("a",)],
    "0 + a + b": [("a",), ("b",)],
    "0 + a * b": [("a",), ("b",), ("a", "b")],
    "0 + a : b": [("a", "b")],
    "0 + x + x : a": [("x",), ("x", "a")],
    "x * z": [ONE, ("x",), ("z",), ("x", "z")],
}
CODINGS = ("treatment", "sum", "helmert", "poly", "SAS")


@st.composite
def cases(draw):
    """A fixed part, unbalanced data with some cells of the factors missing, and codings."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(40, 90))
    data = pd.DataFrame(
        {
            "a": rng.choice(["p", "q", "r"], n, p=[0.5, 0.3, 0.2]),
            "b": rng.choice(["s", "t", "u"], n, p=[0.2, 0.3, 0.5]),
            "c": rng.choice(["v", "w"], n, p=[0.6, 0.4]),
            "x": rng.normal(1.0, 1.0, n),
            "z": rng.normal(0.0, 2.0, n),
        }
    ).astype(dict.fromkeys("abc", object))
    cells = sorted(set(zip(data["a"], data["b"], strict=True)))
    for a, b in rng.permutation(cells)[: draw(st.integers(0, 4))]:
        data = data[~((data["a"] == a) & (data["b"] == b))]
    data = data.reset_index(drop=True)
    data["g"], data["y"] = np.arange(len(data)) % 7, rng.normal(size=len(data))
    part = draw(st.sampled_from(sorted(PARTS)))
    codings = {name: draw(st.sampled_from(CODINGS)) for name in "abc" if name in part}
    return part, data, codings


def design_of(part, data, codings=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        return lt.build_design(f"y ~ {part} + (1 | g)", data, contrasts=codings)


def functions(design, L):
    """Linear functions of the expected response, shape (n, k)."""
    return np.linalg.pinv(design.X).T @ L.T


@settings(max_examples=40, deadline=None)
@given(cases())
def test_hypotheses_are_those_of_the_definition(case):
    part, data, codings = case
    design, dummies = design_of(part, data, codings), Dummies(data, PARTS[part])
    tested = [term for term in PARTS[part] if term]
    beta = np.linalg.lstsq(design.X, design.y, rcond=None)[0]
    inverse = np.linalg.inv(design.X.T @ design.X)
    for type in (1, 2, 3):
        found = hypotheses(design, type)
        assert len(found) == len(tested)
        for term, L in zip(tested, found.values(), strict=True):
            if type == 3:
                ours, theirs = projector(functions(design, L)), projector(dummies.type3(term))
                assert ours == pytest.approx(theirs, abs=1e-7)
                continue
            value, rank = dummies.reduction(term, type, design.y)
            assert len(L) == rank
            if rank:
                assert (L @ beta) @ np.linalg.solve(L @ inverse @ L.T, L @ beta) == pytest.approx(value, rel=1e-6)


@settings(max_examples=12, deadline=None)
@given(cases(), st.integers(0, 2**32 - 1))
def test_the_order_of_levels_and_the_coding_do_not_matter(case, seed):
    part, data, codings = case
    rng = np.random.default_rng(seed)
    other = data.copy()
    for name in codings:
        levels = rng.permutation(sorted(data[name].unique()))
        other[name] = pd.Categorical(data[name], categories=levels)
    one, two = design_of(part, data, codings), design_of(part, other)
    for type in (1, 2, 3):
        for L, M in zip(hypotheses(one, type).values(), hypotheses(two, type).values(), strict=True):
            assert projector(functions(one, L)) == pytest.approx(projector(functions(two, M)), abs=1e-7)


@pytest.mark.parametrize("part", ["a * b", "a * b * c", "a * x", "a * b * x", "a * b + x", "(a + b + c)^2"])
def test_type_iii_of_sum_to_zero_contrasts_are_the_coefficients(part):
    """Where all cells occur, that is; the definition many know."""
    rng = np.random.default_rng(5)
    data = pd.DataFrame(
        [(a, b, c) for a in "pqr" for b in "stu" for c in "vw" for _ in range(rng.integers(1, 5))], columns=list("abc")
    ).astype(object)
    data["x"], data["y"], data["g"] = rng.normal(size=len(data)), rng.normal(size=len(data)), np.arange(len(data)) % 7
    design = design_of(part, data, {name: "sum" for name in "abc" if name in part})
    for name, L in hypotheses(design, 3).items():
        own = [name.split(":") == [v.split("[")[0] for v in c.split(":")] for c in design.fixed_names]
        assert projector(L.T) == pytest.approx(np.diag(np.array(own, dtype=float)), abs=1e-12)
