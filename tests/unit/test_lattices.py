"""The lattice: only legal tests, only neighbouring steps, and a reason for every other pair."""

import dataclasses

import pandas as pd
import pytest

import lmmtools as lt


@pytest.fixture(scope="module")
def data():
    return lt.load_dataset("sleepstudy")


@pytest.fixture(scope="module")
def models(data):
    formulas = {
        "null": "Reaction ~ 1 + (1 | Subject)",
        "ri": "Reaction ~ Days + (1 | Subject)",
        "slope": "Reaction ~ Days + (0 + Days | Subject)",
        "diag": "Reaction ~ Days + (Days || Subject)",
        "us": "Reaction ~ Days + (Days | Subject)",
        "poly": "Reaction ~ poly(Days, 2) + (Days | Subject)",
        "log": "Reaction ~ log(Days + 1) + (Days | Subject)",
    }
    return lt.fit_models(list(formulas.values()), data, names=list(formulas))


def pairs(steps):
    return list(zip(steps["smaller"], steps["larger"], strict=True))


def test_steps_are_the_transitive_reduction(models):
    steps = lt.lattice(models)
    assert set(pairs(steps)) == {
        ("null", "ri"), ("ri", "diag"), ("slope", "diag"), ("diag", "us"), ("us", "poly"), ("null", "log"),
    }  # fmt: skip
    assert list(steps.columns) == ["smaller", "larger", "chisq", "df", "p_value", "reference"]


def test_each_step_is_what_lrt_says(models):
    for row in pd.DataFrame(lt.lattice(models)).to_dict("records"):
        own = lt.lrt(models[row["smaller"]], models[row["larger"]]).iloc[1]
        for key in ("chisq", "df", "p_value", "reference"):
            assert row[key] == own[key]


def test_every_pair_is_a_step_or_follows_from_steps_or_has_a_reason(models):
    steps = lt.lattice(models)
    above = {name: {name} for name in models}
    for _ in models:
        for small, large in pairs(steps):
            above[small] |= above[large]
    apart = {frozenset(pair) for pair in zip(steps.apart["first"], steps.apart["second"], strict=True)}
    for a in models:
        for b in models:
            related = b in above[a] or a in above[b]
            assert related != (frozenset((a, b)) in apart) or a == b, (a, b)


def test_reasons_say_what_the_one_has_and_the_other_lacks(models):
    apart = lt.lattice(models).apart.set_index(["first", "second"])["reason"]
    assert apart["poly", "log"] == (
        "log has the fixed effect log(Days + 1), which poly has not; poly has the fixed effects poly(Days, 2)[1] and "
        "poly(Days, 2)[2], which log has not"
    )
    assert apart["ri", "slope"] == "ri has the random term (1 | Subject), which slope cannot express"
    assert apart["null", "slope"] == (
        "null has the random term (1 | Subject), which slope cannot express; slope has the fixed effect Days, which "
        "null has not"
    )


def test_boundary_steps_have_their_own_distribution(models):
    steps = lt.lattice(models).set_index(["smaller", "larger"])["reference"]
    assert steps["ri", "diag"] == "½ χ²(0) + ½ χ²(1)"
    assert steps["diag", "us"] == "χ²(1)"
    assert "boundary" in lt.lattice(models).notes[0]


def test_equal_models_are_one_node_and_no_test(data):
    models = lt.fit_models(
        ["Reaction ~ Days + (1 | Subject)", "Reaction ~ I(Days - 4) + (1 | Subject)",
         "Reaction ~ Days + (Days | Subject)"], data, names=["a", "b", "c"],
    )  # fmt: skip
    steps = lt.lattice(models)
    assert pairs(steps) == [("a", "c")]
    assert [(node.name, node.same) for node in steps.nodes] == [("a", ("b",)), ("c", ())]
    assert "a and b are the same model, written differently; a stands for all of them." in steps.notes


def test_what_shows_that_an_optimum_was_missed_is_said(models):
    worse = dataclasses.replace(models["us"], criterion=models["diag"].criterion + 1.5)
    notes = lt.lattice({"diag": models["diag"], "us": worse}).notes
    assert any("us fits worse than diag, which is nested in it, by 1.50" in note for note in notes)
    twin = dataclasses.replace(models["us"], criterion=models["us"].criterion + 0.25)
    notes = lt.lattice({"us": models["us"], "twin": twin}).notes
    assert "Their criteria differ by 0.250 all the same: not all are at their optimum." in notes


def test_what_cannot_be_compared_is_apart_and_has_no_common_aic(models, data):
    reml = lt.fit_lmm("Reaction ~ Days + (1 | Subject)", data)
    fewer = lt.fit_lmm("Reaction ~ Days + (1 | Subject)", data.iloc[:-3], reml=False)
    steps = lt.lattice({"ml": models["us"], "reml": reml, "fewer": fewer})
    assert len(steps) == 0
    assert "one fit is by REML and one by ML" in steps.apart["reason"].iloc[0]
    assert "177 rows" in steps.apart["reason"].iloc[1]
    assert all(pd.isna(node.aic) for node in steps.nodes)
    assert "No model here is a special case of another, so there is nothing to test." in steps.notes


def test_one_model_is_a_lattice_without_steps(data):
    steps = lt.lattice(lt.fit_models(["Reaction ~ Days + (1 | Subject)"], data))
    assert (len(steps), len(steps.nodes), len(steps.apart)) == (0, 1, 0)
    assert steps.apart.notes == ("There are none.",)
    assert "nothing to test" in repr(steps)


def test_what_is_no_mapping_of_fits_is_refused(models):
    with pytest.raises(lt.ModelError, match="takes what fit_models returns"):
        lt.lattice([models["ri"], models["us"]])
    with pytest.raises(lt.ModelError, match="takes what fit_models returns"):
        lt.lattice({"a": 1.0})


def test_compare_takes_the_models_by_name(models):
    table = lt.compare(models)
    assert list(table.index) == list(models)
    assert table["aic"].tolist() == [fit.aic for fit in models.values()]


def test_finer_groups_within_coarser_ones_can_be_nested():
    # R 4, lme4: anova of the two says χ²(5) = 15.533, p = 0.008311.
    machines = lt.load_dataset("Machines")
    formulas = {
        "cells": "score ~ Machine + (1 | Worker:Machine)",
        "full": "score ~ Machine + (Machine | Worker)",
        "workers": "score ~ Machine + (1 | Worker)",
        "mean": "score ~ 1 + (1 | Worker)",
    }
    steps = lt.lattice(lt.fit_models(list(formulas.values()), machines, names=list(formulas)))
    assert set(pairs(steps)) == {("cells", "full"), ("workers", "full"), ("mean", "workers")}
    row = steps.set_index("smaller").loc["cells"]
    assert (row["df"], row["reference"]) == (5, "χ²(5)")
    assert row["chisq"] == pytest.approx(15.533, abs=1e-3)
    assert row["p_value"] == pytest.approx(0.008311, abs=1e-5)
    reasons = dict(
        zip(zip(steps.apart["first"], steps.apart["second"], strict=True), steps.apart["reason"], strict=True)
    )
    assert reasons["cells", "workers"] == (
        "cells has the random term (1 | Worker:Machine), which workers cannot express"
    )
    assert "cells has the fixed effects" in reasons["cells", "mean"]


def test_finer_groups_with_slopes_or_across_coarser_ones_are_not_nested():
    growth = lt.load_dataset("Orthodont").assign(half=lambda d: d["age"] > 11)
    formulas = [
        "distance ~ age + (1 | Subject:half)",
        "distance ~ age + (age | Subject)",
        "distance ~ age + (1 | half)",
    ]
    models = lt.fit_models(formulas, growth)
    assert len(lt.lattice(models)) == 0
