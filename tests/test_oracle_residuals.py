"""The dense oracle's residual structures: against loops over pairs of rows, differences, and cases worked by hand."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from lmmtools.errors import ModelError
from tests.definitions.conditional_aic import conditional
from tests.definitions.kenward_roger import kenward_roger, linear_directions, with_derivatives
from tests.definitions.marginal import derivatives_of_V, marginal_covariance, normalized_residuals
from tests.definitions.profile import profile_deviance
from tests.definitions.residual_structures import by_definition, correlation, residual, variance
from tests.definitions.satterthwaite import satterthwaite
from tests.oracle import DenseModel, DenseTerm, derivatives, descend, numerical, start_of_residuals

N = 22
_SIZES = (5, 4, 1, 6, 4, 2)


def rows(seed):
    """Six unequal groups with gaps in time, in shuffled order: codes, whole times, times, places, and a factor."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(len(_SIZES)), _SIZES)
    whole = np.concatenate([np.sort(rng.choice(6, size, replace=False)) for size in _SIZES])
    order = rng.permutation(N)
    codes, whole = codes[order], whole[order]
    return codes, whole, whole + rng.uniform(0, 0.7, N), rng.uniform(0, 5, (N, 2)), codes % 2


def _correlations(seed):
    codes, whole, time, places, half = rows(seed)
    yield "ar1", correlation("ar1", codes, whole)
    yield "ar1 by", correlation("ar1", codes, whole, by=half)
    yield "car1", correlation("car1", codes, time)
    yield "arma10", correlation("arma", codes, whole, order=(1, 0))
    yield "arma02", correlation("arma", codes, whole, order=(0, 2))
    yield "arma11", correlation("arma", codes, whole, order=(1, 1))
    yield "arma22", correlation("arma", codes, whole, order=(2, 2))
    yield "arma21 by", correlation("arma", codes, whole, order=(2, 1), by=half)
    yield "cs", correlation("cs", codes)
    yield "cs by", correlation("cs", codes, by=half)
    yield "toep", correlation("toep", codes, whole)
    yield "toep band", correlation("toep", codes, whole, lags=[1, 2])
    yield "toep real", correlation("toep", codes, 0.1 * whole)
    yield "us", correlation("us", codes, whole)
    yield "us by", correlation("us", codes, whole, by=half)
    for kind in ("exp", "gaus", "spher", "ratio"):
        yield kind, correlation(kind, codes, places)
        yield f"{kind} nugget", correlation(kind, codes, places, nugget=True)
    yield "exp all", correlation("exp", np.zeros(N, dtype=int), places, nugget=True)
    yield "ratio by", correlation("ratio", codes, time, nugget=True, by=half)


def _variances(seed):
    rng = np.random.default_rng(seed + 1)
    _, whole, time, _, half = rows(seed)
    cover = time + 0.5
    yield "varident", (variance("varident", N, codes=whole % 3),)
    yield "varpower", (variance("varpower", N, values=-cover),)
    yield "varpower strata", (variance("varpower", N, values=cover, codes=half),)
    yield "varexp", (variance("varexp", N, values=rng.normal(size=N)),)
    yield "varexp strata", (variance("varexp", N, values=rng.normal(size=N), codes=half),)
    yield "varconstpower", (variance("varconstpower", N, values=cover),)
    yield "varconstpower strata", (variance("varconstpower", N, values=cover, codes=half),)
    yield "varfixed", (variance("varfixed", N, values=cover),)
    three = variance("varident", N, codes=whole % 3), variance("varpower", N, values=cover, codes=half)
    yield "three", (*three, variance("varfixed", N, values=cover + 1))


def structures(seed=0):
    """Every correlation, every variance function, and products of them."""
    correlations, variances = dict(_correlations(seed)), dict(_variances(seed))
    out = {name: residual(part) for name, part in correlations.items()}
    out |= {name: residual(*parts) for name, parts in variances.items()}
    crossed = zip(correlations.items(), list(variances.items()) * 3, strict=False)
    return out | {f"{a} * {b}": residual(part, *parts) for (a, part), (b, parts) in crossed}


STRUCTURES = structures()


def model(name, *, terms=(), reml=True, weights=True, seed=3):
    """A model of that structure, with slopes of a covariate."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(N), rng.normal(size=N)])
    w = rng.uniform(0.5, 2, N) if weights else None
    out = DenseModel(rng.normal(size=N), X, tuple(terms), w, rng.normal(size=N), reml, STRUCTURES[name])
    codes = rows(0)[0]
    y = X @ [1.0, 2.0] + rng.normal(size=6)[codes] + np.linalg.cholesky(out.law.R(phi_for(out))) @ rng.normal(size=N)
    return dataclasses.replace(out, y=y)


def phi_for(model, seed=5):
    return start_of_residuals(model.law, np.random.default_rng(seed))


def slopes_of_g():
    """A crossed factor's intercepts and slopes, and intercepts of the residual groups."""
    rng = np.random.default_rng(8)
    crossed = DenseTerm("h", np.column_stack([np.ones(N), rng.normal(size=N)]), rng.integers(0, 4, N))
    return crossed, DenseTerm("g", np.ones((N, 1)), rows(0)[0])


THETA = np.array([0.8, -0.3, 0.5, 0.6])


@pytest.mark.parametrize("name", STRUCTURES)
def test_r_is_what_loops_over_pairs_of_rows_make_of_it(name):
    m = model(name)
    phi = phi_for(m)
    R = m.law.R(phi)
    np.testing.assert_allclose(R, by_definition(m.residual, phi, m.weights), rtol=1e-12, atol=1e-13)
    s = m.law.multipliers(phi) / np.sqrt(m.weights)
    np.testing.assert_allclose(s[:, None] * m.law.correlation(phi) * s, R, rtol=1e-13)
    assert np.linalg.eigvalsh(R)[0] > 0
    np.testing.assert_array_equal(np.diag(m.law.correlation(phi)), 1.0)


def along(function, at, direction):
    """The derivative of a function in one direction, by differences of seven points."""
    return numerical(lambda t: function(at + t[0] * direction), np.zeros(1), step=1e-3)[0]


def close(found, expected, digits):
    np.testing.assert_allclose(found, expected, rtol=0, atol=10.0**-digits * max(1.0, np.abs(expected).max(initial=0)))


@pytest.mark.parametrize("name", STRUCTURES)
def test_derivatives_of_r_are_those_of_differences(name):
    law = model(name).law
    phi = phi_for(model(name))
    for seed in range(2):
        direction = np.random.default_rng(seed).normal(size=law.m)
        close(np.tensordot(direction, law.slopes(phi), 1), along(law.matrix, phi, direction), 9)
        close(np.tensordot(direction, law.bends(phi), 1), along(law.slopes, phi, direction), 9)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("terms", [(), slopes_of_g()], ids=["alone", "with random effects"])
@pytest.mark.parametrize("name", STRUCTURES)
def test_derivatives_of_the_criterion(name, terms, reml):
    m = model(name, terms=terms, reml=reml)
    theta = np.append(THETA if terms else (), phi_for(m))
    gradient, hessian = derivatives(m, theta)
    direction = np.random.default_rng(1).normal(size=len(theta))
    close(gradient @ direction, along(m.criterion, theta, direction), 8)
    close(hessian @ direction, along(lambda at: derivatives(m, at)[0], theta, direction), 8)


@pytest.mark.parametrize("name", ["ar1", "arma22", "us by", "spher nugget", "three"])
def test_derivatives_of_v_by_parameter(name):
    m = model(name, terms=slopes_of_g())
    theta = np.append(THETA, phi_for(m))
    first, second = derivatives_of_V(m, theta)
    direction = np.random.default_rng(2).normal(size=len(theta))
    close(np.tensordot(direction, first, 1), along(m.V, theta, direction), 9)
    close(np.tensordot(direction, second, 1), along(lambda at: derivatives_of_V(m, at)[0], theta, direction), 9)


@pytest.mark.parametrize("name", ["arma22", "toep * varpower", "us * varexp strata", "exp nugget", "three"])
def test_no_order_of_rows_or_of_groups_matters(name):
    m = model(name, terms=slopes_of_g())
    theta = np.append(THETA, phi_for(m))
    order = np.random.default_rng(4).permutation(N)
    names = np.random.default_rng(5).permutation(len(_SIZES))
    head = m.residual.correlation
    if head is not None:
        head = dataclasses.replace(
            head, codes=names[head.codes][order], positions=head.positions[order], by_codes=head.by_codes[order]
        )
    functions = tuple(
        dataclasses.replace(v, codes=v.codes[order], values=v.values[order] if len(v.values) else v.values)
        for v in m.residual.variances
    )
    terms = tuple(dataclasses.replace(t, matrix=t.matrix[order], codes=t.codes[order]) for t in m.terms)
    other = dataclasses.replace(
        m, y=m.y[order], X=m.X[order], offset=m.offset[order], weights=m.weights[order], terms=terms,
        residual=dataclasses.replace(m.residual, correlation=head, variances=functions),
    )  # fmt: skip
    assert other.criterion(theta) == pytest.approx(m.criterion(theta), rel=1e-12)
    np.testing.assert_allclose(other.fit_at(theta).modes, m.fit_at(theta).modes, atol=1e-10)
    np.testing.assert_allclose(other.fit_at(theta).fitted, m.fit_at(theta).fitted[order], atol=1e-10)


@pytest.mark.parametrize("reml", [True, False])
def test_compound_symmetry_is_a_random_intercept(reml):
    mixed = model("cs", terms=slopes_of_g()[1:], reml=reml, weights=False)
    mixed = dataclasses.replace(mixed, residual=None)
    alone = dataclasses.replace(mixed, terms=(), residual=STRUCTURES["cs"])
    for theta in (0.3, 1.0, 2.5):
        rho = theta**2 / (1 + theta**2)
        assert alone.criterion([rho]) == pytest.approx(mixed.criterion([theta]), rel=1e-12)
        one, other = alone.fit_at([rho]), mixed.fit_at([theta])
        np.testing.assert_allclose(one.vcov, other.vcov, rtol=1e-10)
        assert one.sigma**2 == pytest.approx(other.sigma**2 * (1 + theta**2))
        np.testing.assert_allclose(marginal_covariance(alone, [rho]), marginal_covariance(mixed, [theta]), atol=1e-12)


def test_known_variances_are_weights():
    m = model("varfixed", weights=False)
    values = m.residual.variances[0].values
    other = dataclasses.replace(m, residual=None, weights=1 / values)
    assert m.criterion([]) == pytest.approx(other.criterion([]), rel=1e-13)
    np.testing.assert_allclose(m.fit_at([]).vcov, other.fit_at([]).vcov)


def test_correlations_by_hand():
    codes, at = np.array([0, 0, 0, 1]), np.array([0.0, 1.0, 3.0, 1.0])
    cases = [
        (correlation("ar1", codes, at), [-0.5], [-0.5, -0.125, 0.25]),
        (correlation("car1", codes, at), [0.25], [0.25, 0.25**3, 0.0625]),
        (correlation("arma", codes, at, order=(0, 1)), [0.5], [0.4, 0.0, 0.0]),
        (correlation("cs", codes), [0.3], [0.3, 0.3, 0.3]),
        (correlation("toep", codes, at), [0.1, 0.2, 0.3], [0.1, 0.3, 0.2]),
        (correlation("toep", codes, at, lags=[1.0, 2.0]), [0.1, 0.2], [0.1, 0.0, 0.2]),
        (correlation("us", codes, [2, 0, 1, 0]), [0.1, 0.2, 0.3], [0.2, 0.3, 0.1]),
        (correlation("exp", codes, at, nugget=True), [2.0, 0.5], 0.5 * np.exp([-0.5, -1.5, -1.0])),
        (correlation("gaus", codes, at), [2.0], np.exp([-0.25, -2.25, -1.0])),
        (correlation("spher", codes, at), [2.0], [0.3125, 0.0, 0.0]),
        (correlation("ratio", codes, at), [1.0], [0.5, 0.1, 0.2]),
    ]
    for part, phi, expected in cases:
        C = DenseModel(np.zeros(4), np.ones((4, 1)), (), residual=residual(part)).law.correlation(np.array(phi))
        np.testing.assert_allclose(C[[0, 0, 1], [1, 2, 2]], expected, atol=1e-14, err_msg=part.kind)
        np.testing.assert_array_equal(C[3], [0, 0, 0, 1])


def test_an_autoregression_has_the_moving_averages_of_its_definition():
    codes, at = np.zeros(4, dtype=int), np.arange(4.0)
    ar1, arma = residual(correlation("ar1", codes, at)), residual(correlation("arma", codes, at, order=(1, 1)))
    one, other = (DenseModel(np.zeros(4), np.ones((4, 1)), (), residual=given).law for given in (ar1, arma))
    np.testing.assert_allclose(other.R([0.7, 0.0]), one.R([0.7]), rtol=1e-13)
    phi, theta = 0.7, -0.4  # rho_1 = (1 + phi theta)(phi + theta) / (1 + 2 phi theta + theta^2)
    first = (1 + phi * theta) * (phi + theta) / (1 + 2 * phi * theta + theta**2)
    np.testing.assert_allclose(other.R([phi, theta])[0], [1, first, first * phi, first * phi**2], rtol=1e-13)


@pytest.mark.parametrize(
    ("name", "phi"),
    [
        ("ar1", [1.0]),
        ("ar1", [-1.0]),
        ("car1", [0.0]),
        ("cs", [-0.5]),
        ("arma10", [1.2]),
        ("arma22", [0.9, 0.3, 0.0, 0.0]),
        ("exp", [0.0]),
        ("exp nugget", [1.0, 1.0]),
        ("varident", [0.0, 1.0]),
        ("us", [0.9, -0.9] + 13 * [0.0]),
    ],
)
def test_parameters_of_no_covariance_are_refused(name, phi):
    with pytest.raises(np.linalg.LinAlgError):
        model(name, weights=False).criterion(np.array(phi))


def test_a_nugget_of_zero_is_none():
    with_nugget, without = model("exp nugget").law, model("exp").law
    np.testing.assert_array_equal(with_nugget.R([1.5, 0.0]), without.R([1.5]))
    assert with_nugget.open.tolist() == [[True, True], [False, True]]


def test_a_structure_of_another_number_of_parameters_is_refused():
    given = dataclasses.replace(STRUCTURES["ar1"], bounds=np.array([[-1.0, 1.0], [0.0, 1.0]]), slices=(slice(0, 2),))
    with pytest.raises(
        ModelError, match=r"has \[1\] parameters in its parts by definition, and the design names \[2\]"
    ):
        DenseModel(np.zeros(N), np.ones((N, 1)), (), residual=given).criterion([0.1, 0.1])


def test_fitted_values_that_are_not_there_are_asked_for():
    given = residual(variance("varpower", N, values=np.full(N, np.nan)))
    with pytest.raises(ModelError, match="take the design of a fit"):
        DenseModel(np.zeros(N), np.ones((N, 1)), (), residual=given).criterion([0.1])


@pytest.mark.parametrize("name", ["ar1", "us * varexp strata", "exp nugget", "ratio nugget", "three", "arma02"])
def test_descending_finds_an_optimum_and_keeps_inside_the_bounds(name):
    m = model(name)
    start = phi_for(m)
    found = descend(m, start, rounds=60)
    low, high = m.bounds.T
    assert np.all((found.theta >= low) & (found.theta <= high))
    assert np.all((found.theta > low) | ~m.open[:, 0]) and np.all((found.theta < high) | ~m.open[:, 1])
    assert found.lowest == m.criterion(found.theta) < m.criterion(start)
    again = descend(m, found.theta)
    assert found.lowest - again.lowest < 1e-6


def test_an_optimum_is_the_lowest_from_several_starts():
    m = model("ar1 * varident", terms=slopes_of_g()[1:])
    lowest, theta = m.lowest(starts=3)
    gradient, hessian = derivatives(m, theta)
    inside = (theta - m.bounds[:, 0] > 1e-6) & (m.bounds[:, 1] - theta > 1e-6)
    assert np.abs(gradient[inside]).max() < 1e-5 and np.linalg.eigvalsh(hessian[np.ix_(inside, inside)])[0] > -1e-6
    grid = [np.append(theta[:1], [rho, *theta[2:]]) for rho in np.linspace(-0.9, 0.9, 19)]
    assert all(m.criterion(at) >= lowest - 1e-9 for at in grid)


@pytest.mark.parametrize("reml", [True, False])
def test_satterthwaite_from_differences_of_the_deviance(reml):
    """With beta profiled out and sigma not: the observed Hessian and the slopes of Var(beta) by differences."""
    m = model("ar1", terms=slopes_of_g()[1:], reml=reml)
    _, theta = m.lowest(starts=2)
    found = satterthwaite(m, theta)
    low, high = m.bounds.T
    free = np.append((theta > low + 1e-8) & (theta < high - 1e-8), True)
    at = np.append(theta, m.fit_at(theta).sigma)

    def deviance(phi):
        return m.deviance(phi[:-1], m.fit_at(phi[:-1]).beta, phi[-1])

    def variance_of_beta(phi):
        fit = m.fit_at(phi[:-1])
        return fit.vcov / fit.sigma**2 * phi[-1] ** 2

    slopes = numerical(variance_of_beta, at, step=1e-4)
    hessian = numerical(lambda phi: numerical(deviance, phi, step=1e-3), at, step=1e-3)
    C = 2 * np.linalg.inv(hessian[np.ix_(free, free)])
    for l in np.array([[1.0, 0.0], [0.0, 1.0], [1.0, -2.0]]):
        g = np.array([l @ slope @ l for slope in slopes])[free]
        expected = 2 * (l @ m.fit_at(theta).vcov @ l) ** 2 / (g @ C @ g)
        assert found.df(l) == pytest.approx(expected, rel=1e-4)


def _visits(seed=7):
    """An unstructured covariance of three visits with missing ones, and the theta of its optimum."""
    rng = np.random.default_rng(seed)
    codes, visit = np.repeat(np.arange(8), 3), np.tile(np.arange(3), 8)
    keep = rng.permutation(np.setdiff1d(np.arange(24), [4, 9, 14, 23]))
    codes, visit = codes[keep], visit[keep]
    n = len(keep)
    X = np.column_stack([np.eye(3)[visit], (codes % 2)[:, None]])
    y = rng.normal(size=8)[codes] + rng.normal(size=n) * (1 + visit)
    given = residual(correlation("us", codes, visit), variance("varident", n, codes=visit))
    m = DenseModel(y, X, (), residual=given)
    return m, visit, codes, descend(m, np.array([0.1, 0.1, 0.1, 1.0, 1.0]), rounds=60).theta


def test_kenward_roger_of_an_unstructured_covariance_is_linear_in_its_elements():
    m, visit, codes, theta = _visits()
    found = kenward_roger(m, theta)
    same = codes[:, None] == codes
    G = []
    for a in range(3):
        for b in range(a, 3):
            cell = np.outer(visit == a, visit == b)
            G.append(np.where(same, cell | cell.T, False).astype(float))
    expected = with_derivatives(m, theta, np.array(G))
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-9)
    L = np.array([[1.0, -1, 0, 0], [0, 1, -1, 0]])
    np.testing.assert_allclose(found.f_test(L), expected.f_test(L), rtol=1e-9)
    nonlinear = kenward_roger(m, theta, linear=False)
    assert np.abs(nonlinear.covariance / found.covariance - 1).max() > 1e-3
    assert nonlinear.df(L[0]) == pytest.approx(found.df(L[0]), rel=1e-9)  # P and W only: of no matter how written


def test_which_structures_are_linear():
    """A moving average has its autocovariances; one rho for each level of `by` is a covariance each."""
    linear = {"cs", "cs by", "toep", "toep band", "toep real", "us", "us by", "arma02", "varident", "varfixed"}
    not_linear = {"ar1", "car1", "arma11", "exp", "gaus nugget", "varpower", "cs by * varident", "three"}
    found = {name for name in linear | not_linear if linear_directions(model(name)) is not None}
    assert found == linear


@pytest.mark.parametrize("name", ["ar1", "cs", "ratio nugget", "car1 * varpower strata"])
def test_kenward_roger_is_the_bias_of_phi_and_what_its_estimate_adds(name):
    """Phi_A = Phi + Var(beta - its value at the true gamma) - 1/2 sum W d2Phi, the last two by differences."""
    m = model(name)
    theta = phi_for(m)
    found = kenward_roger(m, theta, linear=False)
    at = np.append(m.fit_at(theta).sigma ** 2, theta)

    def Phi(gamma):
        return np.linalg.inv(m.X.T @ np.linalg.inv(gamma[0] * m.V(gamma[1:])) @ m.X)

    def beta_hat(gamma):
        V = np.linalg.inv(gamma[0] * m.V(gamma[1:]))
        return np.linalg.solve(m.X.T @ V @ m.X, m.X.T @ V)

    slopes = numerical(beta_hat, at, step=1e-4)  # of the matrix that takes y to beta
    Sigma = at[0] * m.V(theta)
    spread = np.einsum("ij,iab,bc,jdc->ad", found.W, slopes, Sigma, slopes)
    bends = numerical(lambda gamma: numerical(Phi, gamma, step=1e-3), at, step=1e-3)
    expected = found.Phi + spread - 0.5 * np.tensordot(found.W, bends)
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["ar1 * varident", "us", "cs", "exp nugget", "three"])
def test_normalized_residuals_are_what_a_row_has_beyond_those_before_it(name):
    m = model(name, terms=slopes_of_g())
    theta = np.append(THETA, phi_for(m))
    fit = m.fit_at(theta)
    found, left, R = normalized_residuals(m, theta), m.y - fit.fitted, m.R(theta)
    head = m.residual.correlation
    timed = head is not None and head.kind in ("ar1", "us")
    time = head.positions[:, 0] if timed else np.arange(N)
    groups = rows(0)[0] if head is not None else np.arange(N)
    for row in range(N):
        before = np.flatnonzero((groups == groups[row]) & (time < time[row]))
        weights = np.linalg.solve(R[np.ix_(before, before)], R[before, row]) if len(before) else np.zeros(0)
        own = R[row, row] - weights @ R[before, row]
        assert found[row] == pytest.approx((left[row] - weights @ left[before]) / (fit.sigma * np.sqrt(own)))


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", ["ar1 * varident", "exp nugget"])
def test_the_conditional_degrees_of_freedom_are_those_of_fits_to_other_responses(name, reml):
    m = model(name, terms=slopes_of_g()[1:], reml=reml, seed=11)
    _, theta = m.lowest(starts=3)
    low, high = m.bounds.T
    inside = (theta > low + 1e-4) & (theta < high - 1e-4)
    assert inside.sum() >= 2
    found = conditional(m, theta)
    h = 1e-4 * m.fit_at(theta).sigma
    for row in (0, 7):
        moved = [dataclasses.replace(m, y=m.y + sign * h * np.eye(N)[row]) for sign in (1, -1)]
        ends = [other.fit_at(descend(other, theta, rounds=8).theta).fitted for other in moved]
        np.testing.assert_allclose(found.jacobian[:, row], (ends[0] - ends[1]) / (2 * h), atol=1e-5)


def test_a_profile_of_a_residual_parameter_is_the_lowest_with_it_held():
    m = model("ar1", terms=(), reml=False)
    lowest, theta = m.lowest(starts=3)
    sigma = m.fit_at(theta).sigma
    for rho in (-0.3, 0.5):
        found = profile_deviance(m, "residual", None, (0,), rho, [(theta, sigma)])
        assert found == pytest.approx(m.criterion([rho]), abs=1e-6)
        assert found > lowest


def test_a_nugget_that_falls_to_zero_stays_there():
    """The bound is a value: the slope out of it promises nothing, and a step comes back to it."""
    m = model("exp nugget", seed=5)
    found = descend(m, np.array([2.0, 0.2]), rounds=60)
    assert found.theta[1] == 0.0
    gradient, hessian = derivatives(m, found.theta)
    assert gradient[1] > 0.1
    assert descend(m, found.theta).gain == pytest.approx(0.5 * gradient[0] ** 2 / hessian[0, 0], abs=1e-12)


def test_roundings_near_a_unit_root_are_no_more_than_is_said():
    """rho_1 of an ARMA(1, 1) in exact fractions; nearly cancelled roots lose digits, and the oracle says how many."""
    part = correlation("arma", np.zeros(2, dtype=int), [0.0, 1.0], order=(1, 1))
    law = DenseModel(np.zeros(2), np.ones((2, 1)), (), residual=residual(part)).law
    for bits in (5, 15, 25):
        phi, theta = 1 - Fraction(1, 2**bits), -1 + Fraction(1, 2 ** (bits - 2))
        exact = (1 + phi * theta) * (phi + theta) / (1 + 2 * phi * theta + theta**2)
        at = np.array([float(phi), float(theta)])
        loss = abs(Fraction(float(law.correlation(at)[0, 1])) - exact)
        assert loss <= 4 * law.amplification(at) * np.finfo(float).eps
        assert 2.0 ** (bits - 1) < law.amplification(at) < 2.0 ** (bits + 3)
