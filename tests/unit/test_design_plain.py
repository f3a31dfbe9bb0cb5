"""Parts of plain columns are built without formulaic: the same columns, names and new rows as with it."""

import numpy as np
import pandas as pd
import pytest

from lmmtools import build_design, load_dataset
from lmmtools.design import matrices
from lmmtools.errors import DataError

FORMULAS = [
    "y ~ x + (x | g)",
    "y ~ 0 + x + k + (0 + x | g)",
    "y ~ x + `a b` + (`a b` || g)",
    "y ~ x + offset(k) + (1 | g)",
    "y ~ k + x + (1 + x | g)",
]


@pytest.fixture
def data():
    rng = np.random.default_rng(1)
    columns = {"y": rng.normal(size=40), "x": rng.normal(size=40), "a b": rng.normal(size=40)}
    return pd.DataFrame({**columns, "k": rng.integers(9, size=40), "g": rng.integers(5, size=40)})


@pytest.mark.parametrize("formula", FORMULAS)
def test_as_formulaic_builds_them(formula, data, monkeypatch):
    plain = build_design(formula, data)
    assert plain.recipe.learnt is None
    monkeypatch.setattr(matrices, "plain_matrices", lambda *_: None)
    full = build_design(formula, data)
    assert full.recipe.learnt is not None
    for a, b in ((plain, full), (plain.new_rows(data[:7]), full.new_rows(data[:7]))):
        np.testing.assert_array_equal(a.X, b.X)
        assert (a.offset is None) == (b.offset is None)
        assert a.offset is None or np.array_equal(a.offset, b.offset)
        for s, t in zip(a.terms, b.terms, strict=True):
            np.testing.assert_array_equal(s.matrix, t.matrix)
    assert plain.fixed_names == full.fixed_names
    assert [t.names for t in plain.terms] == [t.names for t in full.terms]
    assert plain.recipe.specs.part0.column_names == full.recipe.specs.part0.column_names


def test_a_bar_shares_the_fixed_part(data):
    design = build_design("y ~ x + (x | g)", data)
    assert np.shares_memory(design.X, design.terms[0].matrix)


def test_categories_among_new_rows_are_refused():
    sleep = load_dataset("sleepstudy")
    design = build_design("Reaction ~ Days + (Days | Subject)", sleep)
    with pytest.raises(DataError, match="too many columns"):
        design.new_rows(sleep[:3].assign(Days=["a", "b", "a"]))
