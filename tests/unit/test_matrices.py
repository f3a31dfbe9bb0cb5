"""The model's matrices: equal to the dense oracle's, of some rows as of all, R's numbers, and what is refused."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings

import lmmtools as lt
from lmmtools.matrices import NAMES, matrices_of_rows
from lmmtools.matrices import room as room_module
from tests.designs import problems, wider_problems
from tests.oracle import dense_model


def grown(n_groups: int = 7, seed: int = 4) -> pd.DataFrame:
    """Groups of three to six times, some missing, whose rows are not together."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(n_groups), rng.integers(3, 7, n_groups))
    t = np.concatenate([rng.choice(7, k, replace=False) for k in np.bincount(g)]).astype(float)
    n = len(g)
    data = pd.DataFrame({"g": [f"g{i}" for i in g], "h": rng.choice(list("abcd"), n), "t": t, "x": rng.normal(size=n),
                         "arm": np.where(g % 2, "b", "a"), "w": rng.uniform(0.5, 2.0, n)})  # fmt: skip
    data["y"] = 2 + 0.3 * t + rng.normal(size=n_groups)[g] + rng.normal(size=n)
    return data.iloc[rng.permutation(n)].reset_index(drop=True)


def agree(fit, rows=None):
    """Every matrix of some rows beside the oracle's, which makes its own Z, Lambda, R and V."""
    model = dense_model(fit.design, reml=fit.reml)
    theta = np.concatenate([fit.theta, fit.phi])
    rows = np.arange(fit.nobs) if rows is None else rows
    m = matrices_of_rows(fit, rows)
    T = model.Lambda(theta) @ model.Lambda(theta).T
    whole, seen = model.Z, np.zeros(model.Z.shape[1], dtype=bool)
    start = 0
    for term in fit.design.terms:  # the effects of levels that these rows have
        q = len(term.names)
        for level in np.unique(term.codes[rows]):
            seen[start + level * q : start + (level + 1) * q] = True
        start += q * len(term.levels)
    V = model.V(theta)[np.ix_(rows, rows)]
    R = model.R(theta)[np.ix_(rows, rows)]
    size = np.abs(V).max()
    np.testing.assert_array_equal(m.X, model.X[rows])
    np.testing.assert_array_equal(m.Z.toarray(), whole[np.ix_(rows, seen)])
    of_T = 1e-10 * max(np.abs(T).max(initial=0), 1)
    np.testing.assert_allclose(m.T.toarray(), T[np.ix_(seen, seen)], rtol=0, atol=of_T)
    np.testing.assert_allclose(m.R.toarray(), R, rtol=0, atol=1e-10 * size)
    np.testing.assert_allclose(m.V.toarray(), V, rtol=0, atol=1e-10 * size)
    Lambda = m.Lambda.toarray()
    np.testing.assert_allclose(Lambda @ Lambda.T, m.T.toarray(), rtol=0, atol=of_T)
    ZL = m.Z.toarray() @ Lambda
    A = ZL.T @ np.linalg.solve(R, ZL) + np.eye(Lambda.shape[1])
    L = m.L.toarray()
    assert np.array_equal(L, np.tril(L))
    assert np.all(np.diagonal(L) >= 1 - 1e-12)  # A is I and more
    np.testing.assert_allclose(L @ L.T, A, rtol=0, atol=1e-8 * np.abs(A).max(initial=1))
    return m


def of(problem):
    """The fit of a drawn problem that can be fitted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        try:
            return lt.fit_lmm(problem.formula, problem.data, reml=problem.reml, **problem.options)
        except lt.LMMError:
            assume(False)


@settings(max_examples=8)
@given(problems())
def test_the_matrices_are_the_definitions(problem):
    fit = of(problem)
    agree(fit)


@settings(max_examples=14)
@given(wider_problems())
def test_crossed_nested_structured_and_known_are_the_definitions(problem):
    fit = of(problem)
    agree(fit)
    agree(fit, np.random.default_rng(fit.nobs).permutation(fit.nobs)[: fit.nobs // 2])


@pytest.mark.parametrize(
    ("formula", "residual"),
    [
        ("y ~ t", "ar1(t | g) * varident(arm)"),
        ("y ~ t", "exp(t + x)"),
        ("y ~ t + (1 | g)", "car1(t | g)"),
        ("y ~ t + (1 | h)", "cs(g)"),
        ("y ~ t + (t | g)", "varpower(fitted())"),
        ("y ~ 0 + (1 | g)", "varident(arm)"),
        ("y ~ x + (1 | g) + (0 + x | g)", None),
    ],
)
def test_residual_structures_and_weights_are_in_R_and_V(formula, residual):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        fit = lt.fit_model(formula, grown(), residual=residual, weights="w")
    agree(fit)
    agree(fit, np.arange(fit.nobs)[::-3])


def test_rows_and_columns_are_those_of_the_groups_named_in_order():
    fit = lt.fit_lmm("y ~ t + (t | g)", grown())
    m = lt.model_matrices(fit, groups={"g": ["g4", "g1"]}, by="g")
    assert list(m.rows["g"].unique()) == ["g1", "g4"]
    assert m.effects.tolist() == [("g", level, effect) for level in ("g1", "g4") for effect in ("Intercept", "t")]
    np.testing.assert_array_equal(m.X[:, 1], fit.design.X[fit.design.index.get_indexer(m.rows.index), 1])
    assert lt.model_matrices(fit, ["g1", "g4"]).X.shape == m.X.shape
    V = m.V.toarray()
    same = m.rows["g"].to_numpy()[:, None] == m.rows["g"].to_numpy()
    assert np.all(V[~same] == 0)
    assert np.all(V[same] != 0)


def test_several_factors_named_are_met_in_their_common_rows():
    fit = lt.fit_lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", lt.load_dataset("Penicillin"))
    m = lt.model_matrices(fit, groups={"plate": ["a", "b"], "sample": "C"})
    assert m.Z.shape == (2, 3)
    with pytest.raises(lt.LMMError, match="no row is in the groups named of all of `g`, `h`"):
        data = grown()
        few = data[(data["g"] != "g0") | (data["h"] != "a")]
        lt.model_matrices(lt.fit_lmm("y ~ t + (1 | g) + (1 | h)", few), groups={"g": "g0", "h": "a"})


def test_L_has_the_log_determinant_of_lme4():
    # ldL2 of lme4 1.1-31 (R 4.2.2): getME(m, "devcomp")$cmp["ldL2"]; a permutation does not change it.
    sleep = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    plates = lt.fit_lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", lt.load_dataset("Penicillin"))
    for fit, theirs in ((sleep, 75.9613332064), (plates, 96.8368007334)):
        ours = 2 * np.log(lt.model_matrices(fit).L.diagonal()).sum()
        # lme4's optimum is loose: theta to some 1e-4, and this sum with it
        assert ours == pytest.approx(theirs, abs=2e-3)


def test_var_y_is_nlmes_marginal_covariance():
    # getVarCov(fit, type = "marginal") of nlme 3.1-162.
    fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    found = lt.model_matrices(fit, groups={"Subject": "308"}).frame("var(y)").to_numpy()
    theirs = [[1267.0219147, 621.6855472, 698.5338354], [621.6855472, 1321.3052885, 1023.7815875],
              [698.5338354, 1023.7815875, 4280.7060084]]  # fmt: skip
    np.testing.assert_allclose(found[np.ix_([0, 1, 9], [0, 1, 9])], theirs, rtol=2e-5)
    data = lt.load_dataset("Orthodont")
    both = lt.fit_lmm("distance ~ age + (1 | Subject)", data, residual="car1(age | Subject) * varident(Sex)")
    found = lt.model_matrices(both, groups={"Subject": "F03"}).matrix("var(y)").toarray()
    theirs = [5.1515329, 4.5892998, 4.4856588, 4.4665538]
    np.testing.assert_allclose(found[0], theirs, rtol=1e-4)


def test_correlations_and_scaled_ones_follow():
    fit = lt.fit_lmm("y ~ t + (t | g)", grown(), weights="w")
    m = lt.model_matrices(fit)
    V = m.V.toarray()
    np.testing.assert_allclose(m.matrix("cor(V)").toarray(), V / np.sqrt(np.outer(np.diag(V), np.diag(V))), atol=1e-14)
    np.testing.assert_allclose(m.matrix("var(y)").toarray(), fit.sigma**2 * V)
    np.testing.assert_allclose(m.matrix("var(b)").toarray()[:2, :2], fit.random_covariance["g"])
    np.testing.assert_array_equal(m.matrix("vcov"), fit.vcov)
    np.testing.assert_allclose(np.diag(m.matrix("cor(vcov)")), 1.0)


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_labelled_table(name):
    fit = lt.fit_lmm("y ~ t + (t | g)", grown())
    m = lt.model_matrices(fit, groups=["g1"])
    table = m.frame(name)
    dense = m.matrix(name)
    np.testing.assert_array_equal(table.to_numpy(), dense if isinstance(dense, np.ndarray) else dense.toarray())
    assert table.caption.endswith(": y ~ t + (t | g)")
    assert "g1" in repr(table) or name.endswith("vcov)") or name == "vcov"


def test_the_value_is_frozen():
    m = lt.model_matrices(lt.fit_lmm("y ~ t + (t | g)", grown()))
    for array in (m.X, m.Z.data, m.V.data, m.L.data, m.T.data):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
    with pytest.raises(AttributeError):
        m.X = None


def test_what_is_too_large_is_refused_with_its_size(monkeypatch):
    monkeypatch.setattr(room_module, "MOST_ENTRIES", 100)
    data = lt.load_dataset("sleepstudy")
    m = lt.model_matrices(lt.fit_lmm("Reaction ~ Days + (Days | Subject)", data))
    assert m.Z.shape == (180, 36)
    sentence = r"V \(180 × 180\) has up to 1,980 entries other than zero, .* Name some groups"
    with pytest.raises(lt.LMMError, match=sentence):
        _ = m.V
    with pytest.raises(lt.LMMError, match=r"R \(180 × 180\) has up to 1,800 entries"):
        lt.model_matrices(lt.fit_gls("Reaction ~ Days", data, residual="cs(Subject)"))


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"groups": {"subject": ["g1"]}}, r"`subject` is no grouping factor of this model; it has `g`\."),
        ({"groups": ["g1", "G1", "q"]}, r"`g` has no level `G1`, `q`; it has 7 levels: `g0`"),
        ({"groups": []}, "no level of `g` is named"),
        ({"by": "h"}, "`h` is no grouping factor"),
        ({"by": ["g"]}, "is no grouping factor"),
    ],
)
def test_mistakes_have_their_sentences(asked, sentence):
    fit = lt.fit_lmm("y ~ t + (t | g)", grown())
    with pytest.raises(lt.LMMError, match=sentence):
        lt.model_matrices(fit, **asked)


def test_a_matrix_that_is_none_and_what_is_no_fit():
    fit = lt.fit_lmm("y ~ t + (t | g)", grown())
    with pytest.raises(lt.LMMError, match=r"there is no matrix 'lambda' \(did you mean `Lambda`\?\)"):
        lt.model_matrices(fit).frame("lambda")
    with pytest.raises(lt.LMMError, match=r"there is no matrix \['V'\]"):
        lt.model_matrices(fit).matrix(["V"])
    with pytest.raises(lt.LMMError, match="names a group, but the model has no grouping factor"):
        lt.model_matrices(lt.fit_gls("y ~ t", grown()), groups=["g1"])
    with pytest.raises(lt.LMMError, match="takes a fit made by fit_lmm or fit_gls; got DataFrame"):
        lt.model_matrices(grown())
    with pytest.raises(lt.LMMError, match="too many for a table"):
        big = lt.fit_lmm("MathAch ~ cses + (1 | School)", lt.load_dataset("MathAchieve"))
        lt.model_matrices(big).frame("V")


@pytest.mark.parametrize("name", ["Z", "Lambda", "R", "T", "V", "L"])
def test_a_sparse_matrix_can_be_compared_though_it_is_read_only(name):
    fit = lt.fit_lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", lt.load_dataset("Penicillin"))
    found = lt.model_matrices(fit).matrix(name)
    assert ((found != 0).toarray() == (found.toarray() != 0)).all()
    with pytest.raises(ValueError, match="read-only"):
        found.data[0] = 0.0
