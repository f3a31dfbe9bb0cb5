"""One parameter by every method."""

import numpy as np
import pytest

import lmmtools as lt


@pytest.fixture(scope="module")
def fit():
    return lt.fit_lmm("distance ~ age * Sex + (age | Subject)", lt.load_dataset("Orthodont"))


@pytest.fixture(scope="module")
def found(fit):
    return lt.triangulate(fit, "age:Sex[T.Female]", level=0.975, rng=1, n=100, progress=False)


def test_every_method_is_asked(fit, found):
    assert found["method"].tolist() == [
        "Normal reference", "Residual df", "Satterthwaite's df", "Kenward and Roger", "Profile likelihood (ML)",
        "Cluster-robust CR2 by Subject", "Percentile bootstrap", "Basic bootstrap", "BCa bootstrap",
        "Bootstrap likelihood ratio",
    ]  # fmt: skip
    without = lt.triangulate(fit, "age")
    assert not without["method"].str.contains("ootstrap").any()
    assert not without.flips


def test_the_rows_are_the_methods_own_numbers(fit, found):
    rows = found.set_index("method")
    own = fit.coef_table(ddf="satterthwaite", level=0.975).loc["age:Sex[T.Female]"]
    row = rows.loc["Satterthwaite's df"]
    assert (row["estimate"], row["df"], row["p_value"], row["low"]) == pytest.approx(
        (own["estimate"], own["df"], own["p_value"], own["ci_low"])
    )
    limits = fit.confint("profile", 0.975).loc["age:Sex[T.Female]"]
    assert rows.loc["Profile likelihood (ML)", ["low", "high"]].tolist() == pytest.approx(limits.tolist(), rel=1e-6)
    data = lt.load_dataset("Orthodont")
    formulas = ("distance ~ age + Sex + (age | Subject)", fit.formula)
    small, large = (lt.fit_lmm(formula, data, reml=False) for formula in formulas)
    ratio = lt.lrt(small, large)["p_value"].iloc[-1]
    assert rows.loc["Profile likelihood (ML)", "p_value"] == pytest.approx(ratio, rel=1e-6)


def test_a_decision_that_turns_is_flagged_and_explained(found):
    assert found.flips
    assert found.reference == "Kenward and Roger"
    turned = found.loc[found["flips"] != "", "method"].tolist()
    assert "Normal reference" in turned
    assert "the decision turns on the method" in found.sentences[0]
    assert "takes the variances as known, where the data hold 25.0 degrees of freedom" in " ".join(found.sentences)
    assert str(lt.prose.reasons(found)).count("\n- ") == len(found.sentences) - 1
    assert "differs from 0 by the normal reference" in str(lt.prose.decision(found))
    assert str(lt.prose.decision(found)).endswith("(@fig-by-method).")
    assert found.sentences[1] in repr(found)  # the text says why; pages have it as prose
    assert found.sentences[1] not in found.table().text()
    assert found.notes[0] == "Flips: decisions other than that of Kenward and Roger."


def test_where_nothing_turns_there_is_no_column_of_flips(fit):
    made = lt.triangulate(fit, "age")
    assert "flips" in made
    assert [column.name for column in made.table().columns][-1] == "decision"
    assert str(lt.prose.reasons(made)) == ""
    assert made.notes == ()
    assert made.unit == "mm per year"


def test_the_last_coefficient_is_asked_about_by_default(fit):
    assert lt.triangulate(fit).parameter == "age:Sex[T.Female]"
    none = lt.fit_lmm("Yield ~ 0 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    assert lt.triangulate(none).parameter == "sd(Batch, Intercept)"


def test_replicates_that_there_are_are_used(fit):
    made = lt.bootstrap(fit, 60, 4, progress=False)
    found = lt.triangulate(fit, "age", n=60, rng=1, made=made, progress=False).set_index("method")
    limits = made.confint().loc["age"]
    assert found.loc["Percentile bootstrap", ["low", "high"]].tolist() == limits[["low", "high"]].tolist()
    assert found.loc["Percentile bootstrap", "estimate"] == fit.fixef["age"]
    with pytest.raises(lt.LMMError, match="for this very fit"):
        lt.triangulate(fit.refit(reml=False), "age", rng=1, made=made)


def test_an_estimate_far_from_its_null_is_agreed_upon(fit):
    found = lt.triangulate(fit, "age")
    assert found.sentences == ("All 6 methods agree that `age` differs from 0 at the 5 % level (p < 0.001).",)
    near = lt.triangulate(fit, "age", null=0.78)
    assert "does not clearly differ from 0.78" in near.sentences[0]


def test_a_standard_deviation_is_tested_by_leaving_its_effect_out(fit):
    made = lt.triangulate(fit, "sd(Subject, age)")
    found = made.set_index("method")
    data = lt.load_dataset("Orthodont")
    small = lt.fit_lmm("distance ~ age * Sex + (1 | Subject)", data)
    row = lt.lrt(small, fit).iloc[-1]
    assert found.loc["Likelihood ratio", "p_value"] == pytest.approx(row["p_value"], rel=1e-6)
    assert any(row["reference"] in note for note in made.notes)
    assert found.loc["Profile likelihood (ML)", "low"] == 0.0


def test_intervals_of_refits_are_no_test_of_a_variance():
    one = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    found = lt.triangulate(one, "sd(Batch, Intercept)", rng=1, n=60, progress=False).set_index("method")
    assert (found.loc[["Percentile bootstrap", "Basic bootstrap"], "decision"] == "").all()
    assert found["p_value"].notna().sum() == 3


def test_the_same_seed_gives_the_same_table(fit, found):
    again = lt.triangulate(fit, "age:Sex[T.Female]", level=0.975, rng=1, n=100, progress=False)
    np.testing.assert_array_equal(again["low"], found["low"])


def test_by_ml_kenward_and_roger_are_asked_of_the_reml_fit(fit):
    found = lt.triangulate(fit.refit(reml=False), "age").set_index("method")
    own = fit.coef_table(ddf="kenward-roger").loc["age"]
    assert found.loc["Kenward and Roger (REML)", "std_error"] == pytest.approx(own["std_error"], rel=1e-6)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"parameter": "Age"}, "no coefficient or standard deviation.*did you mean `age`"),
        ({"parameter": "sd(Subject, Age)"}, r"did you mean `sd\(Subject, age\)`"),
        ({"parameter": "sd(Subject, age)", "null": 1.0}, "tested against zero"),
        ({"parameter": "age", "level": 95}, "between 0 and 1"),
        ({"parameter": "age", "rng": "x"}, "rng"),
    ],
)
def test_what_cannot_be_asked(fit, asked, said):
    with pytest.raises(lt.LMMError, match=said):
        lt.triangulate(fit, **asked)


def test_the_picture_shows_what_the_table_has(found):
    made = lt.figure(lt.plots.by_method, found)
    assert "decided otherwise: Normal reference" in made.alt
    assert "97.5 %" in made.caption
    with pytest.raises(lt.ModelError, match="takes what triangulate returns"):
        lt.plots.by_method("age")


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_panel_for_each_parameter_up_to_four(fit, count):
    names = ["age:Sex[T.Female]", "age", "sd(Subject, Intercept)", "Intercept", "Sex[T.Female]"][:count]
    made = lt.figure(lt.plots.by_method, [lt.triangulate(fit, name) for name in names])
    assert made.svg.count(">Profile likelihood (ML)<") == min(count, 4)
    assert ("The first 4 of 5 parameters" in made.caption) == (count == 5)
    assert all(name in made.alt for name in names[:4])


def test_a_null_far_from_all_intervals_is_left_out_of_the_picture():
    one = lt.triangulate(lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff")))
    assert "Dashed" not in lt.figure(lt.plots.by_method, one).caption
    axes = lt.plots.by_method(one)
    assert axes.get_xlim()[0] > 1400
    assert axes.get_xlabel() == "g"
