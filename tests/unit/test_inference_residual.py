"""Degrees of freedom and Kenward–Roger's adjustment of fits with residual structures: exact tests, labels, refusals.

What is computed is compared with its definition in `tests/properties/test_inference_residual.py`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.inference.expected import observed_information
from lmmtools.inference.kenward_roger import kenward_roger
from lmmtools.projection import blocks
from tests.definitions import kenward_roger as definition
from tests.definitions.satterthwaite import satterthwaite
from tests.oracle import dense_model

MMRM = "us(t | g) * varident(t)"


def growth(subjects: int = 14, seed: int = 0, missing: int = 0) -> pd.DataFrame:
    """Four visits of some subjects of two arms, correlated and with larger and larger variances."""
    rng = np.random.default_rng(seed)
    t = np.arange(4)
    cov = np.outer(1 + 0.3 * t, 1 + 0.3 * t) * 0.6 ** np.abs(t[:, None] - t)
    y = rng.normal(size=(subjects, 4)) @ np.linalg.cholesky(cov).T + 0.4 * t
    g = np.repeat([f"s{k}" for k in range(subjects)], 4)
    data = pd.DataFrame({"g": g, "t": np.tile(t, subjects), "y": y.ravel()})
    data["arm"] = np.where(np.repeat(np.arange(subjects) % 2, 4) == 0, "a", "b")
    gone = rng.choice(len(data), missing, replace=False)
    return data.drop(index=data.index[gone]).sample(frac=1.0, random_state=seed)


@pytest.fixture(scope="module")
def gappy() -> pd.DataFrame:
    return growth(16, 3, missing=9)


def test_without_a_structure_all_is_least_squares():
    """Degrees of freedom n − p, nothing to adjust, and the F test of any textbook."""
    data = growth()
    fit = lt.fit_gls("y ~ t * arm", data)
    n, p = fit.nobs, 4
    np.testing.assert_allclose(fit.satterthwaite.df(np.eye(p)), n - p, rtol=1e-12)
    found = fit.kenward_roger
    np.testing.assert_allclose(found.df(np.eye(p)), n - p, rtol=1e-11)
    np.testing.assert_allclose(found.covariance, fit.beta_cov, rtol=1e-12)
    L = np.eye(p)[2:]
    y, columns = fit.design.y, (fit.design.X, fit.design.X[:, :2])
    whole, part = (np.sum((y - X @ np.linalg.lstsq(X, y)[0]) ** 2) for X in columns)
    F = (part - whole) / 2 / (whole / (n - p))
    np.testing.assert_allclose(found.f_test(L), [F, 2, n - p, 1.0], rtol=1e-9)
    np.testing.assert_allclose(fit.satterthwaite.f_test(L), [F, 2, n - p], rtol=1e-9)
    assert "KR" not in fit.coef_table(ddf="kenward-roger").caption


@pytest.mark.parametrize("arms", [1, 2])
def test_an_unstructured_covariance_of_complete_data_gives_hotellings_exact_test(arms):
    """Kenward & Roger (1997, sec. 4): F is scaled T², its degrees of freedom those of the Wishart matrix."""
    data = growth(13, 5)
    fit = lt.fit_gls("y ~ 0 + C(t)" if arms == 1 else "y ~ C(t) * arm", data, residual=MMRM)
    wide = data.pivot(index="g", columns="t", values="y")
    steps = np.diff(wide.to_numpy(), axis=1)
    arm = (data.drop_duplicates("g").set_index("g").loc[wide.index, "arm"] == "b").to_numpy()
    n, q = len(steps), 3
    if arms == 1:
        L = np.diff(np.eye(4), axis=0)
        mean, of_mean, left = steps.mean(axis=0), 1 / n, steps - steps.mean(axis=0)
    else:
        L = np.eye(8)[5:]
        mean = steps[arm].mean(axis=0) - steps[~arm].mean(axis=0)
        of_mean = 1 / arm.sum() + 1 / (~arm).sum()
        left = np.vstack([part - part.mean(axis=0) for part in (steps[arm], steps[~arm])])
    nu = n - arms
    T2 = mean @ np.linalg.solve(left.T @ left / nu, mean) / of_mean
    found = fit.kenward_roger
    assert found.linear
    value, num, den, _ = found.f_test(L)
    assert (num, den) == (q, pytest.approx(nu - q + 1, rel=1e-7))
    assert value == pytest.approx((nu - q + 1) / (nu * q) * T2, rel=1e-6)
    # each mean and difference alone has a t of its own
    np.testing.assert_allclose(found.df(L), nu, rtol=1e-6)


def test_compound_symmetry_is_a_random_intercept(gappy):
    """One model in two forms: by blocks of clusters, and by cross-products that pbkrtest has checked."""
    gls = lt.fit_gls("y ~ t * arm", gappy, residual="cs(g)")
    lmm = lt.fit_lmm("y ~ t * arm + (1 | g)", gappy)
    assert gls.residual_params["cs.rho"] > 0.0
    one, other = gls.kenward_roger, lmm.kenward_roger
    np.testing.assert_allclose(one.covariance, other.covariance, rtol=1e-6)
    np.testing.assert_allclose(one.df(np.eye(4)), other.df(np.eye(4)), rtol=1e-6)
    np.testing.assert_allclose(one.f_test(np.eye(4)[1:]), other.f_test(np.eye(4)[1:]), rtol=1e-6)
    np.testing.assert_allclose(gls.satterthwaite.df(np.eye(4)), lmm.satterthwaite.df(np.eye(4)), rtol=1e-6)
    for type in (1, 2, 3):
        columns = ["num_df", "den_df", "f_value", "p_value"]
        np.testing.assert_allclose(gls.anova(type)[columns], lmm.anova(type)[columns], rtol=1e-6)


def test_a_common_correlation_of_two_occasions_is_any_correlation_of_them():
    """With one distance φ^|t − t'| is linear in σ² and σ²φ too, and so is a power of two values."""
    data = growth(15, 1)
    data = data[data["t"] < 2]
    texts = ("cs(g)", "ar1(t | g)", "us(t | g)")
    found = [lt.fit_gls("y ~ arm * t", data, residual=text).kenward_roger for text in texts]
    assert all(one.linear for one in found)
    for other in found[1:]:
        np.testing.assert_allclose(other.covariance, found[0].covariance, rtol=1e-6)
        np.testing.assert_allclose(other.df(np.eye(4)), found[0].df(np.eye(4)), rtol=1e-6)
    data = data.assign(v=np.where(data["t"] == 0, 1.0, 3.0))
    pair = [lt.fit_gls("y ~ arm * t", data, residual=text).kenward_roger for text in ("varident(t)", "varpower(v)")]
    assert pair[1].linear
    np.testing.assert_allclose(pair[1].df(np.eye(4)), pair[0].df(np.eye(4)), rtol=1e-6)


def test_variances_by_group_without_correlation_have_the_degrees_of_freedom_of_their_group():
    """Means of two groups with variances of their own: n_k − 1 each, and Welch's for the difference."""
    data = growth(9, 2)
    data = data.assign(arm=np.where(data["t"] == 0, "a", "b"))
    fit = lt.fit_gls("y ~ 0 + arm", data, residual="varident(arm)")
    counts = data["arm"].value_counts().sort_index().to_numpy()
    v = data.groupby("arm")["y"].var().to_numpy() / counts
    welch = v.sum() ** 2 / np.sum(v**2 / (counts - 1))
    L = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 1.0]])
    for df in (fit.kenward_roger.df(L), fit.satterthwaite.df(L)):
        np.testing.assert_allclose(df, [*(counts - 1), welch], rtol=1e-7)
    np.testing.assert_allclose(fit.kenward_roger.covariance, np.diag(v), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize(
    ("residual", "label"),
    [
        (MMRM, "KR (linear)"),
        ("us(t | g, by=arm) * varident(t:arm)", "KR (linear)"),
        ("toep(t | g)", "KR (linear)"),
        ("ar1(t | g)", "the formula of 1997 in the residual parameters as named"),
        ("cs(g) * varident(arm)", "the formula of 1997 in the residual parameters as named"),
    ],
)
def test_every_table_says_which_formula_it_is(residual, label):
    fit = lt.fit_gls("y ~ C(t) * arm", growth(30, 7), residual=residual)
    ddf = "kenward-roger"
    tables = [
        fit.coef_table(ddf=ddf),
        fit.test(["arm[T.b]"], ddf=ddf),
        fit.test(["arm[T.b]"], ddf=ddf, joint=False),
        fit.anova(3, ddf=ddf),
        lt.marginal_means(fit, "arm", ddf=ddf),
        lt.marginal_means(fit, "arm", ddf=ddf).contrasts(),
    ]
    for table in tables:
        assert label in table.caption
    curved = "is not linear in" in " ".join(tables[0].notes)
    assert curved == (label != "KR (linear)")
    assert label not in fit.coef_table().caption


@pytest.mark.parametrize("random", ["", " + (1 | g)"])
def test_the_observed_information_is_half_the_curvature_of_the_restricted_density(random, gappy):
    fit = lt.fit_lmm("y ~ t + (1 | g)", gappy, residual="varident(arm)") if random else (
        lt.fit_gls("y ~ t", gappy, residual="car1(t | g) * varident(arm)"))  # fmt: skip
    dense, theta = dense_model(fit.design), np.concatenate([fit.theta, fit.phi])

    def density(step: np.ndarray) -> float:
        """In the scale of V, T and φ: sd's of random effects are θ, of which T is the square."""
        there = theta.copy()
        there[: len(fit.theta)] = np.sqrt(fit.theta**2 + step[1 : 1 + len(fit.theta)])
        there[len(fit.theta) :] += step[1 + len(fit.theta) :]
        at = dense.fit_at(there)
        return dense.deviance(there, at.beta, fit.sigma * np.exp(step[0] / 2))

    k = 1 + len(theta)
    h, steps = 1e-3, np.eye(k)
    around = [[(h * (a + b), h * (a - b), h * (b - a), -h * (a + b)) for a in steps] for b in steps]
    H = np.array([[np.dot([1, -1, -1, 1], [density(at) for at in four]) for four in row] for row in around])
    np.testing.assert_allclose(observed_information(fit), H / (8 * h * h), rtol=2e-4, atol=2e-4)


def test_the_observed_information_is_asked_for_by_name(gappy):
    fit = lt.fit_gls("y ~ t", gappy, residual="ar1(t | g)")
    found = kenward_roger(fit, "observed")
    assert found.df(np.eye(2)) == pytest.approx(fit.kenward_roger.df(np.eye(2)), rel=0.2)
    assert not np.allclose(found.df(np.eye(2)), fit.kenward_roger.df(np.eye(2)), rtol=1e-4)
    with pytest.raises(lt.LMMError, match='information=\'hessian\' is unknown; use "expected" or "observed"'):
        kenward_roger(fit, "hessian")


def test_fits_by_ml_and_parameters_at_the_end_of_their_range_are_refused(gappy):
    with pytest.raises(lt.ModelError, match="this fit is by ML"):
        kenward_roger(lt.fit_gls("y ~ t", gappy, residual="ar1(t | g)", reml=False))
    # neighbours differ more than others: there is no positive correlation that falls with distance
    turning = growth(10, 4).assign(y=lambda d: (-1.0) ** d["t"] * d["y"])
    fit = lt.fit_gls("y ~ 1", turning, residual="car1(t | g)")
    with pytest.raises(lt.ModelError, match=r"car1\.phi = .*end of its range.*satterthwaite"):
        kenward_roger(fit)
    assert np.all(fit.satterthwaite.df(np.eye(1)) <= fit.nobs - 1)


def test_clusters_too_large_are_refused_with_their_size(gappy, monkeypatch):
    fit = lt.fit_gls("y ~ t", gappy, residual="ar1(t | g)")
    monkeypatch.setattr(blocks, "_MOST", 10.0)
    with pytest.raises(lt.ModelError, match=r"with up to 4 such rows, of 55, these are too large.*satterthwaite"):
        kenward_roger(fit)
    with pytest.raises(lt.ModelError, match=r"conditional_aic writes out.*fit\.aic"):
        lt.conditional_aic(fit)


def test_a_nugget_of_zero_takes_part_like_any_variance_at_zero():
    """Occasions a week apart of a smooth process: the nugget's estimate is its bound, at which R is regular."""
    data = growth(12, 9)
    time = data["t"] + np.random.default_rng(1).uniform(0.0, 0.4, len(data))
    smooth = data.assign(s=time, y=np.sin(time + data["arm"].map({"a": 0.0, "b": 1.5})) + data["g"].str.len())
    rng = np.random.default_rng(2)
    y = smooth["y"].to_numpy().copy()
    for rows in smooth.groupby("g").indices.values():
        d = np.abs(time.to_numpy()[rows][:, None] - time.to_numpy()[rows])
        y[rows] += np.linalg.cholesky(np.exp(-d / 2.0)) @ rng.normal(size=len(rows))
    fit = lt.fit_gls("y ~ arm", smooth.assign(y=y), residual="exp(s | g, nugget=True)")
    assert fit.residual_params["exp.nugget"] == pytest.approx(0.0, abs=1e-12)
    found = fit.kenward_roger
    expected = definition.kenward_roger(dense_model(fit.design), fit.phi)
    np.testing.assert_allclose(found.df(np.eye(2)), [expected.df(l) for l in np.eye(2)], rtol=1e-7)
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-7)
    held = satterthwaite(dense_model(fit.design), np.array([fit.phi[0], 0.0]))
    np.testing.assert_allclose(fit.satterthwaite.df(np.eye(2)), [held.df(l) for l in np.eye(2)], rtol=1e-6)


def test_a_model_without_fixed_effects_has_nothing_to_adjust(gappy):
    found = lt.fit_gls("y ~ 0", gappy, residual="ar1(t | g)").kenward_roger
    assert found.covariance.shape == (0, 0)
    assert found.df(np.zeros((0, 0))).shape == (0,)


def test_many_visits_of_hundreds_of_subjects():
    """28 covariance parameters, gaps in the visits: what an MMRM of a trial asks for."""
    rng = np.random.default_rng(8)
    subjects, visits = 200, 7
    y = rng.normal(size=(subjects, visits)).cumsum(axis=1)
    g, t = np.divmod(np.arange(subjects * visits), visits)
    data = pd.DataFrame({"y": y.ravel(), "g": g, "t": t, "arm": np.where(g % 2, "a", "b")})
    data = data[rng.uniform(size=len(data)) > 0.1]
    fit = lt.fit_gls("y ~ C(t) * arm", data, residual=MMRM)
    assert fit.kenward_roger.linear
    df = fit.kenward_roger.df(np.eye(14))
    assert np.all((150 < df) & (df < 198.0001))


@pytest.mark.parametrize("mean", [1e3, 1e6])
def test_slopes_far_from_zero_change_nothing(mean):
    """The definition with V written out loses these digits."""
    data = growth(16, 3, missing=9).assign(x=np.random.default_rng(4).normal(size=55))
    slopes = pd.Series(np.linspace(-2.0, 2.0, 16), index=sorted(set(data["g"])))
    data["y"] = data["y"] + data["x"] * data["g"].map(slopes)
    near = lt.fit_lmm("y ~ x + (x | g)", data, residual="varident(arm)").kenward_roger
    far = lt.fit_lmm("y ~ x + (x | g)", data.assign(x=data["x"] + mean), residual="varident(arm)").kenward_roger
    np.testing.assert_allclose(far.df([0, 1]), near.df([0, 1]), rtol=1e-6)
    np.testing.assert_allclose(far.covariance[1, 1], near.covariance[1, 1], rtol=1e-6)
