"""The hypotheses of an analysis of variance, as matrices over the coefficients."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.design.fixed_terms import fixed_terms
from lmmtools.inference.hypotheses import hypotheses


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "a": rng.choice(["p", "q", "r"], 120, p=[0.5, 0.3, 0.2]),
            "b": rng.choice(["s", "t"], 120, p=[0.4, 0.6]),
            "k": rng.choice([10, 20, 40], 120),
            "yes": rng.random(120) < 0.4,
            "x": rng.uniform(1.0, 2.0, 120),
            "z": rng.normal(size=120),
            "g": np.arange(120) % 9,
        }
    )
    return frame.assign(y=rng.normal(size=120))


def design_of(part, data, **options):
    return lt.build_design(f"y ~ {part} + (1 | g)", data, **options)


def dense(found):
    return {name: L.round(6).tolist() for name, L in found.items()}


@pytest.mark.parametrize("contrasts", [None, {"Sex": "sum"}, {"Sex": "helmert"}, {"Sex": [[3.0], [5.0]]}])
def test_a_slope_is_averaged_whatever_the_coding(contrasts):
    """age in Sex*age is the mean of the two slopes: age + 1/2 Sex:age in treatment contrasts."""
    orthodont = lt.load_dataset("Orthodont")
    design = lt.build_design("distance ~ Sex * age + (age | Subject)", orthodont, contrasts=contrasts)
    (L,) = hypotheses(design, 3)["age"]
    rows = design.new_rows(pd.DataFrame({"Sex": ["Male", "Female"] * 2, "age": [10.0, 10.0, 11.0, 11.0]}), groups=False)
    average = rows.X[2:].mean(axis=0) - rows.X[:2].mean(axis=0)
    assert L / L[2] == pytest.approx(average / average[2], abs=1e-12)
    if contrasts is None:
        assert dense(hypotheses(design, 3)) == {
            "Sex": [[0, 1, 0, 0]],
            "age": [[0, 0, 1, 0.5]],
            "Sex:age": [[0, 0, 0, 1]],
        }


def test_type_ii_weighs_slopes_by_their_information():
    """Of 27 children 11 are girls, and ages are the same: 11/27 of the difference."""
    design = lt.build_design("distance ~ Sex * age + (age | Subject)", lt.load_dataset("Orthodont"))
    assert hypotheses(design, 2)["age"] == pytest.approx(np.array([[0, 0, 1, 11 / 27]]))
    assert hypotheses(design, 2)["Sex"] == pytest.approx(np.array([[0, 1, 0, 0]]))
    assert hypotheses(design, 1)["Sex"] == pytest.approx(np.array([[0, 1, 0, 11]]))  # at the mean age


def test_a_nested_factor_is_averaged_over_and_not_taken_at_its_first_level(data):
    assert dense(hypotheses(design_of("a / b", data), 3))["a"] == [[0, 1, 0, -0.5, 0.5, 0], [0, 0, 1, -0.5, 0, 0.5]]
    assert dense(hypotheses(design_of("x + x:b", data), 3))["x"] == [[0, 1, 0.5]]


def test_without_an_intercept_a_lone_factor_is_compared_with_zero(data):
    assert dense(hypotheses(design_of("0 + a", data), 3))["a"] == np.eye(3).tolist()
    both = hypotheses(design_of("0 + a + b", data), 3)
    assert dense(both)["a"] == [[-1, 1, 0, 0], [-1, 0, 1, 0]]  # not at the first level of b
    assert len(hypotheses(design_of("0 + a + b", data), 1)["a"]) == 3


@pytest.mark.parametrize("type", [1, 2, 3])
def test_terms_are_named_and_ordered_as_coefficients_are(type, data):
    design = design_of("factor(k):x + a + I(x^2) + poly(z, 2)*b + log(x)", data)
    terms = ["a", "I(x ** 2)", "poly(z, 2)", "b", "log(x)", "C(k):x", "poly(z, 2):b"]
    found = hypotheses(design, type)
    assert list(found) == terms
    assert [len(L) for L in found.values()] == [2, 1, 2, 1, 1, 3, 2]
    assert all(L.shape[1] == design.X.shape[1] for L in found.values())


def test_terms_know_their_columns(data):
    design = design_of("a * b + poly(x, 2) + poly(x, 2):b", data)
    terms, codings = fixed_terms(design)
    assert {t.name: t.columns for t in terms} == {
        "Intercept": (0,), "a": (1, 2), "b": (3,), "poly(x, 2)": (4, 5), "a:b": (6, 7), "poly(x, 2):b": (8, 9),
    }  # fmt: skip
    assert [(t.factors, t.covariates) for t in terms[-2:]] == [(("a", "b"), ()), (("b",), ("poly(x, 2)",))]
    assert codings["b"].reduced.tolist() == [[0.0], [1.0]]


def test_columns_that_were_dropped_are_told(data):
    twice = data.assign(x2=2 * data["x"])
    design = design_of("a + x + x2", twice)
    assert design.dropped_columns == ("x2",)
    assert [len(L) for L in hypotheses(design, 1).values()] == [2, 1, 0]
    assert [len(L) for L in hypotheses(design, 2).values()] == [2, 0, 0]
    assert [len(L) for L in hypotheses(design, 3).values()] == [2, 0, 0]  # x cannot be told from x2


def test_an_empty_cell_leaves_what_the_others_say(data):
    some = data[~((data["a"] == "q") & (data["b"] == "t"))]
    design = design_of("a * b", some)
    found = hypotheses(design, 3)
    assert {name: len(L) for name, L in found.items()} == {"a": 2, "b": 1, "a:b": 1}
    # b is compared where a occurs with both: for p and r
    cells = design.new_rows(pd.DataFrame({"a": ["p", "p", "r", "r"], "b": ["s", "t"] * 2}), groups=False).X
    mean = np.array([-0.5, 0.5, -0.5, 0.5]) @ cells
    assert found["b"][0] / found["b"][0][3] == pytest.approx(mean / mean[3], abs=1e-12)


def test_cells_that_do_not_connect_are_not_compared(data):
    some = data[((data["a"] == "p") & (data["b"] == "s")) | ((data["a"] != "p") & (data["b"] == "t"))]
    found = hypotheses(design_of("a * b", some), 3)
    assert {name: len(L) for name, L in found.items()} == {"a": 1, "b": 0, "a:b": 0}


def test_kinds_of_columns(data):
    """Booleans, whole numbers as categories, unused and ordered levels, a frame that is not of pandas."""
    coded = data.assign(
        a=pd.Categorical(data["a"], ["r", "none", "q", "p"], ordered=True), k=pd.Categorical(data["k"], [40, 10, 20])
    )

    def rows(part, frame, **options):
        return [len(L) for L in hypotheses(design_of(part, frame, **options), 3).values()]

    assert rows("yes * C(k)", data) == [1, 2, 2]
    assert rows("C(k, contr.sum, levels=[20, 10, 40]) + k", data) == [1, 0]
    assert rows("a * k", coded, contrasts={"a": "poly"}) == [2, 2, 4]
    polars = pytest.importorskip("polars")
    assert dense(hypotheses(design_of("a * b", polars.from_pandas(data)), 3)) == dense(
        hypotheses(design_of("a * b", data), 3)
    )


def test_large_numbers_are_not_taken_for_collinear(data):
    """Dates in seconds and their squares: units and origins change the hypotheses' columns, not their number."""
    far = data.assign(t=1.6e9 + 86400.0 * data["z"], year=2000.0 + 10 * data["z"])
    for part, df in (("a * t", [2, 1, 2]), ("b * (year + I(year^2))", [1, 1, 1, 1, 1])):
        for type in (1, 2, 3):
            assert [len(L) for L in hypotheses(design_of(part, far), type).values()] == df


def test_contrasts_that_do_not_tell_levels_apart_are_refused(data):
    design = design_of("a", data, contrasts={"a": [[1.0], [0.0], [0.0]]})
    with pytest.raises(lt.ModelError, match=r"contrasts of `a` tell 2 of its 3 levels apart.*levels − 1"):
        hypotheses(design)


def test_categories_computed_in_the_formula_are_refused(data):
    with pytest.raises(lt.ModelError, match=r"`C\(z > 0\)` are computed within the formula.*make them a column"):
        hypotheses(design_of("C(z > 0) * x", data))


def test_bad_arguments(data):
    design = design_of("a", data)
    for type in (4, 0, "III", None, True):
        with pytest.raises(lt.LMMError, match=r"type=.* is unknown: use 1 .*2 .*or 3"):
            hypotheses(design, type)
    with pytest.raises(lt.LMMError, match="takes a fit or a design; got DataFrame"):
        hypotheses(data)
