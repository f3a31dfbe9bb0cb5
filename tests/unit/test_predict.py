"""Predictions of new rows: against the joint normal law written out, and what is said of rows that have none."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest

import lmmtools as lt
from lmmtools.core.optimize import Optimum
from tests.definitions.prediction import new_responses, prediction_variance
from tests.definitions.residual_structures import by_definition
from tests.oracle import dense_model

ORTHODONT = lt.load_dataset("Orthodont")
SEXES = "distance ~ Sex * age"


# --- the joint law of everything seen and new ---------------------------------------------------------


@cache
def crossed(n=60, seed=3):
    """Rows of two crossed factors and one nested, with times, places, a factor, weights and an offset."""
    rng = np.random.default_rng(seed)
    g = rng.integers(0, 7, n)
    t = rng.permutation(n)
    data = pd.DataFrame(
        {"g": g, "h": rng.integers(0, 5, n), "k": rng.integers(0, 2, n), "t": t % 9, "s": rng.uniform(0, 4, n),
         "u": rng.uniform(0, 4, n), "f": rng.choice(list("abc"), n), "x": rng.normal(1, 2, n),
         "w": rng.uniform(0.3, 3, n), "o": rng.normal(size=n), "v": rng.uniform(0.5, 2, n)}
    )  # fmt: skip
    effects = rng.normal(size=(7, 2)) * [2, 0.5]
    y = 3 + 0.5 * data.x + effects[g, 0] + effects[g, 1] * data.x + rng.normal(size=5)[data.h] + rng.normal(size=n)
    series = np.sin(data.s + 2 * g) + np.sin(data.u) + 0.5 * rng.normal(size=(7, 9)).cumsum(axis=1)[g, data.t]
    data["y"], data["z"] = y + 1.5 * series, data.x + 2 * series + 0.3 * rng.normal(size=n)
    data["q"] = data.x + 2 * np.sin(data.s) + 2 * np.cos(data.u) + 0.3 * rng.normal(size=n)
    return data.drop_duplicates(["g", "t"], ignore_index=True)


def root_of(seed=1, J=9):
    root = np.random.default_rng(seed).normal(size=(J, J + 2))
    return pd.DataFrame(root @ root.T / J, index=range(J), columns=range(J))


MODELS = (
    ("y ~ x * f + (1 + x | g)", {}),
    ("y ~ x + (1 + x | g) + (1 | h)", {"weights": "w", "offset": "o"}),
    ("y ~ x + f + (x || g) + (1 | g:k)", {"reml": False}),
    ("y ~ 0 + (1 | g)", {"offset": "o"}),
    ("y ~ x + (1 | g) + (0 + x | g)", {"weights": "w"}),
    ("y ~ x + (1 | g) + (1 | h)", {"known": {"g": root_of()}}),
    ("y ~ x + cs(0 + f | h)", {}),
    ("y ~ x + offset(o) + (1 | h)", {"residual": "ar1(t | g) * varident(f)", "weights": "w"}),
    ("y ~ x + (1 + x | h)", {"residual": "car1(t | g)", "known": {"h": root_of(2)}}),
    ("y ~ x + (1 | h) + (1 | k)", {"residual": "exp(s + u | g, nugget=True) * varpower(v)"}),
    ("y ~ x + f + (1 | g)", {"residual": "cs(g:h) * varexp(v | f)"}),
)
GLS = (
    "ar1(t | g)", "ar1(factor(t) | g)", "car1(s | g, by=k2)", "cs(g)", "toep(t | g, 2)", "toep(t3 | j)", "us(t3 | j)",
    "arma(t | g, 1, 1)", "exp(s + u)", "gaus(s + u | g, nugget=True)", "spher(s | g)", "ratio(s | g) * varident(f)",
)  # fmt: skip


def named(part):
    return part if isinstance(part, str) else ", ".join(part if "known" in part else map(str, part.values()))


def dense_terms(fit, rows):
    return tuple((t.matrix, t.codes) for t in rows.terms)


def held_out(formula, options, gls=False, seed=3):
    """A fit without some rows, and these rows: some of groups that remain, some of a level that was never seen."""
    data = crossed(seed=seed).assign(k2=lambda d: d.g % 2)
    data = data.assign(j=np.arange(len(data)) // 3, t3=np.arange(len(data)) % 3)
    new = np.arange(4, len(data), 9) if gls else np.flatnonzero((np.arange(len(data)) % 9 == 4) | (data.g == 6))
    if gls and "t3" in gls:
        new = np.arange(4, len(data), 12)
    fit = lt.fit_gls if gls else lt.fit_lmm
    return fit(formula, data.drop(index=new), **options), data.loc[new].drop(columns="y")


@pytest.mark.parametrize("seed", [3, 8, 21])
@pytest.mark.parametrize(("formula", "options"), MODELS, ids=named)
@pytest.mark.filterwarnings("ignore::lmmtools.LMMWarning")
def test_standard_errors_are_those_of_the_joint_covariance(formula, options, seed):
    fit, new = held_out(formula, options, seed=seed)
    if "known" in options:
        new = new[new.g != 6]
    dense, theta = dense_model(fit.design, reml=fit.reml), np.concatenate([fit.theta, fit.phi])
    rows = fit.design.new_rows(new, unseen="population")
    sd = np.sqrt(np.array(own_variances(fit, new)))
    for random in (True, False):
        mean, observation = prediction_variance(dense, theta, rows.X, dense_terms(fit, rows), random=random)
        got = fit.predict(new, random=random, unseen="population", interval="mean")
        np.testing.assert_allclose(got["std_error"], np.sqrt(mean), rtol=1e-8)
        np.testing.assert_allclose(got["high"] - got["low"], 2 * 1.959963984540054 * np.sqrt(mean), rtol=1e-8)
        expected = observation + fit.sigma**2 * (sd**2 - 1)
        if not random and "known" in options:
            with pytest.raises(lt.LMMError, match="those in its known covariance matrix only"):
                fit.predict(new, random=False, interval="observation")
            continue
        got = fit.predict(new, random=random, unseen="population", interval="observation")
        np.testing.assert_allclose(got["std_error"], np.sqrt(expected), rtol=1e-8)


def own_variances(fit, new):
    """Var(ε) over σ² of new rows with weight one, from the definition."""
    residual = fit.design.residual
    if residual is None or not residual.variances:
        return np.ones(len(new))
    return np.diag(joint_covariance(fit, new))[fit.nobs :]


def joint_covariance(fit, new):
    """Residual covariance over σ² of the rows fitted and of new ones, by the definition of its structure."""
    residual, m = fit.design.residual, len(new)
    head = residual.correlation
    if head is not None:
        other = lt.design.residual.newcomers.correlation_rows(fit.design, new)
        fresh = len(head.levels) + np.arange(m)
        codes = np.append(head.codes, np.where(other.codes < 0, fresh, other.codes))
        by = np.zeros(len(head.levels) + m, dtype=int)
        by[head.codes] = head.by_codes
        head = replace(head, codes=codes, positions=np.vstack([head.positions, other.positions]), by_codes=by[codes])
    parts = [
        replace(one, codes=np.append(one.codes, two.codes), values=np.append(one.values, two.values))
        for one, two in zip(residual.variances, fit.design.residual_rows(new), strict=True)
    ]
    weights = fit.design.weights
    weights = None if weights is None else np.append(weights, np.ones(m))
    return by_definition(replace(residual, correlation=head, variances=tuple(parts)), fit.phi, weights)


@pytest.mark.parametrize(
    ("formula", "options"),
    [*(model for model in MODELS if "residual" in model[1]),
     *(("q ~ x + s + u" if one == "exp(s + u)" else "z ~ x", {"residual": one}) for one in GLS)],
    ids=named,
)
@pytest.mark.filterwarnings("ignore::lmmtools.LMMWarning")
def test_new_responses_from_the_residuals_of_their_group(formula, options):
    gls = options["residual"] if "|" not in formula else False
    fit, new = held_out(formula, options, gls)
    if "known" in options:
        new = new[new.h.isin(fit.design.terms[0].levels)]
    dense, theta = dense_model(fit.design, reml=fit.reml), np.concatenate([fit.theta, fit.phi])
    rows = fit.design.new_rows(new, unseen="population")
    value, variance = new_responses(dense, theta, rows.X, dense_terms(fit, rows), joint_covariance(fit, new))
    value = value if rows.offset is None else value + rows.offset
    got = fit.predict(new, unseen="population", interval="observation", residuals=True)
    np.testing.assert_allclose(got["std_error"], np.sqrt(variance), rtol=1e-8)
    np.testing.assert_allclose(got["prediction"], value, rtol=1e-8, atol=1e-8)
    plain = fit.predict(new, unseen="population", interval="observation")
    assert np.abs(got["prediction"] - plain["prediction"]).max() > 1e-4
    pd.testing.assert_series_equal(
        fit.predict(new, unseen="population", residuals=True), got["prediction"], check_exact=True
    )


def test_one_residual_group_far_beyond_all_distances_keeps_its_digits():
    data = crossed()
    with pytest.warns(lt.LMMWarning, match="as good as any, but not the only one"):
        fit = lt.fit_gls("q ~ x", data, residual="exp(s + u)")
    new = data.iloc[:5].assign(s=lambda d: d.s + 0.1)
    dense, rows = dense_model(fit.design), fit.design.new_rows(new)
    value, variance = new_responses(dense, fit.phi, rows.X, (), joint_covariance(fit, new))
    got = fit.predict(new, interval="observation", residuals=True)
    # correlations are one but for 1e-7, so that many digits are gone whoever computes
    np.testing.assert_allclose(got["prediction"], value, atol=1e-5)
    np.testing.assert_allclose(got["std_error"], np.sqrt(variance), rtol=1e-4)


def test_a_response_seen_predicts_itself():
    fit = lt.fit_gls(SEXES, ORTHODONT, residual="ar1(factor(age) | Subject) * varident(Sex)")
    rows = ORTHODONT.iloc[[3, 40, 100]]
    found = fit.predict(rows, interval="observation", residuals=True)
    np.testing.assert_allclose(found["prediction"], rows["distance"], rtol=1e-10)
    np.testing.assert_allclose(found["std_error"], 0.0, atol=1e-6)
    later = rows.assign(Subject="new")
    pd.testing.assert_frame_equal(
        fit.predict(later, interval="observation", residuals=True), fit.predict(later, interval="observation")
    )


def test_times_between_those_seen():
    gaps = ORTHODONT[ORTHODONT.age != 12]
    new = pd.DataFrame({"age": [12.0], "Sex": "Male", "Subject": "M01"})
    own = ORTHODONT[ORTHODONT.Subject == "M01"].set_index("age").distance
    first, last = own[10], own[14]
    fit = lt.fit_gls("distance ~ 1", gaps, residual="car1(age | Subject)")
    a = fit.phi[0] ** 2  # neighbours two years to either side alone count
    expected = fit.beta[0] + a * (first + last - 2 * fit.beta[0]) / (1 + a * a)
    assert fit.predict(new, residuals=True).iloc[0] == pytest.approx(expected, rel=1e-8)


def test_a_missed_occasion_of_a_factor_has_its_place():
    visits = [f"at {age}" for age in (8, 10, 12, 14)]
    data = ORTHODONT.assign(visit=pd.Categorical(ORTHODONT.age.map("at {:g}".format), visits, ordered=True))
    rest = data[data.age != 12]
    new = data[(data.age == 12) & (data.Subject == "M01")]
    by_age = lt.fit_gls("distance ~ age", rest, residual="ar1(visit | Subject)")
    by_step = lt.fit_gls("distance ~ age", rest.assign(step=rest.age / 2), residual="ar1(step | Subject)")
    got = by_age.predict(new, interval="observation", residuals=True)
    pd.testing.assert_frame_equal(got, by_step.predict(new.assign(step=6.0), interval="observation", residuals=True))


@pytest.mark.parametrize(
    ("residual", "change", "match"),
    [
        ("us(age | Subject)", {"age": 9.0}, r"`age` is `9` in 1 new row \(row 0\), an occasion .* knows `8`, `10`"),
        ("toep(age | Subject)", {"age": 9.0}, "row 0 is 1 away from a row of its group, a distance without"),
        ("ar1(factor(age) | Subject)", {"age": 9.0}, "`factor\\(age\\)` is `9` in 1 new row"),
        ("ar1(age | Subject)", {"age": 9.5}, "whole"),
    ],
)
def test_a_place_that_the_correlation_does_not_know(residual, change, match):
    fit = lt.fit_gls("distance ~ age", ORTHODONT, residual=residual)
    new = ORTHODONT.iloc[:1].assign(**change)
    assert np.isfinite(fit.predict(new)).all()
    with pytest.raises(lt.DataError, match=match):
        fit.predict(new, residuals=True)


def test_when_residuals_cannot_be_asked_for():
    fit = lt.fit_gls("distance ~ age", ORTHODONT, residual="cs(Subject)")
    with pytest.raises(lt.LMMError, match="each would be its own prediction"):
        fit.predict(residuals=True)
    with pytest.raises(lt.LMMError, match="use one of them"):
        fit.predict(ORTHODONT, random=False, residuals=True)
    with pytest.raises(lt.LMMError, match='the mean of a row has none: use interval="observation"'):
        fit.predict(ORTHODONT, interval="mean", residuals=True)
    with pytest.raises(lt.LMMError, match="residuals must be True or False; got 'yes'"):
        fit.predict(ORTHODONT, residuals="yes")
    independent = lt.fit_lmm("distance ~ age + (1 | Subject)", ORTHODONT)
    pd.testing.assert_series_equal(independent.predict(ORTHODONT, residuals=True), independent.predict(ORTHODONT))


def test_correlations_that_no_residuals_have():
    rng = np.random.default_rng(4)
    pairs = pd.DataFrame({"g": np.repeat(np.arange(30), 2), "x": rng.normal(size=60)})
    pairs["y"] = pairs.x + np.tile([1, -1], 30) * np.repeat(rng.normal(size=30), 2) + 0.3 * rng.normal(size=60)
    fit = lt.fit_gls("y ~ x", pairs, residual="cs(g)")
    assert fit.phi[0] < -0.8
    with pytest.raises(lt.DataError, match=r"`cs\(g\)` gives 1 new row correlations .* no residuals together can have"):
        fit.predict(pd.DataFrame({"g": [3, 99], "x": 1.0}), residuals=True)


# --- glmmTMB ------------------------------------------------------------------------------------------

# tests/reference/prediction_glmmtmb.R under R 4.2.2 with glmmTMB 1.1.5.
GLMMTMB = {
    "sleepstudy": {
        "conditional": [253.805235843815, 249.65179918004, 404.81091412106],
        "conditional_se": [12.201518638238, 7.763471750402, 19.984012835963],
        "population": [251.405094909162, 298.507871360502, 377.012498779402],
        "population_se": [6.870354261377, 9.291647982036, 19.260462196961],
    },
    "penicillin": {
        "conditional": [25.963973111168, 26.33802353192, 18.748424262272],
        "conditional_se": [0.240274813808, 0.240274813808, 0.240274813808],
        "population": [22.972222222222, 22.972222222222, 22.972222222222],
        "population_se": [0.7961604912176, 0.7961604912176, 0.7961604912176],
    },
}


def fit_at(formula, data, theta):
    criterion = lt.Criterion(lt.build_design(formula, data), reml=False)
    theta = np.array(theta)
    return lt.summarize(criterion, Optimum(criterion.working.from_theta(theta), theta, 0.0, 0, converged=True))


@pytest.mark.filterwarnings("ignore::lmmtools.LMMWarning")  # the parameters are not an optimum
@pytest.mark.parametrize("name", GLMMTMB)
def test_standard_errors_are_glmmtmbs_at_the_same_parameters(name):
    if name == "sleepstudy":
        sigma, corr = 25.5, 0.1
        theta = np.array([25, 6 * corr, 6 * np.sqrt(1 - corr**2)]) / sigma
        fit = fit_at("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"), theta)
        new = pd.DataFrame({"Days": [0, 4.5, 12], "Subject": ["308", "335", "372"]})
    else:
        sigma = 0.55
        fit = fit_at("diameter ~ 1 + (1 | plate) + (1 | sample)", lt.load_dataset("Penicillin"),
                     np.array([0.85, 1.9]) / sigma)  # fmt: skip
        new = pd.DataFrame({"plate": ["a", "m", "x"], "sample": ["A", "C", "F"]})
    theirs = GLMMTMB[name]
    for random, what in ((True, "conditional"), (False, "population")):
        got = fit.predict(new, random=random, interval="mean")
        # theirs are found by a search for the modes, which ends at 1e-6 or so of the response's size
        np.testing.assert_allclose(got["prediction"], theirs[what], rtol=2e-6)
        np.testing.assert_allclose(got["std_error"] * sigma / fit.sigma, theirs[f"{what}_se"], rtol=1e-6)


# --- what new rows lack -------------------------------------------------------------------------------


@cache
def sleep():
    return lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))


def test_columns_that_are_lacking_are_all_named():
    both = r"no column `Days` \(did you mean `days`\?\) and `Subject`, which .* have `days`"
    with pytest.raises(lt.DataError, match=both):
        sleep().predict(pd.DataFrame({"days": [1.0]}))
    with pytest.raises(lt.DataError, match="no column `Subject`.*random=False, need no groups"):
        sleep().predict(pl.DataFrame({"Days": [1.0]}))
    with pytest.raises(lt.DataError, match="not a dict"):
        sleep().predict({"Days": [1.0]})


def test_missing_values_give_missing_predictions_which_are_counted():
    new = pd.DataFrame({"Days": [1.0, np.nan, 3.0, 4.0], "Subject": ["308", "309", None, "310"]}, index=list("abcd"))
    with pytest.warns(lt.LMMWarning, match=r"2 of 4 new rows have missing values \(`Days`, `Subject`\)"):
        got = sleep().predict(new, interval="observation")
    assert got.isna().any(axis=1).tolist() == [False, True, True, False] and list(got.index) == list("abcd")
    pd.testing.assert_frame_equal(got.loc[["a", "d"]], sleep().predict(new.loc[["a", "d"]], interval="observation"))
    with pytest.warns(lt.LMMWarning, match=r"1 of 4 new rows has a missing value \(`Days`\): its prediction is NaN"):
        population = sleep().predict(new, unseen="population")
    assert population.isna().tolist() == [False, True, False, False]
    assert population["c"] == pytest.approx(sleep().fixef @ [1, 3])
    frame = pl.DataFrame({"Days": [None, 2.0], "Subject": ["308", "308"]})
    with pytest.warns(lt.LMMWarning, match="1 of 2"):
        assert np.isnan(sleep().predict(frame)).tolist() == [True, False]
    with pytest.warns(lt.LMMWarning, match="2 of 2"):
        assert sleep().predict(new.iloc[1:3].assign(Subject=None)).isna().all()


def test_missing_values_of_a_factor_and_of_what_the_variance_depends_on():
    fit = lt.fit_lmm(f"{SEXES} + (1 | Subject)", ORTHODONT, residual="varident(Sex) * varpower(age)")
    new = ORTHODONT.iloc[:4].assign(Sex=["Male", None, "Male", "Male"], age=[8.0, 8.0, np.nan, 14.0])
    with pytest.warns(lt.LMMWarning, match="2 of 4"):
        got = fit.predict(new, interval="observation")
    assert got["std_error"].isna().tolist() == [False, True, True, False]


def test_a_column_that_is_no_number_at_a_new_row():
    data = crossed().assign(x=lambda d: d.x - d.x.min() + 1)
    fit = lt.fit_lmm("y ~ log(x) + (1 | g)", data)
    with np.errstate(invalid="ignore"), pytest.warns(lt.LMMWarning, match="a fixed effect's column that is no number"):
        assert np.isnan(fit.predict(data.iloc[:2].assign(x=[-1.0, 1.0]))).tolist() == [True, False]


def test_new_levels():
    fit = lt.fit_lmm(f"{SEXES} + (1 | Subject)", ORTHODONT)
    with pytest.raises(lt.DataError, match="`Sex` has `Other` in 1 row, .*; it knows `Male`, `Female`"):
        fit.predict(ORTHODONT.iloc[:1].astype({"Sex": str}).assign(Sex="Other"))
    with pytest.raises(lt.DataError, match=r"`Subject` has `X1` in 1 new row.*\(27 levels known\)"):
        fit.predict(ORTHODONT.iloc[:1].astype({"Subject": str}).assign(Subject="X1"))


def test_rows_that_the_data_do_not_determine_are_told():
    data = ORTHODONT[~((ORTHODONT.Sex == "Female") & (ORTHODONT.age == 14))]
    fit = lt.fit_lmm("distance ~ Sex * factor(age) + (1 | Subject)", data)
    with pytest.warns(lt.LMMWarning, match="the means of 1 of 2 new rows are not determined by the data"):
        fit.predict(pd.DataFrame({"Sex": ["Female", "Male"], "age": 14.0, "Subject": ["F01", "M01"]}))
    fit.predict(data)
