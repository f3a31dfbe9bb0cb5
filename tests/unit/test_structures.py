"""Structures that are not linear in θ: definitions, derivatives up to the bounds, a user's own object."""

from __future__ import annotations

import numpy as np
import pytest

from lmmtools.core.covariance import STRUCTURES, n_theta, theta_names
from lmmtools.core.structures import SMOOTH, Correlated, UserForm, form_of
from lmmtools.core.structures.differences import differences
from lmmtools.errors import ModelError

POSITIONS = {"even steps": None, "gaps": [0, 1, 4, 6], "unordered": [3, 0, 7, 1], "even lags": [0, 2, 6, 8]}
ALL = [(name, None) for name in ("cs", "homcs")] + [
    (name, at) for name in ("ar1", "hetar1") for at in POSITIONS.values()
]


def _points(form, seed=0):
    """Inside the box, on each bound, and at zero sds."""
    rng = np.random.default_rng(seed)
    upper = np.where(np.isfinite(form.upper), form.upper, 3.0)
    inside = [form.lower + (upper - form.lower) * rng.uniform(0.1, 0.9, form.n_theta) for _ in range(3)]
    edges = []
    for k in range(form.n_theta):
        for bound in (form.lower[k], upper[k]):
            edges.append(inside[0].copy())
            edges[-1][k] = bound
    none = np.zeros(form.n_theta)
    return [*inside, *edges, np.append(inside[0][:-1], 0.0), none]


def _by_definition(name, positions, theta, q=4):
    at = np.arange(q) if positions is None else np.asarray(positions)
    sd = np.repeat(theta[0], q) if name in ("homcs", "ar1") else theta[:q]
    T = np.zeros((q, q))
    for i in range(q):
        for j in range(q):
            power = abs(int(at[i]) - int(at[j])) if "ar1" in name else int(i != j)
            T[i, j] = sd[i] * sd[j] * float(theta[-1]) ** power
    return T


@pytest.mark.parametrize("name, positions", ALL)
def test_factor_and_covariance_are_the_definition(name, positions):
    form = Correlated(name, 4, positions)
    for theta in _points(form):
        T = _by_definition(name, positions, theta)
        np.testing.assert_allclose(form.covariance(theta), T, atol=1e-14)
        Lambda = form.factor(theta)
        assert np.allclose(Lambda, np.tril(Lambda))
        assert np.all(np.diagonal(Lambda) >= 0)
        np.testing.assert_allclose(Lambda @ Lambda.T, T, atol=1e-13)


@pytest.mark.parametrize("name, positions", ALL)
def test_derivatives_are_those_of_finite_differences_on_the_bounds_too(name, positions):
    form = Correlated(name, 4, positions)
    G = np.cos(np.arange(16.0)).reshape(4, 4)
    G = G + G.T
    for theta in _points(form, seed=1):
        first, second = differences(form.covariance, theta, form.lower, form.upper)
        np.testing.assert_allclose(form.first(theta), first, atol=1e-7)
        np.testing.assert_allclose(form.bend(theta, G), np.einsum("klab,ab->kl", second, G), atol=1e-4)


@pytest.mark.parametrize("name, positions", ALL)
def test_second_order_along_the_sds_where_nothing_else_moves(name, positions):
    form = Correlated(name, 4, positions)
    rho = 0.4
    theta, direction = np.append(np.zeros(form.n_sd), rho), np.append(np.linspace(0.2, 1.0, form.n_sd), 0.0)
    moved = form.covariance(theta + direction)
    np.testing.assert_allclose(form.second_along(theta, direction), moved, atol=1e-14)


@pytest.mark.parametrize("name", SMOOTH)
def test_bounds_names_and_counts(name):
    effects = ("a", "b", "c")
    form = Correlated(name, 3)
    common = name in ("homcs", "ar1")
    assert form.n_theta == n_theta(name, 3) == (2 if common else 4)
    assert form.lower[-1] == (-1.0 if "ar1" in name else -0.5)
    assert form.upper[-1] == 1.0
    assert form.names("g", effects) == theta_names(name, "g", effects)
    assert form.names("g", effects) == (("g", "g.cor") if common else ("g.a", "g.b", "g.c", "g.cor"))
    alone = Correlated(name, 1)
    assert alone.n_theta == n_theta(name, 1) == 1
    assert alone.covariance(np.array([3.0])) == pytest.approx(9.0)
    assert alone.first(np.array([3.0])).ravel() == pytest.approx(6.0)


def test_even_lags_cannot_tell_the_sign_of_a_correlation():
    assert Correlated("ar1", 3, [8, 10, 14]).lower[-1] == 0.0
    assert Correlated("ar1", 3, [8, 10, 13]).lower[-1] == -1.0


@pytest.mark.parametrize("positions", [[0, 1], [0.0, 0.5, 1.0], [0, 1, np.nan], [0, 1, np.inf]])
def test_positions_are_whole_numbers(positions):
    with pytest.raises(ModelError, match="counts lags in whole numbers, so its positions must be 3 whole numbers"):
        Correlated("ar1", 3, positions)
    with pytest.raises(ModelError, match="distinct positions"):
        Correlated("hetar1", 3, [0, 1, 1])


@pytest.mark.parametrize("name, positions", ALL)
def test_a_start_from_the_moments_of_the_structure_itself(name, positions):
    form = Correlated(name, 4, positions)
    rho = 0.5 if name not in ("homcs", "cs") else 0.6
    theta = np.append(np.linspace(0.8, 1.6, form.n_sd), rho)
    start = form.start(form.covariance(theta), 1e-3)
    np.testing.assert_allclose(start[:-1], theta[:-1], rtol=1e-12)
    assert start[-1] == pytest.approx(rho, abs=0.03)
    basis = form.moment_basis().reshape(-1, 16)
    left = form.covariance(np.append(np.ones(form.n_sd), rho)).ravel()
    if positions is None:
        assert np.linalg.lstsq(basis.T, left, rcond=None)[1] < 1e-20 or len(basis) == 16


def test_scaled_columns_keep_the_model():
    size = np.array([0.5, 2.0, 3.0])
    for name in SMOOTH:
        form = Correlated(name, 3)
        scale = form.column_scale(size)
        theta = form.generic()
        working = theta * form.parameter_scale(scale)
        np.testing.assert_allclose(form.covariance(working), np.outer(scale, scale) * form.covariance(theta))


@pytest.mark.parametrize("name", SMOOTH)
def test_what_is_inert_on_a_bound_or_singular(name):
    form = Correlated(name, 3)
    sds = np.ones(form.n_sd)
    assert not form.singular(np.append(sds, 0.3))
    assert form.singular(np.append(sds, 1.0))
    assert form.singular(np.append(sds, -1.0 if "ar1" in name else -0.5))
    assert form.on_bound(np.append(sds, 1.0))[-1] == 1
    zero = np.append(0.0 * sds, 0.7)
    assert form.inert(zero)[-1]
    assert form.snap(zero)[-1] == 0.0
    others = form.same_covariance(zero)
    assert {form.lower[-1], form.upper[-1]} <= {theta[-1] for theta in others}
    assert form.same_covariance(np.append(sds, 0.7))[0][-1] == 0.7


def test_forms_are_found_by_name():
    assert all(form_of(name, ("a", "b")) is None for name in STRUCTURES if name not in SMOOTH)
    assert form_of("ar1", ("a", "b"), [0, 3]).lag[0, 1] == 3
    with pytest.raises(ModelError, match="'toep' is no covariance structure: known are us, diag"):
        form_of("toep", ("a", "b"))


def test_differences_stay_within_the_box():
    lower, upper = np.array([0.0, -1.0]), np.array([np.inf, 1.0])

    def function(x):
        assert np.all(x >= lower)
        assert np.all(x <= upper)
        return np.array([[np.exp(x[0]) * np.sqrt(2.0 + x[1])]])

    for at in ([0.0, -1.0], [0.001, 0.995], [2.0, 1.0]):
        x = np.array(at)
        first, second = differences(function, x, lower, upper)
        e, s = np.exp(x[0]), np.sqrt(2.0 + x[1])
        np.testing.assert_allclose(first.ravel(), [e * s, e / (2 * s)], rtol=1e-8)
        np.testing.assert_allclose(second.ravel(), [e * s, e / (2 * s), e / (2 * s), -e / (4 * s**3)], rtol=1e-5)


class Exchangeable:
    """homcs as a user would write it, with √ at the bound, and with derivatives where asked."""

    def n_theta(self, q):
        return 2

    def names(self, effects):
        return ("sd", "rho")

    def bounds(self, q):
        return [(0.0, np.inf), (0.0, 1.0)]

    def start(self, q):
        return [1.0, 0.5]

    def factor(self, theta, q):
        sd, rho = theta
        return sd * np.column_stack([np.full(q, np.sqrt(rho)), np.sqrt(1.0 - rho) * np.eye(q)])


class Differentiated(Exchangeable):
    sign = 1.0

    def derivatives(self, theta, q):
        sd, rho = theta
        root = self.factor([1.0, rho], q)
        along = np.column_stack([np.full(q, 0.5 / np.sqrt(rho)), -0.5 / np.sqrt(1.0 - rho) * np.eye(q)])
        bend = np.column_stack([np.full(q, -0.25 * rho**-1.5), -0.25 * (1.0 - rho) ** -1.5 * np.eye(q)])
        second = np.array([[0 * root, along], [along, sd * bend * self.sign]])
        return np.array([root, sd * along]), second


class WithoutFactor:
    n_theta = names = bounds = start = Exchangeable.n_theta


def test_a_users_structure_is_differentiated_up_to_its_bounds():
    form, built_in = UserForm(Exchangeable(), ("a", "b", "c")), Correlated("homcs", 3)
    G = np.array([[2.0, -1.0, 0.5], [-1.0, 1.0, 0.3], [0.5, 0.3, -1.0]])
    for theta in ([1.0, 0.5], [0.0, 0.3], [2.0, 0.0], [0.7, 1.0]):
        theta = np.array(theta)
        np.testing.assert_allclose(form.covariance(theta), built_in.covariance(theta), atol=1e-14)
        np.testing.assert_allclose(form.factor(theta), built_in.factor(theta), atol=1e-8)
        np.testing.assert_allclose(form.first(theta), built_in.first(theta), atol=1e-9)
        np.testing.assert_allclose(form.bend(theta, G), built_in.bend(theta, G), atol=1e-6)
    assert form.names("g", ("a", "b", "c")) == ("g.sd", "g.rho")


def test_given_derivatives_are_used_and_checked():
    form = UserForm(Differentiated(), ("a", "b", "c"), "mine(0 + f | g)")
    built_in = Correlated("homcs", 3)
    theta = np.array([1.3, 0.4])
    np.testing.assert_allclose(form.first(theta), built_in.first(theta), atol=1e-13)
    np.testing.assert_allclose(form.bend(theta, np.eye(3)), built_in.bend(theta, np.eye(3)), atol=1e-12)
    wrong = Differentiated()
    wrong.sign = -1.0
    pattern = (
        r"the covariance structure Differentiated of `mine\(0 \+ f \| g\)`: the second derivative that `derivatives` "
        r"gives with respect to `rho` and `rho` is wrong: it makes that of T\[\d, \d\] at theta = .* -?\d.*, but "
        r"finite differences of `factor` give -?\d"
    )
    with pytest.raises(ModelError, match=pattern):
        UserForm(wrong, ("a", "b", "c"), "mine(0 + f | g)")


def _with(**answers):
    made = Exchangeable()
    for name, answer in answers.items():
        setattr(made, name, answer)
    return made


@pytest.mark.parametrize(
    "structure, message",
    [
        (WithoutFactor(), "WithoutFactor lacks the method `factor`: lmmtools.Structure says"),
        (_with(n_theta=lambda q: 0), r"`n_theta\(3\)` must be a whole number of at least 1; got 0"),
        (_with(names=lambda effects: ("sd",)), r"`names` must give 2 names; got \('sd',\)"),
        (_with(bounds=lambda q: [(0.0, 1.0)]), r"`bounds` must give 2 pairs \(lower, upper\), lower below upper"),
        (_with(bounds=lambda q: [(0.0, 0.0), (0.0, 1.0)]), "`bounds` must give 2 pairs"),
        (_with(start=lambda q: [1.0, 2.0]), r"`start` must give 2 numbers within the bounds; got \[1.0, 2.0\]"),
        (_with(start=lambda q: "here"), "`start` must give 2 numbers within the bounds; got 'here'"),
        (_with(factor=lambda theta, q: np.eye(2)), r"`factor` must give an array of shape \(3, s\).*got \(2, 2\)"),
        (_with(factor=lambda theta, q: None), r"`factor` must give an array of shape \(3, s\).*got NoneType"),
        (_with(factor=lambda theta, q: np.full((q, q), np.nan)), r"`factor` is not finite at theta = \[1. , 0.5\]"),
        (_with(factor=lambda theta, q: 1 / 0), r"`factor\(.*\)` failed with ZeroDivisionError: division by zero"),
        (_with(derivatives=lambda theta, q: (1, 2)), r"`derivatives` must give arrays of shape \(2, 3, 4\) and"),
    ],
)
def test_a_structure_that_does_not_answer_is_told_what_is_missing(structure, message):
    with pytest.raises(ModelError, match=message):
        UserForm(structure, ("a", "b", "c"))
