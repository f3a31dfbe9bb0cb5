"""Paths into fits: each names the number it says, and one that leads nowhere says where it went wrong."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, norm
from scipy.stats import f as f_distribution
from scipy.stats import t as t_distribution

import lmmtools as lt
from lmmtools.inference.containment import containment_df, sequential_anova
from lmmtools.replication.fits import Fits, fitted, unidentified
from lmmtools.replication.ledger.schema import Model
from lmmtools.replication.quantities import PathError, Tables, models_named, path_forms, value_at
from lmmtools.replication.quantities.paths import read_call, split_path
from lmmtools.toml import Column

HERE = Path(__file__).parent
SLOPES = Model(data="sleepstudy", formula="Reaction ~ Days + (Days | Subject)")


def of(formula: str, data: str, **options: object) -> lt.LMMFit:
    return fitted(Model(formula=formula, data=data, **options), HERE)


@pytest.fixture(scope="module")
def sleep() -> lt.LMMFit:
    return fitted(SLOPES, HERE)


@pytest.fixture(scope="module")
def sleep_ml() -> lt.LMMFit:
    return of(SLOPES.formula, "sleepstudy", method="ML")


@pytest.fixture(scope="module")
def curve() -> lt.GmanovaFit:
    growth = {"growth": "distance ~ age | Subject", "between": "~ 0 + Sex", "within": "~ age", "sigma": "free"}
    return fitted(Model(data="Orthodont", **growth), HERE)


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("sigma", ("sigma",)),
        ("varcorr.Subject.I(age ** 2.5).sd", ("varcorr", "Subject", "I(age ** 2.5)", "sd")),
        ("fixef.gr[.L]", ("fixef", "gr[.L]")),
        ("criterion_at(0.713, 1.5)", ("criterion_at(0.713, 1.5)",)),
        ("ranef.g.'a.b'.x", ("ranef", "g", "'a.b'", "x")),
        ('ranef.g."it\'s 1.5".x', ("ranef", "g", '"it\'s 1.5"', "x")),
        ("fixef. poly(x, 2)[1] ", ("fixef", "poly(x, 2)[1]")),
    ],
)
def test_dots_split_outside_brackets_and_quotes_alone(path, steps):
    assert split_path(path) == steps


def test_arguments_of_a_step():
    call = read_call("lrt('a, b', fm2)", "lrt")
    assert (call.name, call.arguments, dict(call.options)) == ("lrt", ("a, b", "fm2"), {})
    assert dict(read_call("anova(type=3, ddf = kenward-roger)", "").options) == {"type": "3", "ddf": "kenward-roger"}
    assert models_named("lrt(fm3, fm2).chisq") == ("fm3", "fm2")
    assert models_named("fixef.Days") == ()


def penalty(fit: lt.LMMFit) -> float:
    """‖u‖², b = Λu."""
    inverse = np.linalg.inv(fit.random_covariance["Subject"].to_numpy() / fit.sigma**2)
    return float(sum(b @ inverse @ b for b in fit.ranef["Subject"].to_numpy()))


def test_each_path_of_a_mixed_model_is_the_number_of_that_name(sleep):
    V, n, p = sleep.random_covariance["Subject"].to_numpy(), sleep.nobs, 2
    sd, cov = np.sqrt(np.diagonal(V)), sleep.vcov.to_numpy()
    table, tests = sleep.coef_table(ddf="kenward-roger"), sleep.anova(type=1, ddf="kenward-roger")
    expected = {
        "criterion": sleep.criterion,
        "criterion(constants=no)": sleep.criterion - (n - p) * np.log(2 * np.pi),
        "loglik": sleep.loglik,
        "loglik(constants=no)": sleep.loglik + 0.5 * (n - p) * np.log(2 * np.pi),
        "aic": sleep.aic,
        "bic": sleep.bic,
        "bic(n=nobs-p)": sleep.criterion + np.log(n - p) * 6,
        "npar": 6,
        "nobs": 180,
        "ngroups.Subject": 18,
        "df_resid": 174,
        "sigma": sleep.sigma,
        "sigma2": sleep.sigma**2,
        "sigma2(divisor=n)": sleep.sigma**2 * (n - p) / n,
        "sigma(divisor=n-p)": sleep.sigma,
        "fixef.Days": sleep.beta[1],
        "stderr.Days": np.sqrt(cov[1, 1]),
        "vcov.Intercept.Days": cov[0, 1],
        "cor.Days.Intercept": cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]),
        "coef(ddf=kenward-roger).Days.p_value": table.loc["Days", "p_value"],
        "coef(ddf=normal).Days.statistic": sleep.beta[1] / np.sqrt(cov[1, 1]),
        "varcorr.Subject.Days.sd": sd[1],
        "varcorr.Subject.Days.var": V[1, 1],
        "varcorr.Subject.Intercept.Days.cov": V[0, 1],
        "varcorr.Subject.Days.Intercept.cor": V[0, 1] / sd[0] / sd[1],
        "varcorr.Residual.sd": sleep.sigma,
        "varcorr.Residual.var": sleep.sigma**2,
        "theta.Subject.Days.Intercept": sleep.theta[1],
        "theta.Subject.Days": sleep.theta[2],
        "ranef.Subject.308.Days": sleep.ranef["Subject"].loc["308", "Days"],
        "fitted.1": sleep.fitted.iloc[0],
        "resid.180": sleep.resid.iloc[-1],
        "criterion_at(1, 0, 1)": lt.Criterion(sleep.design, reml=True)([1.0, 0.0, 1.0]),
        "anova(type=1, ddf=kenward-roger).Days.den_df": tests.loc["Days", "den_df"],
        "anova(type=sequential).Days.den_df": 161,
        "coef(ddf=normal, level=0.9).Days.ci_low": sleep.beta[1] - norm.ppf(0.95) * np.sqrt(cov[1, 1]),
        "vcov(ddf=kenward-roger).Intercept.Days": sleep.kenward_roger.covariance[0, 1],
        "ranef_sd.Subject.308.Days": np.sqrt(sleep.ranef_cov["Subject"][0, 1, 1]),
        "group_coef.Subject.308.Days": sleep.beta[1] + sleep.ranef["Subject"].loc["308", "Days"],
        "fitted(random=no).2": sleep.beta[0] + sleep.beta[1],
        "fitted(random=Subject).2": sleep.fitted.iloc[1],
        "resid(kind=marginal).2": 258.7047 - sleep.beta[0] - sleep.beta[1],
        "resid_quantile(0.25)": np.quantile(sleep.resid / sleep.sigma, 0.25),
        "V.1.2": V[0, 0] + V[0, 1],
        "V.2.2": V[0, 0] + 2 * V[0, 1] + V[1, 1] + sleep.sigma**2,
        "V.1.20": 0,
        "V(of=residuals).3.3": sleep.sigma**2,
        "r2.marginal": lt.r2(sleep)["marginal"].iloc[0],
        "icc.Subject.adjusted": lt.icc(sleep)["adjusted"].iloc[0],
        "caic": lt.conditional_aic(sleep).caic,
        "hat_trace": lt.conditional_aic(sleep).hat_trace,
        "pwrss": sleep.resid @ sleep.resid + penalty(sleep),
        "logdet": np.linalg.slogdet(lt.model_matrices(sleep).V.toarray())[1],
        "ranef_cov.Subject.308.Intercept.Days": sleep.ranef_cov["Subject"][0, 0, 1],
        "ranova.Days in (1 + Days | Subject).aic": lt.ranova(sleep)["aic"].iloc[1],
        "test(Intercept, Days, ddf=normal).f_value": sleep.test(["Intercept", "Days"], ddf="normal")["f_value"].iloc[0],
    }
    found = {path: value_at(path, sleep) for path in expected}
    assert found == pytest.approx(expected, rel=1e-12)


def test_ml_standard_errors_and_variances_with_the_other_divisor(sleep_ml):
    more = np.sqrt(180 / 178)
    assert value_at("stderr(divisor=n-p).Days", sleep_ml) == pytest.approx(more * sleep_ml.stderr["Days"], rel=1e-14)
    assert value_at("sigma(divisor=n-p)", sleep_ml) == pytest.approx(more * sleep_ml.sigma, rel=1e-14)
    assert value_at("stderr(divisor=n).Days", sleep_ml) == sleep_ml.stderr["Days"]
    assert value_at("bic(n=nobs-p, constants=no)", sleep_ml) == pytest.approx(
        sleep_ml.criterion - 180 * np.log(2 * np.pi) + np.log(178) * 6, rel=1e-14
    )


def test_each_path_of_a_growth_curve_is_the_number_of_that_name(curve):
    size = np.sqrt(np.diagonal(curve.Sigma))
    expected = {
        "deviance": curve.deviance,
        "criterion": curve.criterion,
        "criterion(constants=no)": curve.deviance,
        "loglik": curve.loglik,
        "loglik(constants=no)": -0.5 * curve.deviance,
        "aic": curve.aic,
        "bic": curve.bic,
        "npar": 14,
        "nobs": 108,
        "n_subjects": 27,
        "Sigma.8.10": curve.Sigma.iloc[0, 1],
        "correlations.8.14": curve.Sigma.iloc[0, 3] / size[0] / size[3],
        "B.Sex[Male].age": curve.B.loc["Sex[Male]", "age"],
        "se.Sex[Female].Intercept": curve.se.loc["Sex[Female]", "Intercept"],
    }
    assert {path: value_at(path, curve) for path in expected} == pytest.approx(expected, rel=1e-12)
    scalar = lt.fit_gmanova("distance ~ age | Subject", "free", "~ age", "scalar", data=lt.load_dataset("Orthodont"))
    assert value_at("sigma2(divisor=n-p)", scalar) == pytest.approx(scalar.sigma2 * 108 / 54, rel=1e-14)
    assert value_at("sigma", scalar) == pytest.approx(np.sqrt(scalar.sigma2), rel=1e-14)


def test_tables_of_nlme_have_the_denominators_of_pinheiro_and_bates(sleep_ml):
    error = sleep_ml.stderr["Days"] * np.sqrt(180 / 178)
    path = "coef(ddf=containment, divisor=n-p, level=0.9).Days."
    statistic = sleep_ml.beta[1] / error
    expected = {
        "std_error": error,
        "df": 161,
        "statistic": statistic,
        "p_value": 2 * t_distribution.sf(statistic, 161),
        "ci_low": sleep_ml.beta[1] - t_distribution.ppf(0.95, 161) * error,
    }
    assert {name: value_at(path + name, sleep_ml) for name in expected} == pytest.approx(expected, rel=1e-12)
    f_value = (sleep_ml.beta[1] / sleep_ml.stderr["Days"]) ** 2
    assert value_at("test(Days, ddf=containment).f_value", sleep_ml) == pytest.approx(f_value, rel=1e-12)
    assert value_at("combination(Days=2, ddf=containment).p_value", sleep_ml) == pytest.approx(
        f_distribution.sf(f_value, 1, 161), rel=1e-10
    )


def test_nlme_adjusts_sigma_of_a_fit_by_ml_in_its_f_tests_too():
    """What nlme 3.1-162 prints as anova(fit) and anova(fit, L = c(0, 1, 0, 0)), to seven digits."""
    fit = of("distance ~ age * Sex + (1 | Subject)", "Orthodont", method="ML")
    printed = {"Intercept": 4288.0819, "age": 120.9002, "Sex": 9.6638, "age:Sex": 6.2229}
    for term, f_value in printed.items():
        found = value_at(f"anova(type=sequential, divisor=n-p).{term}.f_value", fit)
        assert found == pytest.approx(f_value, rel=1e-5)
        assert found == pytest.approx(value_at(f"anova(type=sequential).{term}.f_value", fit) * 104 / 108, rel=1e-12)
    p_value = value_at("anova(type=sequential, divisor=n-p).Sex.p_value", fit)
    assert p_value == pytest.approx(f_distribution.sf(9.6638, 1, 25), rel=1e-4)
    for path in ("test(age, ddf=containment, divisor=n-p)", "combination(age=1, ddf=containment, divisor=n-p)"):
        assert value_at(f"{path}.f_value", fit) == pytest.approx(101.13447, rel=1e-6)
        assert value_at(f"{path}.den_df", fit) == 79
    assert value_at("test(age, Sex[T.Female], ddf=normal).f_value", fit) == pytest.approx(
        fit.test(["age", "Sex[T.Female]"], ddf="normal")["f_value"].iloc[0], rel=1e-12
    )


def test_linear_functions_predictions_and_regressions_within_groups(sleep):
    at = np.array([1.0, 5.0])
    error = np.sqrt(at @ sleep.vcov.to_numpy() @ at)
    mode = sleep.ranef["Subject"].loc["335"].to_numpy()
    rows = lt.load_dataset("sleepstudy").query("Subject == '335'")
    slope, start = np.polyfit(rows["Days"], rows["Reaction"], 1)
    expected = {
        "combination(Intercept=1, Days=5).estimate": at @ sleep.beta,
        "combination(Intercept=1, Days=5).statistic": at @ sleep.beta / error,
        "combination(Intercept=1, Days=5, ddf=normal).f_value": (at @ sleep.beta / error) ** 2,
        "predict(Days=5).prediction": at @ sleep.beta,
        "predict(Days=5).std_error": error,
        "predict(Days=5, Subject=335).prediction": at @ (sleep.beta + mode),
        "lmlist.335.Days.estimate": slope,
        "lmlist.335.Intercept.estimate": start,
        "lmlist_df": 18 * 8,
    }
    assert {path: value_at(path, sleep) for path in expected} == pytest.approx(expected, rel=1e-9)
    own = value_at("lmlist(pooled=no).335.Days.std_error", sleep)
    left = rows["Reaction"] - start - slope * rows["Days"]
    assert own == pytest.approx(np.sqrt((left**2).sum() / 8 / (82.5)), rel=1e-9)
    statistic = value_at("lmlist.335.Days.statistic", sleep)
    assert statistic == pytest.approx(slope * np.sqrt(82.5) / value_at("lmlist_sigma", sleep), rel=1e-9)
    assert value_at("lmlist.335.Days.p_value", sleep) == pytest.approx(2 * t_distribution.sf(-statistic, 144), rel=1e-9)


def test_profile_intervals_end_where_the_deviance_has_risen_by_the_quantile(sleep_ml):
    end = value_at("confint.Days.low", sleep_ml)
    data = lt.load_dataset("sleepstudy")
    data["moved"] = data["Reaction"] - end * data["Days"]
    held = lt.fit_lmm("moved ~ 1 + (Days | Subject)", data, reml=False)
    assert held.criterion - sleep_ml.criterion == pytest.approx(chi2.ppf(0.95, 1), rel=1e-6)


def test_approximate_intervals_are_normal_on_the_log_scale_where_the_likelihood_says_so():
    """One-way balanced: 2 loglik of (log σ_a, log σ) is known in closed form, and its Hessian by differences."""
    fit = of("travel ~ 1 + (1 | Rail)", "Rail")
    data = lt.load_dataset("Rail")
    means = data.groupby("Rail", observed=True)["travel"].mean()
    within = ((data["travel"] - data["Rail"].map(means).astype(float)) ** 2).sum()
    between = 3 * ((means - means.mean()) ** 2).sum()

    def criterion(x):
        large = np.exp(2 * x[1]) + 3 * np.exp(2 * x[0])
        return 12 * 2 * x[1] + 5 * np.log(large) + within / np.exp(2 * x[1]) + between / large

    at, step = np.log([value_at("varcorr.Rail.Intercept.sd", fit), fit.sigma]), 1e-3 * np.eye(2)
    H = [[sum(s * t * criterion(at + s * a + t * b) for s in (1, -1) for t in (1, -1)) / 4e-6 for b in step]
         for a in step]  # fmt: skip
    half = norm.ppf(0.975) * np.sqrt(2 * np.diagonal(np.linalg.inv(H)))
    for name, place in (("sd(Rail, Intercept)", 0), ("sigma", 1)):
        ends = [value_at(f"intervals.{name}.{end}", fit) for end in ("low", "high")]
        assert np.log(ends) == pytest.approx([at[place] - half[place], at[place] + half[place]], rel=1e-5)


def test_approximate_intervals_of_correlations_and_residual_parameters_keep_their_bounds(sleep):
    low, high = (value_at(f"intervals.cor(Subject, Intercept, Days).{end}", sleep) for end in ("low", "high"))
    found = value_at("varcorr.Subject.Intercept.Days.cor", sleep)
    assert -1 < low < found < high < 1
    assert (np.arctanh(low) + np.arctanh(high)) / 2 == pytest.approx(np.arctanh(found), rel=1e-8)
    gls = of("distance ~ age", "Orthodont", residual="ar1(age | Subject)")
    low, high = (value_at(f"intervals.ar1.phi.{end}", gls) for end in ("low", "high"))
    assert low < gls.phi[0] < high < 1


def test_means_and_contrasts_of_a_balanced_design():
    fit = of("yield ~ nitro + Variety + (1 | Block/Variety)", "Oats")
    plain = lt.load_dataset("Oats").groupby("Variety", observed=True)["yield"].mean()
    assert value_at("means(Variety).Victory.estimate", fit) == pytest.approx(plain["Victory"], rel=1e-12)
    difference = value_at("contrasts(Variety, adjust=none).Marvellous - Victory.estimate", fit)
    assert difference == pytest.approx(plain["Marvellous"] - plain["Victory"], rel=1e-12)
    both = value_at("means(Variety, nitro, nitro=0.2|0.4).Victory, 0.4.estimate", fit)
    assert both == pytest.approx(plain["Victory"] + fit.fixef["nitro"] * (0.4 - 0.3), rel=1e-12)
    assert value_at("means(Variety, trend=nitro).Victory.estimate", fit) == pytest.approx(fit.fixef["nitro"])
    inner = fit.ranef["Block:Variety"].loc["I:Victory", "Intercept"]
    whole = fit.fixef["Intercept"] + inner + fit.ranef["Block"].loc["I", "Intercept"]
    assert value_at("group_coef(nested=yes).Block:Variety.I:Victory.Intercept", fit) == pytest.approx(whole, rel=1e-12)
    parts = [value_at(f"fitted(random={of_which}).1", fit) for of_which in ("Block", "Block:Variety", "no")]
    assert parts[0] + parts[1] - parts[2] == pytest.approx(fit.fitted.iloc[0], rel=1e-12)


def test_the_mean_of_a_model_without_factors_is_the_overall_one(sleep):
    at = np.array([1.0, 4.5])
    expected = {"means.overall.estimate": at @ sleep.beta, "means(trend=Days).overall.estimate": sleep.beta[1],
                "means(Days=0).overall.std_error": sleep.stderr["Intercept"]}  # fmt: skip
    assert {path: value_at(path, sleep) for path in expected} == pytest.approx(expected, rel=1e-9)


def test_a_table_is_computed_once_for_all_numbers_that_are_read_from_it(sleep, sleep_ml):
    made = []
    tables = Tables()
    for fit in (sleep, sleep_ml, sleep):
        for key in ("a", "b", "a"):
            assert tables.once(fit, key, lambda own=(fit.method, key): made.append(own) or own) == (fit.method, key)
    assert made == [("REML", "a"), ("REML", "b"), ("ML", "a"), ("ML", "b")]
    paths = [f"coef({options}).Days.{column}" for options in ("ddf=residual", "ddf=residual, level=0.9", "level=0.9")
             for column in ("ci_low", "df")]  # fmt: skip
    paths += ["anova(type=1).Days.den_df", "test(Days).den_df", "means.overall.df", "intervals.sigma.low"]
    for fit in (sleep, sleep_ml):
        kept = [value_at(path, fit, tables=tables) for path in (*paths, *paths)]
        assert kept == [value_at(path, fit) for path in paths] * 2


def test_every_first_step_is_tried_here_or_below():
    forms = path_forms()
    heads = {kind: {read_call(split_path(form)[0], form).name for form in forms[kind]} for kind in forms}
    text = Path(__file__).read_text(encoding="utf-8")
    untried = {name for names in heads.values() for name in names if f'"{name}' not in text and f" {name}" not in text}
    assert untried == set()


def test_paths_that_stand_beside_what_r_prints_begin_with_a_quantity():
    page = (HERE.parents[1] / "docs" / "replication.md").read_text(encoding="utf-8")
    table = re.search(r"\| in R \| path \|\n\|---\|---\|\n(.*?)\n\n", page, flags=re.DOTALL)[1]
    paths = [path for row in table.splitlines() for path in re.findall(r"`([^`]+)`", re.split(r"(?<!\\)\|", row)[2])]
    known = path_forms()["mixed model"]
    heads = {read_call(split_path(form)[0], form).name for form in known}
    named = [path.replace("\\", "") for path in paths if "=" not in path or "(" in path]
    assert len(named) > 25
    assert {read_call(split_path(path)[0], path).name for path in named if path[0] != '"'} - {"divisor"} <= heads


def test_likelihood_ratios_of_two_models_of_a_file():
    models = {
        "fm3": Model(data="sleepstudy", formula="Reaction ~ Days + (1 | Subject)", method="ML"),
        "fm2": Model(data="sleepstudy", formula="Reaction ~ Days + (Days || Subject)", method="ML"),
    }
    fits = Fits(models, lambda model: fitted(model, HERE))
    fm2 = fits["fm2"]
    chisq = fits["fm3"].criterion - fm2.criterion
    assert value_at("lrt(fm3, fm2).chisq", fm2, fits) == pytest.approx(chisq, rel=1e-12)
    assert value_at("lrt(fm2, fm3).df", fm2, fits) == 1
    plain = value_at("lrt(fm3, fm2).p_value(reference=chisq)", fm2, fits)
    assert plain == pytest.approx(chi2.sf(chisq, 1), rel=1e-12)
    # a variance of zero lies on the boundary: half of the mass is at zero
    assert value_at("lrt(fm3, fm2).p_value", fm2, fits) == pytest.approx(plain / 2, rel=1e-6)


def test_names_of_residual_parameters_with_dots_and_brackets():
    fit = of("distance ~ Sex * age", "Orthodont", residual="us(age | Subject) * varident(age)")
    assert value_at("residual_params.us.cor[8, 10]", fit) == fit.residual_params["us.cor[8, 10]"]
    assert value_at("residual_params.varident[14]", fit) == fit.residual_params["varident[14]"]
    of_one_child = fit.sigma**2 * fit.residual_params["us.cor[8, 10]"] * fit.residual_params["varident[10]"]
    assert value_at("V(of=residuals).1.2", fit) == pytest.approx(of_one_child, rel=1e-12)


def test_rows_counted_within_a_factor_and_a_search_from_where_the_source_starts():
    model = Model(
        data="Orthodont", formula="distance ~ age", row="Subject", residual="ar1(row | Subject)", start={"ar1.phi": 0.2}
    )
    data = lt.load_dataset("Orthodont")
    data["visit"] = (data["age"] - 6) // 2
    expected = lt.fit_gls("distance ~ age", data, residual="ar1(visit | Subject)")
    assert value_at("residual_params.ar1.phi", fitted(model, HERE)) == pytest.approx(expected.phi[0], abs=1e-6)


def test_a_start_leads_to_the_local_minimum_that_is_printed():
    """Pinheiro & Bates (2000), sec. 5.4: corSpher(c(28, 0.2), nugget = TRUE) ends at a range of 27.457."""
    options = {"formula": "yield ~ variety - 1", "residual": "spher(latitude + longitude, nugget=True)"}
    fit = fitted(Model(data="Wheat2", start={"spher.range": 28, "spher.nugget": 0.2}, **options), HERE)
    assert round(value_at("residual_params.spher.range", fit), 3) == 27.457
    assert fit.certificate.status == "certified"


# What a path says that leads nowhere: the path, and words of the message.
NOWHERE = {
    "": "a path is a text",
    "fixef..Days": "a step of the path is empty",
    "critreion": "Did you mean `criterion`?",
    "fixef": "ends too early: a coefficient is lacking. Valid there: `Intercept`, `Days`.",
    "fixef.Dys": "`Dys` is no coefficient. Did you mean `Days`?",
    "fixef.Days.sd": "a number is reached before `sd`",
    "varcorr.subject.Days.sd": "Did you mean `Subject`?",
    "varcorr.Subject.Days.Intercept": "a measure of two effects is lacking. Valid there: `cov`, `cor`.",
    "varcorr.Subject.Days.sdd": "Did you mean `sd`?",
    "theta.Subject.Dayz.Intercept": "Did you mean `Subject.Days.Intercept`?",
    "ranef.Subject.399.Days": "`399` is no level",
    "fitted.181": "`181` is no row",
    "fitted.0": "`0` is no row",
    "residual_params.phi": "Nothing is valid there",
    "bic(m=3)": "`bic` has no option `m`; it takes `n`, `constants`",
    "bic(n=p)": "n=p is unknown",
    "npar(1)": "`npar` is written npar",
    "sigma(divisor=n-q)": "did you mean `n-p`?",
    "criterion_at(a)": "θ is made of numbers",
    "criterion_at(1, 0)": "theta must hold 3 finite numbers",
    "anova(type=4).Days.f_value": "type=4 is unknown",
    "anova(ddf=kenward).Days.f_value": "did you mean `kenward-roger`?",
    "test(Dais).f_value": "`Dais` is no coefficient. Did you mean `Days`?",
    "lrt(fm1).chisq": "`lrt` is written lrt(SMALL, LARGE).chisq",
    "lrt(fm1, fm2).chisq": "`fm1` is no model of this file",
    "coef(ddf=normal": "`)` is lacking",
    "coef(ddf=satterthwaite, divisor=n-p).Days.df": "divisor goes with ddf=containment, residual or normal",
    "anova(type=3, divisor=n-p).Days.f_value": "divisor goes with type=sequential",
    "test(Days, divisor=n-p).f_value": "divisor goes with ddf=containment, residual or normal",
    "coef.Dais.estimate": "`Dais` is no coefficient. Did you mean `Days`?",
    "confint.sd(Subject, Dais).low": "Did you mean `sd(Subject, Days)`?",
    "confint(method=wald).Days.low": "`confint` has no option `method`; it takes `level`",
    "confint(level=high).Days.low": "level is a number; got high",
    "intervals(level=95).sigma.low": "level must lie between 0 and 1",
    "means(tend=Days).overall.estimate": "`tend` is neither an option here nor a factor of the model (did you mean "
    "`trend`?)",
    "means(weights=proportion).overall.estimate": "did you mean `proportional`?",
    "predict(Days=5, Subjct=3x).prediction": "(did you mean `Subject`?)",
    "combination(Days).estimate": "weights are written NAME=WEIGHT; got Days",
    "combination(Dais=1).estimate": "Did you mean `Days`?",
    "combination(Intercept=1, Days=x).estimate": "`Days` is neither an option here nor a factor",
    "test(Intercept, Days, ddf=kenward).f_value": "ddf=kenward is unknown",
    "fitted(random=Subjct).1": "`Subjct` is no grouping factor",
    "resid(kind=pearsn).1": "did you mean `pearson`?",
    "resid_quantile(25)": "by a number from 0 to 1; got 25",
    "predict(Days=5, Subject=309.5).prediction": "`309.5` is no level of Subject",
    "lmlist.308.Dais.estimate": "Did you mean `Days`?",
    "coef(ddf=normal, ddf=residual).Days.df": "`ddf` is given twice",
    "Sigma.8.10": "`Sigma` is no quantity of a mixed model. Did you mean `sigma`?",
}


@pytest.mark.parametrize("path", ["predict(Subject=308).prediction", "means(Dais).x.estimate"])
def test_what_a_method_refuses_is_said_with_the_path(path, sleep):
    with pytest.raises(lt.LMMError, match="`Days`") as error:
        value_at(path, sleep)
    assert str(error.value).startswith(f"`{path}`: ")


@pytest.mark.parametrize("path", NOWHERE)
def test_paths_that_lead_nowhere_say_where_and_what_is_valid_there(path, sleep):
    with pytest.raises(lt.LMMError) as error:
        value_at(path, sleep)
    assert NOWHERE[path] in str(error.value)
    assert isinstance(error.value, PathError) or re.search("theta must hold|level must lie", NOWHERE[path])


def test_a_mixed_model_s_path_into_a_growth_curve(curve):
    with pytest.raises(PathError, match="`fixef` is no quantity of a growth curve"):
        value_at("fixef.age", curve)
    with pytest.raises(lt.ModelError, match="Σ is free"):
        value_at("sigma2", curve)
    with pytest.raises(lt.ModelError, match="has no Ω"):
        value_at("Omega.Intercept.age", curve)


def test_models_that_are_asked_for_wrongly_and_models_without_estimate():
    wrong = {
        "neither": Model(data="Rail"),
        "there is no parameter `ar1.ph` (did you mean `ar1.phi`?)": Model(
            data="Orthodont", formula="distance ~ age", residual="ar1(age | Subject)", start={"ar1.ph": 0.1}
        ),
        "`Subject.Days` lacking": Model(
            data="sleepstudy", formula="Reaction ~ Days + (Days || Subject)", start={"Subject.Intercept": 1.0}
        ),
        "no column `Rial` (did you mean `Rail`?)": Model(data="Rail", formula="travel ~ (1 | Rail)", row="Rial"),
        "needs `within`": Model(data="Orthodont", growth="distance ~ age | Subject", between="free"),
        "no data set or file `Rial` (did you mean `Rail`?)": Model(data="Rial", formula="travel ~ 1 + (1 | Rail)"),
        "did you mean `helmert`?": Model(
            data="Oats", formula="yield ~ Variety + (1 | Block)", contrasts={"Variety": "helmet"}
        ),
    }
    for words, model in wrong.items():
        with pytest.raises(lt.LMMError) as error:
            fitted(model, HERE)
        assert words.replace("neither", "either a mixed model") in str(error.value)
        assert not unidentified(error.value)
    endless = Model(
        data="Orthodont", growth="distance ~ age | Subject", between="free", within="~ age", sigma="diagonal"
    )
    with pytest.raises(lt.UnboundedLikelihood) as error:
        fitted(endless, HERE)
    assert unidentified(error.value)
    with pytest.raises(lt.ModelError) as error:  # a row each: nothing is left to tell σ² from
        fitted(Model(data="Rail", formula="travel ~ 1 + (1 | Rail)", filter="travel in [55, 26, 78, 92]"), HERE)
    assert unidentified(error.value)


def test_data_beside_the_ledger_are_named_as_the_ledger_names_them(tmp_path):
    (tmp_path / "own.csv").write_text("g,y\na,1\na,x\n", encoding="utf-8")
    with pytest.raises(lt.DataError, match="`ovn.csv` .did you mean `own.csv`"):
        fitted(Model(data="ovn.csv", formula="y ~ 1 + (1 | g)"), tmp_path)
    with pytest.raises(lt.LMMError) as error:
        fitted(Model(data="own.csv", formula="y ~ 1 + (1 | g)", columns={"y": Column(kind="number")}), tmp_path)
    assert str(tmp_path) not in str(error.value)


# Sequential F tests and the denominators of nested designs.


def dense(fit: lt.LMMFit) -> np.ndarray:
    """V over σ² of a fit with independent residuals, from indicator columns."""
    V = np.eye(fit.nobs)
    for term, L in zip(fit.design.terms, fit.Lambda, strict=True):
        Z = np.einsum("nj,nq->njq", np.eye(len(term.levels))[term.codes], term.matrix)
        V += np.einsum("njq,qr,mjr->nm", Z, L @ L.T, Z)
    return V


@pytest.mark.parametrize("scarce", [False, True])
def test_sequential_f_tests_are_differences_of_weighted_sums_of_squares(scarce):
    data = lt.load_dataset("Oats")
    data = data.iloc[3:].drop(index=[20, 41]) if scarce else data
    fit = lt.fit_lmm("yield ~ Variety * nitro + (1 | Block/Variety)", data)
    W, X, y = np.linalg.inv(dense(fit)), fit.design.X, fit.design.y
    explained = [0.0]
    for k in (1, 3, 4, 6):  # columns up to and with each term
        part = X[:, :k]
        b = np.linalg.solve(part.T @ W @ part, part.T @ W @ y)
        explained.append(b @ part.T @ W @ y)
    q = np.array([1, 2, 1, 2])
    expected = np.diff(explained) / q / fit.sigma**2
    table = sequential_anova(fit)
    assert list(table.index) == ["Intercept", "Variety", "nitro", "Variety:nitro"]
    assert table["f_value"].to_numpy() == pytest.approx(expected, rel=1e-9)
    p = f_distribution.sf(expected, q, table["den_df"])
    assert table["p_value"].to_numpy() == pytest.approx(p, rel=1e-8)


# Denominators that nlme 3.1-162 prints in anova().
PRINTED = [
    ("Oats", "yield ~ ordered(nitro) * Variety + (1 | Block/Variety)", {"Intercept": 45, "Variety": 10}),
    ("ergoStool", "effort ~ Type + (1 | Subject)", {"Intercept": 24, "Type": 24}),
    ("Machines", "score ~ Machine + (1 | Worker/Machine)", {"Intercept": 36, "Machine": 10}),
    ("Machines", "score ~ 0 + Machine + (1 | Worker/Machine)", {"Machine": 10}),
    ("Oats", "yield ~ 0 + Variety + nitro + (1 | Block/Variety)", {"Variety": 10, "nitro": 54}),
    ("Orthodont", "distance ~ 0 + Sex + age + (1 | Subject)", {"Sex": 25, "age": 81}),
    ("BodyWeight", "weight ~ Time * Diet + (Time | Rat)", {"Time": 157, "Diet": 13, "Time:Diet": 157}),
]


@pytest.mark.parametrize(("data", "formula", "expected"), PRINTED)
def test_denominators_by_grouping_factor(data, formula, expected):
    found = containment_df(of(formula, data))
    assert {name: found[name] for name in expected} == expected


def test_denominators_without_groups_and_without_nesting():
    gls = of("distance ~ Sex * age", "Orthodont", residual="cs(Subject)")
    assert set(containment_df(gls).values()) == {104}
    assert value_at("anova(type=sequential, ddf=residual).age.den_df", gls) == 104
    with pytest.raises(lt.ModelError, match="`plate` is not nested in `sample`"):
        containment_df(of("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin"))


def test_a_term_of_which_no_degrees_of_freedom_are_left():
    data = pd.DataFrame({"g": np.repeat(list("abc"), 4), "x": np.repeat([0.0, 1.0, 3.0], 4)})
    data["z"], data["y"] = data["x"] ** 2, np.sin(np.arange(12.0))
    with pytest.warns(lt.LMMWarning, match="the data say nothing"):
        fit = lt.fit_lmm("y ~ x + z + (1 | g)", data)
    found = sequential_anova(fit)
    assert found["den_df"].isna().tolist() == [False, True, True]
    assert found["p_value"].isna().tolist() == [False, True, True]


def test_columns_that_the_data_set_does_not_type():
    model = Model(
        data="Oats", formula="yield ~ nitro + (1 | Block)", columns={"nitro": Column(kind="factor")},
        contrasts={"nitro": "poly"},
    )  # fmt: skip
    assert value_at("fixef.nitro[.L]", fitted(model, HERE)) == pytest.approx(32.9447, abs=1e-4)


def test_a_path_that_can_be_read_in_two_ways_is_refused():
    rng = np.random.default_rng(1)
    data = pd.DataFrame(rng.normal(size=(60, 4)), columns=["a", "a.b", "b.c", "c"]).assign(
        y=rng.normal(size=60), g=[str(i % 6) for i in range(60)]
    )
    fit = lt.fit_lmm("y ~ a + `a.b` + `b.c` + c + (1 | g)", data)
    with pytest.raises(PathError, match="can be read in two ways.*between quotes"):
        value_at("vcov.a.b.c", fit)
    names = list(fit.fixef.index)
    for first, second in (("a", "b.c"), ("a.b", "c")):
        expected = fit.vcov.iloc[names.index(first), names.index(second)]
        assert value_at(f"vcov.'{first}'.'{second}'", fit) == expected
    assert value_at("fixef.a.b", fit) == fit.fixef["a.b"]


def test_effects_and_groups_called_as_a_path_calls_other_things():
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"sd": rng.normal(size=80), "g": [str(i % 8) for i in range(80)]})
    data["y"] = rng.normal(size=80) + np.repeat(rng.normal(size=10), 8) * data["sd"] + data["g"].astype(int)
    fit = lt.fit_lmm("y ~ sd + (1 + sd | g)", data)
    cov = fit.random_covariance["g"].to_numpy()
    assert value_at("varcorr.g.Intercept.sd", fit) == pytest.approx(np.sqrt(cov[0, 0]))
    assert value_at("varcorr.g.sd.sd", fit) == pytest.approx(np.sqrt(cov[1, 1]))
    assert value_at("varcorr.g.Intercept.sd.cov", fit) == pytest.approx(cov[0, 1])
    with pytest.raises(lt.LMMError, match="would have the name of the residual variance"):
        lt.fit_lmm("y ~ sd + (1 | Residual)", data.rename(columns={"g": "Residual"}))
