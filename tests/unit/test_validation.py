"""Cross-validation: what each fold predicts, scores against their integrals, and what is said of folds that fail."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import norm

import lmmtools as lt
from lmmtools.resampling.refits import refit_design
from lmmtools.validation.folds import divide
from lmmtools.validation.heldout import _training, held_out
from lmmtools.validation.scores import crps, log_score, mean_by_units
from tests.definitions.prediction import new_responses
from tests.definitions.residual_structures import by_definition
from tests.oracle import dense_model
from tests.unit.test_predict import MODELS, crossed, named

SLEEP = lt.load_dataset("sleepstudy")


@cache
def fits():
    return {left: lt.fit_lmm(f"Reaction ~ Days + ({left} | Subject)", SLEEP) for left in ("1", "Days")}


# --- scores -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("y", "mean", "sd"), [(0.3, 0.0, 1.0), (-4.0, 1.0, 2.0), (10.0, 9.9, 0.05)])
def test_scores_are_their_definitions(y, mean, sd):
    law = norm(mean, sd)
    low, high = min(y, mean) - 12 * sd, max(y, mean) + 12 * sd
    expected = quad(lambda x: law.cdf(x) ** 2, low, y)[0] + quad(lambda x: law.sf(x) ** 2, y, high)[0]
    assert crps(np.array([y]), mean, sd) == pytest.approx(expected, rel=1e-7)
    assert log_score(np.array([y]), mean, sd) == pytest.approx(-law.logpdf(y), rel=1e-12)


def test_standard_errors_of_means_take_units_as_independent():
    rng = np.random.default_rng(1)
    values, units = rng.normal(size=12), np.repeat(np.arange(4), 3)
    mean, se = mean_by_units(values, units)
    assert mean == pytest.approx(values.mean())
    assert se == pytest.approx(values.reshape(4, 3).mean(axis=1).std(ddof=1) / 2)
    assert mean_by_units(values, np.arange(12))[1] == pytest.approx(values.std(ddof=1) / np.sqrt(12))
    assert np.isnan(mean_by_units(values, np.zeros(12, dtype=int))[1])


# --- folds --------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::lmmtools.LMMWarning")
@pytest.mark.parametrize(("formula", "options"), MODELS[:-1], ids=named)
def test_a_fold_predicts_by_the_joint_law_of_what_it_has_seen(formula, options):
    fit = lt.fit_lmm(formula, crossed(), **options)
    for out in (np.arange(fit.nobs) % 5 == 2, fit.design.terms[0].codes == 1):
        rows, others = np.flatnonzero(out), np.flatnonzero(~out)
        held, left = held_out(fit, out), _training(fit.design, others)
        one = refit_design(fit, left.design)
        W, order, residual = fit.design.weights, np.append(others, rows), fit.design.residual
        W = None if W is None else W[order]
        if residual is None:
            R = np.diag(np.ones(len(order)) if W is None else 1 / W)
        else:
            R = by_definition(residual.of_rows(order), one.phi, W)
        terms = tuple((t.matrix[rows], p[t.codes[rows]]) for t, p in zip(fit.design.terms, left.places, strict=True))
        X = fit.design.X[np.ix_(rows, left.kept)]
        dense = dense_model(left.design, reml=fit.reml)
        value, variance = new_responses(dense, np.concatenate([one.theta, one.phi]), X, terms, R)
        value = value if fit.design.offset is None else value + fit.design.offset[rows]
        np.testing.assert_allclose(held.mean, value, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(held.sd, np.sqrt(variance), rtol=1e-8)


def test_a_fold_is_a_fit_to_the_other_rows():
    found = lt.cross_validate(fits(), folds=4, rng=3)
    rows = found.rows
    for model, fit in fits().items():
        mine = rows[(rows["model"] == model) & (rows["fold"] == 2)]
        other = lt.fit_lmm(fit.formula, SLEEP.drop(index=mine["row"]))
        same = other.predict(SLEEP.loc[mine["row"]], interval="observation")
        np.testing.assert_allclose(mine["mean"], same["prediction"], rtol=1e-6)
        np.testing.assert_allclose(mine["sd"], same["std_error"], rtol=1e-5)
        np.testing.assert_allclose(mine["pit"], norm.cdf(mine["observed"], mine["mean"], mine["sd"]), rtol=1e-10)
    assert sorted(rows.loc[rows["model"] == "1", "row"]) == sorted(SLEEP.index)


def test_whole_levels_are_left_out():
    found = lt.cross_validate(fits()["Days"], by="Subject", folds=None)
    assert found.folds == 18 and found.by == "level of Subject" and len(found.failures) == 0
    rows = found.rows[found.rows["fold"] == 1]
    subject = SLEEP.loc[rows["row"], "Subject"]
    assert subject.nunique() == 1
    other = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", SLEEP[subject.iloc[0] != SLEEP.Subject])
    same = other.predict(SLEEP.loc[rows["row"]], random=False, interval="observation")
    np.testing.assert_allclose(rows["mean"], same["prediction"], rtol=1e-6)
    np.testing.assert_allclose(rows["sd"], same["std_error"], rtol=1e-5)
    assert "Each of the 18 levels of Subject is left out in turn." in found.scores.notes
    labels = SLEEP["Subject"].astype(str)
    again = lt.cross_validate(fits()["Days"], by=labels.sample(frac=1, random_state=1), folds=None)
    pd.testing.assert_frame_equal(pd.DataFrame(again.scores), pd.DataFrame(found.scores))


def test_scores_and_differences_are_means_over_rows():
    found = lt.cross_validate(fits(), folds=5, repeats=2, rng=4)
    rows = pd.DataFrame(found.rows)
    assert len(rows) == 2 * 2 * 180 and found.repeats == 2
    for model, mine in rows.groupby("model"):
        error = mine["observed"] - mine["mean"]
        line = found.scores.loc[model]
        assert line["rmse"] == pytest.approx(np.sqrt((error**2).mean()))
        assert line["mae"] == pytest.approx(error.abs().mean())
        assert line["crps"] == pytest.approx(crps(*(mine[c].to_numpy() for c in ("observed", "mean", "sd"))).mean())
        assert line["coverage"] == pytest.approx((error.abs() <= 1.959963984540054 * mine["sd"]).mean())
    best = found.scores["log_score"].idxmin()
    table = found.differences[found.differences["score"] == "CRPS"].iloc[0]
    assert (table["against"], table["model"]) == (best, "1")
    assert table["difference"] == pytest.approx(found.scores.loc["1", "crps"] - found.scores.loc[best, "crps"])
    mine = rows.assign(s=crps(*(rows[c].to_numpy() for c in ("observed", "mean", "sd"))))
    paired = mine.pivot_table(index="row", columns="model", values="s")
    by_subject = (paired["1"] - paired["Days"]).groupby(SLEEP["Subject"]).mean()
    assert table["std_error"] == pytest.approx(by_subject.std(ddof=1) / np.sqrt(18))


def test_the_same_seed_gives_the_same_folds():
    one, two = (lt.cross_validate(fits()["1"], folds=3, rng=np.random.default_rng(8)) for _ in range(2))
    pd.testing.assert_frame_equal(pd.DataFrame(one.rows), pd.DataFrame(two.rows))
    sizes = one.rows.groupby("fold").size()
    assert sizes.tolist() == [60, 60, 60]
    division = divide([fits()["1"].design], None, 7, 50, 1)
    assert [len(np.unique(of)) for of in division.of] == [7] * 50
    together = np.mean(division.of[:, 0] == division.of[:, 1])
    assert together < 0.35  # one in seven, if any two rows are as likely to fall together


def test_a_better_model_scores_better_and_has_flat_pit():
    rng = np.random.default_rng(6)
    g, x = np.repeat(np.arange(40), 6), rng.normal(size=240)
    data = pd.DataFrame({"y": x + rng.normal(size=40)[g] + 0.5 * rng.normal(size=240), "x": x, "g": g})
    found = lt.cross_validate([lt.fit_lmm(f"y ~ {f} + (1 | g)", data) for f in ("x", "1")], folds=5, rng=1)
    assert list(found.scores.index) == ["y ~ x + (1 | g)", "y ~ 1 + (1 | g)"]
    assert found.scores["log_score"].iloc[0] < found.scores["log_score"].iloc[1] - 0.3
    assert found.scores["coverage"].iloc[0] == pytest.approx(0.95, abs=0.04)
    assert abs(np.histogram(found.pit(), 4, (0, 1))[0] / 240 - 0.25).max() < 0.08


# --- what fails ---------------------------------------------------------------------------------------


def test_a_fold_without_a_level_loses_its_rows_only():
    data = crossed().assign(f=lambda d: np.where(d.g == 2, "rare", np.where(d.g % 2, "a", "b")))
    fit = lt.fit_lmm("y ~ f + x + (1 | g)", data)
    found = lt.cross_validate(fit, by="g", folds=None)
    assert found.failures["rows"].tolist() == [int((data.g == 2).sum())]
    assert "`f[T.rare]` has no estimate in the rows that are left" in found.failures["reason"][0]
    assert found.scores["failed"].iloc[0] == 1 and found.scores["rows"].iloc[0] == (data.g != 2).sum()
    assert any("1 fold of some model left rows without a prediction" in note for note in found.scores.notes)
    with pytest.raises(lt.ModelError, match=r"no fold .* a single level of `two` is left"):
        two = data.assign(two=data.g % 2)
        lt.cross_validate(lt.fit_lmm("y ~ x + (1 | two)", two), by="two", folds=None)


def test_a_structure_without_a_level_fails_with_its_reason():
    data = crossed().assign(two=lambda d: np.where(d.g == 2, "u", "v"))
    fit = lt.fit_lmm("y ~ x + (1 | h)", data, residual="varident(two)")
    found = lt.cross_validate({"one": fit, "other": lt.fit_lmm("y ~ x + (1 | h)", data)}, by=data["two"], folds=2)
    assert found.failures["model"].tolist() == ["one", "one"]
    assert "`varident(two)`: no row that is left has" in found.failures["reason"][0]
    assert np.isfinite(found.scores.loc["other", "crps"]) and np.isnan(found.scores.loc["one", "crps"])
    assert found.scores["rows"].tolist() == [0, 41]


def test_models_that_say_the_same_do_not_differ():
    found = lt.cross_validate(fits(), by="Subject", folds=6, rng=1)
    table = found.differences.set_index("score")["difference"]  # balanced: the means are those of least squares
    assert table["RMSE"] == 0.0 and table["MAE"] == 0.0 and table["CRPS"] > 0.0


def test_variances_of_fitted_values_are_those_of_predictions():
    data = lt.load_dataset("Orthodont")
    fit = lt.fit_gls("distance ~ age", data, residual="varpower(fitted())")
    found = lt.cross_validate(fit, folds=3, rng=1)
    assert len(found.failures) == 0
    mine = found.rows[found.rows["fold"] == 1]
    other = lt.fit_gls("distance ~ age", data.drop(index=mine["row"]), residual="varpower(fitted())")
    same = other.predict(data.loc[mine["row"]], interval="observation")
    np.testing.assert_allclose(mine["sd"], same["std_error"], rtol=1e-4)


@pytest.mark.parametrize(
    ("asked", "match"),
    [
        ({"by": "Subjects", "rng": 1}, r"no grouping factor of these models \(did you mean `Subject`\?\)"),
        ({"by": [1, 2], "rng": 1}, "a label for each of the 180 rows used, none missing; got 2, 0 missing"),
        ({"by": np.zeros(180), "rng": 1}, "one level of by only"),
        ({"by": pd.Series([1, 2]), "rng": 1}, "lacks 178 rows"),
        ({"folds": 1, "rng": 1}, "at least 2; got 1"),
        ({"repeats": 0, "rng": 1}, "at least 1; got 0"),
        ({}, "random numbers need rng="),
        ({"rng": 1, "level": 0}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_asked(asked, match):
    with pytest.raises(lt.LMMError, match=match):
        lt.cross_validate(fits(), **asked)


def test_models_of_different_rows_or_responses():
    log = lt.fit_lmm("log(Reaction) ~ Days + (1 | Subject)", SLEEP)
    with pytest.raises(lt.ModelError, match="`line`, `log` are of different responses or rows"):
        lt.cross_validate({"line": fits()["1"], "log": log}, rng=1)
    few = lt.fit_lmm("Reaction ~ Days + (1 | Subject)", SLEEP.iloc[:-5])
    with pytest.raises(lt.ModelError, match="180 and 175 rows"):
        lt.cross_validate([fits()["1"], few], rng=1)
    with pytest.raises(lt.ModelError, match="takes fits made by fit_lmm; got str"):
        lt.cross_validate("fit", rng=1)
