"""Degrees of freedom, tests, profiles, means and comparisons beside lmerTest, pbkrtest, emmeans, RLRsim and lme4.

The bounds are the project's: Satterthwaite's df 1e-3 relative (lmerTest differentiates numerically), Kenward and
Roger's df and F 1e-5 and their covariance 1e-6, F of an ANOVA 1e-4, profile limits 1e-4 of the interval's width, exact
likelihood ratios 1e-5 and their p within four Monte-Carlo standard errors, means and contrasts 1e-5, likelihood
ratios 1e-6. Where a test looks at less, the reason stands beside it.
"""

from functools import cache

import numpy as np
import pytest

import lmmtools as lt
from tests.definitions import kenward_roger as definition
from tests.oracle import dense_model
from tests.reference.inference import having, inference, model, models, parameter, stored
from tests.reference.lme4_fits import LARGE, UNIDENTIFIED, base, fitted, references

TYPES = (1, 2, 3)
TABLES = tuple((name, kind) for name in having("satterthwaite") for kind in TYPES)


def _slow(name, kept=()):
    """Fits of large data are slow, and so are tests of many parts."""
    return pytest.mark.slow if references()[name]["n"] >= LARGE else kept


def each(names):
    """The tests of every fit of these names."""
    return pytest.mark.parametrize("name", [pytest.param(name, marks=_slow(name)) for name in names])


def numbers(values):
    """A column of the reference; what R leaves out is NaN."""
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def test_the_reference_set_is_whole():
    assert len(having("satterthwaite")) == 200
    assert len(having("kenward_roger")) == 69
    assert {kind: len(tables) for kind, tables in stored().items() if isinstance(tables, dict)} == {
        "fits": 202, "profiles": 14, "profile_roots": 7, "means": 10, "exact": 7, "ranova": 3, "contests": 6, "lrt": 8,
    }  # fmt: skip


@each(having("satterthwaite"))
def test_satterthwaites_degrees_of_freedom(name):
    table, there = fitted(name).coef_table(), inference(name)["satterthwaite"]
    np.testing.assert_allclose(table["df"], there["df"], rtol=1e-3)
    # a p-value of 1e-20 moves by more than its df: compared where it decides anything
    np.testing.assert_allclose(table["p_value"], there["p_value"], rtol=1e-3, atol=1e-6)


def assert_same_table(table, there, *, f=1e-4, df=1e-3):
    """An ANOVA table row by row; a row without degrees of freedom has no numbers to compare."""
    assert len(table) == len(there["rows"])
    assert table["num_df"].tolist() == there["num_df"]
    np.testing.assert_allclose(table["f_value"], there["f_value"], rtol=f)
    np.testing.assert_allclose(table["den_df"], there["den_df"], rtol=df)
    np.testing.assert_allclose(table["p_value"], there["p_value"], rtol=df, atol=1e-6)


@pytest.mark.parametrize(("name", "kind"), [pytest.param(n, k, marks=_slow(n)) for n, k in TABLES])
def test_anova_tables(name, kind):
    fit, there = fitted(name), inference(name)["satterthwaite"].get(f"type{kind}")
    table = fit.anova(type=kind)
    if there is None:
        assert len(table) == 0
        return
    assert_same_table(table, there)
    np.testing.assert_allclose(table["sum_sq"], there["sum_sq"], rtol=1e-4)
    np.testing.assert_allclose(table["mean_sq"], there["mean_sq"], rtol=1e-4)


HYPOTHESES = [(name, kind) for name in having("hypotheses") for kind in inference(name)["hypotheses"]]


@pytest.mark.parametrize(("name", "kind"), [pytest.param(n, k, marks=_slow(n)) for n, k in HYPOTHESES])
def test_hypotheses_are_lmertests(name, kind):
    """The same row spaces: a basis is arbitrary."""
    ours = list(lt.hypotheses(fitted(name), int(kind[-1])).values())
    theirs = [np.atleast_2d(rows) for rows in inference(name)["hypotheses"][kind].values()]
    assert [len(rows) for rows in ours] == [len(rows) for rows in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        left = other - other @ np.linalg.pinv(mine) @ mine
        assert np.abs(left).max() < 1e-6 * np.abs(other).max()


# pbkrtest takes the residual's covariance as that of rows of weight one, beside a Var(beta) that has the weights, and
# its numbers belong to no model. Here the definition with V written out is the reference.
WEIGHTED = tuple(name for name in having("kenward_roger") if references()[name]["weights"])
ROGERS = [name for name in having("kenward_roger") if name not in WEIGHTED]


@pytest.mark.parametrize("name", WEIGHTED)
def test_kenward_and_rogers_numbers_with_weights(name):
    fit, there = fitted(name), inference(name)["kenward_roger"]
    ours = definition.kenward_roger(dense_model(fit.design, reml=True), np.asarray(fit.theta))
    np.testing.assert_allclose(fit.kenward_roger.covariance, ours.covariance, rtol=1e-6, atol=1e-9)
    assert np.abs(np.array(there["df"]) / fit.coef_table(ddf="kenward-roger")["df"] - 1).max() > 0.1


@each(ROGERS)
def test_kenward_and_rogers_covariance(name):
    fit, there = fitted(name), inference(name)["kenward_roger"]
    se = np.array(there["se"])
    ours = fit.kenward_roger.covariance / np.outer(se, se)  # covariances may be zero: compared as correlations
    np.testing.assert_allclose(ours, np.array(there["vcov"]) / np.outer(se, se), atol=1e-6)


@each(ROGERS)
def test_kenward_and_rogers_coefficients(name):
    fit, there = fitted(name), inference(name)["kenward_roger"]
    table = fit.coef_table(ddf="kenward-roger")
    np.testing.assert_allclose(table["std_error"], there["se"], rtol=1e-6)
    np.testing.assert_allclose(table["df"], there["df"], rtol=1e-5)
    np.testing.assert_allclose(table["statistic"] ** 2, there["f_value"], rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(table["p_value"], there["p_value"], rtol=1e-4, atol=1e-6)


@each([name for name in ROGERS if "type3" in inference(name)["kenward_roger"]])
def test_kenward_and_rogers_anova(name):
    there = inference(name)["kenward_roger"]["type3"]
    assert_same_table(fitted(name).anova(type=3, ddf="kenward-roger"), there, f=1e-5, df=1e-5)


@pytest.mark.parametrize("name", stored()["contests"])
def test_a_fixed_term_by_both_methods(name):
    """pbkrtest's KRmodcomp and SATmodcomp of two models: the last fixed term of the larger."""
    there = stored()["contests"][name]
    small, large = models(there)
    dropped = [term for term in large.anova(type=3).index if term not in small.anova(type=3).index]
    assert len(dropped) == 1
    for ddf, row, tolerance in (("kenward-roger", there["kr"], 1e-5), ("satterthwaite", there["satterthwaite"], 1e-3)):
        ours = large.anova(type=3, ddf=ddf).loc[dropped[0]]
        assert ours["num_df"] == row["num_df"]
        assert ours["f_value"] == pytest.approx(row["f_value"], rel=min(tolerance, 1e-4))
        assert ours["den_df"] == pytest.approx(row["den_df"], rel=tolerance)
        assert ours["p_value"] == pytest.approx(row["p_value"], rel=10 * tolerance)


@cache
def profiled(formula, name):
    """Our profile of the model, made once: limits at any level are read off it."""
    return lt.profile(model(formula, name, reml=False))


def limits(entry, rows, level):
    """Our limits in the order of the rows of an R table."""
    fit = model(entry["formula"], entry["data_frame"], reml=False)
    table = profiled(entry["formula"], entry["data_frame"]).confint(level)
    coefficients = iter(fit.fixef.index)
    names = []
    for row in rows:
        if row.startswith(("sd_", "cor_")):
            names.append(parameter(row, fit))
        elif row == "sd":
            names.append(next(name for name in table.index if name.startswith("sd(")))
        else:
            names.append("sigma" if row == "sigma" else next(coefficients))  # R's names differ, the order does not
    return table.loc[names, ["low", "high"]].to_numpy()


PROFILES = [(name, level) for name in stored()["profiles"] for level in (50, 90, 95, 99)]
# The spline that lme4 inverts is off near a standard deviation of zero: at its limit .1854 zeta is 2.58010, at ours,
# .2549, it is the cutoff 2.57583 (deviance of the dense model minimised over all else).
INVERTED_BADLY = {("Machines__profile_nested", 99): "sd_(Intercept)|Worker"}


@pytest.mark.parametrize(("name", "level"), PROFILES)
def test_profile_limits(name, level):
    entry = stored()["profiles"][name]
    there = entry[f"fine_{level}"]
    kept = [row != INVERTED_BADLY.get((name, level)) for row in there["rows"]]
    ours = limits(entry, there["rows"], level / 100)
    assert_same_limits(ours[kept], [row for row, keep in zip(there["limits"], kept, strict=True) if keep])
    if not all(kept):
        assert ours[np.invert(kept), 0] == pytest.approx(0.254876, abs=1e-5)


@pytest.mark.parametrize("name", stored()["profile_roots"])
def test_profile_limits_beside_roots(name):
    entry = stored()["profile_roots"][name]
    assert_same_limits(limits(entry, entry["rows"], 0.95), entry["limits"])


def assert_same_limits(ours, there):
    """Within 1e-4 of each interval's width."""
    there = np.array([numbers(row) for row in there])
    width = there[:, 1] - there[:, 0]
    assert np.all(np.abs(ours - there) <= 1e-4 * width[:, None])


EXACT = tuple(stored()["exact"])


@pytest.mark.parametrize("name", EXACT)
def test_exact_restricted_likelihood_ratio(name):
    entry = stored()["exact"][name]
    _assert_exact(entry, entry["rlrt"], reml=True)


@pytest.mark.parametrize("name", [name for name in EXACT if "lrt" in stored()["exact"][name]])
def test_exact_likelihood_ratio(name):
    entry = stored()["exact"][name]
    _assert_exact(entry, entry["lrt"], reml=False)


def _assert_exact(entry, there, *, reml):
    """The last term of the larger model; RLRsim's p is of 100,000 draws, and so is ours."""
    formula = entry["formula"].split(" vs ")[0]
    fit = model(formula, entry["data_frame"], reml)
    bar = formula[formula.rindex("(") :]
    ours = lt.exact_lrt(fit, bar, n=entry["nsim"], rng=np.random.default_rng(4711))
    assert ours.statistic == pytest.approx(there["statistic"], abs=1e-5)
    p = max(there["p"], 1 / entry["nsim"])
    error = np.sqrt(p * (1 - p) / entry["nsim"])
    assert abs(ours.p_value - there["p"]) <= 4 * np.hypot(error, ours.mc_error)  # both are simulated


@pytest.mark.parametrize("name", stored()["ranova"])
def test_random_terms_one_at_a_time(name):
    entry = stored()["ranova"][name]
    table = lt.ranova(model(entry["formula"], entry["data_frame"], entry["method"] == "REML"))
    assert len(table) == len(entry["rows"])
    np.testing.assert_allclose(table["npar"], entry["npar"])
    np.testing.assert_allclose(table["loglik"], entry["loglik"], atol=1e-6, rtol=0)
    np.testing.assert_allclose(table["chisq"].iloc[1:], entry["lrt"][1:], atol=2e-6, rtol=0)
    assert table["df"].iloc[1:].tolist() == entry["df"][1:]


@pytest.mark.parametrize("name", stored()["lrt"])
def test_likelihood_ratios(name):
    entry = stored()["lrt"][name]
    table = lt.lrt(*models(entry))
    assert table["npar"].tolist() == entry["npar"]
    np.testing.assert_allclose(table["loglik"], entry["loglik"], atol=1e-6, rtol=0)
    np.testing.assert_allclose(table["deviance"], entry["deviance"], atol=1e-6, rtol=0)
    np.testing.assert_allclose(table["chisq"].iloc[1:], numbers(entry["chisq"][1:]), atol=1e-6, rtol=0)
    assert table["df"].iloc[1:].tolist() == entry["df"][1:]
    plain = table["reference"].str.startswith("χ²").to_numpy(dtype=bool)  # lme4's is so at a boundary too
    np.testing.assert_allclose(table["p_value"][plain], numbers(entry["p_value"])[plain], rtol=1e-5)


# performance 0.10.2 looks a random effect's values up among the columns of X, of the first term of a factor: slopes
# that are no fixed effect, or stand in a term of their own, are left out, and of cell means the first. By base name,
# the columns of the random part that it sees.
SEEN = {
    "Machines__rs_fac": [1, 2],
    "Ovary__sincos_diag": [0],
    "Oxboys__poly4": [0],
    "sleepstudy__nofixslope": [0],
    "sleepstudy__poly2": [0],
    "sleepstudy__rs_unc": [0],
    "sleepstudy__unbal_unc": [0],
}
SHARES = [name for name in having("r2") if base(name) not in UNIDENTIFIED]


def shares(fit, seen=None):
    """Marginal and conditional R2 from their definition, by Johnson (2014): Var(Xb), mean of diag(ZTZ'), sigma^2."""
    fixed, given = np.var(fit.design.X @ fit.beta, ddof=1), 0.0
    for term in fit.design.terms[: 1 if seen else None]:
        columns = seen or range(term.matrix.shape[1])
        Z, T = term.matrix[:, columns], fit.random_covariance[term.group].to_numpy()[np.ix_(columns, columns)]
        given += np.mean(np.sum(Z @ T * Z, axis=1))
    total = fixed + given + fit.sigma**2
    return fixed / total, (fixed + given) / total


@each(SHARES)
def test_r_squared(name):
    fit, there = fitted(name), inference(name)["r2"]
    row = lt.r2(fit, weight=1.0 if references()[name]["weights"] else None).iloc[0]
    assert (row["marginal"], row["conditional"]) == pytest.approx(shares(fit), rel=1e-10, abs=1e-12)
    theirs = (there["r2_marginal"], there["r2_conditional"])
    if None not in theirs:  # not given for singular fits
        assert shares(fit, SEEN.get(base(name))) == pytest.approx(theirs, abs=1e-5)


@each([name for name in SHARES if base(name) not in SEEN and "icc_adjusted" in inference(name)["r2"]])
def test_intraclass_correlations(name):
    there = inference(name)["r2"]
    table = lt.icc(fitted(name), weight=1.0 if references()[name]["weights"] else None)
    if there["icc_adjusted"] is not None:
        assert table["adjusted"].sum() == pytest.approx(there["icc_adjusted"], abs=1e-5)
        assert table["icc"].sum() == pytest.approx(there["icc_unadjusted"], abs=1e-5)


@each([name for name in having("leverage_sum") if references()[name]["n"] < 1000 and base(name) not in UNIDENTIFIED])
def test_trace_of_the_hat_matrix(name):
    trace = lt.conditional_aic(fitted(name)).hat_trace
    assert trace == pytest.approx(inference(name)["leverage_sum"], rel=1e-5)


MEANS = [(name, ddf) for name in stored()["means"] for ddf in ("satterthwaite", "kenward-roger", "normal")]


@pytest.mark.parametrize(("name", "ddf"), MEANS)
def test_marginal_means_and_contrasts(name, ddf):
    """In emmeans' order; slopes in age where the reference has slopes."""
    entry = stored()["means"][name]
    there, names = entry[ddf], list(entry["labels"][0])
    fit = model(entry["formula"], entry["data_frame"], reml=True)
    means = lt.marginal_means(fit, names, trend="age" if name.endswith("slopes") else None, ddf=ddf)
    assert [[_label(value) for value in row] for row in means[names].to_numpy()] == [
        [_label(value) for value in row.values()] for row in entry["labels"]
    ]
    assert_same_estimates(means.join(means.test()[["statistic", "p_value"]]), there["means"], ddf)
    plain, tukey = means.contrasts(adjust="none"), means.contrasts(adjust="tukey")
    assert plain["contrast"].tolist() == entry["contrasts"]
    assert_same_estimates(plain, there["pairs_unadjusted"], ddf)
    assert_same_estimates(tukey, there["pairs_tukey"], ddf)


def _label(value):
    """A level as text; numbers without the zeros that R leaves out."""
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def assert_same_estimates(table, there, ddf):
    """1e-5; what rests on Satterthwaite's df has their 1e-3, a p that is as small as its own rounding 1e-6."""
    loose = 1e-3 if ddf == "satterthwaite" else 1e-5
    for column in there:
        ours, theirs = table[column].to_numpy(dtype=float), numbers(there[column])
        if column == "df":
            theirs = np.where(np.isnan(theirs), np.inf, theirs)  # R leaves out infinite df
        exact = column in ("estimate", "std_error", "statistic")
        # an estimate may be zero, and its limits on both sides of it: against the standard errors
        near = 1e-5 * table["std_error"].max() if column in ("estimate", "ci_low", "ci_high") else 1e-6
        if column.startswith("ci_") and ddf == "satterthwaite":
            near = 1e-3 * table["std_error"].max()
        np.testing.assert_allclose(ours, theirs, rtol=1e-5 if exact else loose, atol=near, err_msg=column)
