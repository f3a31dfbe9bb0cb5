"""Analysis of variance tables: lmerTest's numbers, invariance, what cannot be tested, and what is wrong to ask."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt

COLUMNS = ["sum_sq", "mean_sq", "num_df", "den_df", "f_value", "p_value"]
# lmerTest 3.1-3, with rows of cake left out by `with_gaps`: num_df, den_df, F by type and term.
WITH_GAPS = {
    "recipe * temperature": {
        1: {"recipe": (2, 42.74602851, 0.1876401527), "temperature": (5, 173.60400620, 20.7503164856),
            "recipe:temperature": (9, 173.72398459, 1.3773070300)},
        2: {"recipe": (2, 43.22813645, 0.5314765162), "temperature": (5, 173.60400620, 20.7503164856),
            "recipe:temperature": (9, 173.71886607, 1.3773070300)},
        3: {"recipe": (2, 43.54315348, 0.6035802363), "temperature": (5, 173.84818871, 20.7922956708),
            "recipe:temperature": (9, 173.71886607, 1.3773070300)},
    },
    "recipe * temp + I(temp^2)": {
        1: {"recipe": (2, 42.75776205, 0.16530620747), "temp": (1, 185.66722942, 92.85644809823),
            "I(temp ** 2)": (1, 182.92561546, 0.09259986857), "recipe:temp": (2, 186.07260500, 0.02943456283)},
        2: {"recipe": (2, 208.6878470, 0.04512117189), "temp": (1, 182.9413259, 0.43074017284),
            "I(temp ** 2)": (1, 183.0253734, 0.09728607287), "recipe:temp": (2, 186.0547277, 0.02943456283)},
        3: {"recipe": (2, 208.6878470, 0.04512117189), "temp": (1, 183.0272340, 0.43973801341),
            "I(temp ** 2)": (1, 183.0253734, 0.09728607287), "recipe:temp": (2, 186.0547277, 0.02943456283)},
    },
}  # fmt: skip


def with_gaps():
    """The cakes without one cell, and unbalanced besides."""
    d = lt.load_dataset("cake")
    number = d["replicate"].astype(int)
    gone = ((d["recipe"] == "B") & (d["temperature"] == "195")) | (
        (d["recipe"] == "A") & (number > 9) & (d["temp"] > 200)
    )
    return d[~gone & ~((d["recipe"] == "C") & (number % 4 == 0) & (d["temp"] < 190))]


@pytest.fixture(scope="module")
def orthodont():
    return lt.fit_lmm("distance ~ Sex * age + (1 | Subject)", lt.load_dataset("Orthodont"))


@pytest.mark.parametrize("contrasts", [None, {"recipe": "sum"}, {"recipe": "helmert"}])
@pytest.mark.parametrize("part", WITH_GAPS)
def test_lmertest_whatever_the_coding(part, contrasts):
    if contrasts and "temperature" in part:
        contrasts = {**contrasts, "temperature": "poly"}
    fit = lt.fit_lmm(f"angle ~ {part} + (1 | recipe:replicate)", with_gaps(), contrasts=contrasts)
    for type, expected in WITH_GAPS[part].items():
        table = fit.anova(type)
        assert list(table.index) == list(expected)
        wanted = np.array(list(expected.values()))
        assert table["num_df"].tolist() == wanted[:, 0].tolist()
        assert table["den_df"].to_numpy() == pytest.approx(wanted[:, 1], rel=2e-6)  # of treatment contrasts
        assert table["f_value"].to_numpy() == pytest.approx(wanted[:, 2], rel=2e-5)


def test_the_table(orthodont):
    table = orthodont.anova()
    assert list(table.columns) == COLUMNS
    assert list(table.index) == ["Sex", "age", "Sex:age"]
    assert table["mean_sq"].to_numpy() == pytest.approx(table["f_value"] * orthodont.sigma**2)
    assert table["sum_sq"].to_numpy() == pytest.approx(table["mean_sq"] * table["num_df"])
    assert table.caption == "Type III analysis of variance by REML; Satterthwaite's degrees of freedom"
    assert table.notes == (
        "Type III averages over the other factors with equal weights, however many rows each cell has.",
        "Terms that interact with a covariate are tested where it is zero: `Sex` at `age` = 0.",
    )
    assert "Type I tests each term beyond those above it" in orthodont.anova(1).notes[0]
    assert "Type II tests each term beyond all others that do not contain it." in orthodont.anova(2).notes[0]


def test_other_references(orthodont):
    by_t = orthodont.test([[0, 0, 0, 1]], joint=False).iloc[0]
    row = orthodont.anova().loc["Sex:age"]
    assert (row["f_value"], row["den_df"], row["p_value"]) == pytest.approx(
        (by_t["statistic"] ** 2, by_t["df"], by_t["p_value"])
    )
    residual, normal = orthodont.anova(ddf="residual"), orthodont.anova(ddf="normal")
    assert residual["den_df"].tolist() == [104.0] * 3
    assert np.isinf(normal["den_df"]).all()
    assert residual["f_value"].tolist() == normal["f_value"].tolist()
    assert "χ² in place of F" in normal.caption
    assert any("normal reference" in note for note in normal.notes)
    scaled = orthodont.anova(ddf="kenward-roger")
    assert "Kenward and Roger" in scaled.caption
    assert scaled["mean_sq"].to_numpy() == pytest.approx(scaled["f_value"] * orthodont.sigma**2)


def test_centring_moves_where_factors_are_tested_and_nothing_else(orthodont):
    data = lt.load_dataset("Orthodont")
    centred = lt.fit_lmm("distance ~ Sex * age + (1 | Subject)", data.assign(age=data["age"] - 11))
    for type in (1, 2, 3):
        here, there = orthodont.anova(type)["f_value"], centred.anova(type)["f_value"]
        assert here[["age", "Sex:age"]].to_numpy() == pytest.approx(there[["age", "Sex:age"]].to_numpy(), rel=1e-6)
        assert (here["Sex"] == pytest.approx(there["Sex"], rel=1e-6)) == (type == 1)


def test_types_agree_where_cells_have_equal_numbers():
    fit = lt.fit_lmm("angle ~ recipe * temperature + (1 | recipe:replicate)", lt.load_dataset("cake"))
    one, two, three = (fit.anova(type)[COLUMNS].to_numpy() for type in (1, 2, 3))
    assert one == pytest.approx(two, rel=1e-9)
    assert one == pytest.approx(three, rel=1e-9)


def test_nested_and_crossed_writing_of_one_model_test_the_same_main_effect():
    data = with_gaps()
    data = data[data["temperature"] != "195"]
    crossed = lt.fit_lmm("angle ~ recipe * temperature + (1 | recipe:replicate)", data).anova()
    nested = lt.fit_lmm("angle ~ recipe / temperature + (1 | recipe:replicate)", data).anova()
    assert nested.loc["recipe"].to_numpy() == pytest.approx(crossed.loc["recipe"].to_numpy(), rel=1e-6)


def test_terms_that_cannot_be_tested_are_named_and_have_no_numbers():
    data = lt.load_dataset("cake")
    apart = data[((data["recipe"] == "A") & (data["temp"] < 190)) | ((data["recipe"] != "A") & (data["temp"] > 200))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        fit = lt.fit_lmm("angle ~ recipe * temperature + (1 | recipe:replicate)", apart)
    table = fit.anova()
    assert table["num_df"].tolist() == [1, 3, 2]
    assert any("Degrees of freedom that these data leave to test: 1 of 2 of `recipe`" in note for note in table.notes)
    data = data.assign(fahrenheit=1.8 * data["temp"])
    table = lt.fit_lmm("angle ~ recipe + temp + fahrenheit + (1 | recipe:replicate)", data).anova()
    assert table["num_df"].tolist() == [2, 0, 0]
    assert table.loc[["temp", "fahrenheit"], ["sum_sq", "den_df", "f_value", "p_value"]].isna().all(axis=None)
    assert any("Nothing of `temp`, `fahrenheit` can be tested" in note for note in table.notes)
    assert "temp" in repr(table)


@pytest.mark.parametrize("part", ["1", "0"])
def test_nothing_to_test(part):
    fit = lt.fit_lmm(f"Reaction ~ {part} + (Days | Subject)", lt.load_dataset("sleepstudy"))
    for type in (1, 2, 3):
        table = fit.anova(type)
        assert list(table.columns) == COLUMNS
        assert len(table) == 0
        assert "nothing to test" in table.notes[0]
        assert repr(table)


def test_a_table_is_one_of_pandas():
    fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    table = pd.DataFrame(fit.anova())
    assert table["num_df"].dtype == int
    assert table["f_value"].to_numpy() == pytest.approx((fit.fixef["Days"] / fit.stderr["Days"]) ** 2)


def test_what_is_wrong_to_ask(orthodont):
    with pytest.raises(lt.LMMError, match=r"type=4 is unknown: use 1 .sequential., 2 .by containment. or 3"):
        orthodont.anova(4)
    with pytest.raises(lt.LMMError, match=r"anova: ddf='satterthwait' is unknown"):
        orthodont.anova(ddf="satterthwait")
    ml = orthodont.refit(reml=False)
    with pytest.raises(lt.ModelError, match=r"(?s)anova.*kenward-roger.*REML"):
        ml.anova(ddf="kenward-roger")
    assert any("Maximum likelihood" in note for note in ml.anova().notes)
    from lmmtools.inference.anova import anova

    with pytest.raises(lt.LMMError, match="anova: takes a fit made by fit_lmm; got Design"):
        anova(orthodont.design)
