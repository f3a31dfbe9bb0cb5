"""Kenward and Roger's inference: pbkrtest's numbers, what must not change it, what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.core.several import chainlevels, layout
from lmmtools.inference.kenward_roger import _denominator, kenward_roger
from tests.definitions import kenward_roger as definition
from tests.oracle import dense_model
from tests.reference.lme4_fits import fitted

# Of pbkrtest 0.5-2: standard errors, degrees of freedom. Unbalanced; a variance that is zero; crossed; two factors, one
# with a slope; parameters that the design does not tell apart.
PBKRTEST = {
    "sleepstudy__unbal_rs_reml": ([7.22851823551894, 2.4953146226665], [16.000830447788, 16.8974616959392]),
    "Dyestuff2__ri_reml": ([0.678388031232524], [5.0]),
    "Penicillin__crossed_reml": ([0.808573390797207], [5.48709227918469]),
    "Pixel__pb_reml": (
        [10.195995612542, 0.887369104269574, 0.0343053803420722],
        [9.59924925719755, 25.5193694581257, 75.2525303126447],
    ),
    "Orthodont__bysex_reml": (
        [0.457219304460358, 0.782201207708573, 0.0775011046884153, 0.121420895743228],
        [15.0, 19.5610352125762, 79.0, 79.0],
    ),
}


@pytest.mark.parametrize("name", PBKRTEST)
def test_standard_errors_and_degrees_of_freedom_are_those_of_pbkrtest(name):
    std_error, df = PBKRTEST[name]
    found = kenward_roger(fitted(name))
    np.testing.assert_allclose(np.sqrt(np.diagonal(found.covariance)), std_error, rtol=5e-7)
    np.testing.assert_allclose(found.df(np.eye(len(df))), df, rtol=1e-6)


def test_f_tests_are_those_of_pbkrtest_with_their_scale():
    value, q, df, scale = kenward_roger(fitted("Machines__rs_fac_reml")).f_test([[0, 1, -0.5], [0, 0, 1]])
    np.testing.assert_allclose([value, q, df, scale], [32.8030147455449, 2, 4.0, 0.8], rtol=1e-6)
    value, q, df, scale = kenward_roger(fitted("sleepstudy__poly2_reml")).f_test([[0, 1, 0], [0, 0, 1]])
    expected = [23.3645419957371, 2, 39.8170424428294, 0.983588885238526]
    np.testing.assert_allclose([value, q, df, scale], expected, rtol=1e-6)


def test_the_covariance_is_adjusted_in_every_element():
    found = kenward_roger(fitted("sleepstudy__unbal_rs_reml")).covariance
    expected = [[52.2514758812298, -8.35275124895392], [-8.35275124895392, 6.22659506609328]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_weights_are_part_of_the_residual_covariance():
    """pbkrtest 0.5-2 takes its Sigma without them: it has 29.36 and 23.29 here."""
    fit = fitted("sleepstudy__weights_reml")
    np.testing.assert_allclose(kenward_roger(fit).df(np.eye(2)), [16.967752591, 16.984248081], rtol=1e-7)


def test_slopes_far_from_zero_change_nothing():
    """pbkrtest 0.5-2 has 466 here for the slope at 5 ± 0.01, where the same model at 0 ± 1 gives it 16.7."""
    rng = np.random.default_rng(4)
    g = rng.integers(0, 18, 160)
    x = rng.normal(size=160)
    y = x * (1 + rng.normal(size=18)[g]) + rng.normal(size=18)[g] + rng.normal(size=160)
    near = kenward_roger(lt.fit_lmm("y ~ x + (1 + x | g)", pd.DataFrame({"y": y, "x": x, "g": g})))
    far = kenward_roger(lt.fit_lmm("y ~ x + (1 + x | g)", pd.DataFrame({"y": y, "x": 1e6 + x, "g": g})))
    assert far.df([0, 1]) == pytest.approx(near.df([0, 1]), rel=1e-6)
    assert far.covariance[1, 1] == pytest.approx(near.covariance[1, 1], rel=1e-6)


def test_one_row_is_the_square_of_its_t():
    found = kenward_roger(fitted("sleepstudy__unbal_rs_reml"))
    value, q, df, scale = found.f_test([0, 1])
    assert (q, scale) == (1, 1.0)
    assert value == pytest.approx(fitted("sleepstudy__unbal_rs_reml").beta[1] ** 2 / found.covariance[1, 1], rel=1e-12)
    assert df == pytest.approx(float(found.df([0, 1])[0]), rel=1e-12)


def test_rows_of_any_size_that_repeat_others_are_left_out():
    found = kenward_roger(fitted("Pixel__pb_reml"))
    once = found.f_test([[0, 1, 0], [0, 0, 1]])
    np.testing.assert_allclose(found.f_test([[0, 1e6, 0], [0, 0, 1e-6], [0, 3, -5], [0, 0, 0]]), once, rtol=1e-9)
    assert np.isnan(found.f_test([0, 0, 0])[0])
    assert np.isnan(found.df([[0, 0, 0], [0, 1, 0]])).tolist() == [True, False]


@pytest.mark.parametrize("q", [1, 2, 3])
def test_denominators_are_those_of_the_definition(q):
    moments = [(a * b, b) for b in (0.01, 0.3, 0.999 * q, 1.5 * q) for a in (0.3, 0.9 * q, q)]
    for A1, A2 in moments if q > 1 else [(b, b) for _, b in moments]:
        np.testing.assert_allclose(_denominator(A1, A2, q), definition.degrees_of_freedom(A1, A2, q), rtol=1e-9)


def test_two_degrees_of_freedom_and_no_mean():
    """Where F has no mean the moments cannot be matched; pbkrtest leaves F as it is."""
    assert _denominator(1.0, 1.0, 1) == (2.0, 1.0)
    df, scale = _denominator(4.0, 2.0, 2)  # A2 = q
    assert (df, scale) == (pytest.approx(2.0), 1.0)


@pytest.mark.slow
def test_traces_in_single_precision_keep_the_digits_that_matter(crossed):
    """Beyond 500 effects in the last step, traces are formed in single precision."""
    fit = lt.fit_lmm("y ~ x + w + (1 + x | a) + (1 | b)", crossed)
    assert fit.working.products.frame.N >= 500
    assert fit.working.products.head is not None
    found, expected = kenward_roger(fit), definition.kenward_roger(dense_model(fit.design), fit.theta)
    np.testing.assert_allclose(found.df(np.eye(3)), [expected.df(l) for l in np.eye(3)], rtol=1e-6)
    np.testing.assert_allclose(np.diagonal(found.covariance), np.diagonal(expected.covariance), rtol=1e-8)


@pytest.fixture(scope="module")
def crossed() -> pd.DataFrame:
    """A thousand rows, with slopes in 400 levels and more of the other factor."""
    rng = np.random.default_rng(2)
    n = 1000
    a, b, x = rng.integers(0, 400, n), rng.integers(0, 800, n), rng.normal(size=n)
    y = x * (1 + 0.5 * rng.normal(size=400)[a]) + rng.normal(size=400)[a] + rng.normal(size=800)[b]
    return pd.DataFrame({"y": y + rng.normal(size=n), "x": x, "w": rng.normal(size=400)[a], "a": a, "b": b})


CHAINS = ("y ~ x + (1 + x | g/h)", "y ~ x + (1 | g/h) + (1 | k)", "y ~ x + (x || g) + (1 | k)")


@pytest.mark.parametrize("formula", CHAINS)
def test_second_derivatives_are_those_of_the_hessian(formula, nested, monkeypatch):
    """log|V| and [X e]'V⁻¹[X e] bend as the criterion they make up does, whatever is eliminated first."""
    for small in (300, 0):
        monkeypatch.setattr(layout, "_SMALL", small)
        monkeypatch.setattr(chainlevels, "_SMALL", small)
        criterion = lt.Criterion(lt.build_design(formula, nested))
        D, p = criterion.working.covariance_map, 2
        s = criterion.solve(criterion.working.stacked_own(np.linspace(0.5, 0.9, len(criterion.bounds[0]))))
        d = criterion.differentiate(s)
        logdet, bends = d.bends(D)
        shift, K, v = d.shift(D), s.kappa() @ s.kappa().T, s.contrast
        moved, E = shift @ v, s.S_inverse @ shift[:, :p, :p]
        H = logdet + np.tensordot(bends, K) - 2 * s.rate * moved[:, :p] @ s.S_inverse @ moved[:, :p].T
        H -= s.bend * np.outer(moved @ v, moved @ v) + np.einsum("iab,jba->ij", E, E)
        np.testing.assert_allclose(H, d.hessian(D), atol=1e-10 * np.abs(H).max())


@pytest.fixture
def nested() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    g, h, k, x = rng.integers(0, 9, 90), rng.integers(0, 3, 90), rng.integers(0, 5, 90), rng.normal(size=90)
    return pd.DataFrame({"y": x + rng.normal(size=9)[g] + rng.normal(size=90), "x": x, "g": g, "h": h, "k": k})


def test_fits_by_ml_are_refused(data):
    with pytest.raises(lt.ModelError, match=r"REML estimates, and this fit is by ML: use fit\.refit\(reml=True\)"):
        kenward_roger(lt.fit_lmm("y ~ x + (1 | g)", data, reml=False))


@pytest.mark.parametrize("term", ["ar1(k | g)", "cs(1 + x + z | g)", "hetar1(k | g)"])
@pytest.mark.filterwarnings("ignore::lmmtools.LMMWarning")
def test_covariances_that_are_not_linear_are_refused_by_name(term, data):
    with pytest.raises(lt.ModelError, match="satterthwaite") as caught:
        kenward_roger(lt.fit_lmm(f"y ~ x + {term}", data))
    assert term in str(caught.value)


@pytest.mark.filterwarnings("ignore::lmmtools.LMMWarning")
def test_two_correlated_effects_are_their_two_variances_and_covariance(data):
    rng = np.random.default_rng(1)
    g, x = np.repeat(np.arange(15), 6), rng.normal(size=90)
    y = rng.normal(size=15)[g] + x * rng.normal(size=15)[g] + rng.normal(size=90)
    frame = pd.DataFrame({"y": y, "x": x, "g": g})
    same = [kenward_roger(lt.fit_lmm(f"y ~ x + {kind}(1 + x | g)", frame)) for kind in ("us", "cs")]
    np.testing.assert_allclose(same[0].df(np.eye(2)), same[1].df(np.eye(2)), rtol=1e-6)


@pytest.mark.filterwarnings("ignore::lmmtools.LMMWarning")
def test_variances_that_the_fixed_effects_leave_nothing_of_are_named(data):
    frame = data.assign(c=data["g"].astype(str))
    with pytest.raises(lt.ModelError, match=r"there is none about .* of \(1 \| c\)"):
        kenward_roger(lt.fit_lmm("y ~ c + (1 | c) + (1 | k)", frame))


@pytest.mark.filterwarnings("ignore::lmmtools.LMMWarning")
def test_a_model_without_fixed_effects_has_nothing_to_adjust(data):
    found = kenward_roger(lt.fit_lmm("y ~ 0 + (1 | g)", data))
    assert found.covariance.shape == (0, 0)
    assert found.df(np.zeros((0, 0))).shape == (0,)


@pytest.mark.filterwarnings("ignore::lmmtools.errors.LMMWarning")
def test_more_parameters_than_degrees_of_freedom_are_refused():
    rng = np.random.default_rng(4)
    data = pd.DataFrame(
        {"y": rng.normal(size=6), "x": rng.normal(size=6), "z": rng.normal(size=6), "g": list("aabbcc")}
    )
    fit = lt.fit_lmm("y ~ x + z + I(x * z) + I(x ** 2) + (x || g)", data)
    with pytest.raises(lt.ModelError, match="there are 3, while 6 rows leave 1 degree of freedom beyond 5 fixed"):
        fit.coef_table("kenward-roger")


@pytest.mark.filterwarnings("ignore::lmmtools.errors.LMMWarning")
def test_where_no_f_distribution_has_the_moments_there_is_no_test():
    """Two levels, two slopes: the moments ask for negative degrees of freedom, which are no number to report."""
    rng = np.random.default_rng(11)
    found = []
    for _ in range(30):
        data = pd.DataFrame({"y": rng.normal(size=9), "x": rng.normal(size=9), "g": np.repeat(list("abc"), 3)})
        data["y"] += data["g"].map({"a": 0.0, "b": 3.0, "c": -2.0}) * data["x"]
        fit = lt.fit_lmm("y ~ x + (x || g)", data)
        try:
            row = fit.test(np.eye(2), ddf="kenward-roger")
        except lt.ModelError:
            continue
        assert row["num_df"].iloc[0] == 2
        value = row.iloc[0][["den_df", "f_value", "p_value"]]
        assert value.isna().all() or (value > 0).all()
        if value.isna().all():
            assert "no F distribution has the mean and variance" in row.notes[0]
        found.append(value.isna().all())
    assert any(found)
    assert not all(found)


def test_of_a_users_structure_nothing_is_claimed():
    class Proportional:
        def n_theta(self, q):
            return 1

        def names(self, effects):
            return ("sd",)

        def bounds(self, q):
            return [(0.0, np.inf)]

        def start(self, q):
            return [1.0]

        def factor(self, theta, q):
            return theta[0] * np.diag([1.0, 0.2])

    fit = lt.fit_lmm(
        "Reaction ~ Days + mine(Days | Subject)", lt.load_dataset("sleepstudy"), structures={"mine": Proportional()}
    )
    with pytest.raises(lt.ModelError, match="a structure of your own, are is not known"):
        fit.coef_table("kenward-roger")
