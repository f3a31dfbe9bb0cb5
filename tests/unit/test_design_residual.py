"""Residual structures as values: groups, positions, levels, names and ranges of φ."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmmtools as lt
from lmmtools.design import build_design
from lmmtools.errors import DataError

CHILDREN = lt.load_dataset("Orthodont")


def built(residual, data=CHILDREN, formula="distance ~ age * Sex", **given):
    return build_design(formula, data, residual=residual, **given)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("ar1(age | Subject) * varident(Sex)", ("ar1.phi", "varident[Female]")),
        ("car1(age | Subject, by=Sex)", ("car1.phi[Male]", "car1.phi[Female]")),
        ("arma(age | Subject, 2, 1)", ("arma.phi1", "arma.phi2", "arma.theta1")),
        ("cs(Subject)", ("cs.rho",)),
        ("toep(age | Subject)", ("toep.rho[2]", "toep.rho[4]", "toep.rho[6]")),
        ("toep(age | Subject, 2)", ("toep.rho[2]", "toep.rho[4]")),
        ("toep(factor(age) | Subject)", ("toep.rho[1]", "toep.rho[2]", "toep.rho[3]")),
        (
            "us(age | Subject)",
            ("us.cor[8, 10]", "us.cor[8, 12]", "us.cor[8, 14]", "us.cor[10, 12]", "us.cor[10, 14]", "us.cor[12, 14]"),
        ),
        (
            "exp(age | Subject, nugget=True, by=Sex)",
            ("exp.range[Male]", "exp.nugget[Male]", "exp.range[Female]", "exp.nugget[Female]"),
        ),
        ("spher(age | Subject)", ("spher.range",)),
        ("varpower(age)", ("varpower.power",)),
        ("varpower(age | Sex)", ("varpower.power[Male]", "varpower.power[Female]")),
        ("varexp(fitted())", ("varexp.expon",)),
        ("varconstpower(fitted())", ("varconstpower.const", "varconstpower.power")),
        ("varfixed(age)", ()),
        ("varident(age:Sex)", tuple(f"varident[{a}:{s}]" for a in (8, 10, 12, 14) for s in ("Male", "Female"))[1:]),
        ("varpower(age) * varpower(fitted())", ("varpower.power", "varpower(fitted()).power")),
        ("varident(Sex) * varident(age)", ("varident[Female]", "varident[10]", "varident[12]", "varident[14]")),
    ],
)
def test_names(text, names):
    residual = built(text).residual
    assert residual.names == names
    assert residual.bounds.shape == (len(names), 2)
    assert residual.slices[-1].stop == len(names)


def test_names_of_two_factors_with_one_label():
    data = CHILDREN.assign(a=np.tile([0, 1], 54), b=np.repeat([0, 1], 54))
    assert built("varident(a) * varident(b)", data).residual.names == ("varident[1]", "varident(b)[1]")


def test_ranges():
    residual = built("arma(age | Subject, 2, 1) * varconstpower(age) * varident(Sex)").residual
    assert residual.bounds.tolist() == [[-2, 2], [-1, 1], [-1, 1], [0, np.inf], [-np.inf, np.inf], [0, np.inf]]
    assert residual.slices == (slice(0, 3), slice(3, 5), slice(5, 6))
    assert built("exp(age | Subject, nugget=True)").residual.bounds.tolist() == [[0, np.inf], [0, 1]]
    assert built("car1(age | Subject)").residual.bounds.tolist() == [[0, 1]]


def test_the_range_of_compound_symmetry_ends_where_the_largest_group_is_singular():
    data = CHILDREN[(CHILDREN["Sex"] == "Male") | (CHILDREN["age"] < 13)]
    low = built("cs(Subject, by=Sex)", data).residual.bounds[:, 0]
    assert low == pytest.approx([-1 / 3, -1 / 2])
    assert np.linalg.eigvalsh((1 - low[0]) * np.eye(4) + low[0])[0] == pytest.approx(0, abs=1e-12)


def test_positions_of_each_kind():
    data = CHILDREN.assign(visit=CHILDREN["age"].map({8: "first", 10: "second", 12: "third", 14: "fourth"}))
    order = ["first", "second", "never", "third", "fourth"]
    data["visit"] = pd.Categorical(data["visit"], categories=order, ordered=True)
    at = data["age"].to_numpy()
    step = np.select([at == 8, at == 10, at == 12], [0, 1, 3], 4)
    for text in ("ar1(visit | Subject)", "toep(visit | Subject)", "arma(visit | Subject, 1, 0)"):
        assert np.array_equal(built(text, data).residual.correlation.positions[:, 0], step)
    us = built("us(visit | Subject)", data).residual.correlation
    assert np.array_equal(us.positions[:, 0], (at - 8) / 2)
    assert us.occasions == ("first", "second", "third", "fourth")
    assert np.array_equal(built("car1(log(age) | Subject)", data).residual.correlation.positions[:, 0], np.log(at))
    assert built("cs(Subject)", data).residual.correlation.positions.shape == (108, 0)
    plane = built("gaus(age + distance | Subject)", data).residual.correlation
    assert np.array_equal(plane.positions, data[["age", "distance"]].to_numpy())
    assert plane.variables == ("age", "distance")


def test_groups_levels_and_parts():
    correlation = built("us(age | Subject, by=Sex) * varident(age:Sex)").residual.correlation
    assert list(correlation.levels) == list(CHILDREN["Subject"].cat.categories)
    assert (correlation.levels[correlation.codes] == CHILDREN["Subject"]).all()
    assert correlation.by == "Sex"
    assert correlation.by_levels == ("Male", "Female")
    assert (np.array(correlation.by_levels)[correlation.by_codes] == CHILDREN["Sex"]).all()
    alone = built("car1(I(age + 0.01 * x) | 1)", CHILDREN.assign(x=np.arange(108))).residual.correlation
    assert alone.group == ""
    assert not alone.codes.any()
    assert len(alone.levels) == 1


def test_variances_hold_levels_strata_and_values():
    ident, power, fitted = built("varident(Sex) * varpower(log(age) | Sex) * varexp(fitted())").residual.variances
    assert ident.levels == ("Male", "Female")
    assert ident.values.shape == (0,)
    assert np.array_equal(power.values, np.log(CHILDREN["age"]))
    assert np.array_equal(power.codes, (CHILDREN["Sex"] == "Female").to_numpy())
    assert fitted.fitted
    assert fitted.levels == ("",)
    assert np.isnan(fitted.values).all()
    assert fitted.values.shape == (108,)


def test_everything_is_frozen_and_pickles():
    design = built("us(age | Subject) * varpower(log(age))")
    again = pickle.loads(pickle.dumps(design)).residual
    assert again.names == design.residual.names
    for array in (design.residual.correlation.positions, design.residual.variances[0].values, design.residual.bounds):
        assert not array.flags.writeable
    data = CHILDREN.copy()
    design = built("varpower(age)", data.astype({"age": float}))
    assert built(None).residual is None
    assert design.residual.variances[0].values.base is None


def test_missing_values_of_its_columns_drop_rows():
    data = CHILDREN.assign(v=CHILDREN["age"].where(CHILDREN.index % 10 != 3), Sex=CHILDREN["Sex"])
    design = built("ar1(age | Subject) * varpower(v)", data, "distance ~ age")
    assert len(design.y) == 97
    assert design.messages[0] == "11 of 108 rows were left out for missing values, in `v` (11)."
    assert len(design.residual.correlation.codes) == len(design.residual.variances[0].values) == 97
    with pytest.raises(DataError, match="`v`"):
        built("varpower(v)", data, "distance ~ age", missing="raise")
    with pytest.raises(DataError, match="no column `arm`"):
        built("us(age | Subject, by=arm)")


def test_weights_may_be_a_column_of_the_structure():
    data = CHILDREN.assign(w=1.0)
    data.loc[0, "w"] = np.nan
    assert len(built("varident(w)", data.assign(w=data["w"] + data["age"] % 3), weights="w").y) == 107


def test_distances_and_times_that_differ_by_rounding_are_one():
    t = np.cumsum(np.full(10, 0.1))
    data = pd.DataFrame({"g": np.repeat(np.arange(9), 10), "t": np.tile(t, 9)})
    data["t"] += 1000.0 * (data["g"] == 1)
    data["y"] = np.random.default_rng(1).normal(size=90)
    correlation = build_design("y ~ 1", data, residual="toep(t | g, 3)").residual.correlation
    assert correlation.occasions == ("0.1", "0.2", "0.3")
    x = correlation.positions[10:20, 0]
    codes = correlation.lag_codes(np.abs(np.subtract.outer(x, x)))
    far = np.abs(np.subtract.outer(np.arange(10), np.arange(10)))
    assert np.array_equal(codes, np.where((far > 0) & (far < 4), far - 1, -1))


STRUCTURES = (
    "ar1(t | g)", "car1(t | g, by=f)", "arma(t | g, 1, 1)", "cs(g)", "toep(t | g)", "us(t | g)",
    "exp(t + x | g)", "spher(x, nugget=True)", "varident(f) * varpower(x | f)", "us(t | g) * varident(t:f)",
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(STRUCTURES), st.integers(0, 2**32 - 1))
def test_the_order_of_rows_changes_nothing(text, seed):
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"g": np.repeat(np.arange(30), 4), "t": np.tile([1, 2, 4, 7], 30)})
    data["f"] = np.where(data["g"] % 2, "a", "b")
    data["x"], data["y"] = rng.uniform(1, 2, 120), rng.normal(size=120)
    data = data[rng.random(120) < 0.9]
    shuffled = data.iloc[rng.permutation(len(data))]
    one = build_design("y ~ x", data, residual=text)
    other = build_design("y ~ x", shuffled, residual=text)
    rows = data.index.get_indexer(shuffled.index)
    assert one.residual.names == other.residual.names
    assert one.messages == other.messages
    assert np.array_equal(one.residual.bounds, other.residual.bounds)
    if (correlation := one.residual.correlation) is not None:
        for name in ("codes", "positions", "by_codes"):
            assert np.array_equal(getattr(correlation, name)[rows], getattr(other.residual.correlation, name))
        assert correlation.levels.equals(other.residual.correlation.levels)
        assert np.array_equal(correlation.lags, other.residual.correlation.lags)
    for a, b in zip(one.residual.variances, other.residual.variances, strict=True):
        assert np.array_equal(a.codes[rows], b.codes)
        assert a.levels == b.levels
        assert not len(a.values) or np.array_equal(a.values[rows], b.values)


def test_polars_gives_the_same():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(
        {
            "y": CHILDREN["distance"].to_list(),
            "age": CHILDREN["age"].to_list(),
            "Subject": CHILDREN["Subject"].astype(str).to_list(),
            "Sex": polars.Series(CHILDREN["Sex"].astype(str).to_list(), dtype=polars.Enum(["Male", "Female"])),
        }
    )
    residual = build_design("y ~ age", frame, residual="us(age | Subject) * varident(Sex)").residual
    assert residual.names == built("us(age | Subject) * varident(Sex)").residual.names


NEW = pd.DataFrame({"age": [14, 8], "Sex": ["Female", "Male"]}, index=["p", "q"])


def test_new_rows_have_the_codes_of_the_model():
    design = built("ar1(age | Subject) * varident(age:Sex) * varpower(I(age + 20) | Sex) * varexp(fitted())")
    ident, power, fitted = design.residual_rows(NEW)
    assert [ident.levels[code] for code in ident.codes] == ["14:Female", "8:Male"]
    assert power.codes.tolist() == [1, 0]
    assert power.values.tolist() == [34.0, 28.0]
    assert np.isnan(fitted.values).all()
    assert fitted.values.shape == (2,)
    assert [len(part.codes) for part in design.residual_rows(NEW[:0])] == [0, 0, 0]
    assert built("ar1(age | Subject)").residual_rows(NEW) == ()
    assert built(None).residual_rows(NEW) == ()


def test_what_an_expression_learnt_holds_for_new_rows():
    (part,) = built("varexp(center(age))").residual_rows(NEW)
    assert part.values.tolist() == [14 - 11, 8 - 11]
    (part,) = built("varexp(log(age))").residual_rows(NEW)
    assert part.values == pytest.approx(np.log([14, 8]))


def test_numbers_as_levels_are_matched_by_value():
    (part,) = built("varident(age)").residual_rows(NEW.astype({"age": float}))
    assert part.codes.tolist() == [3, 0]


@pytest.mark.parametrize(
    ("text", "new", "says"),
    [
        ("varident(Sex)", NEW.assign(Sex=["Female", "Other"]), r"`Other` in 1 new row \(row q\).*no residual sd"),
        ("varident(Sex)", NEW.assign(Sex=["Female", None]), r"`Sex` is missing in 1 new row \(row q\)"),
        ("varpower(age | Sex)", NEW[["age"]], "no column `Sex`"),
        ("varpower(age)", NEW.assign(age=[14, 0]), r"zero in 1 row \(row q\)"),
        ("varpower(age)", NEW.assign(age=[np.nan, 8]), r"`age` is missing in 1 new row \(row p\)"),
        ("varexp(age)", NEW.assign(age=[14, 9000]), "9000"),
        ("varpower(age)", NEW.assign(age=["a", "b"]), "not numeric"),
    ],
)
def test_new_rows_the_model_has_no_sd_for(text, new, says):
    with pytest.raises(DataError, match=says):
        built(text).residual_rows(new)
