"""Paths into fits: each names the number it says, and one that leads nowhere says where it went wrong."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2
from scipy.stats import f as f_distribution

import lmmtools as lt
from lmmtools.inference.containment import containment_df, sequential_anova
from lmmtools.replication.fits import Fits, fitted, unidentified
from lmmtools.replication.quantities import PathError, models_named, path_forms, value_at
from lmmtools.replication.quantities.paths import read_call, split_path
from lmmtools.replication.schema import Column, Model

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


def test_every_first_step_is_tried_here_or_below():
    forms = path_forms()
    heads = {kind: {read_call(split_path(form)[0], form).name for form in forms[kind]} for kind in forms}
    text = Path(__file__).read_text(encoding="utf-8")
    untried = {name for names in heads.values() for name in names if f'"{name}' not in text and f" {name}" not in text}
    assert untried == set()


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
    "coef(ddf=normal, ddf=residual).Days.df": "`ddf` is given twice",
    "Sigma.8.10": "`Sigma` is no quantity of a mixed model. Did you mean `sigma`?",
}


@pytest.mark.parametrize("path", NOWHERE)
def test_paths_that_lead_nowhere_say_where_and_what_is_valid_there(path, sleep):
    with pytest.raises(lt.LMMError) as error:
        value_at(path, sleep)
    assert NOWHERE[path] in str(error.value)
    assert isinstance(error.value, PathError) or "theta must hold" in NOWHERE[path]


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
