"""Several formulas, one set of rows: what is fitted, what is left out, and what that costs."""

import dataclasses
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest

import lmmtools as lt

RI, RS = "Reaction ~ Days + (1 | Subject)", "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def data():
    return lt.load_dataset("sleepstudy")


@pytest.fixture(scope="module")
def gaps(data):
    """A covariate with eleven gaps, another with two, one of them in a row of the first's."""
    z, u = np.arange(180.0) % 5, np.arange(180.0) % 7
    z[::17] = np.nan
    u[[0, 1]] = np.nan
    return data.assign(z=z, u=u)


def test_it_is_a_mapping_of_fits_in_the_order_given(data):
    models = lt.fit_models([RS, RI], data)
    assert list(models) == ["M1", "M2"]
    assert models["M2"].formula == RI
    assert [fit.method for fit in models.values()] == ["ML", "ML"]
    assert models["M1"].criterion == lt.fit_lmm(RS, data, reml=False).criterion
    assert (models.failures, models.messages, models.nobs, models.method) == ({}, (), 180, "ML")
    assert models.preferred == "M1"
    assert models.chosen.criterion == lt.fit_lmm(RS, data).criterion


def test_it_cannot_be_changed_and_can_be_sent(data):
    models = lt.fit_models([RI, RS], data, names=["a", "b"])
    with pytest.raises(dataclasses.FrozenInstanceError):
        models.messages = ()
    with pytest.raises(TypeError):
        models.fits["a"] = models["b"]
    assert pickle.loads(pickle.dumps(models)).formulas == {"a": RI, "b": RS}


def test_all_are_fitted_to_the_rows_complete_for_all_and_the_cost_is_told(gaps):
    models = lt.fit_models([RI, "Reaction ~ Days + z + (1 | Subject)", "Reaction ~ u + (1 | Subject)"], gaps)
    assert [fit.nobs for fit in models.values()] == [168, 168, 168]
    assert models.messages == (
        "12 of 180 rows were left out for missing values, in `z` (11), `u` (2).",
        "models can be compared only on the same rows, those complete for all of them; that costs M1 12 rows, M2 1 row "
        "and M3 10 rows that they could have used alone.",
    )
    shown = models.summary()
    assert shown.notes[0] == models.messages[0]
    kept = gaps.dropna()
    assert models["M1"].criterion == lt.fit_lmm(RI, kept, reml=False).criterion


def test_a_model_that_fails_costs_the_others_no_rows(gaps):
    models = lt.fit_models([RI, "Reaction ~ z + Days + (1 | z)", "Reaction ~ nope + (1 | Subject)"], gaps.assign(z=1.0))
    assert models.nobs == 180
    assert list(models) == ["M1"]
    assert "one level" in models.failures["M2"] or "only" in models.failures["M2"]
    assert "no column `nope`" in models.failures["M3"]
    again = lt.fit_models([RI, "Reaction ~ z + (1 | Subject:Days)"], gaps)
    assert (again.nobs, again.messages) == (180, ())
    assert "residual variance" in again.failures["M2"]


def test_the_summary_names_every_model_asked_for(data):
    shown = lt.fit_models([RI, "Reaction ~ nope + (1 | Subject)"], data, names=["good", "bad"]).summary()
    assert shown["name"].tolist() == ["good", "bad"]
    assert shown["outcome"].tolist() == ["certified", "left out"]
    assert shown.notes[0].startswith("bad is left out: the data have no column `nope`")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_other_responses_are_left_out_with_the_reason(data, order):
    formulas = [RI, RS, "log(Reaction) ~ Days + (1 | Subject)"]
    models = lt.fit_models([formulas[k] for k in order], data)
    (name,) = models.failures
    assert models.formulas[name].startswith("log")
    assert "its response is `log(Reaction)`, that of the other models `Reaction`" in models.failures[name]


def test_every_formula_that_does_not_read_is_told_at_once(data):
    with pytest.raises(lt.FormulaError) as caught:
        lt.fit_models(["Reaction ~ (1 | ", RI, "no tilde"], data)
    assert "M1: " in str(caught.value)
    assert "M3: " in str(caught.value)
    assert "M2: " not in str(caught.value)


@pytest.mark.parametrize(
    ("formulas", "names", "expected"),
    [
        (RI, None, "must be a list"),
        ([], None, "at least one formula"),
        ([RI, RS], ["a"], "2 formulas and 1 name"),
        ([RI, RS], ["a", "a"], "`a` names more than one model"),
        ([RI, RS], ["a", " "], "not empty"),
        ([RI, RS], "ab", "list of texts"),
    ],
)
def test_names_and_formulas_that_do_not_fit_have_their_sentence(data, formulas, names, expected):
    with pytest.raises(lt.ModelError, match=expected):
        lt.fit_models(formulas, data, names=names)


def test_none_fitted_is_an_error_with_all_reasons(data):
    with pytest.raises(lt.ModelError, match=r"none of the models can be fitted\. M1: .*`a`.* M2: .*`b`"):
        lt.fit_models(["Reaction ~ a + (1 | Subject)", "Reaction ~ b + (1 | Subject)"], data)


def test_weights_and_offsets_follow_the_rows(gaps):
    formulas = [RI, "Reaction ~ Days + z + (1 | Subject)"]
    w = 1.0 + np.arange(180) % 3
    offset = np.arange(180.0)
    by_array = lt.fit_models(formulas, gaps, weights=w, offset=offset)
    by_name = lt.fit_models(formulas, gaps.assign(w=w, o=offset), weights="w", offset="o")
    by_series = lt.fit_models(formulas, gaps, weights=pd.Series(w, gaps.index), offset=offset)
    kept = gaps["z"].notna()
    alone = lt.fit_lmm(RI, gaps[kept], reml=False, weights=w[kept], offset=offset[kept])
    assert by_array["M1"].criterion == by_name["M1"].criterion == by_series["M1"].criterion == alone.criterion


def test_any_frame_will_do(gaps):
    formulas = [RI, "Reaction ~ Days + z + (1 | Subject)"]
    models = lt.fit_models(formulas, pl.from_pandas(gaps.assign(z=gaps["z"].fillna(1.0))))
    assert models.nobs == 180
    assert lt.fit_models(formulas, pl.from_pandas(gaps)).nobs == lt.fit_models(formulas, gaps).nobs == 169


def test_missing_values_can_be_refused(gaps):
    with pytest.raises(lt.DataError, match="missing"):
        lt.fit_models([RI, "Reaction ~ z + (1 | Subject)"], gaps, missing="raise")


def test_warnings_name_the_model(data):
    with pytest.warns(lt.LMMWarning, match="^twice: "):
        lt.fit_models([RI, "Reaction ~ Days + (1 | Subject) + (Days | Subject)"], data, names=["once", "twice"])
    with pytest.warns(lt.LMMWarning, match=r"^\\u202eabc: "):
        lt.fit_models(["Reaction ~ Days + (1 | Subject) + (Days | Subject)"], data, names=["\u202eabc"])


def test_the_preferred_one_is_certified(data):
    models = lt.fit_models([RI, RS], data)
    bad = dataclasses.replace(models["M2"].certificate, status="not an optimum")
    doubtful = lt.models.Models(
        {"M1": models["M1"], "M2": dataclasses.replace(models["M2"], certificate=bad)}, models.formulas, {}, ()
    )
    assert models.preferred == "M2"
    assert (doubtful.sound, doubtful.preferred) == (("M1",), "M1")


def test_coefficients_stand_side_by_side_by_reml(data):
    models = lt.fit_models(["Reaction ~ 1 + (1 | Subject)", RI, RS], data)
    table = lt.coefficients(models, level=0.9)
    assert table["coefficient"].tolist() == ["Intercept"] * 3 + ["Days"] * 2
    assert table["model"].tolist() == ["M1", "M2", "M3", "M2", "M3"]
    own = lt.fit_lmm(RS, data).coef_table(level=0.9).loc["Days"]
    last = table.iloc[-1]
    assert (last["estimate"], last["low"], last["high"]) == (own["estimate"], own["ci_low"], own["ci_high"])
    assert (table.level, table.preferred) == (0.9, "M3")
    assert table.units == {"Intercept": "ms", "Days": "ms per day"}
    with pytest.raises(lt.ModelError, match="takes what fit_models returns"):
        lt.coefficients(models["M1"])


def test_a_slope_by_level_has_the_units_of_a_slope():
    models = lt.fit_models(["distance ~ age * Sex + (1 | Subject)"], lt.load_dataset("Orthodont"))
    units = lt.coefficients(models).units
    assert units["age:Sex[T.Female]"] == units["age"] == "mm per year"
    assert units["Sex[T.Female]"] == "mm"
