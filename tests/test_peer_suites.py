"""Models and numbers of other engines' own test suites, and fits in which engines are known to miss the optimum.

lme4: tests/testthat/test-lmer.R, test-ranef.R, test-predict.R, testdata/test-covariance_structures_data.rds.
MixedModels.jl: test/pls.jl. glmmTMB: as kept in lme4's test data. GPBoost: R-package/tests/testthat/
test_GPModel_grouped_random_effects.R, whose data come from a congruential generator. Their tolerances are those of
their optimisers, not ours.
"""

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

import lmmtools as lt


def _uniform(n, start):
    """GPBoost's generator."""
    state = [np.floor(start * 134456)]
    while len(state) < n:
        state.append((8121 * state[-1] + 28411) % 134456)
    return np.array(state) / 134456


@pytest.fixture(scope="module")
def gpboost():
    i = np.arange(1, 1001)
    g, h = np.repeat(np.arange(100), 10), np.tile(np.arange(50), 20)
    b, c, s = (ndtri(_uniform(m, start)) for m, start in ((100, 0.546), (50, 0.46), (100, 0.69)))
    x, z = np.cos((i - 500) ** 2 * 5.5 * np.pi / 1000), np.sin((i - 500) ** 2 * 2 * np.pi / 1000)
    e = np.sqrt(0.5) * ndtri(_uniform(1000, 0.1))
    responses = {"one": b[g] + e, "fixed": b[g] + 2 + 2 * z + e, "two": b[g] + c[h] + e, "slope": c[h] + s[g] * x + e}
    return pd.DataFrame({"g": g, "h": h, "x": x, "z": z, **responses, "three": b[g] + c[h] + s[g] * x + e})


@pytest.mark.parametrize(
    ("formula", "variances"),
    [
        ("one ~ 0 + (1 | g)", (1.22299521, 0.49348532)),
        ("fixed ~ z + (1 | g)", (1.22064076, 0.49205230)),
        ("two ~ 0 + (1 | g) + (1 | h)", (1.21972166, 1.06962710, 0.49792062)),
        ("slope ~ 0 + (0 + x | g) + (1 | h)", (1.1157430, 1.0818474, 0.5017205)),
        ("three ~ 0 + (1 | g) + (0 + x | g) + (1 | h)", (1.2493181, 1.1388604, 1.0543343, 0.4958303)),
    ],
)
def test_gpboost(gpboost, formula, variances):
    fit = lt.fit_lmm(formula, gpboost, reml=False)
    loose = 1e-2 if formula.startswith(("slope", "three")) else 2e-6  # gradient descent, Fisher scoring
    assert fit.varcorr.vcov.to_numpy() == pytest.approx(variances, rel=loose)
    if len(fit.fixef):
        assert fit.criterion == pytest.approx(2 * 1226.885947, abs=2e-6)
        assert fit.fixef.to_numpy() == pytest.approx((2.07499902, 1.94766255), abs=1e-8)
        assert fit.stderr.to_numpy() == pytest.approx((0.11269252, 0.03382472), abs=1e-7)


def test_lme4_dyestuff_with_the_bar_alone():
    fit = lt.fit_lmm("Yield ~ 1 | Batch", lt.load_dataset("Dyestuff"))
    criterion = lt.Criterion(fit.design, reml=True)
    assert criterion([1.0]) == pytest.approx(319.792389042002, abs=1e-9)
    assert criterion([0.0]) == pytest.approx(326.023232155879, abs=1e-9)
    assert fit.criterion == pytest.approx(319.654276842342, abs=1e-9)
    ml = fit.refit(reml=False)
    assert ml.criterion == pytest.approx(327.327059881135, abs=1e-9)
    assert ml.bic == pytest.approx(337.5306520261132, abs=1e-9)
    assert ml.stderr.to_numpy() == pytest.approx([17.694552929494222], rel=1e-6)
    assert ml.ranef_cov["Batch"].ravel() == pytest.approx(np.full(6, 362.3583), rel=1e-3)
    other = fit.refit(y=lt.load_dataset("Dyestuff2").Yield, reml=False)
    assert other.criterion == pytest.approx(162.87303665382575, abs=1e-9)
    assert other.is_singular
    assert other.fixef.to_numpy() == pytest.approx([5.6656])


def test_mixedmodels_penicillin_and_pastes():
    fit = lt.fit_lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", lt.load_dataset("Penicillin"), reml=False)
    assert fit.criterion == pytest.approx(332.1883486700085, abs=1e-7)
    assert fit.ranef_cov["plate"][0, 0, 0] == pytest.approx(0.07331356908917808, rel=1e-5)
    assert fit.ranef_cov["sample"][-1, 0, 0] == pytest.approx(0.04051591717427688, rel=1e-5)
    assert fit.ranef["sample"].iloc[-1, 0] == pytest.approx(-3.0018241391465703, rel=1e-5)
    fit = lt.fit_lmm("strength ~ 1 + (1 | batch/cask)", lt.load_dataset("Pastes"), reml=False)
    assert fit.criterion == pytest.approx(247.9944658624955, abs=1e-7)
    assert fit.theta == pytest.approx((3.5269029347766856, 1.3299137410046242), rel=1e-5)
    assert fit.stderr.to_numpy() == pytest.approx([0.6421355774401101], rel=1e-5)


def test_mixedmodels_weights():
    a = (1.55945122, 0.004391538, 0.005554163, -0.173029772, 4.586284429)
    b = (0.24520519, 0.080624178, 0.228083467, 0.2471453, 0.398994279)
    a += (0.259493671, -0.091735715, 5.546487603, 0.457734831, -0.030169602)
    b += (0.037213859, 0.102144973, 0.241380251, 0.206570975, 0.15980803)
    weights = (20, 40, 35, 12, 29, 25, 65, 105, 30, 75)
    data = pd.DataFrame({"a": a, "b": b, "c": list("HFKPPPDMID")})
    fit = lt.fit_lmm("a ~ 1 + b + (1 | c)", data, reml=False, weights=weights)
    assert fit.theta == pytest.approx([0.2951818091809752], abs=1e-5)
    assert fit.stderr.to_numpy() == pytest.approx((0.964016663994572, 3.6309691484830533), abs=1e-5)


@pytest.mark.filterwarnings("ignore:predict. the means of:lmmtools.LMMWarning")  # `zero` was zero when fitted
def test_mixedmodels_predictions_of_a_rank_deficient_model():
    sleep = lt.load_dataset("sleepstudy").assign(zero=0.0)
    sleep["twice"] = 2 * sleep.Days
    plain = lt.fit_lmm("Reaction ~ Days + (1 | Subject)", sleep).fitted
    for fixed in ("Days + twice", "zero + Days", "Days + zero"):
        fit = lt.fit_lmm(f"Reaction ~ {fixed} + (1 | Subject)", sleep)
        np.testing.assert_allclose(fit.predict(sleep.assign(zero=7.0)), plain)


def test_lme4_modes_of_two_terms_of_one_factor():
    fit = lt.fit_lmm("Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)", lt.load_dataset("sleepstudy"))
    assert fit.ranef["Subject"].loc["308"].to_numpy() == pytest.approx((1.5116973008, 9.32373076098), rel=1e-3)
    assert np.diagonal(fit.ranef_cov["Subject"][0]) == pytest.approx((149.79166, 5.4543894), rel=1e-4)


def test_glmmtmb_autoregression_in_lme4s_spelling():
    sleep = lt.load_dataset("sleepstudy")
    formula = "Reaction ~ factor(Days) + ar1(0 + factor(Days) | Subject, hom = TRUE)"
    fit = lt.fit_lmm(formula, sleep, reml=False)
    assert fit.criterion <= 2 * 868.288080325 + 1e-6
    assert fit.criterion == pytest.approx(2 * 868.288080325, abs=1e-5)
    assert fit.sigma == pytest.approx(14.5715856213, rel=1e-4)
    assert fit.npar == 13


@pytest.mark.parametrize(
    ("term", "structure"),
    [
        ("ar1(t | g, hom = TRUE)", "ar1"),
        ("ar1(t | g, hom = FALSE)", "hetar1"),
        ("cs(0 + f | g, hom = TRUE)", "homcs"),
        ("cs(0 + f | g, hom = False)", "cs"),
        ("diag(0 + f | g, hom = True)", "homdiag"),
    ],
)
def test_lme4s_argument_hom(term, structure):
    (bar,) = lt.parse_formula(f"y ~ x + {term}").random
    assert bar.structure == structure


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("y ~ x + us(x | g, hom = TRUE)", "takes one argument"),
        ("y ~ x | g", "own parentheses"),
        ("y ~ 1 || g", "own parentheses"),
        ("y ~ splines::ns(x, 3) + (1 | g)", "write the function alone"),
        ("y ~ C(f, Treatment('b')) + (1 | g)", "contr.treatment(base='b')"),
        ("y ~ x + (0 + dummy(f, 'b') | g)", "I(x == 'b')"),
    ],
)
def test_what_other_formulas_write_is_refused_with_advice(formula, said):
    with pytest.raises(lt.FormulaError) as caught:
        lt.parse_formula(formula)
    assert said in str(caught.value)


@pytest.mark.parametrize("seed", range(4))
def test_slopes_alone_whose_column_lies_far_from_zero(seed):
    """Two minima, 50 and more of deviance apart; from its own start lme4 1.1-31 finds the lower one."""
    rng = np.random.default_rng(seed)
    g, h, x = rng.integers(16, size=300), rng.integers(8, size=300), 5 + 0.1 * rng.standard_normal(300)
    y = 100 + 5 * x + 3 * rng.standard_normal(16)[g] * (x - 5) + rng.standard_normal(8)[h]
    data = pd.DataFrame({"y": y + 0.3 * rng.standard_normal(300), "x": x, "g": g, "h": h})
    fit = lt.fit_lmm("y ~ 1 + (0 + x | g) + (1 | h)", data)
    criterion = lt.Criterion(fit.design, reml=True)
    others = [lt.minimize(criterion, start=start).value for start in ((0.03, 1.0), (1.0, 1.0), (10.0, 1.0))]
    assert max(others) - min(others) > 50.0
    assert fit.criterion <= min(others) + 1e-6


@pytest.mark.parametrize("seed", [126, 207, 274])
def test_an_autoregression_that_ends_at_a_correlation_of_minus_one(seed):
    rng = np.random.default_rng(seed)
    g, t = np.repeat(np.arange(12), 4), np.tile(np.arange(4), 12)
    y = rng.standard_normal(48) + 0.5 * np.repeat(rng.standard_normal(12), 4) * np.tile([1, -1, 1, -1], 12)
    data = pd.DataFrame({"y": y, "g": g, "t": t})[rng.uniform(size=48) < 0.9]
    fit = lt.fit_lmm("y ~ 1 + ar1(t | g)", data)
    criterion = lt.Criterion(fit.design, reml=True)
    there = lt.minimize(criterion, start=(0.4, -0.95)).value
    assert there < lt.minimize(criterion, start=(0.6, 0.5)).value - 0.3
    assert fit.criterion <= there + 1e-6


def test_a_structure_that_leaves_nothing_for_a_residual():
    """The criterion's limit is that of y ~ N(Xβ, hetar1), 1699.3668489143697 by BFGS over a dense covariance."""
    with pytest.warns(lt.LMMWarning, match="residual variance goes to zero"):
        fit = lt.fit_lmm("Reaction ~ factor(Days) + hetar1(Days | Subject)", lt.load_dataset("sleepstudy"), reml=False)
    assert fit.criterion == pytest.approx(1699.3668489143697, abs=1e-5)
    assert fit.certificate.status == "flat direction"
    assert "The criterion, the fixed effects and the marginal covariance are meaningful" in fit.certificate.sentence


def test_several_flat_directions_of_the_same_words_are_said_once():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": np.repeat(np.arange(12), 5), "x": rng.standard_normal(60), "y": rng.standard_normal(60)})
    data["y"] += rng.standard_normal(12)[data.g]
    with pytest.warns(lt.LMMWarning, match="do not determine"):
        fit = lt.fit_lmm("y ~ x + (x + twice | g)", data.assign(twice=2 * data.x))
    said = fit.certificate.sentence.removesuffix(".").split("; nor ")
    assert len(said) == len(set(said))
    assert fit.certificate.sentence.count("variances and covariances of (1 + x + twice | g)") == 1


@pytest.mark.parametrize("seed", [13, 83, 130])
def test_a_step_that_is_too_long_does_not_turn_a_large_sd_into_its_negative(seed):
    rng = np.random.default_rng(seed)
    g, h, x = rng.integers(12, size=120), rng.integers(4, size=120), rng.standard_normal(120)
    y = rng.standard_normal(120) + 3 * rng.standard_normal(12)[g] + 5 * rng.standard_normal(4)[h] * x
    design = lt.build_design("y ~ x + (1 | g) + (0 + x | h)", pd.DataFrame({"y": y, "x": x, "g": g, "h": h}))
    criterion = lt.Criterion(design)
    best = lt.minimize(criterion).value
    for size in (8.0, 15.0, 25.0):
        found = lt.minimize(criterion, start=(1.0, size))
        assert found.value == pytest.approx(best, abs=1e-8)
        assert found.n_evaluations <= 20
