"""Checks keep what to look at as values, and the pictures of those that stand out come on one figure."""

import pickle
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.assumptions.look import Look, Written, picture


@pytest.fixture(scope="module")
def orthodont():
    fit = lt.fit_lmm("distance ~ age * Sex + (age | Subject)", lt.load_dataset("Orthodont"))
    return lt.check_assumptions(fit)


@pytest.fixture(scope="module")
def quiet():
    fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff2"))
    return lt.check_assumptions(fit, n=99)


def names(data):
    return [panel.plot.__name__ for panel in data.facts["panels"]]


def test_a_look_is_its_call():
    assert str(picture("qq_residuals")) == "lt.figure(lt.plots.qq_residuals, fit)"
    assert str(Look("mundlak", drawn=False)) == "lt.mundlak(fit)"
    look = picture("autocorrelation", time=Written(np.arange(3), "data['x']"), max_lag=10)
    assert str(look) == "lt.figure(lt.plots.autocorrelation, fit, time=data['x'], max_lag=10)"
    assert look.arguments["time"].tolist() == [0, 1, 2]
    assert look.arguments["max_lag"] == 10


@pytest.mark.parametrize(("formula", "options"), [
    ("y ~ x + f + (1 | a) + (1 | b)", {}), ("y ~ u + (1 | a)", {}), ("y ~ x", {"residual": "car1(t | a)"}),
    ("y ~ x", {"residual": "exp(x + o)"}), ("y ~ x + f", {"residual": "varident(f)"}), ("y ~ 0 + (1 | a)", {}),
])  # fmt: skip
def test_the_text_of_a_look_draws_what_the_look_draws(formula, options):
    rng = np.random.default_rng(3)
    n = 60
    data = pd.DataFrame({"a": rng.integers(0, 8, n), "b": rng.integers(0, 6, n), "x": rng.normal(size=n),
                         "o": rng.normal(size=n), "u": rng.permutation(n) / 7.0})  # fmt: skip
    data["f"] = np.array(list("uvw"))[rng.integers(0, 3, n)]
    data = data.assign(y=data.x + rng.normal(size=8)[data.a] + rng.normal(size=n),
                       t=data.groupby("a").cumcount().astype(float))  # fmt: skip
    fit = lt.fit_model(formula, data, **options)
    found = lt.check_assumptions(fit, n=99)
    assert [str(look) for look in found.looks] == list(dict.fromkeys(see for see in found["see"] if see))
    package = SimpleNamespace(plots=lt.plots, figure=lambda plot, *args, **kw: plot.extract(*args, **kw))
    for look in found.looks:
        if look.drawn:
            said = eval(str(look), {"lt": package, "fit": fit, "data": data})
            ours = getattr(lt.plots, look.name).extract(fit, **look.arguments)
            pd.testing.assert_frame_equal(ours.table, said.table)


def test_pictures_are_of_the_checks_that_stand_out(orthodont):
    out = orthodont.outstanding
    assert out["p_value"].is_monotonic_increasing and (out["p_value"] <= 0.05).all() and len(out) == 5
    data = lt.plots.checks.extract(orthodont)
    assert names(data) == ["qq_residuals", "residuals_by_group", "residuals_by_group", "qq_ranef"]
    assert [panel.under for panel in data.facts["panels"]] == out["of"].tolist()[:4]
    assert data.facts["panels"][3].data.table["effect"].unique().tolist() == ["age (mm per year)"]
    figure = lt.figure(lt.plots.checks, orthodont)
    assert figure.label == "fig-checks"
    assert "1 more check that stands out is not drawn" in figure.caption
    assert "(d) Normal distribution, Subject: age: normal quantile plot of the conditional modes" in figure.caption
    assert "4 points of 108 (3.7 %) lie outside" in figure.alt


def test_no_picture_comes_twice(orthodont):
    twice = orthodont.copy()
    data = lt.plots.checks.extract(lt.check_assumptions(orthodont.fit).iloc[[2, 2, 3]])
    assert names(data) == ["qq_residuals", "residuals_by_group"]
    assert twice.fit is orthodont.fit


def test_rows_chosen_are_those_drawn(orthodont):
    one = orthodont[orthodont["of"] == "between levels of Sex"]
    data = lt.plots.checks.extract(one)
    assert names(data) == ["residuals_by_group"]
    assert data.facts["panels"][0].data.labels["factor"] == "Sex"
    figure = lt.figure(lt.plots.checks, one)
    assert "(a)" not in figure.caption and "between levels of Sex" in figure.svg


def test_places_left_over_have_the_residuals(orthodont, quiet):
    one = orthodont[orthodont["of"] == "between levels of Sex"]
    assert names(lt.plots.checks.extract(one, full=True)) == [
        "residuals_by_group", "residuals_fitted", "qq_residuals",
    ]  # fmt: skip
    four = lt.plots.checks.extract(orthodont, full=True)
    assert names(four)[-1] == "residuals_fitted" and len(names(four)) == 4 and four.facts["more"] == 2
    assert "then what is looked at anyway (from (d) on)" in lt.plots.checks.describe(four).caption
    assert lt.plots.checks.extract(quiet, full=True).facts["panels"] == ()


def test_where_nothing_stands_out_the_residuals_are_drawn(quiet):
    figure = lt.figure(lt.plots.checks, quiet)
    assert figure.label == "fig-checks"
    none = "None of 3 checks stands out. Shown nevertheless: the residuals."
    assert figure.caption.startswith(f"{none} Residuals: against")
    assert figure.alt.startswith("None of 3 checks stands out.")


def test_what_stands_out_without_a_picture_is_said():
    fit = lt.fit_lmm("MathAch ~ SES + (1 | School)", lt.load_dataset("MathAchieve").query("MEANSES > 0.3"))
    found = lt.check_assumptions(fit, n=99)
    only = found[found["check"] == "Independent effects"]
    assert only["p_value"].iloc[0] < 0.05
    assert lt.figure(lt.plots.checks, only).caption.startswith("1 check that stands out has no picture.")


def test_what_is_no_table_of_checks_is_refused(orthodont):
    for wrong in (orthodont.fit, pd.DataFrame(orthodont)):
        with pytest.raises(lt.LMMError, match="takes what check_assumptions returns"):
            lt.plots.checks.extract(wrong)
    with pytest.raises(lt.LMMError, match="full must be True or False"):
        lt.plots.checks.extract(orthodont, full=3)


def test_a_table_of_checks_knows_its_fit(orthodont, quiet):
    assert (orthodont.factor, orthodont.covariate) == ("Subject", "age")
    assert (quiet.factor, quiet.covariate) == ("Batch", "")
    assert orthodont.tested == ("Constant variance", "Normal distribution", "No autocorrelation", "Linearity")
    again = pickle.loads(pickle.dumps(quiet))
    assert [str(look) for look in again.looks] == [str(look) for look in quiet.looks]
    assert again.fit.criterion == quiet.fit.criterion
    shown = orthodont.table()
    assert "residuals by group" in [row[-1] for row in shown.cells]


def test_slopes_within_and_between_fit_on_a_page():
    found = lt.mundlak(lt.fit_lmm("MathAch ~ SES + (1 | School)", lt.load_dataset("MathAchieve")))
    shown = found.table()
    assert [column.title for column in shown.columns] == [
        "Groups", "Covariate", "Within (SE)", "Between (SE)", "Difference (SE)", "df", "t", "p",
    ]  # fmt: skip
    assert shown.cells[0][2:4] == ("2.191 (0.1087)", "5.866 (0.3617)")
    assert len(found[["within", "between"]].table().columns) == 2


def test_one_effect_of_the_quantile_plot(orthodont):
    fit = orthodont.fit
    one = lt.plots.qq_ranef.extract(fit, factor="Subject", effect="age")
    both = lt.plots.qq_ranef.extract(fit)
    pd.testing.assert_series_equal(one.table["sample"], both.table.loc[both.table["panel"] == 1, "sample"],
                                   check_index=False)  # fmt: skip
    assert "Shown are" not in lt.plots.qq_ranef.describe(one).caption
    with pytest.raises(lt.LMMError, match="did you mean `age`"):
        lt.plots.qq_ranef.extract(fit, factor="Subject", effect="agee")
    with pytest.raises(lt.LMMError, match="no random effects"):
        lt.plots.caterpillar.extract(lt.fit_gls("distance ~ age", lt.load_dataset("Orthodont")))


def test_the_most_influential_are_told_in_few_columns(orthodont):
    found = lt.influence(orthodont.fit, "Subject")
    most = found.most(2, columns=["rows", "cooks_distance", "circumference"])
    assert list(most.columns) == ["rows", "cooks_distance"]
    assert most.label == "tbl-influence-by"
    assert [note.partition(":")[0] for note in most.notes if "dfbeta" in note or "leverage" in note] == [
        "cooks_distance"
    ]
    assert lt.influence(orthodont.fit).most(1).label == "tbl-influence"


def test_words_of_diagnostics_refuse_what_they_are_not_about(orthodont):
    for words in (lt.prose.covariates, lt.prose.held_out, lt.prose.checks, lt.prose.influence):
        with pytest.raises(lt.LMMError, match="takes what"):
            words(orthodont.fit)
    assert lt.prose.effects(lt.fit_gls("distance ~ age", lt.load_dataset("Orthodont"))) is None
    assert "@tbl-shrinkage-summary" not in str(lt.prose.effects(orthodont.fit))
