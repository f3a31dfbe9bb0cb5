"""Fits with a residual structure, as they show themselves: residuals, predictions, simulations, tables, sentences."""

import re
from functools import cache

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.core.optimize import Optimum
from lmmtools.estimable.limits import limit_of
from lmmtools.findings import data_sha256
from lmmtools.formats import shown
from tests.definitions.prediction import prediction_variance
from tests.oracle import dense_model
from tests.reference.residual_fits import design_there, parameters_there, structured

ORTHODONT = lt.load_dataset("Orthodont")
SEXES = "distance ~ Sex * age"
STRUCTURES = (
    "us(age | Subject) * varident(age)",
    "us(age | Subject, by=Sex) * varident(age:Sex)",
    "toep(age | Subject)",
    "toep(age | Subject, 2)",
    "ar1(factor(age) | Subject) * varident(Sex) * varpower(age)",
    "car1(age | Subject, by=Sex)",
    "arma(factor(age) | Subject, 1, 1)",
    "cs(Subject, by=Sex)",
    "exp(age | Subject, nugget=True)",
    "gaus(age | Subject)",
    "spher(age | Subject)",
    "ratio(age | Subject)",
    "varpower(age | Sex)",
    "varexp(fitted())",
    "varfixed(age)",
    None,
)

every_structure = pytest.mark.parametrize("residual", STRUCTURES, ids=str)


@cache
def gls(residual, formula=SEXES, **options):
    return lt.fit_gls(formula, ORTHODONT, residual=residual, **options)


@cache
def mixed(residual="car1(age | Subject) * varident(Sex)", formula=f"{SEXES} + (1 | Subject)"):
    return lt.fit_lmm(formula, ORTHODONT, residual=residual)


def at_theirs(name):
    """The fit at the parameters of a reference."""
    criterion = lt.Criterion(design_there(name), reml=structured()[name]["method"] == "REML")
    theta = parameters_there(name)
    return lt.summarize(criterion, Optimum(criterion.working.from_theta(theta), theta, 0.0, 0, converged=True))


# resid(fit, type = "pearson") and "normalized" of nlme 3.1-162, the first eight rows.
NLME = {
    "Orthodont__gls_us_ml": (
        [1.566049072, 0.448893368, 1.323343644, 1.667072869, -0.422851607, -0.812513088, -1.130274675, -0.426973006],
        [1.566049072, -0.481081399, 0.584699168, 1.559816708, -0.422851607, -0.694197695, -0.954302295, 0.877721164],
    ),
    "Ovary__lme_ar1_ml": (
        [1.043384415, -0.204369502, 1.145842131, 0.480020095, -0.206226606, -0.927142533, -0.257372021, 0.35859284],
        [1.043384415, -0.964146881, 1.530143548, -0.204351227, -0.579664148, -0.98300809, 0.324280456, 0.611634502],
    ),
    "Wheat2__gls_spher_reml": (
        [0.798428277, 0.769227489, 0.953571452, 1.027007153, 0.862416525, 0.836742373, 1.334074915, -0.781554422],
        [0.798428277, 0.266062119, 0.489713106, 0.452748801, 0.069765592, 0.090464478, 0.928048116, -0.823516904],
    ),
}


@pytest.mark.parametrize("name", NLME)
def test_residuals_are_nlmes(name):
    fit, (pearson, normalized) = at_theirs(name), NLME[name]
    np.testing.assert_allclose(fit.residuals("pearson")[:8], pearson, atol=1e-6)
    np.testing.assert_allclose(fit.residuals("normalized")[:8], normalized, atol=1e-6)


def test_normalized_residuals_of_compound_symmetry_are_nlmes_in_another_basis():
    fit = at_theirs("Orthodont__gls_cs_hetage_ml")
    there = np.array([1.51325322, -1.216276779, 0.518232822, 0.910798208, -0.792716944, -0.418106919, -0.657746309,
                      0.588782548]).reshape(2, 4)  # fmt: skip
    here = fit.residuals("normalized").to_numpy()[:8].reshape(2, 4)
    np.testing.assert_allclose((here**2).sum(axis=1), (there**2).sum(axis=1), atol=1e-6)


@every_structure
def test_normalized_residuals_whiten_the_covariance_that_is_simulated(residual):
    fit = gls(residual)
    some = np.flatnonzero(np.isin(fit.noise.groups, fit.noise.groups[:1]))
    R = fit.noise.matrix(some)
    np.testing.assert_allclose(np.sqrt(np.diag(R)), fit.noise.sd[some], rtol=1e-9)
    draws = fit.simulate(3000, np.random.default_rng(5))[some] - fit.fitted.to_numpy()[some, None]
    found, sd = draws @ draws.T / 3000, fit.sigma * fit.noise.sd[some]
    assert np.all(np.abs(found - fit.sigma**2 * R) < 5 * np.outer(sd, sd) * np.sqrt(2 / 3000))
    white = fit.residuals("normalized").to_numpy() ** 2
    assert white.sum() == pytest.approx((fit.nobs - len(fit.fixef)), rel=1e-6)  # e'R⁻¹e/σ² of REML


@every_structure
def test_an_observation_has_the_sd_of_its_row(residual):
    fit = gls(residual)
    seen = fit.predict(interval="observation")
    error = fit.predict(interval="mean")["std_error"]
    expected = np.sqrt(error**2 + (fit.sigma * fit.noise.sd) ** 2)
    np.testing.assert_allclose(seen["std_error"], expected, rtol=1e-10)
    new = fit.predict(ORTHODONT.drop(columns="distance").iloc[::-1], interval="observation").iloc[::-1]
    # the variances of fitted() are those of the round before
    np.testing.assert_allclose(new["std_error"], seen["std_error"], rtol=1e-6)
    assert fit.predict(ORTHODONT.iloc[:0], interval="observation").shape == (0, 4)


def test_prediction_intervals_are_those_of_the_mixed_model_equations():
    fit = mixed()
    parts = tuple((term.matrix, term.codes) for term in fit.design.terms)
    mean, observation = prediction_variance(
        dense_model(fit.design, reml=True), np.concatenate([fit.theta, fit.phi]), fit.design.X, parts
    )
    np.testing.assert_allclose(fit.predict(interval="mean")["std_error"], np.sqrt(mean), rtol=1e-8)
    own = observation - fit.sigma**2 + (fit.sigma * fit.noise.sd) ** 2
    np.testing.assert_allclose(fit.predict(interval="observation")["std_error"], np.sqrt(own), rtol=1e-8)


def test_an_observation_whose_sd_is_not_known():
    new = pd.DataFrame({"age": [9.0], "Sex": ["Male"]})
    with pytest.raises(lt.DataError, match=r"`age` has `9` in 1 new row .* it knows `8`, `10`, `12`, `14`"):
        gls("varident(age)").predict(new, interval="observation")
    assert gls("varident(age)").predict(new, interval="mean").shape == (1, 4)
    fit = lt.fit_gls("distance ~ 0 + age", ORTHODONT, residual="varpower(fitted())")
    with pytest.raises(lt.DataError, match=r"a residual standard deviation of zero or infinity.*prediction of zero"):
        fit.predict(pd.DataFrame({"age": [0.0]}), interval="observation")


# --- tables -------------------------------------------------------------------------------------------


@every_structure
def test_every_parameter_has_a_meaning(residual):
    fit = gls(residual)
    table = lt.residual_table(fit)
    assert list(table.index) == list(fit.residual_params.index)
    assert table["estimate"].to_numpy() == pytest.approx(fit.phi)
    assert all(re.fullmatch(r"[a-z].*[^.]", text) for text in table["meaning"])
    assert len(set(table["meaning"])) == len(table)
    assert table.label == "tbl-residual"
    assert residual is None or table.notes[0].startswith(f"σ = {shown(fit.sigma)} is the residual sd ")


def test_meanings_in_the_words_of_the_data():
    table = lt.residual_table(gls("car1(age | Subject, by=Sex)"))
    assert table["meaning"].iloc[1] == (
        "correlation of residuals of one child 1 year apart in age; k times as far apart it is the k-th power, where "
        "Sex is Female"
    )
    fit = gls("car1(age | Subject, by=Sex)")
    near = [f"{phi**2:.3f}" for phi in fit.phi]
    assert table.notes[-1] == (
        "Neighbouring rows of a group are 2 years apart in age; residuals so far apart have a correlation of "
        f"{near[0]} where Sex is Male and {near[1]} where Sex is Female."
    )
    sds = lt.residual_table(gls("varident(Sex)"))
    fit = gls("varident(Sex)")
    assert sds["meaning"].iloc[0] == (
        f"residual sd where Sex is Female over that where it is Male: {fit.sigma * fit.phi[0]:.2f} against "
        f"{fit.sigma:.2f}"
    )


@pytest.mark.parametrize(
    ("residual", "far", "place"),
    [
        ("ar1(visit | Subject)", "1 step apart in visit", "is the place, among all its levels, of the row’s level"),
        ("toep(factor(age) | Subject)", "1 step apart in factor(age)", "the row’s level of factor(age)"),
        ("car1(I(age - 8) | Subject)", "1 apart in I(age - 8)", "$t_{ij}$ is I(age - 8)."),
        ("car1(age | Subject)", "1 year apart in age", "$t_{ij}$ is age."),
    ],
)
def test_distances_are_steps_where_times_are_the_levels_of_a_factor(residual, far, place):
    visit = pd.Categorical(ORTHODONT["age"].astype(int).astype(str), ["8", "10", "12", "14"])
    fit = lt.fit_gls("distance ~ 1", ORTHODONT.assign(visit=visit), residual=residual)
    assert far in lt.residual_table(fit)["meaning"].iloc[0]
    assert place in str(lt.prose.model(fit))


def test_a_distance_has_the_unit_that_all_coordinates_share():
    rng = np.random.default_rng(2)
    field = pd.DataFrame({"x": rng.uniform(size=40), "y": rng.uniform(size=40), "z": rng.normal(size=40)})
    said = []
    for units in ({"x": "m", "y": "m"}, {"x": "m", "y": "cm"}):
        field.attrs["lmmtools"] = {"units": units}
        fit = lt.fit_gls("z ~ 1", field, residual="exp(x + y)")
        said.append((lt.residual_table(fit)["meaning"].iloc[0], lt.semivariogram(fit, n=0).unit))
    (meaning, unit), (other, none) = said
    assert "distance in x and y, in m, at which" in meaning and unit == "m"
    assert "distance in x and y at which" in other and none == ""


def test_a_matrix_of_occasions():
    fit = gls("us(age | Subject, by=Sex) * varident(age:Sex)")
    table = lt.residual_correlations(fit)
    assert list(table.columns) == ["by", "occasion", "sd", "8", "10", "12", "14"]
    female = table[table["by"] == "Female"]
    C = female[["8", "10", "12", "14"]].to_numpy()
    rows_of = np.flatnonzero((ORTHODONT["Subject"] == "F10").to_numpy())
    np.testing.assert_allclose(
        fit.sigma**2 * fit.noise.matrix(rows_of), C * np.outer(female["sd"], female["sd"]), rtol=1e-8
    )
    assert lt.residual_correlations(gls("cs(Subject, by=Sex)")) is None
    assert "sd" not in lt.residual_correlations(gls("us(age | Subject) * varident(Sex)"))


def test_a_band_that_is_cut_off_and_one_that_is_not_seen():
    cut = lt.residual_correlations(gls("toep(age | Subject, 2)"))
    assert cut.iloc[0, -1] == 0.0 and cut.iloc[0, 2] == 1.0
    boys, first, last = ORTHODONT["Sex"] == "Male", ORTHODONT["age"] == 8, ORTHODONT["age"] == 14
    gap = ORTHODONT[~(first & boys) & ~(last & ~boys)]
    unseen = lt.residual_correlations(lt.fit_gls("distance ~ age", gap, residual="toep(age | Subject)"))
    assert np.isnan(unseen.iloc[0, -1]) and "No two rows of a group" in unseen.notes[0]


def test_a_fit_without_random_effects_shows_itself():
    text = repr(gls("us(age | Subject) * varident(age)"))
    assert text.startswith("Generalised least squares by REML")
    assert "Residuals                     us(age | Subject) * varident(age)" in text
    assert "108 in 27 residual groups, the levels of Subject" in text
    for label in ("us.cor[8, 10]", "varident[14]", "Residual correlations and standard deviations (REML)"):
        assert label in text
    assert repr(gls(None)).startswith("Linear model fitted by REML")
    assert "Rows                          108\n" in repr(gls(None))
    assert repr(mixed()).startswith("Linear mixed model fitted by REML")


def test_the_table_of_variances_says_whose_residual_it_is():
    assert list(gls("cs(Subject, by=Sex)").varcorr["grp"]) == ["Residual"]
    assert gls(None).varcorr.caption == "Residual variance (REML)"
    assert "where Sex is Male" in mixed().varcorr.notes[0]
    assert not gls("cs(Subject, by=Sex)").varcorr.notes


# --- one place that chooses ----------------------------------------------------------------------------


def test_fit_model_takes_either():
    assert lt.fit_model("distance ~ age", ORTHODONT, residual="cs(Subject)").ngroups == {}
    assert lt.fit_model("distance ~ age + (1 | Subject)", ORTHODONT, residual="", reml=False).ngroups == {"Subject": 27}
    with pytest.raises(lt.FormulaError, match=r"has no random effects.*fitted by fit_gls"):
        lt.fit_model("distance ~ age", ORTHODONT, residual="")


def test_models_with_residual_structures_of_their_own():
    models = lt.fit_models(
        [SEXES] * 3 + [f"{SEXES} + (1 | Subject)"], ORTHODONT, residual=["cs(Subject)", None, "ar1(age | nobody)", ""]
    )
    assert list(models) == ["M1", "M2", "M4"] and "nobody" in models.failures["M3"]
    assert list(models.summary()["residual"]) == ["cs(Subject)", "", "", ""]
    assert models["M1"].criterion == pytest.approx(models["M4"].criterion, abs=1e-6)
    same = lt.fit_models([SEXES, "distance ~ age"], ORTHODONT, residual="cs(Subject)")
    assert [fit.design.residual.text for fit in same.values()] == ["cs(Subject)"] * 2
    with pytest.raises(lt.ModelError, match="2 formulas and 1 residual structure"):
        lt.fit_models([SEXES, "distance ~ age"], ORTHODONT, residual=["cs(Subject)"])
    with pytest.raises(lt.FormulaError, match="M2: "):
        lt.fit_models([SEXES, "distance ~ age"], ORTHODONT, residual=["cs(Subject)", "ar1("])


def test_rows_that_a_residual_structure_cannot_use_are_left_out_of_all_models():
    holes = ORTHODONT.assign(w=ORTHODONT["age"].where(ORTHODONT["age"] > 8))
    models = lt.fit_models(["distance ~ age + (1 | Subject)"] * 2, holes, residual=[None, "varpower(w)"])
    assert models.nobs == 81 and models["M1"].nobs == 81


# --- the certificate ----------------------------------------------------------------------------------


def alternating():
    """Residuals whose neighbours differ in sign."""
    rng = np.random.default_rng(3)
    y = np.concatenate([rng.normal(size=1) * (-0.8) ** np.arange(6) + 0.3 * rng.normal(size=6) for _ in range(20)])
    return pd.DataFrame({"y": y, "g": np.repeat(np.arange(20), 6), "t": np.tile(np.arange(6.0), 20)})


def test_a_parameter_on_a_bound_is_said_with_what_it_means():
    fit = lt.fit_gls("y ~ 1", alternating(), residual="car1(t | g)")
    assert fit.certificate.status == "certified at the boundary"
    assert "`car1.phi` is zero, so that rows at different times are uncorrelated" in fit.certificate.sentence
    assert fit.messages[-1] == fit.certificate.sentence
    assert not fit.is_singular
    data = alternating()
    far = np.random.default_rng(1).normal(size=20)[data["g"]] * 1e5
    with_far = lt.fit_gls("y ~ 1", data.assign(y=data["y"] + far), residual="ar1(t | g)")
    assert "`ar1.phi` is one to seven digits, the limit of stationarity" in with_far.certificate.sentence


@pytest.mark.parametrize("residual", STRUCTURES, ids=str)
def test_every_parameter_has_words_for_its_bounds(residual):
    structure = gls(residual).design.residual
    for name in () if structure is None else structure.names:
        low, high = limit_of(name, upper=False), limit_of(name, upper=True)
        unbounded = name.startswith(("varpower", "varexp")) or name.endswith(".power")
        assert ("at the end of" in low + high) is unbounded, name
    assert limit_of("ar1.phi[M]", upper=True) == "one to seven digits, the limit of stationarity"


def test_a_flat_direction_of_the_residuals_alone():
    with pytest.warns(lt.LMMWarning, match="take a residual structure with fewer parameters"):
        fit = lt.fit_gls(SEXES, ORTHODONT, residual="varconstpower(age | Sex)")
    assert "varconstpower(age | Sex)" in fit.certificate.flat[0]


# --- sentences ----------------------------------------------------------------------------------------


@every_structure
def test_the_model_in_mathematics(residual):
    for fit in (gls(residual), gls(residual, "distance ~ age")):
        text = str(lt.prose.model(fit))
        display, legend = text.split("$$")[1:]
        assert display.count("{") == display.count("}") and "None" not in text
        assert legend.strip().startswith("Here $i$ counts")
        assert "random effects" not in legend.lower()


def test_the_formula_of_a_structure():
    text = str(lt.prose.model(mixed("car1(age | Subject) * varident(Sex)")))
    assert "\\left[\\mathbf{R}_{i}\\right]_{jk} &= s_{ij}\\,s_{ik}\\,\\varphi^{|t_{ij} - t_{ik}|} \\\\" in text
    assert "s_{ij} &= \\delta_{\\ell(ij)}" in text
    assert "Random effects of different levels are independent, of the residuals too" in text
    crossed = str(lt.prose.model(lt.fit_lmm("distance ~ age + (1 | Sex)", ORTHODONT, residual="cs(Subject)")))
    assert "\\operatorname{Cor}\\left(\\varepsilon_{i},\\ \\varepsilon_{k}\\right) &= \\rho" in crossed
    assert "of two rows, $i$ and $k$, of one child" in crossed


@every_structure
def test_what_residuals_have_in_common_is_told(residual):
    fit = gls(residual)
    told, found = lt.prose.residuals(fit), str(lt.prose.summary(fit))
    assert "from 108 rows" in found and "between children" not in found
    assert (told is None) is (residual is None)
    if fit.design.residual is not None and fit.design.residual.correlation is not None:
        assert "of one child" in str(told) and "from 108 rows of 27 children" in found
    assert "linear model without random effects" in str(lt.prose.methods(fit))
    assert "conditional modes" not in str(lt.prose.methods(fit))


def test_strata_are_told():
    fit = gls("varexp(age | Sex)")
    said = "a standard deviation that is exponential in age, its parameters those of each level of Sex"
    assert said in str(lt.prose.residuals(fit)) and said in str(lt.prose.methods(fit))
    assert [text.rpartition(", ")[2] for text in lt.residual_table(fit)["meaning"]] == [
        "where Sex is Male", "where Sex is Female",
    ]  # fmt: skip
    assert "is the row’s level of Sex." in str(lt.prose.model(fit))


def test_findings_in_words():
    us = "us(age | Subject) * varident(age)"
    fit = gls(us)
    low, high = fit.phi[:6].min(), fit.phi[:6].max()
    said = str(lt.prose.residuals(fit))
    assert f"correlate between {low:.2f} (8 and 14) and {high:.2f} (12 and 14)" in said
    assert "as a matrix in @tbl-residual-matrix" in said
    assert "mixed model for repeated measures" in str(lt.prose.methods(fit))
    assert "mixed model for repeated measures" not in str(lt.prose.methods(gls("us(age | Subject) * varident(Sex)")))
    serial = gls("car1(age | Subject)")
    assert f"2 years apart, as neighbours are, correlate {serial.phi[0] ** 2:.2f}" in str(lt.prose.summary(serial))
    assert "no share of the variance lies between groups" in str(lt.prose.icc(serial))
    assert "no single share of variance" in str(lt.prose.icc(mixed()))
    assert lt.prose.modes(serial) is None and "@fig-caterpillar" in str(lt.prose.modes(mixed()))
    assert lt.prose.needed(serial) is None and "@tbl-ranova" in str(lt.prose.needed(mixed()))
    assert str(lt.prose.caveats(serial)) == "The fit rests on 27 children, and it left no messages."
    four = ORTHODONT[ORTHODONT["Subject"].isin(["M01", "M02", "M03", "F01"])]
    few = lt.fit_gls("distance ~ age", four, residual="cs(Subject)")
    assert "With 4 children the correlation of residuals within them is poorly known" in str(lt.prose.caveats(few))
    assert "4 children they are too short" in str(lt.prose.summary(few, ddf="normal"))


def test_a_comparison_names_the_residuals_it_prefers():
    models = lt.fit_models([SEXES] * 2, ORTHODONT, residual=["cs(Subject)", None])
    assert "residuals cs(Subject)" in str(lt.prose.verdict(models))


# --- pictures and records -----------------------------------------------------------------------------


@every_structure
def test_pictures_of_residuals_are_of_those_that_should_be_alike(residual):
    fit = gls(residual)
    kind = "Residual (mm)"
    if residual is not None:
        kind = "Normalized residual" if fit.design.residual.correlation else "Pearson residual"
    figure = lt.figure(lt.plots.residuals_fitted, fit)
    assert "random effects" not in figure.caption
    assert kind in figure.svg
    assert lt.figure(lt.plots.qq_residuals, fit).label == "fig-qq-residuals"


def test_the_data_by_the_groups_of_the_residuals():
    figure = lt.figure(lt.plots.data_by_group, gls("cs(Subject, by=Sex)"))
    assert figure.caption.endswith("by Subject. Solid lines: fitted values.")
    assert "all rows" in lt.figure(lt.plots.data_by_group, gls(None)).caption
    with pytest.raises(lt.LMMError, match=r"no grouping factor.*factor can be `Subject`"):
        lt.figure(lt.plots.data_by_group, gls("cs(Subject, by=Sex)"), factor="Sex")


def test_the_record_has_the_structure_and_its_parameters():
    fit = mixed()
    record = lt.record(fit, lt.cross_check(fit, engine="dense")).to_dict()
    assert record["status"] == "ok" and record["cross_checks"][0]["ok"]
    assert record["numbers"]["residual"] == "car1(age | Subject) * varident(Sex)"
    assert record["numbers"]["residual_params"] == pytest.approx(fit.residual_params.to_dict())
    assert record["numbers"]["icc"] is None
    plain = lt.record(gls(None)).to_dict()["numbers"]
    assert plain["residual"] is None and plain["residual_params"] == {} and plain["ngroups"] == {}


def test_the_hash_of_the_data_covers_what_a_structure_reads():
    def sha(residual, data=ORTHODONT):
        return data_sha256(lt.build_design("distance ~ 1", data, residual=residual))

    assert sha("car1(age | Subject)") != sha(None)
    assert sha("car1(age | Subject)") == sha("car1(age | Subject)", ORTHODONT.copy())
    later = ORTHODONT.assign(age=ORTHODONT["age"] * 1.5)
    assert sha("car1(age | Subject)") != sha("car1(age | Subject)", later)
    assert sha("varpower(age)") != sha("varpower(age)", later)
    assert sha(None) == sha(None, later)


def test_other_software_does_not_have_these_models():
    check = lt.cross_check(gls("cs(Subject, by=Sex)"))
    assert check.ok and list(check["verdict"]) == ["not expressible there"]
    assert lt.cross_check(gls("cs(Subject, by=Sex)"), engine="dense").ok


def test_the_preview_has_the_columns_of_the_residuals():
    assert list(lt.preview(ORTHODONT, "distance ~ age").columns) == ["distance", "age"]
    both = lt.preview(ORTHODONT, "distance ~ age", residual="cs(Subject) * varident(Sex)")
    assert list(both.columns) == ["distance", "age", "Subject", "Sex"]


def test_a_table_is_of_a_fit():
    with pytest.raises(lt.LMMError, match="takes a fit"):
        lt.residual_table("no fit")
