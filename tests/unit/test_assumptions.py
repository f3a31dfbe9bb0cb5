"""The checks are what their definitions say, keep their size, see what is there, and say why where they cannot look."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings

import lmmtools as lt
from lmmtools.assumptions.bends import deviations, numeric_covariates
from lmmtools.assumptions.scores import without
from lmmtools.assumptions.shapes import shape
from lmmtools.assumptions.simulated import Simulation
from lmmtools.assumptions.smooth import local_linear
from lmmtools.assumptions.spread import between_levels
from tests.definitions.assumptions import levene, local_line, shapiro_francia, standardised
from tests.designs import problems, wider_problems
from tests.oracle import dense_model


def slopes(rng, groups=12, rows=5, residual=None, effects=None, bend=0.0):
    """Random slopes over times, with residuals and intercepts of any distribution."""
    data = pd.DataFrame({"g": np.repeat(np.arange(groups), rows), "t": np.tile(np.arange(float(rows)), groups)})
    b = rng.normal(size=(groups, 2)) * [1.5, 0.4]
    b[:, 0] = b[:, 0] if effects is None else effects
    e = rng.normal(size=(groups, rows)) if residual is None else residual
    return data.assign(y=1 + 0.5 * data.t + bend * data.t**2 + b[data.g, 0] + b[data.g, 1] * data.t + e.ravel())


def row(found, check, of=""):
    here = found[(found["check"] == check) & found["of"].str.contains(of, regex=False)]
    assert len(here) == 1
    return here.iloc[0]


@pytest.fixture(scope="module")
def data():
    """Rows of two crossed factors, a factor and covariates."""
    rng = np.random.default_rng(3)
    n = 90
    data = pd.DataFrame({"a": rng.integers(0, 12, n), "b": rng.integers(0, 8, n), "x": rng.normal(size=n),
                         "o": rng.normal(size=n), "w": rng.uniform(0.5, 2, n)})  # fmt: skip
    data["f"] = np.array(list("uvw"))[rng.integers(0, 3, n)]
    y = data.x + rng.normal(size=12)[data.a] + 0.6 * rng.normal(size=8)[data.b] + rng.normal(size=n)
    return data.assign(y=y, u=np.exp(data.x), t=data.groupby("a").cumcount().astype(float))


# What is looked at, against dense matrices


def compare(fit):
    """Residuals, modes and scores of a fit, against 𝒫, V and their derivatives written out."""
    theta = np.concatenate([fit.theta, fit.phi])
    dense = standardised(dense_model(fit.design, reml=fit.reml), theta)
    simulation = Simulation(fit)
    own = simulation.observed()
    clear = dense.residual > 1e-3 * fit.noise.sd  # rows that the fit all but goes through keep few digits
    expected = fit.resid.to_numpy() / fit.sigma
    assert own.residual[clear, 0] == pytest.approx(expected[clear] / dense.residual[clear], rel=1e-5, abs=1e-7)
    for modes, b, sd, Lambda in zip(own.modes, fit.modes, dense.modes, fit.Lambda, strict=True):
        clear = sd > 1e-3 * np.linalg.norm(Lambda, axis=1)
        assert modes[..., 0][clear] == pytest.approx((b / fit.sigma)[clear] / sd[clear], rel=1e-4, abs=1e-6)
    y = next(simulation.source.responses(40, np.random.default_rng(1)))
    e, _ = simulation.source.estimated(y)
    ours, theirs = simulation._of(e, y).scores, dense.scores(fit.noise.colour(y))
    if len(ours):  # directions alone matter, and what has collapsed has none of ours
        beyond = ours - np.linalg.lstsq(theirs.T, ours.T, rcond=1e-10)[0].T @ theirs
        assert np.linalg.norm(beyond, axis=1) == pytest.approx(0.0, abs=2e-5 * np.linalg.norm(ours, axis=1).max())
    return ours, theirs


@given(problems() | wider_problems())
@settings(max_examples=15)
def test_residuals_modes_and_scores_are_those_of_their_definitions(problem):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        try:
            fit = lt.fit_lmm(problem.formula, problem.data, reml=problem.reml, **problem.options)
        except lt.ModelError:
            assume(False)
    assume(fit.certificate.status != "not an optimum")
    compare(fit)


@pytest.mark.parametrize("residual", ["ar1(age | Subject) * varident(Sex)", "us(age | Subject)", "varpower(age)"])
def test_scores_of_residual_structures_are_those_of_their_definitions(residual):
    data = lt.load_dataset("Orthodont")
    formula = "distance ~ age" if residual != "varpower(age)" else "distance ~ age + (1 | Subject)"
    ours, theirs = compare(lt.fit_model(formula, data, residual=residual))
    assert np.linalg.matrix_rank(ours, tol=1e-6 * np.linalg.norm(ours, 2)) == len(theirs)


def test_statistics_are_those_of_their_definitions():
    rng = np.random.default_rng(8)
    values, codes = rng.standard_t(5, size=(40, 3)), np.arange(40) % 4
    found = shape(values)
    for k in range(3):
        assert found[0, k] == pytest.approx(shapiro_francia(values[:, k]), rel=1e-12)
        centred = values[:, k] - values[:, k].mean()
        assert found[1, k] == pytest.approx(np.mean(centred**3) / np.mean(centred**2) ** 1.5)
        assert found[2, k] == pytest.approx(np.mean(centred**4) / np.mean(centred**2) ** 2 - 3)
    asked = between_levels("g", codes, pd.Index(list("abcd")), "")
    drawn = type("Drawn", (), {"residual": values})()
    assert asked.measure(drawn)[0, 1] == pytest.approx(levene(values[:, 1], codes), rel=1e-12)


def test_what_a_parameter_is_fitted_to_is_gone():
    rng = np.random.default_rng(2)
    scores, rest = rng.normal(size=(2, 400)), rng.normal(size=400)
    left = without(np.array([3.0 + 5.0 * scores[0] - scores[1] + rest]), scores)
    assert np.corrcoef(left[0], scores) == pytest.approx(np.eye(3), abs=0.11)
    assert left[0].std() == pytest.approx(1.0, rel=0.1)
    assert left[0].mean() == pytest.approx(3.0, abs=0.5)
    assert without(left, np.zeros((0, 400))) is left


def test_the_smooth_keeps_a_line_and_is_local_elsewhere():
    rng = np.random.default_rng(4)
    x = np.sort(rng.uniform(0, 10, 50))
    at, height = local_linear(x, 2.0 - 3.0 * x, 0.3)
    assert height == pytest.approx(2.0 - 3.0 * at)
    y = np.sin(x)
    at, height = local_linear(x, y, 0.3)
    assert height[20] == pytest.approx(local_line(x, y, at[20], 15), rel=1e-5)
    at, height = local_linear(np.repeat([1.0, 2.0], 5), np.arange(10.0), 0.3)
    assert height == pytest.approx([2.0, 7.0])  # no point but those at hand: their means


# Tables


@pytest.mark.parametrize(("formula", "options"), [
    ("y ~ x + f + (1 | a) + (1 | b)", {}), ("y ~ x + (1 | a) + (0 + x | a)", {}), ("y ~ x + (1 | a/f)", {}),
    ("y ~ 0 + (1 | a)", {}), ("y ~ 1 + (1 | a)", {"weights": "w", "offset": "o"}),
    ("y ~ x + (1 | a)", {"known": True}), ("y ~ bs(x, df=4) * f + (1 | a)", {"reml": False}),
    ("y ~ C(b) + x + (1 | a)", {}), ("y ~ x + f", {"residual": "varpower(fitted())"}),
    ("y ~ x", {"residual": "car1(t | a)"}), ("y ~ x", {"residual": "exp(x + o)"}),
    ("y ~ f + (1 | a)", {"residual": "varident(f)"}),
])  # fmt: skip
def test_every_kind_of_model_has_its_table_and_its_pictures(data, formula, options):
    if options.pop("known", False):
        levels = sorted(data["a"].unique())
        options["known"] = {"a": pd.DataFrame(0.3 + 0.7 * np.eye(len(levels)), levels, levels)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        fit = lt.fit_model(formula, data, **options)
        found = lt.check_assumptions(fit, n=99)
    tested = found["p_value"].notna()
    assert found.loc[tested, "p_value"].between(0.0, 1.0).all()
    assert found.loc[tested, "statistic"].notna().all()
    assert found.loc[~tested, "finding"].str.contains("^Not tested: |no reference").all()
    assert not found["finding"].str.contains("nan|inf", regex=True).any()
    assert {"Constant variance", "Normal distribution", "No autocorrelation"} <= set(found.loc[tested, "check"])
    assert "@tbl-checks" in str(lt.prose.checks(found))
    for call in set(found.loc[tested, "see"]) - {"lt.mundlak(fit)"}:
        assert call.startswith("lt.figure(lt.plots.")
        plot = eval(call.split(",")[0].removeprefix("lt.figure("), {"lt": lt})
        arguments = eval(f"dict({call.partition(', fit')[2].lstrip(', ').removesuffix(')')})", {"fit": fit})
        assert plot.extract(fit, **arguments).table.size


@pytest.fixture(scope="module")
def sleep():
    fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    return fit, lt.check_assumptions(fit)


def test_the_table_says_what_is_known_of_sleepstudy(sleep):
    """Outliers of three subjects, correlated days, a line that is straight; days are the same for all."""
    _, found = sleep
    assert row(found, "Normal distribution", "residuals")["p_value"] == pytest.approx(0.002)
    assert "excess kurtosis 7.57" in row(found, "Normal distribution", "residuals")["finding"]
    assert row(found, "No autocorrelation")["p_value"] < 0.02
    assert row(found, "Linearity", "Days")["p_value"] > 0.3
    assert "same mean in each of them" in row(found, "Independent effects")["finding"]
    assert found.simulations == 499
    assert any("7 p-values" in note for note in found.notes)
    assert any("Monte Carlo standard error of 0.0097" in note for note in found.notes)


def test_a_table_can_be_made_again(sleep):
    fit, found = sleep
    pd.testing.assert_frame_equal(pd.DataFrame(lt.check_assumptions(fit)), pd.DataFrame(found))
    again = lt.check_assumptions(fit, rng=np.random.default_rng(5), n=99)
    assert not again["p_value"].equals(found["p_value"])
    assert set(again["df"][again["df"].str.endswith("draws")]) == {"99 draws"}


def test_the_curve_is_tested_as_columns_of_its_own_would_be(data):
    curve = deviations(data["x"].to_numpy())
    assert curve.shape == (len(data), 2)
    more = data.assign(c1=curve[:, 0], c2=curve[:, 1])
    fit = lt.fit_lmm("y ~ x + f + (1 | a)", data, reml=False)
    for ddf in ("satterthwaite", "kenward-roger"):
        found = row(lt.check_assumptions(fit, n=99, ddf=ddf), "Linearity")
        test = lt.fit_lmm("y ~ x + c1 + c2 + f + (1 | a)", more).test(["c1", "c2"], ddf=ddf)
        assert found["statistic"] == pytest.approx(float(test["f_value"].iloc[0]), rel=1e-6)
        assert found["p_value"] == pytest.approx(float(test["p_value"].iloc[0]), rel=1e-5)


def test_the_curve_is_a_natural_spline():
    x = np.linspace(0.0, 20.0, 401)
    for column in deviations(x).T:
        second = np.diff(column, 2)
        assert second[:18] == pytest.approx(0.0, abs=1e-12)  # straight outside the knots at 5 % and 95 %
        assert second[-18:] == pytest.approx(0.0, abs=1e-12)
        assert np.abs(np.diff(second)).max() < 0.2 * np.abs(second).max()  # and of a continuous curvature between
    assert deviations(np.array([1.0, 2.0, 1.0])).shape == (3, 0)
    assert deviations(np.array([1.0, 2.0, 4.0, 4.0])).shape == (4, 1)
    rare = np.r_[np.zeros(95), 1.0, 2.0, 3.0, 4.0, 5.0]  # quantiles that coincide
    assert np.linalg.matrix_rank(np.column_stack([np.ones(100), rare, deviations(rare)])) == 4


def test_numbers_of_the_fixed_part_are_told_from_curves(data):
    def of(formula):
        return [(c.name, c.curved) for c in numeric_covariates(lt.fit_gls(formula, data).design)]

    assert of("y ~ x * f + o") == [("x", False), ("o", False)]
    assert of("y ~ x + I(x**2) + log(u)") == [("x", True), ("log(u)", False)]
    assert of("y ~ poly(x, 2) + C(b)") == [("x", True)]
    assert of("y ~ f + C(x > 0) + o") == [("o", False)]


# Within and between


def test_mundlak_is_the_model_with_the_means(data):
    fit = lt.fit_lmm("y ~ x + o + (1 | a)", data)
    more = data.assign(mx=data.groupby("a")["x"].transform("mean"), mo=data.groupby("a")["o"].transform("mean"))
    other = lt.fit_lmm("y ~ x + o + mx + mo + (1 | a)", more)
    for ddf in ("satterthwaite", "kenward-roger", "normal"):
        found, table = lt.mundlak(fit, ddf=ddf), other.coef_table(ddf=ddf)
        assert found["covariate"].tolist() == ["x", "o"]
        assert found["within"].to_numpy() == pytest.approx(table.loc[["x", "o"], "estimate"].to_numpy(), rel=1e-6)
        means = table.loc[["mx", "mo"]]
        assert found["difference"].to_numpy() == pytest.approx(means["estimate"].to_numpy(), rel=1e-5)
        assert found["std_error"].to_numpy() == pytest.approx(means["std_error"].to_numpy(), rel=1e-5)
        assert found["p_value"].to_numpy() == pytest.approx(means["p_value"].to_numpy(), rel=1e-4)
        assert found["between"].to_numpy() == pytest.approx((found["within"] + found["difference"]).to_numpy())
        joint = other.test(["mx", "mo"], ddf=ddf)
        assert found.joint["p_value"].iloc[0] == pytest.approx(float(joint["p_value"].iloc[0]), rel=1e-4)
    between = np.sqrt(other.vcov.loc[["x", "mx"], ["x", "mx"]].to_numpy().sum())
    assert lt.mundlak(fit)["between_se"].iloc[0] == pytest.approx(between, rel=1e-5)


def test_mundlak_of_the_schools_is_raudenbush_and_bryks():
    """Within 2.191 (0.109), between 5.866 (0.362): Raudenbush & Bryk 2002, Table 5.11, by REML."""
    found = lt.mundlak(lt.fit_lmm("MathAch ~ SES + (1 | School)", lt.load_dataset("MathAchieve"))).iloc[0]
    assert found["within"] == pytest.approx(2.191, abs=0.002)
    assert found["between"] == pytest.approx(5.866, abs=0.002)
    assert found["within_se"] == pytest.approx(0.109, abs=0.001)
    assert found["between_se"] == pytest.approx(0.362, abs=0.001)


def test_mundlak_says_what_cannot_be_compared(data):
    with pytest.raises(lt.ModelError, match="no random effects"):
        lt.mundlak(lt.fit_gls("y ~ x", data))
    with pytest.raises(lt.ModelError, match="no column of the fixed part varies within its levels"):
        lt.mundlak(lt.fit_lmm("y ~ 1 + (1 | a)", data))
    with pytest.raises(lt.ModelError, match="same mean in each"):
        lt.mundlak(lt.fit_lmm("Reaction ~ Days + (1 | Subject)", lt.load_dataset("sleepstudy")))
    few = lt.fit_lmm("y ~ x + (1 | f)", data)
    with pytest.raises(lt.ModelError, match="3 levels are too few"):
        lt.mundlak(few)
    more = data.assign(mx=data.groupby("a")["x"].transform("mean"))
    noted = lt.mundlak(lt.fit_lmm("y ~ x + mx + o + (1 | a)", more))
    assert noted["covariate"].tolist() == ["o"]
    assert any("mean by a of `x` already" in note for note in noted.notes)
    with pytest.raises(lt.LMMError, match="did you mean `satterthwaite`"):
        lt.mundlak(few, ddf="saterthwaite")
    with pytest.raises(lt.LMMError, match="takes a fit"):
        lt.mundlak(data)


# Partial residuals


def test_partial_residuals_of_a_line(sleep):
    fit, _ = sleep
    found = lt.partial_residuals(fit, "Days")
    days = fit.design.X[:, 1]
    assert found["component"].to_numpy() == pytest.approx(fit.fixef["Days"] * (days - days.mean()))
    assert found["partial"].to_numpy() == pytest.approx(found["component"] + fit.resid)
    assert found["x"].to_numpy() == pytest.approx(days)


def test_partial_residuals_average_over_what_the_covariate_interacts_with(data):
    fit = lt.fit_lmm("y ~ x * f + o + (1 | a)", data)
    b = fit.fixef
    slope = b["x"] + b["x:f[T.v]"] * np.mean(data["f"] == "v") + b["x:f[T.w]"] * np.mean(data["f"] == "w")
    found = lt.partial_residuals(fit, "x")
    assert found["component"].to_numpy() == pytest.approx(slope * (data["x"] - data["x"].mean()).to_numpy())
    assert found.averaged == ("f",)
    two = lt.fit_lmm("y ~ x * o + (1 | a)", data)
    slope = two.fixef["x"] + two.fixef["x:o"] * data["o"].mean()
    got = lt.partial_residuals(two, "x")["component"].to_numpy()
    assert got == pytest.approx(slope * (data["x"] - data["x"].mean()).to_numpy())


def test_partial_residuals_of_curves(data):
    cubic = lt.fit_lmm("y ~ x + I(x**2) + f + (1 | a)", data)
    curve = cubic.fixef["x"] * data["x"] + cubic.fixef.iloc[2] * data["x"] ** 2
    got = lt.partial_residuals(cubic, "x")["component"].to_numpy()
    assert got == pytest.approx((curve - curve.mean()).to_numpy())
    holes = data.assign(x=data["x"].where(data.index != 4))
    logs = lt.fit_lmm("y ~ log(u) + x + (1 | a)", holes)
    by_column = lt.partial_residuals(logs, "log(u)")
    by_variable = lt.partial_residuals(logs, "u", data=holes)
    assert by_variable["component"].to_numpy() == pytest.approx(by_column["component"].to_numpy())
    assert by_variable["x"].to_numpy() == pytest.approx(np.exp(by_column["x"].to_numpy()))
    assert by_variable.index.equals(logs.design.index)


def test_partial_residuals_refuse_what_is_no_number(data, sleep):
    fit = lt.fit_lmm("y ~ f + log(u) + (1 | a)", data)
    with pytest.raises(lt.ModelError, match="`f` is a factor"):
        lt.partial_residuals(fit, "f")
    with pytest.raises(lt.ModelError, match="functions of `u` only"):
        lt.partial_residuals(fit, "u")
    with pytest.raises(lt.LMMError, match="90 were used"):
        lt.partial_residuals(fit, "u", data=data.head(20))
    with pytest.raises(lt.LMMError, match="did you mean `Days`"):
        lt.partial_residuals(sleep[0], "days")
    with pytest.raises(lt.LMMError, match="span must lie above 0"):
        lt.partial_residuals(sleep[0], "Days", span=2)


def test_the_picture_of_partial_residuals_shows_its_table(sleep):
    fit, _ = sleep
    found = lt.partial_residuals(fit, "Days")
    assert lt.figure(lt.plots.partial_residuals, fit, covariate="Days") == lt.figure(lt.plots.partial_residuals, found)
    ax = lt.plots.partial_residuals(found)
    assert ax.get_ylabel() == "Partial residual of Reaction (ms)"
    marks, line, smooth = ax.lines
    assert marks.get_xydata() == pytest.approx(found[["x", "partial"]].to_numpy())
    assert line.get_xydata()[[0, -1], 1] == pytest.approx([-47.1029, 47.1029], abs=1e-3)
    assert smooth.get_xydata() == pytest.approx(found.smooth.to_numpy())
    rng = np.random.default_rng(1)
    many = pd.DataFrame({"x": rng.normal(size=6000), "g": rng.integers(0, 50, 6000)})
    big = lt.fit_lmm("y ~ x + (1 | g)", many.assign(y=many.x + rng.normal(size=50)[many.g] + rng.normal(size=6000)))
    assert "a random sample of 5000 rows of 6000" in lt.figure(lt.plots.partial_residuals, big, covariate="x").caption


# Words, and what is refused


def test_words_repeat_the_table(sleep):
    _, found = sleep
    text = str(lt.prose.checks(found))
    out = int((found["p_value"] <= 0.05).sum())
    assert text.startswith(f"{out} checks in @tbl-checks stand out.")
    assert "Neighbours correlate 0.12" in text
    assert "linearity (Days)" in text
    assert "allowing for their number (Holm), 2 do" in text
    assert "1 check could not be made" in text
    quiet = pd.DataFrame(found)[found["p_value"] > 0.3]
    assert "None of the 3 checks in @tbl-checks stands out, which does not show" in str(lt.prose.checks(quiet))
    assert "None of the assumptions could" in str(lt.prose.checks(quiet.assign(p_value=np.nan)))
    with pytest.raises(lt.LMMError, match="what check_assumptions returns"):
        lt.prose.checks(3)


def test_what_cannot_be_looked_at_is_said():
    tiny = pd.DataFrame({"y": [1.0, 2.0, 3.5, 1.0, 2.2, 4.0, 2.5], "x": [1.0, 2, 3, 4, 5, 7, 6], "g": list("aabbccc")})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        found = lt.check_assumptions(lt.fit_lmm("y ~ x + (1 | g)", tiny), n=99)
    for check, of, why in (("Constant variance", "fitted", "7 rows are too few"),
                           ("Constant variance", "levels of g", "fewer than two levels have 3 rows"),
                           ("Normal distribution", "g: Intercept", "3 levels are too few"),
                           ("No autocorrelation", "", "are too few"),
                           ("Independent effects", "g", "3 levels are too few")):  # fmt: skip
        assert why in row(found, check, of)["finding"]
        assert np.isnan(row(found, check, of)["p_value"])


def test_collapsed_effects_have_no_distribution():
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"g": np.repeat(np.arange(8), 6), "x": rng.normal(size=48)})
    data["y"] = data.x + rng.normal(size=48)
    data["y"] -= data.groupby("g")["y"].transform("mean")
    found = lt.check_assumptions(lt.fit_lmm("y ~ x + (1 | g)", data), n=99)
    assert "variance is zero" in row(found, "Normal distribution", "g: Intercept")["finding"]
    along = data.assign(y=data.y + (rng.normal(size=8) * 3)[data.g] * (1 + 0.5 * data.x))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        fit = lt.fit_lmm("y ~ x + (x | g)", along)
    if fit.is_singular:
        said = row(lt.check_assumptions(fit, n=99), "Normal distribution", "g: x")["finding"]
        assert "those of Intercept times a number" in said


def test_a_model_too_large_to_simulate_is_told(sleep, monkeypatch):
    def refuse(*_):
        raise lt.ModelError("check_assumptions: groups reach across the 9 levels of `g`, too many; use n=0.")

    monkeypatch.setattr("lmmtools.assumptions.simulated.Reestimated", refuse)
    found = lt.check_assumptions(sleep[0], n=99)
    assert found["finding"][0] == "Not tested: groups reach across the 9 levels of `g`, too many."
    assert found["check"].tolist() == ["Residuals and effects", "Linearity", "Independent effects"]


def test_what_the_parameters_were_fitted_to_is_not_judged():
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"a": np.repeat(np.arange(12), 10), "t": np.tile(np.arange(10.0), 12)})
    data["y"] = rng.normal(size=12)[data.a] + rng.normal(size=120)
    fit = lt.fit_lmm("y ~ 1 + (1 | a)", data, residual="ar1(t | a)")
    found = row(lt.check_assumptions(fit, n=99), "No autocorrelation")
    assert np.isnan(found["p_value"])
    assert found["finding"].endswith("no reference to hold this against. The covariance parameters were fitted to just "
                                     "this.")  # fmt: skip


def test_a_variance_of_each_level_is_not_asked_for_again():
    fit = lt.fit_gls("distance ~ age * Sex", lt.load_dataset("Orthodont"), residual="varident(Sex)")
    assert "a variance of its own" in row(lt.check_assumptions(fit, n=99), "Constant variance", "Sex")["finding"]


def test_arguments_are_checked(sleep, data):
    fit, _ = sleep
    with pytest.raises(lt.LMMError, match="takes a fit"):
        lt.check_assumptions(data)
    with pytest.raises(lt.LMMError, match="at least 99"):
        lt.check_assumptions(fit, n=10)
    with pytest.raises(lt.LMMError, match="ddf"):
        lt.check_assumptions(fit, ddf="exact")
    with pytest.raises(lt.LMMError, match="rng"):
        lt.check_assumptions(fit, rng="one")
    with pytest.raises(lt.LMMError, match="time"):
        lt.check_assumptions(fit, time="day")
    by_row = lt.check_assumptions(fit, n=99, time=np.arange(180.0) % 10)
    assert row(by_row, "No autocorrelation")["statistic"] == pytest.approx(0.1161, abs=1e-3)


# What each check is for


def broken(what):
    """Data that break one assumption, with the model that makes it."""
    rng = np.random.default_rng(11)
    if what == "fitted":
        e = rng.normal(size=(30, 6)) * np.exp(0.35 * np.arange(6))
        return "y ~ t + (t | g)", slopes(rng, 30, 6, residual=e).eval("y = y + 3 * t")
    if what == "groups":
        e = rng.normal(size=(20, 8)) * np.exp(rng.normal(size=(20, 1)) * 0.8)
        return "y ~ t + (t | g)", slopes(rng, 20, 8, residual=e)
    if what == "residuals":
        return "y ~ t + (t | g)", slopes(rng, 20, 8, residual=rng.exponential(size=(20, 8)))
    if what == "effects":
        return "y ~ t + (t | g)", slopes(rng, 60, 6, effects=6.0 * rng.exponential(size=60))
    if what == "order":
        e = rng.normal(size=(25, 8))
        for k in range(1, 8):
            e[:, k] = 0.7 * e[:, k - 1] + np.sqrt(0.51) * e[:, k]
        return "y ~ t + (t | g)", slopes(rng, 25, 8, residual=e)
    if what == "bend":
        return "y ~ t + (t | g)", slopes(rng, 20, 6, bend=0.3)
    data = slopes(rng, 40, 4)
    b = rng.normal(size=40)
    x = 0.7 * b[data.g] + rng.normal(size=160)
    return "y ~ x + (1 | g)", data.assign(x=x, y=x + 1.5 * b[data.g] + rng.normal(size=160))


@pytest.mark.parametrize(("what", "check", "of"), [
    ("fitted", "Constant variance", "against fitted"), ("groups", "Constant variance", "levels of g"),
    ("residuals", "Normal distribution", "residuals"), ("effects", "Normal distribution", "g: Intercept"),
    ("order", "No autocorrelation", ""), ("bend", "Linearity", "t"), ("within", "Independent effects", "g"),
])  # fmt: skip
def test_what_is_broken_is_found(what, check, of):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        found = lt.check_assumptions(lt.fit_lmm(*broken(what)), n=199)
    assert row(found, check, of)["p_value"] <= 0.01
    assert "Rare if it holds." in row(found, check, of)["finding"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["slopes", "ar1"])
def test_sizes_are_kept(kind):
    """At 20 %, of 80 responses: 16 are expected, 4 to 28 within 3.3 standard deviations.

    Without the regression on the scores the autocorrelation of the second kind is below that in one or none.
    """
    rng, rejected = np.random.default_rng(1), {}
    for _ in range(80):
        data = slopes(rng)
        if kind == "ar1":
            e = rng.normal(size=(12, 5))
            for k in range(1, 5):
                e[:, k] = 0.5 * e[:, k - 1] + np.sqrt(0.75) * e[:, k]
            data = data.assign(y=0.3 * data.t + e.ravel())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", lt.LMMWarning)
            fit = lt.fit_gls("y ~ t", data, residual="ar1(t | g)") if kind == "ar1" else lt.fit_lmm(
                "y ~ t + (t | g)", data)  # fmt: skip
            found = lt.check_assumptions(fit, n=99, rng=rng)
        for check, of, p in zip(found["check"], found["of"], found["p_value"], strict=True):
            if np.isfinite(p) and check not in ("Linearity", "Independent effects"):
                rejected.setdefault((check, of), []).append(p <= 0.20)
    for check, of in rejected:
        assert 4 <= sum(rejected[check, of]) <= 28, (check, of)
    assert any(check == "No autocorrelation" for check, _ in rejected)
