"""The dense oracle against cases worked by hand, other definitions of the same thing, and R."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import null_space
from scipy.stats import multivariate_normal

import lmmtools as lt
from tests.definitions.prediction import prediction_variance
from tests.oracle import DenseModel, DenseTerm, dense_model, derivatives, descend, numerical
from tests.reference.lme4_fits import contrasts, data, references
from tests.reference.other_fits import OTHERS_LOWER, design_of, others, theta_there

ROUNDING = 1e-10  # relative; everything here is a few hundred operations on well-conditioned matrices


def small(reml=True, structure="us", weights=True, second=False, seed=3):
    """Twelve rows in four unequal groups, with intercept and slope (and a second term of the factor)."""
    rng = np.random.default_rng(seed)
    codes = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 2, 3, 3])
    x, n = rng.normal(size=12), 12
    ones = np.ones((n, 1))
    terms = [DenseTerm("g", np.column_stack([ones, x]), codes, structure)]
    if second:
        terms.append(DenseTerm("g", (x**2)[:, None], codes))
    return DenseModel(
        y=5 + rng.normal(size=n) + rng.normal(size=4)[codes],
        X=np.column_stack([ones, x]),
        terms=tuple(terms),
        weights=rng.uniform(0.5, 3, n) if weights else None,
        offset=rng.normal(size=n),
        reml=reml,
    )


def theta_for(model):
    return np.array([0.8, -0.3, 0.5, 0.4, 0.7])[: sum(term.n_theta for term in model.terms)]


def test_v_by_hand():
    codes = np.array([0, 0, 1])
    term = DenseTerm("g", np.array([[1.0], [2.0], [1.0]]), codes)
    model = DenseModel(np.zeros(3), np.ones((3, 1)), (term,), weights=np.array([1.0, 2.0, 4.0]))
    expected = 9 * np.array([[1, 2, 0], [2, 4, 0], [0, 0, 1]]) + np.diag([1, 0.5, 0.25])
    np.testing.assert_array_equal(model.V(np.array([3.0])), expected)


@pytest.mark.parametrize(
    ("structure", "theta", "expected"),
    [
        ("us", [1, 2, 3, 4, 5, 6], [[1, 0, 0], [2, 4, 0], [3, 5, 6]]),
        ("diag", [1, 2, 3], [[1, 0, 0], [0, 2, 0], [0, 0, 3]]),
        ("homdiag", [7], [[7, 0, 0], [0, 7, 0], [0, 0, 7]]),
    ],
)
def test_lambda_by_hand(structure, theta, expected):
    term = DenseTerm("g", np.ones((2, 3)), np.array([0, 1]), structure)
    model = DenseModel(np.zeros(2), np.ones((2, 1)), (term,))
    assert term.n_theta == len(theta)
    np.testing.assert_array_equal(model.Lambda(np.array(theta)), np.kron(np.eye(2), expected))


@pytest.mark.parametrize(
    ("structure", "theta", "expected"),
    [
        ("cs", [1, 2, 3, 0.5], [[1, 1, 1.5], [1, 4, 3], [1.5, 3, 9]]),
        ("homcs", [2, -0.5], [[4, -2, -2], [-2, 4, -2], [-2, -2, 4]]),
        ("ar1", [2, 0.5], [[4, 2, 0.5], [2, 4, 1], [0.5, 1, 4]]),
        ("ar1", [2, -0.5], [[4, -2, -0.5], [-2, 4, 1], [-0.5, 1, 4]]),
        ("hetar1", [1, 2, 4, 0.5], [[1, 1, 0.5], [1, 4, 2], [0.5, 2, 16]]),
    ],
)
def test_covariance_by_hand(structure, theta, expected):
    term = DenseTerm("g", np.ones((2, 3)), np.array([0, 1]), structure, positions=np.array([0, 1, 3]))
    np.testing.assert_allclose(term.law.covariance(np.array(theta, dtype=float)), expected)
    root = term.factor_of(np.array(theta, dtype=float))
    np.testing.assert_allclose(root @ root.T, expected, atol=1e-12)
    low, high = term.law.bounds.T
    assert np.all((low <= theta) & (theta <= high))


def test_bounds_of_a_correlation_are_where_its_matrix_turns_singular():
    for structure, positions, lowest in (("cs", None, -0.5), ("ar1", [0, 1, 3], -1.0), ("hetar1", [0, 2, 4], 0.0)):
        law = DenseTerm("g", np.ones((2, 3)), np.array([0, 1]), structure, positions).law
        assert law.bounds[-1].tolist() == [lowest, 1.0]
        for rho in law.bounds[-1]:
            theta = np.append(np.ones(law.m - 1), rho)
            values = np.linalg.eigvalsh(law.covariance(theta))
            assert abs(values[0]) < 1e-12 or lowest == rho == 0.0
    assert DenseTerm("g", np.ones((2, 1)), np.array([0, 1]), "cs").n_theta == 1  # a single effect


def test_v_of_several_terms_and_of_a_known_matrix_by_hand():
    one = DenseTerm("g", np.ones((3, 1)), np.array([0, 0, 1]))
    A = np.array([[2.0, 1.0, 0.0], [1.0, 3.0, 0.0], [0.0, 0.0, 5.0]])  # its third level has no rows
    two = DenseTerm("h", np.array([[1.0], [2.0], [1.0]]), np.array([0, 1, 0]), known=np.linalg.cholesky(A))
    model = DenseModel(np.zeros(3), np.ones((3, 1)), (one, two))
    crossed = np.array([[2, 2, 2], [2, 12, 2], [2, 2, 2]])
    expected = 4 * np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]]) + 9 * crossed + np.eye(3)
    np.testing.assert_allclose(model.V(np.array([2.0, 3.0])), expected)
    assert model.Z.shape == (3, 2 + 3)


def several(structure, reml, seed=5):
    """Forty rows: a structure over three positions, a crossed factor's slopes, and related levels of rank two."""
    rng = np.random.default_rng(seed)
    n = 40
    positions = rng.integers(0, 3, n)
    x = rng.normal(size=n)
    X = np.column_stack([np.ones(n), x])
    terms = (
        DenseTerm("g", np.eye(3)[positions], rng.integers(0, 5, n), structure, np.array([0, 1, 3])),
        DenseTerm("h", X, rng.integers(0, 4, n)),
        DenseTerm("a", np.ones((n, 1)), rng.integers(0, 5, n), known=rng.normal(size=(6, 2))),
    )
    return DenseModel(2 * rng.normal(size=n) + positions, X, terms, rng.uniform(0.5, 2, n), None, reml)


class Loadings:
    """A user's structure: a factor of exponentials, with a bound."""

    def n_theta(self, q):
        return 2

    def names(self, effects):
        return ("size", "decay")

    def bounds(self, q):
        return [(0.0, np.inf), (-1.0, 1.0)]

    def start(self, q):
        return [1.0, 0.0]

    def factor(self, theta, q):
        if theta[0] < 0:
            raise ValueError("outside the bounds")
        return theta[0] * np.exp(theta[1] * np.arange(q))[:, None]


EVERY_STRUCTURE = ("us", "diag", "homdiag", "cs", "homcs", "ar1", "hetar1", Loadings())


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("structure", EVERY_STRUCTURE, ids=lambda kind: getattr(kind, "lower", lambda: "own")())
def test_derivatives_of_every_structure_are_finite_differences(structure, reml):
    model = several(structure, reml)
    theta = model.start(np.random.default_rng(1))
    if not isinstance(structure, str):
        theta[0] = 1e-4  # beside its bound, where differences may reach to one side only
    gradient, hessian = derivatives(model, theta)
    # seven points 1e-3 apart: eps |d| / step ~ 1e-10 in rounding, nothing in truncation
    np.testing.assert_allclose(gradient, numerical(model.criterion, theta, model.bounds, 1e-3), atol=1e-7)
    bends = numerical(lambda at: derivatives(model, at)[0], theta, model.bounds, 1e-3)
    np.testing.assert_allclose(hessian, bends, atol=1e-6)


@pytest.mark.parametrize("structure", EVERY_STRUCTURE, ids=lambda kind: getattr(kind, "lower", lambda: "own")())
def test_random_starts_lead_to_one_optimum(structure):
    model = several(structure, reml=True)
    (lowest, theta), (again, _) = model.lowest(starts=4, seed=1), model.lowest(starts=4, seed=2)
    assert lowest == pytest.approx(again, abs=1e-7)
    assert model.criterion(theta) == lowest
    assert descend(model, theta).gain < 1e-8


def test_several_factors_solve_the_mixed_model_equations():
    """Henderson's equations with a known covariance of levels, which need it to be invertible; the oracle does not."""
    model = several("cs", reml=True)
    model = dataclasses.replace(model, terms=(*model.terms[:2], dataclasses.replace(model.terms[2], known=np.eye(6))))
    theta = model.start(np.random.default_rng(1))
    fit = model.fit_at(theta)
    T = model.Lambda(theta) @ model.Lambda(theta).T
    A, W = np.hstack([model.X, model.Z]), np.diag(model.weights)
    C = A.T @ W @ A
    C[2:, 2:] += np.linalg.inv(T)
    np.testing.assert_allclose(np.r_[fit.beta, fit.modes], np.linalg.solve(C, A.T @ W @ model.y), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(fit.modes_cov, fit.sigma**2 * np.linalg.inv(C[2:, 2:]), rtol=1e-7, atol=1e-9)
    inverse = fit.sigma**2 * np.linalg.inv(C)
    rows = tuple((term.matrix[:3], term.codes[:3]) for term in model.terms)
    mean, _ = prediction_variance(model, theta, model.X[:3], rows)
    A0 = A[:3]
    np.testing.assert_allclose(mean, np.einsum("ij,jk,ik->i", A0, inverse, A0), rtol=1e-8)


def test_balanced_one_way_layout_has_the_textbook_reml_solution():
    y = np.array([[3.0, 5.0], [8.0, 8.5], [1.0, 2.0], [6.0, 9.0]])
    a, r = y.shape
    between = r * ((y.mean(axis=1) - y.mean()) ** 2).sum() / (a - 1)
    within = ((y - y.mean(axis=1, keepdims=True)) ** 2).sum() / (a * (r - 1))
    theta = np.array([np.sqrt((between - within) / r / within)])
    codes = np.repeat(np.arange(a), r)
    model = DenseModel(y.ravel(), np.ones((a * r, 1)), (DenseTerm("g", np.ones((a * r, 1)), codes),))
    fit = model.fit_at(theta)
    assert derivatives(model, theta)[0][0] == pytest.approx(0, abs=1e-12)
    assert fit.sigma**2 == pytest.approx(within)
    assert fit.beta[0] == pytest.approx(y.mean())
    assert fit.stderr[0] == pytest.approx(np.sqrt(between / (a * r)))
    shrunk = (1 - within / between) * (y.mean(axis=1) - y.mean())
    np.testing.assert_allclose(fit.modes, shrunk)
    np.testing.assert_allclose(np.diag(fit.modes_cov), within / r * (1 - within / between))


def test_ml_criterion_is_the_normal_density():
    model = small(reml=False)
    theta = theta_for(model)
    fit = model.fit_at(theta)
    mean = model.X @ fit.beta + model.offset
    expected = -2 * multivariate_normal(mean, fit.sigma**2 * model.V(theta)).logpdf(model.y)
    assert fit.criterion == pytest.approx(expected, rel=ROUNDING)
    assert model.deviance(theta, fit.beta, fit.sigma) == pytest.approx(expected, rel=ROUNDING)


def test_reml_criterion_is_the_density_of_error_contrasts():
    model = small(reml=True)
    theta = theta_for(model)
    sigma = model.fit_at(theta).sigma
    K = null_space(model.X.T)  # orthonormal contrasts: their density needs + log|X'X| (Harville 1974)
    density = multivariate_normal(np.zeros(K.shape[1]), sigma**2 * K.T @ model.V(theta) @ K)
    expected = -2 * density.logpdf(K.T @ (model.y - model.offset)) + np.linalg.slogdet(model.X.T @ model.X)[1]
    assert model.criterion(theta) == pytest.approx(expected, rel=ROUNDING)


def test_modes_and_variances_solve_the_mixed_model_equations():
    """Henderson's equations, which need Lambda to be invertible; the oracle does not."""
    model = small()
    theta = theta_for(model)
    fit = model.fit_at(theta)
    T = model.Lambda(theta) @ model.Lambda(theta).T
    A, W = np.hstack([model.X, model.Z]), np.diag(model.weights)
    C = A.T @ W @ A
    C[2:, 2:] += np.linalg.inv(T)
    solution = np.linalg.solve(C, A.T @ W @ (model.y - model.offset))
    np.testing.assert_allclose(np.r_[fit.beta, fit.modes], solution, rtol=1e-9)
    inverse = fit.sigma**2 * np.linalg.inv(C)
    np.testing.assert_allclose(fit.vcov, inverse[:2, :2], rtol=1e-9)
    rows = np.array([[1.0, 0.3], [1.0, -2.0]])
    codes = np.array([0, 2])
    mean, observation = prediction_variance(model, theta, rows, ((rows, codes),))
    A0 = np.hstack([rows, model.spread(rows, codes, model.terms[0])])
    np.testing.assert_allclose(mean, np.einsum("ij,jk,ik->i", A0, inverse, A0), rtol=1e-9)
    np.testing.assert_allclose(observation - mean, fit.sigma**2)


def test_prediction_variance_of_a_new_level_and_of_the_population():
    model = small()
    theta = theta_for(model)
    fit = model.fit_at(theta)
    rows = np.array([[1.0, 0.3]])
    fixed = rows @ fit.vcov @ rows.T
    effect = fit.sigma**2 * rows @ model.terms[0].factor_of(theta) @ model.terms[0].factor_of(theta).T @ rows.T
    unseen = ((rows, np.array([-1])),)
    new, _ = prediction_variance(model, theta, rows, unseen)
    population, observation = prediction_variance(model, theta, rows, unseen, random=False)
    assert new == pytest.approx((fixed + effect).item())
    assert population == pytest.approx(fixed.item())
    assert observation == pytest.approx((fixed + effect).item() + fit.sigma**2)


@pytest.mark.parametrize("formula", ["Reaction ~ Days + (Days | Subject)", "Reaction ~ Days + (Days || Subject)"])
@pytest.mark.parametrize("random", [True, False])
@pytest.mark.parametrize("reml", [True, False])
def test_intervals_of_predict_are_the_oracles(formula, random, reml):
    frame = lt.load_dataset("sleepstudy").iloc[::2].iloc[:77]  # unbalanced
    fit = lt.fit_lmm(formula, frame, reml=reml)
    new = pd.DataFrame({"Days": [0, 3.5, 9], "Subject": ["308", "335", "nobody"]})
    rows = fit.design.new_rows(new, unseen="population")
    terms = tuple((term.matrix, term.codes) for term in rows.terms)
    expected = prediction_variance(dense_model(fit.design, reml=reml), fit.theta, rows.X, terms, random=random)
    for interval, variance in zip(("mean", "observation"), expected, strict=True):
        found = fit.predict(new, random=random, unseen="population", interval=interval)
        np.testing.assert_allclose(found["std_error"], np.sqrt(variance), rtol=1e-9)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("structure", ["us", "diag", "homdiag"])
@pytest.mark.parametrize("second", [False, True])
def test_derivatives_are_finite_differences(reml, structure, second):
    model = small(reml=reml, structure=structure, second=second)
    theta, step = theta_for(model), 1e-5
    units = step * np.eye(len(theta))
    slopes = [(model.criterion(theta + u) - model.criterion(theta - u)) / (2 * step) for u in units]
    bends = [(derivatives(model, theta + u)[0] - derivatives(model, theta - u)[0]) / (2 * step) for u in units]
    # central differences: step^2 in truncation, eps |d| / step ~ 1e-9 in rounding
    gradient, hessian = derivatives(model, theta)
    np.testing.assert_allclose(gradient, slopes, atol=1e-7)
    np.testing.assert_allclose(hessian, bends, atol=1e-7)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("structure", ["us", "diag", "homdiag"])
def test_descent_from_beside_an_optimum_comes_back_to_it(reml, structure):
    """What a Newton step promises is what is there to gain, and the steps arrive."""
    fit = lt.fit_lmm(
        f"Reaction ~ Days + {structure}(1 + Days | Subject)".replace("us(", "("),
        lt.load_dataset("sleepstudy").iloc[:150],
        reml=reml,
    )
    model = dense_model(fit.design, reml=reml)
    there = descend(model, fit.theta * 1.01)
    short = model.criterion(fit.theta * 1.01) - fit.criterion
    assert there.gain == pytest.approx(short, rel=0.05)  # the third order over 1 %
    assert there.lowest == pytest.approx(fit.criterion, abs=1e-9)
    assert descend(model, fit.theta).gain < 1e-9


@pytest.mark.parametrize("formula", ["Yield ~ 1 + (1 | Batch)", "travel ~ 1 + (1 | Rail)"])
def test_descent_leaves_a_stationary_point_on_the_boundary(formula):
    """At a variance of zero the slope in theta vanishes whatever the data say; the curvature does not."""
    name = {"Yield": "Dyestuff", "travel": "Rail"}[formula.split()[0]]
    fit = lt.fit_lmm(formula, lt.load_dataset(name))
    model = dense_model(fit.design)
    assert not derivatives(model, np.zeros(1))[0].any()
    found = descend(model, np.zeros(1))
    assert found.lowest < model.criterion(np.zeros(1)) - 1e-3


def test_terms_of_one_factor_stand_side_by_side():
    model = small(second=True)
    modes, covariances = model.by_factor(model.fit_at(theta_for(model)))
    fit = model.fit_at(theta_for(model))
    assert modes["g"].shape == (4, 3)
    assert covariances["g"].shape == (4, 3, 3)
    np.testing.assert_array_equal(modes["g"][1], [fit.modes[2], fit.modes[3], fit.modes[8 + 1]])
    assert covariances["g"][1, 0, 2] == fit.modes_cov[2, 9]
    assert abs(covariances["g"][1, 0, 2]) > 0  # the terms are correlated given y


def test_too_many_rows_are_refused():
    term = DenseTerm("g", np.ones((2001, 1)), np.zeros(2001, dtype=int))
    with pytest.raises(lt.ModelError, match="2001 × 2001"):
        DenseModel(np.zeros(2001), np.ones((2001, 1)), (term,))


@pytest.mark.parametrize("name", [name for name, fit in others().items() if fit["n"] <= 400])
def test_the_oracle_agrees_with_nlme_and_glmmtmb_at_their_parameters(name):
    """Every structure of theirs, one-level and nested: the one with no residual to speak of keeps fewer digits."""
    reference = others()[name]
    model = dense_model(design_of(name), reml=reference["method"] == "REML")
    near = 1e-7 if name in OTHERS_LOWER else 1e-9
    assert model.criterion(theta_there(name)) == pytest.approx(reference["objective"], abs=near)


NO_FIT_NEEDED = [name for name, reference in references().items() if reference["n"] <= 400]


@pytest.mark.parametrize("name", NO_FIT_NEEDED)
def test_the_oracle_agrees_with_r_without_our_engine(name):
    """Only the design is ours here: at R's theta the oracle must give R's numbers to R's printed digits."""
    reference = references()[name]
    frame = data(reference["data_frame"])
    design = lt.build_design(
        reference["formula"], frame, weights=reference["weights"], contrasts=contrasts(reference) or None
    )
    model = dense_model(design, reml=reference["method"] == "REML")
    for point in reference["objective_at"]:
        assert model.criterion(np.array(point["theta"])) == pytest.approx(point["value"], abs=1e-9)
    fit = model.fit_at(np.array(reference["theta"]))
    assert fit.criterion == pytest.approx(reference["objective"], abs=1e-9)
    # R solves the normal equations: powers up to the fourth (Dialyzer, Oxboys) cost it about five digits
    assert np.all(np.abs(fit.beta - reference["beta"]) <= 1e-7 * np.array(reference["se"]))
    np.testing.assert_allclose(fit.stderr, reference["se"], rtol=1e-8)
    assert fit.sigma == pytest.approx(reference["sigma"], rel=1e-9)
    np.testing.assert_allclose(fit.fitted[:10], reference["fitted_first10"], atol=1e-7 * fit.sigma)


def test_a_constant_of_a_billion_costs_its_own_last_digits_and_no_more():
    rng = np.random.default_rng(0)
    g, x = rng.integers(0, 20, 200), rng.normal(size=200)
    y = 1e9 + 0.5 * x + rng.normal(size=20)[g] + rng.normal(size=200)
    fit = lt.fit_lmm("y ~ x + (1 | g)", pd.DataFrame({"y": y, "x": x, "g": g}))
    check = lt.cross_check(fit, engine="dense")
    assert check.ok, check
    wrong = dataclasses.replace(fit, beta=fit.beta + np.array([1e-5, 0.0]))
    assert not lt.cross_check(wrong, engine="dense").ok
