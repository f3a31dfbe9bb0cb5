"""Models with stated parameters: what they say, what they draw, and every name and number that is refused."""

import pickle
from itertools import product

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.errors import DataError, FormulaError, LMMError, ModelError

SLEEP = lt.load_dataset("sleepstudy")
STATED = {"fixef": {"Intercept": 250, "Days": 5}, "sd": {"Subject": {"Intercept": 24, "Days": 6}}, "sigma": 25}
FORMULA = "Reaction ~ Days + (Days | Subject)"


def frame(levels=4, rows=5):
    data = pd.DataFrame(product(range(levels), range(rows)), columns=["g", "t"])
    data["x"] = data["t"] - 1.7
    data["w"] = 1.0 + data["t"] % 3
    data["arm"] = np.where(data["g"] % 2, "b", "a")
    data["f"] = "l" + (data["t"] % 3).astype(str)
    return data


def covariance(plan):
    """V over the rows from its definition: ZΣZ' and σ²R, each level's block written out."""
    n = plan.nobs
    V = plan.sigma**2 * plan.noise.matrix(np.arange(n))
    for term in plan.design.terms:
        T = plan.random_covariance[term.group].to_numpy()
        A = np.eye(len(term.levels)) if term.known_root is None else term.known_root @ term.known_root.T
        V += A[np.ix_(term.codes, term.codes)] * (term.matrix @ T @ term.matrix.T)
    return V


def test_a_response_is_neither_needed_nor_read():
    spoilt = SLEEP.assign(Reaction=np.nan)
    plans = [lt.planned(FORMULA, data, **STATED) for data in (SLEEP, spoilt, SLEEP.drop(columns="Reaction"))]
    drawn = [plan.simulate(3, np.random.default_rng(1)) for plan in plans]
    assert drawn[0].shape == (180, 3)
    np.testing.assert_array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(drawn[0], drawn[2])
    assert plans[1].nobs == 180, "a missing response leaves no row out"


def test_a_response_that_is_a_function_is_stated_on_its_own_scale():
    plan = lt.planned("log(Reaction) ~ Days + (1 | Subject)", SLEEP[["Days", "Subject"]], sd={"Subject": 0.1},
                      sigma=0.05, fixef={"Intercept": 5, "Days": 0.02})  # fmt: skip
    assert plan.design.response == "log(Reaction)"
    assert abs(plan.simulate(1, np.random.default_rng(1)).mean() - 5.09) < 0.1


@pytest.mark.parametrize(
    "how",
    [
        {"sd": {"sd(Subject, Intercept)": 24, "sd(Subject,Days)": 6}, "cor": {"cor(Subject, Intercept, Days)": 0.2}},
        {"sd": {"Subject": {"Intercept": 24, "Days": 6}}, "cor": {"Subject": 0.2}},
        {"sd": {"Subject": {"Days": 6, "Intercept": 24}}, "cor": {"Subject": {("Days", "Intercept"): 0.2}}},
        {"sd": {"Subject": [[576, 28.8], [28.8, 36]]}},
        {"sd": {"Subject": pd.DataFrame([[36, 28.8], [28.8, 576]], *(2 * [["Days", "Intercept"]]))}},
        {"sd": pd.Series({"sd(Subject, Intercept)": 24, "sd(Subject, Days)": 6}),
         "cor": {"Subject": [[1, 0.2], [0.2, 1]]}},
        {"sd": {"Subject": pd.Series({"Intercept": 24, "Days": 6})}, "cor": {"cor(Subject, Days, Intercept)": 0.2}},
    ],
)  # fmt: skip
def test_covariances_are_stated_in_many_ways(how):
    plan = lt.planned(FORMULA, SLEEP, fixef={"Intercept": 250, "Days": 5}, sigma=25, **how)
    found = plan.random_covariance["Subject"].to_numpy()
    np.testing.assert_allclose(found, [[576, 28.8], [28.8, 36]], rtol=1e-12)
    again = lt.Criterion(plan.design)
    assert np.isfinite(again(plan.theta))


def test_the_parameters_of_a_fit_stated_draw_what_the_fit_draws():
    fit = lt.fit_lmm(FORMULA, SLEEP)
    values = fit.varcorr["sdcor"].to_numpy()
    plan = lt.planned(FORMULA, SLEEP, fixef=fit.fixef, sd={"Subject": {"Intercept": values[0], "Days": values[1]}},
                      cor={"Subject": values[2]}, sigma=fit.sigma)  # fmt: skip
    np.testing.assert_allclose(plan.theta, fit.theta, rtol=1e-10)
    drawn = [one.simulate(4, np.random.default_rng(3)) for one in (fit, plan, lt.planned(fit))]
    np.testing.assert_allclose(drawn[1], drawn[0], rtol=1e-10)
    np.testing.assert_array_equal(drawn[2], drawn[0])


def test_a_fit_with_other_parameters_keeps_the_rest():
    fit = lt.fit_lmm(FORMULA, SLEEP)
    plan = lt.planned(fit, fixef={"Days": 5}, sd={"sd(Subject, Days)": 8})
    assert plan.fixef.to_dict() == {"Intercept": fit.fixef["Intercept"], "Days": 5.0}
    before, after = fit.random_covariance["Subject"].to_numpy(), plan.random_covariance["Subject"].to_numpy()
    assert after[0, 0] == pytest.approx(before[0, 0]) and after[1, 1] == pytest.approx(64)
    assert after[0, 1] / 8 == pytest.approx(before[0, 1] / np.sqrt(before[1, 1])), "the correlation stays"
    smaller = lt.planned(plan, sigma=10)
    np.testing.assert_allclose(smaller.random_covariance["Subject"], after, rtol=1e-12)
    assert smaller.sigma == 10 and smaller.fixef["Days"] == 5


@pytest.mark.parametrize("structure", ["us", "diag", "homdiag", "cs", "homcs", "ar1", "hetar1"])
def test_another_sigma_leaves_every_structure_its_covariance(structure):
    data = frame(12)
    left = "0 + f" if structure not in ("ar1", "hetar1") else "t"
    common = structure in ("homdiag", "homcs", "ar1")
    effects = lt.build_design(f"x ~ 1 + {structure}({left} | g)", data).terms[0].names
    sd = {"g": 2.0} if common else {"g": {name: 1.0 + k for k, name in enumerate(effects)}}
    if structure in ("diag", "homdiag"):
        cor = None
    elif structure == "us":
        cor = {"g": {tuple(effects[:2]): 0.4}}
    else:
        cor = {"g": 0.4}
    plan = lt.planned(f"y ~ 1 + {structure}({left} | g)", data, fixef={"Intercept": 0}, sd=sd, cor=cor, sigma=1.5)
    T = plan.random_covariance["g"].to_numpy()
    assert np.sqrt(T[-1, -1]) == pytest.approx(2.0 if common else float(len(effects)))
    assert T[0, 1] / np.sqrt(T[0, 0] * T[1, 1]) == pytest.approx(0.4 if cor else 0.0, abs=1e-12)
    if structure in ("ar1", "hetar1"):
        assert T[0, 2] / np.sqrt(T[0, 0] * T[2, 2]) == pytest.approx(0.16)
    np.testing.assert_allclose(lt.planned(plan, sigma=4).random_covariance["g"], T, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(lt.planned(plan, sd={"g": T}).random_covariance["g"], T, rtol=1e-7, atol=1e-9)
    one = lt.planned(plan, sd=sd)  # the correlations that the plan has stay
    np.testing.assert_allclose(one.random_covariance["g"], T, rtol=1e-9, atol=1e-12)


RELATED = pd.DataFrame(0.5 * np.eye(4) + 0.5, range(4), range(4))
PLANS = {
    "crossed": ("y ~ x + (1 | g) + (1 | f)", {"sd": {"g": 2, "f": 0.7}}),
    "two terms": ("y ~ x + (1 | g) + (0 + x | g)", {"sd": {"g": 2, "g.1": 0.5}}),
    "nested": ("y ~ x + (1 | arm/g)", {"sd": {"arm": 1, "arm:g": 2}}),
    "weights": ("y ~ x + (x | g)", {"sd": {"g": {"Intercept": 2, "x": 1}}, "cor": {"g": -0.5}, "weights": "w"}),
    "zero variance": ("y ~ x + (x | g)", {"sd": {"g": {"Intercept": 2, "x": 0}}}),
    "singular": ("y ~ x + (x | g)", {"sd": {"g": {"Intercept": 2, "x": 1}}, "cor": {"g": 1}}),
    "ar1": ("y ~ x + (1 | g)", {"sd": {"g": 2}, "residual": "ar1(t | g) * varident(arm)",
                                "residual_params": {"ar1.phi": 0.5, "varident[b]": 2}}),
    "no random effects": ("y ~ x", {"residual": "cs(g)", "residual_params": {"cs.rho": 0.3}}),
    "known": ("y ~ x + (1 | g)", {"sd": {"g": 2}, "known": {"g": RELATED}}),
    "offset": ("y ~ x + offset(t) + (1 | g)", {"sd": {"g": 2}, "offset": "w"}),
    "no fixed effects": ("y ~ 0 + (1 | g)", {"sd": {"g": 2}, "fixef": None}),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANS)
def test_draws_have_the_mean_and_covariance_stated(name):
    formula, stated = PLANS[name]
    stated = {"fixef": {"Intercept": 10, "x": -3}, "sigma": 1.5, **stated}
    data = frame()
    plan = lt.planned(formula, data, **stated)
    n = 4000
    Y = plan.simulate(n, np.random.default_rng(5))
    mean = 0.0 if name == "no fixed effects" else 10 - 3 * data["x"].to_numpy()
    mean = mean + (data["t"] + data["w"]).to_numpy() if name == "offset" else np.broadcast_to(mean, len(data))
    V = covariance(plan)
    if name == "ar1":
        sd = np.where(data["arm"] == "b", 3.0, 1.5)
        lag = np.abs(data["t"].to_numpy()[:, None] - data["t"].to_numpy())
        same = data["g"].to_numpy()[:, None] == data["g"].to_numpy()
        np.testing.assert_allclose(V, np.where(same, 4 + np.outer(sd, sd) * 0.5**lag, 0.0), atol=1e-10)
    # five standard errors of each of a few hundred moments
    error = np.sqrt(np.diagonal(V))
    assert np.abs((Y.mean(axis=1) - mean) / error).max() < 5 / np.sqrt(n)
    C = np.cov(Y)
    assert (np.abs(C - V) / np.sqrt((V**2 + np.outer(error**2, error**2)) / n)).max() < 5


def test_a_plan_is_a_frozen_value_that_says_what_it_is():
    plan = lt.planned(FORMULA, SLEEP, cor={"Subject": 0.1}, **STATED)
    with pytest.raises(AttributeError):
        plan.sigma = 1.0
    with pytest.raises(ValueError, match="read-only"):
        plan.beta[0] = 1.0
    assert plan.table["value"].to_dict() == pytest.approx({
        "Intercept": 250, "Days": 5, "sd(Subject, Intercept)": 24, "sd(Subject, Days)": 6,
        "cor(Subject, Intercept, Days)": 0.1, "sigma": 25,
    })  # fmt: skip
    text = repr(plan)
    assert "180 rows; Subject: 18 levels; to be fitted by REML." in text
    again = pickle.loads(pickle.dumps(plan))
    np.testing.assert_array_equal(again.simulate(2, np.random.default_rng(1)),
                                  plan.simulate(2, np.random.default_rng(1)))  # fmt: skip


def test_names_are_those_of_confint():
    fit = lt.fit_lmm(FORMULA, SLEEP)
    assert set(lt.planned(fit).table.index) == set(fit.confint("wald").index)


def test_rows_without_covariates_are_left_out_and_told():
    data = frame().assign(w=lambda d: d["w"] * 2)
    data.loc[3, "x"] = np.nan
    stated = {"fixef": {"Intercept": 0, "x": 1}, "sd": {"g": 1}, "sigma": 1}
    plan = lt.planned("y ~ x + (1 | g)", data, weights=data["w"], **stated)
    assert plan.nobs == 19 and plan.design.weights[3] == data["w"][4]
    assert "1 of 20 rows was left out for missing values" in repr(plan)
    with pytest.raises(DataError, match="1 of 20 rows has missing values"):
        lt.planned("y ~ x + (1 | g)", data, missing="raise", **stated)


def test_other_frames_will_do():
    polars = pytest.importorskip("polars")
    plan = lt.planned(FORMULA, polars.from_pandas(SLEEP[["Days", "Subject"]].astype({"Subject": str})), **STATED)
    assert plan.nobs == 180


AR1 = "ar1(Days | Subject)"
BAD = {
    "unknown coefficient": ({"fixef": {"Intercept": 250, "days": 5}}, LMMError, "`days`, which is no.*mean `Days`"),
    "coefficient left out": ({"fixef": {"Intercept": 250}}, LMMError, "fixef lacks `Days`: state every coefficient"),
    "fixef no mapping": ({"fixef": [250, 5]}, LMMError, "fixef takes names with their values"),
    "coefficient no number": ({"fixef": {"Intercept": 250, "Days": "5"}}, LMMError, "must be a finite number; got '5'"),
    "coefficient infinite": ({"fixef": {"Intercept": np.inf, "Days": 5}}, LMMError, "must be a finite number; got inf"),
    "sd left out": ({"sd": {"Subject": {"Intercept": 24}}}, LMMError, r"sd lacks `sd\(Subject, Days\)`"),
    "no sd": ({"sd": None}, LMMError, r"sd lacks `sd\(Subject, Intercept\)`, `sd\(Subject, Days\)`"),
    "unknown factor": ({"sd": {"subject": 24}}, LMMError, "`subject`, which is not there.*mean `Subject`"),
    "unknown effect": ({"sd": {"Subject": {"Intercept": 24, "Day": 6}}}, LMMError, "the effect `Day` of.*mean `Days`"),
    "negative sd": ({"sd": {"Subject": {"Intercept": -24, "Days": 6}}}, LMMError, "cannot be negative; got -24"),
    "one sd for two": ({"sd": {"Subject": 24}}, LMMError, "is one number, but .* has an sd for each of"),
    "twice": ({"sd": {"Subject": {"Intercept": 24, "Days": 6}, "sd(Subject, Days)": 6}}, LMMError, "leave one out"),
    "matrix of another size": ({"sd": {"Subject": np.eye(3)}}, LMMError, "must be a 2 × 2 matrix"),
    "matrix not symmetric": ({"sd": {"Subject": [[1, 0.5], [0, 1]]}}, LMMError, "not symmetric"),
    "matrix indefinite": ({"sd": {"Subject": [[1, 2], [2, 1]]}}, LMMError, "do not belong together"),
    "negative variance": ({"sd": {"Subject": [[-1, 0], [0, 1]]}}, LMMError, "negative variance -1"),
    "correlation above one": ({"cor": {"Subject": 1.2}}, LMMError, "between −1 and 1.*got 1.2"),
    "correlation with itself": ({"cor": {"Subject": {("Days", "Days"): 1}}}, LMMError, "with itself"),
    "correlation of one effect": ({"cor": {"Subject": {"Days": 0.1}}}, LMMError, "that of two effects"),
    "unknown correlation": ({"cor": {"cor(Subject, Intercept, Day)": 0.1}}, LMMError, r"mean `cor\(Subject, Inter"),
    "no sigma": ({"sigma": None}, LMMError, "sigma, the residual standard deviation in units of the response, must be"),
    "sigma zero": ({"sigma": 0}, LMMError, "sigma.*must be positive; got 0"),
    "sigma negative": ({"sigma": -1.0}, LMMError, "must be positive"),
    "no data": ({"data": None}, LMMError, "data must be a data frame"),
    "data no frame": ({"data": 3}, DataError, "not a data frame"),
    "column lacking": ({"data": SLEEP[["Days"]]}, DataError, "no column `Subject`"),
    "formula": ({"formula": "Reaction ~ Days + (Days | "}, FormulaError, None),
    "response on both sides": ({"formula": "Days ~ Days + (Days | Subject)"}, FormulaError, "right side too"),
    "response as covariate": ({"residual": "varpower(Reaction)"}, DataError, "`Reaction` is also what other parts"),
    "phi without structure": ({"residual_params": {"ar1.phi": 0.3}}, LMMError, "no residual structure"),
    "phi left out": ({"residual": AR1}, LMMError, "residual_params lacks `ar1.phi`"),
    "phi unknown": ({"residual": AR1, "residual_params": {"ar.phi": 0.3}}, LMMError, "mean `ar1.phi`"),
    "phi outside": ({"residual": AR1, "residual_params": {"ar1.phi": 1.0}}, LMMError, "between -1 and 1"),
    "fitted": ({"residual": "varpower(fitted())", "residual_params": {"varpower": 1}}, ModelError, "of the fitted"),
    "missing": ({"missing": "ignore"}, ModelError, "choose 'drop' or 'raise'"),
    "reml": ({"reml": "ML"}, LMMError, "must be True or False"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_is_refused_in_words(case):
    change, error, match = BAD[case]
    given = {"formula": FORMULA, "data": SLEEP, **STATED} | change
    with pytest.raises(error, match=match):
        lt.planned(given.pop("formula"), given.pop("data"), **given)


def test_residuals_whose_correlations_do_not_belong_together_are_refused():
    data = frame()
    phi = {f"us[{a},{b}]": v for (a, b), v in zip([(0, 1), (0, 2), (1, 2)], (0.9, 0.9, -0.9), strict=True)}
    names = lt.build_design("x ~ 1", data[data["t"] < 3], residual="us(t | g)").residual.names
    with pytest.raises(LMMError, match="have no covariance matrix"):
        lt.planned("y ~ 1", data[data["t"] < 3], fixef={"Intercept": 0}, sigma=1, residual="us(t | g)",
                   residual_params=dict(zip(names, phi.values(), strict=True)))  # fmt: skip


def test_a_fit_has_its_own_rows():
    fit = lt.fit_lmm(FORMULA, SLEEP)
    with pytest.raises(LMMError, match="data and weights cannot be given with it"):
        lt.planned(fit, SLEEP, weights="Days")
    with pytest.raises(LMMError, match="`Dayz`, which is no coefficient"):
        lt.planned(fit, fixef={"Dayz": 1})


@pytest.mark.parametrize(
    ("formula", "sd", "cor", "match"),
    [
        ("y ~ 1 + diag(0 + f | g)", {"g": np.eye(3)}, {"g": 0.2}, "whose effects are independent"),
        ("y ~ 1 + diag(0 + f | g)", {"g": np.eye(3) + 1}, None, "`diag` has none"),
        ("y ~ 1 + homdiag(0 + f | g)", {"g": np.diag([1, 2, 3])}, None, "has one variance"),
        ("y ~ 1 + homcs(0 + f | g)", {"g": 1}, {"g": -0.6}, "must lie between -0.5 and 1"),
        ("y ~ 1 + cs(0 + f | g)", {"g": np.eye(3) + 0.5 * (np.eye(3, k=1) + np.eye(3, k=-1))}, None, "differ: 0.5"),
        ("y ~ 1 + (1 | g)", {"g": 1}, {"g": 0.1}, "has one effect"),
        ("y ~ 1 + (0 + f | g)", {"g": np.eye(3)}, {"g": 0.1}, "states it as well|3 correlations"),
    ],
)  # fmt: skip
def test_covariances_outside_a_structure_are_refused(formula, sd, cor, match):
    with pytest.raises(LMMError, match=match):
        lt.planned(formula, frame(12), fixef={"Intercept": 0}, sd=sd, cor=cor, sigma=1)


def test_a_coefficient_that_rows_cannot_tell_is_named():
    data = frame().assign(double=lambda d: 2 * d["x"])
    stated = {"fixef": {"Intercept": 0, "x": 1, "double": 2}, "sd": {"g": 1}, "sigma": 1}
    with pytest.raises(LMMError, match="`double`, which these rows cannot tell"):
        lt.planned("y ~ x + double + (1 | g)", data, **stated)
