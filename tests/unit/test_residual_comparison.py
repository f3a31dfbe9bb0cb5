"""Comparison of residual structures: which lies in which, tests of those that do, and a table of several."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.special import chdtrc

import lmmtools as lt
from lmmtools.comparison import compare
from lmmtools.comparison.boundary import efficient_information
from lmmtools.nesting import nesting
from lmmtools.nesting.residual import residual_within
from lmmtools.noise import residual_covariance
from tests.definitions.likelihood_ratio import efficient_information as definition
from tests.reference.residual_fits import rows, tables

MEAN = "distance ~ Sex * age"


@pytest.fixture(scope="module")
def data():
    frame = lt.load_dataset("Orthodont")
    return frame.assign(visit=(frame["age"].astype(int) - 8) // 2, older=np.where(frame["age"] > 10, "yes", "no"))


@pytest.fixture(scope="module")
def fits(data):
    made = {}

    def fit(residual, formula=MEAN, **options):
        key = (residual, formula, *options.items())
        if key not in made:
            made[key] = lt.fit_model(formula, data, residual=residual, **({"reml": False} | options))
        return made[key]

    made["", MEAN] = lt.fit_gls(MEAN, data, reml=False)
    return fit


def design(data, residual, formula=MEAN):
    return lt.build_design(formula, data, residual=residual or None)


# smaller, larger, parameters of the larger on a bound
INSIDE = [
    ("", "cs(Subject)", 0),
    ("", "ar1(visit | Subject)", 0),
    ("", "ar1(age | Subject)", 1),  # even lags only: φ cannot be negative
    ("", "car1(age | Subject)", 1),
    ("", "spher(age | Subject)", 1),
    ("", "arma(visit | Subject, 2, 0)", 0),
    ("", "us(age | Subject)", 0),
    ("", "varident(Sex)", 0),
    ("", "varpower(age) * varident(Sex)", 0),
    ("cs(Subject)", "toep(age | Subject)", 0),
    ("cs(Subject)", "cs(Subject, by=Sex)", 0),
    ("toep(age | Subject)", "us(visit | Subject)", 0),
    ("toep(age | Subject, 1)", "toep(visit | Subject, 2)", 0),
    ("ar1(visit | Subject)", "arma(visit | Subject, 1, 1)", 0),
    ("ar1(visit | Subject)", "toep(age | Subject)", 0),
    ("car1(age | Subject)", "ar1(visit | Subject)", None),  # another unit of time: not for ar1
    ("car1(visit | Subject)", "ar1(visit | Subject)", 0),
    ("car1(visit | Subject)", "exp(age | Subject)", 0),
    ("exp(age | Subject)", "car1(visit | Subject)", 0),
    ("exp(age | Subject)", "exp(age | Subject, nugget=True)", 1),
    ("car1(age | Subject)", "exp(age | Subject, nugget=True)", 1),
    ("arma(visit | Subject, 0, 1)", "toep(visit | Subject, 1)", 0),
    ("arma(visit | Subject, 0, 1)", "arma(visit | Subject, 1, 1)", 0),
    ("varident(Sex)", "varident(Sex:older)", 0),
    ("varident(older)", "varident(age)", 0),
    ("varident(Sex) * varident(older)", "varident(Sex:older)", 0),
    ("varpower(age)", "varident(age)", 0),
    ("varpower(age)", "varpower(age | Sex)", None),  # no level of its own for each stratum, but a power
    ("varpower(age)", "varconstpower(age)", 1),
    ("varfixed(age)", "varpower(age)", 0),
    ("cs(Subject)", "us(age | Subject) * varident(age)", 0),
    ("ar1(visit | Subject) * varident(Sex)", "ar1(visit | Subject, by=Sex) * varident(Sex)", 0),
]


@pytest.mark.parametrize(("small", "large", "rays"), INSIDE)
def test_special_cases_of_residual_structures(small, large, rays, data):
    found = residual_within(design(data, small), design(data, large))
    if (small, large) == ("varpower(age)", "varpower(age | Sex)"):
        rays = 0  # powers that are equal
    if rays is None:
        assert not found.inside
        return
    assert found.inside and found.rays == rays and not found.unknown
    back = residual_within(design(data, large), design(data, small))
    both = {small[:3], large[:3]} == {"exp", "car"} and "nugget" not in large
    assert back.inside == both


@pytest.mark.parametrize(("small", "large"), [
    ("cs(Subject)", "ar1(visit | Subject)"),
    ("ar1(visit | Subject)", "cs(Subject)"),
    ("ar1(visit | Subject)", "car1(visit | Subject)"),
    ("exp(age | Subject)", "gaus(age | Subject)"),
    ("varident(Sex)", "varident(age)"),
    ("varexp(age)", "varpower(age)"),
    ("cs(Subject) * varident(Sex)", "us(age | Subject)"),
    ("us(age | Subject)", "toep(age | Subject)"),
    ("cs(Subject)", "cs(Subject:older)"),
    ("cs(Subject:older)", "cs(Subject)"),
    ("arma(visit | Subject, 2, 0)", "arma(visit | Subject, 1, 1)"),
])  # fmt: skip
def test_what_is_no_special_case(small, large, data):
    found = residual_within(design(data, small), design(data, large))
    assert not found.inside and found.decided and found.why


@pytest.mark.parametrize("large", ["exp(age | Subject, nugget=True)", "arma(visit | Subject, 1, 1)",
                                   "varconstpower(age)"])  # fmt: skip
def test_no_distribution_where_a_parameter_means_nothing_in_the_smaller_model(large, fits):
    table = lt.lrt(fits(""), fits(large))
    assert table["reference"].iloc[1].startswith("none: ") and np.isnan(table["p_value"].iloc[1])
    assert table["chisq"].iloc[1] > 0 and table["df"].iloc[1] == 2
    assert any("bootstrap_lrt" in note for note in table.notes)


def test_smaller_structures_never_fit_better(fits):
    """Over all pairs said to be nested: the criterion, which knows nothing of the rules, agrees."""
    names = list(dict.fromkeys(name for a, b, _ in INSIDE for name in (a, b) if "spher" not in name))
    pairs = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        made = {name: fits(name) for name in names}
    for small in made.values():
        for large in made.values():
            if small is not large and nesting(small, large).inside:
                assert large.criterion <= small.criterion + 1e-6
                pairs += 1
    assert pairs > 60


@pytest.mark.parametrize("name", ["BodyWeight__nlme_anova_var", "Ovary__nlme_anova_cor"])
def test_likelihood_ratios_are_those_of_nlme(name):
    reference = tables()[name]
    frame = rows(reference)
    made = [lt.fit_lmm(reference["formula"], frame, residual=residual) for residual in reference["residuals"]]
    found = lt.lrt(*made)
    npar, aic, bic, loglik = np.array(reference["table"]["values"]).T
    np.testing.assert_array_equal(found["npar"], npar)
    np.testing.assert_allclose(found["loglik"], loglik, atol=2e-6)  # nlme's own bound, 1e-6 of each criterion
    np.testing.assert_allclose([fit.aic for fit in made], aic, atol=4e-6)
    pairs = reference["pairwise"]
    np.testing.assert_allclose(found["chisq"].iloc[1:], pairs["LRatio"], atol=1e-5)
    assert list(found["df"].iloc[1:]) == pairs["Df"]
    # nlme refers to χ² throughout; independence is on the boundary of an exponential correlation
    assert list(found["reference"].iloc[1:]) == ["χ²(1)", "½ χ²(0) + ½ χ²(1)" if "Body" in name else "χ²(1)"]
    times = [1.0, 2.0 if "Body" in name else 1.0]
    np.testing.assert_allclose(found["p_value"].iloc[1:] * times, pairs["p"], rtol=1e-3)
    # R's BIC of REML takes n - p rows, ours n
    rank = np.log(made[0].nobs / (made[0].nobs - len(made[0].beta)))
    np.testing.assert_allclose([fit.bic for fit in made], bic + npar * rank, atol=4e-6)


def test_tests_of_structures_and_of_random_effects_have_their_distributions(fits):
    table = lt.lrt(fits(""), fits("", f"{MEAN} + (1 | Subject)"), fits("varident(Sex)", f"{MEAN} + (1 | Subject)"))
    assert list(table["reference"])[1:] == ["½ χ²(0) + ½ χ²(1)", "χ²(1)"]
    chisq = table["chisq"].iloc[1:].to_numpy()
    np.testing.assert_allclose(table["p_value"].iloc[1:], [0.5 * chdtrc(1, chisq[0]), chdtrc(1, chisq[1])])
    table = lt.lrt(fits("car1(age | Subject)"), fits("exp(age | Subject, nugget=True)"))
    assert table["reference"].iloc[1] == "½ χ²(0) + ½ χ²(1)"
    assert table.index[0] == f"{MEAN}, car1(age | Subject)"


def test_a_random_intercept_is_a_part_of_compound_symmetry(fits):
    mixed, marginal = fits("", f"{MEAN} + (1 | Subject)"), fits("cs(Subject)")
    assert mixed.criterion == pytest.approx(marginal.criterion, abs=1e-8)
    step, back = nesting(mixed, marginal), nesting(marginal, mixed)
    assert step.inside and step.df == 0 and not back.inside
    with pytest.raises(lt.ModelError, match="same model as far as the first can go"):
        lt.lrt(mixed, marginal)
    table = lt.lrt(mixed, fits("toep(age | Subject)"))
    assert (table["df"].iloc[1], table["reference"].iloc[1]) == (2, "χ²(2)")
    with pytest.raises(lt.ModelError, match=r"not known to be nested.*has the random term \(1 \| Subject\)|not known"):
        lt.lrt(fits("varident(Sex)", f"{MEAN} + (1 | Subject)"), fits("us(age | Subject) * varident(age)"))


def test_a_random_intercept_beside_correlated_residuals_lies_in_free_correlations(fits):
    mixed = fits("ar1(visit | Subject)", f"{MEAN} + (1 | Subject)")
    table = lt.lrt(mixed, fits("us(age | Subject)"))
    assert (table["df"].iloc[1], table["reference"].iloc[1]) == (4, "χ²(4)")
    assert nesting(mixed, fits("toep(visit | Subject)")).inside
    assert not nesting(mixed, fits("toep(visit | Subject, 2)")).inside
    assert not nesting(mixed, fits("arma(visit | Subject, 1, 1)")).decided


def test_random_effects_that_a_correlation_of_the_larger_may_express_are_left_undecided(data):
    frame = data.assign(half=np.arange(len(data)) % 2)
    small = lt.fit_lmm(f"{MEAN} + (1 | Subject)", frame, reml=False)
    large = lt.fit_lmm(f"{MEAN} + (1 | half)", frame, residual="cs(Subject)", reml=False)
    found = nesting(small, large)
    assert not found.inside and not found.decided
    with pytest.raises(lt.ModelError, match="not known to be nested"):
        lt.lrt(small, large)
    plain = lt.fit_lmm(f"{MEAN} + (1 | half) + (1 | Subject:half)", frame, reml=False)
    assert nesting(small, plain).decided


def test_variances_and_residual_structures_are_tested_together(fits):
    """One variance of zero with its covariance, and a ratio of standard deviations that is free."""
    table = lt.lrt(fits("", f"{MEAN} + (1 | Subject)"), fits("varident(Sex)", f"{MEAN} + (age | Subject)"))
    assert (table["df"].iloc[1], table["reference"].iloc[1]) == (3, "½ χ²(2) + ½ χ²(3)")
    table = lt.lrt(fits(""), fits("exp(age | Subject)", f"{MEAN} + (1 | Subject)"))
    assert table["reference"].iloc[1].startswith("none: variances of zero are tested together with parameters")


def test_what_is_not_nested_is_said_with_the_structures(fits):
    with pytest.raises(lt.ModelError, match="same number of parameters"):
        lt.lrt(fits("cs(Subject)"), fits("ar1(visit | Subject)"))
    with pytest.raises(lt.ModelError, match=r"not nested.*has the correlation `cs\(Subject\)`, which the larger"):
        lt.lrt(fits("cs(Subject)"), fits("arma(visit | Subject, 1, 1)"))
    with pytest.raises(lt.ModelError, match="are the same model, so that there is nothing to test"):
        lt.lrt(fits("exp(age | Subject)"), fits("car1(age | Subject)"))


def test_of_fits_with_fitted_values_the_notes_say_what_their_ratio_is(fits):
    table = lt.lrt(fits("varpower(fitted())"), fits("varpower(fitted()) * cs(Subject)"))
    assert table["reference"].iloc[1] == "χ²(1)"
    assert "not those of nested families" in table.notes[-1]
    assert not nesting(fits("varpower(fitted())"), fits("varexp(fitted())")).inside


def test_random_effects_are_dropped_from_what_keeps_its_residual_structure(fits, data):
    fit = fits("varident(Sex)", f"{MEAN} + (1 | Subject)", reml=True)
    table = lt.ranova(fit)
    without = lt.fit_gls(MEAN, data, residual="varident(Sex)")
    assert table["loglik"].iloc[1] == pytest.approx(without.loglik, abs=1e-8)
    assert table["npar"].iloc[1] == fit.npar - 1 and table["reference"].iloc[1] == "½ χ²(0) + ½ χ²(1)"
    simulated = lt.bootstrap_lrt(None, fit, n=9, rng=1)
    assert simulated.statistic == pytest.approx(table["chisq"].iloc[1], abs=1e-6)
    assert "no random effects in" in simulated.null and "varident(Sex)" in simulated.null
    assert lt.explain_singular(fit).empty


def test_what_rests_on_independent_residuals_or_random_effects_is_refused(fits, data):
    with pytest.raises(lt.ModelError, match=r"independent residuals of equal variance.*`varident\(Sex\)`"):
        lt.exact_lrt(fits("varident(Sex)", f"{MEAN} + (1 | Subject)"))
    with pytest.raises(lt.ModelError, match="no random effects"):
        lt.exact_lrt(fits(""))
    with pytest.raises(lt.ModelError, match="ranova: this model has no random effects"):
        lt.ranova(fits("cs(Subject)"))


def test_several_structures_in_one_table(data):
    found = lt.residual_structures(MEAN, data, time="age", group="Subject", reml=False)
    table = found.table
    assert list(table.index) == list(found.fits) and found.best is found.fits[found.name]
    assert found.best.aic == min(fit.aic for fit in found.fits.values()) == table["aic"].min()
    by_hand = compare(found.fits, conditional=False)
    for column in ("npar", "loglik", "aic", "aicc", "bic", "delta", "weight"):
        np.testing.assert_allclose(table[column].astype(float), by_hand[column].astype(float))
    row = table.loc["us(age | Subject)"]
    assert row["against"] == "toep(age | Subject)"
    step = lt.lrt(found.fits["toep(age | Subject)"], found.fits["us(age | Subject)"])
    assert (row["chisq"], row["df"], row["p_value"]) == pytest.approx(tuple(step.iloc[1][["chisq", "df", "p_value"]]))
    # the published models: Jennrich & Schluchter 1986, by ML, −2 log-likelihoods of models 2, 4 and 7
    loglik = -2.0 * table["loglik"]
    assert loglik["us(age | Subject) * varident(age)"] == pytest.approx(419.477, abs=1e-3)
    assert loglik["cs(Subject)"] == pytest.approx(428.639, abs=1e-3)
    assert loglik["independent"] == pytest.approx(478.242, abs=1e-3)


def test_structures_that_fail_stay_in_the_table(data):
    made = lt.residual_structures(
        f"{MEAN} + (1 | Subject)", data, [None, "cs(Subject)", "varident(Sex)", "varident(nothing)"]
    )
    assert set(made.failures) == {"cs(Subject)", "varident(nothing)"}
    assert made.table["aic"].isna().tolist() == [False, True, False, True]
    assert made.table.loc["cs(Subject)", "note"] == "not fitted"
    assert any(note.startswith("cs(Subject) is not fitted: ") for note in made.table.notes)
    assert made.name == "varident(Sex)" and "Residual structures of" in repr(made)


def test_a_fit_brings_its_formula_method_and_structure(data):
    fit = lt.fit_lmm(f"{MEAN} + (1 | Subject)", data, residual="varident(Sex)", reml=False)
    found = lt.residual_structures(fit, data, time="visit")
    assert "varident(Sex)" in found.fits and "cs(Subject)" not in found.fits
    assert found.fits["varident(Sex)"].criterion == pytest.approx(fit.criterion, abs=1e-9)
    assert not found.best.reml
    with pytest.raises(lt.ModelError, match="the fit has 108 rows"):
        lt.residual_structures(fit, data.iloc[:90], time="visit")


@pytest.mark.parametrize(("structures", "match"), [
    ("cs(Subject)", "must be a list"),
    ([], "empty list"),
    ([1], "must be a list"),
    (None, "structures="),
])  # fmt: skip
def test_what_is_no_list_of_structures(structures, match, data):
    with pytest.raises(lt.LMMError, match=match):
        lt.residual_structures(MEAN, data, structures)


def test_large_groups_are_compared_by_those_that_differ_or_not_at_all():
    """Residual groups of too many pairs to write out: one of each kind will do, if there are few kinds."""
    rng = np.random.default_rng(1)
    n = 40_000
    frame = pd.DataFrame({"y": rng.standard_normal(n), "t": np.arange(n) % 500, "g": np.arange(n) // 500})
    frame["f"] = np.where(frame["g"] < 40, "a", "b")
    made = {r: lt.build_design("y ~ 1", frame, residual=r) for r in
            ("ar1(t | g)", "arma(t | g, 2, 0)", "cs(g)", "ar1(t | g, by=f)")}  # fmt: skip
    ar1 = made.pop("ar1(t | g)")
    assert [residual_within(ar1, large).inside for large in made.values()] == [True, False, True]
    assert not residual_within(made["ar1(t | g, by=f)"], made["arma(t | g, 2, 0)"]).inside
    one = frame.iloc[:5000].assign(u=rng.random(5000).cumsum(), t=np.arange(5000), g=0)
    a, b = (lt.build_design("y ~ 1", one, residual=r) for r in ("ar1(t | g)", "car1(u | g)"))
    found = residual_within(a, b)
    assert not found.inside and not found.decided and "too many pairs" in found.why


def test_the_information_about_variances_of_zero_is_that_of_the_definition(data):
    """With the residuals' parameters among the nuisances: V and its directions written out."""
    large = lt.fit_lmm(f"{MEAN} + (age || Subject)", data, residual="ar1(visit | Subject) * varident(Sex)", reml=False)
    terms, working, n = large.design.terms, large.working.terms, large.nobs
    factors = (0.6 * np.ones((1, 1)), 0.1 * np.ones((1, 1)))
    own = [np.outer(t.matrix[:, 0], t.matrix[:, 0]) * np.equal.outer(t.codes, t.codes) for t in terms]

    def R(phi):
        return residual_covariance(large.design, phi).matrix(np.arange(n))

    V = R(large.phi) + sum(L[0, 0] ** 2 * D for L, D in zip(factors, own, strict=True))
    steps = 1e-5 * np.eye(len(large.phi))
    slopes = [(R(large.phi + h) - R(large.phi - h)) / 2e-5 for h in steps]
    over = np.array([t.K @ t.K.T for t in working])
    ours = efficient_information(large, factors, over, np.zeros((0, *over.shape[1:])))
    np.testing.assert_allclose(ours, definition(V, own, slopes), rtol=1e-6)
    table = lt.lrt(lt.fit_gls(MEAN, data, residual="ar1(visit | Subject) * varident(Sex)", reml=False), large)
    assert "weights from 20,000 draws" in table["reference"].iloc[1] and table["df"].iloc[1] == 2
