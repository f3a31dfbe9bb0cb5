"""A design's columns at new rows: the state of the training data, levels it has not seen, missing values."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from lmmtools.design import build_design
from lmmtools.errors import DataError, ModelError


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x + poly(z, 3) + (poly(z, 3) | g)",
        "log(x) ~ bs(z, df=4) + scale(z) + (0 + scale(z) | g)",
        "y ~ h * x + f + factor(k) + (h | g)",
        "y ~ C(f, contr.sum) + C(h, contr.poly) + (f | g)",
        "y ~ 0 + f:x + offset(log(x)) + (x || g)",
        "y ~ x + I(2 * x) + z + (1 | f:h)",
        "y ~ center(x) + standardize(z) + cr(z, df=3) + diag(x + z | g)",
    ],
)
def test_new_rows_repeat_the_columns_with_the_training_state(data, formula):
    design = build_design(formula, data, contrasts={"f": "sum"} if "+ f " in formula else None)
    rows = [3, 17, 40, 41]
    made = design.new_rows(data.drop(columns="y").iloc[rows])
    np.testing.assert_allclose(made.X, design.X[rows], atol=1e-13)
    for term, new in zip(design.terms, made.terms, strict=True):
        np.testing.assert_allclose(new.matrix, term.matrix[rows], atol=1e-13)
        np.testing.assert_array_equal(new.codes, term.codes[rows])
    if design.offset is not None:
        np.testing.assert_allclose(made.offset, design.offset[rows])
    assert list(made.index) == rows


def test_new_rows_from_polars_with_an_offset_column(data):
    design = build_design("y ~ f + (1 | g)", data, offset="z")
    made = design.new_rows(pl.from_pandas(data[["f", "g", "z"]].iloc[:5]))
    np.testing.assert_array_equal(made.X, design.X[:5])
    np.testing.assert_array_equal(made.offset, data["z"][:5])


def test_new_levels_and_missing_values_in_new_rows(data):
    design = build_design("y ~ f + x + (x | g)", data)
    new = data.iloc[:3].assign(g=pd.array([1, 99, None], dtype="Int64"), x=[1.0, np.nan, 2.0])
    with pytest.raises(DataError, match=r"`99`.* in 2 new rows, .*unseen='population'"):
        design.new_rows(new)
    made = design.new_rows(new, unseen="population")
    assert made.terms[0].codes.tolist() == [0, -1, -1]
    assert np.isnan(made.X[1]).any() and not np.isnan(made.X[[0, 2]]).any()
    with pytest.raises(DataError, match="`f` has `q` in 1 row, which the model does not know"):
        design.new_rows(data.iloc[:3].assign(f=["a", "q", "b"]))
    with pytest.raises(DataError, match="no column `x`"):
        design.new_rows(data[["f", "g"]])
    with pytest.raises(ModelError, match="unseen='zero'"):
        design.new_rows(data, unseen="zero")


def test_new_rows_cannot_guess_an_offset_given_as_an_array(data):
    design = build_design("y ~ x + (1 | g)", data, offset=np.ones(48))
    with pytest.raises(DataError, match="offset= naming a column"):
        design.new_rows(data)


def test_new_rows_that_are_refused_leave_the_design_as_it_was(data):
    design = build_design("y ~ C(f, contr.sum) * poly(x, 2) + scale(z) + (f | g)", data)
    wrong = data.iloc[:3].assign(f=["q", "r", "s"])
    expected = design.new_rows(data.iloc[:5])
    for _ in range(2):
        with pytest.raises(DataError, match="`f` has `q`, `r`, `s`"):
            design.new_rows(wrong)
        with pytest.raises(DataError):
            design.new_rows(data.iloc[:3].assign(x="a", f="q"))
    made = design.new_rows(data.iloc[:5])
    np.testing.assert_array_equal(made.X, expected.X)
    np.testing.assert_array_equal(made.terms[0].matrix, expected.terms[0].matrix)


def test_no_new_rows_give_empty_columns(data):
    made = build_design("y ~ asin(x / 9) + f + offset(z) + (x | g)", data).new_rows(data.iloc[:0])
    assert made.X.shape == (0, 5) and made.offset.shape == (0,)
    assert made.terms[0].matrix.shape == (0, 2) and made.terms[0].codes.shape == (0,) and len(made.index) == 0
