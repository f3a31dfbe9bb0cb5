"""Variance components with given matrices: V = ω₁²A + ω₂²B + ω₃²ZZ' + σ²W⁻¹, against the normal density itself."""

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt

N = 60
ROWS = np.arange(N)
FAR = np.abs(np.subtract.outer(ROWS, ROWS))
A, B = 0.8**FAR, np.exp(-((FAR / 3.0) ** 2)) + 1e-9 * np.eye(N)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"x": rng.normal(size=N), "id": [f"plot {i}" for i in ROWS], "a": np.tile(np.arange(6), 10)})
    frame["w"], frame["o"] = rng.uniform(0.3, 3.0, N), rng.normal(size=N)
    field = np.linalg.cholesky(A) @ rng.normal(size=N) + np.linalg.cholesky(B) @ rng.normal(size=N)
    return frame.assign(y=frame["x"] + field + rng.normal(size=6)[frame["a"]] + rng.normal(size=N))


def density(V, X, y, reml):
    """−2 log (restricted) density, β and σ at their best."""
    L = np.linalg.cholesky(V)
    Xt, yt = np.linalg.solve(L, X), np.linalg.solve(L, y)
    r2 = np.sum((yt - Xt @ np.linalg.lstsq(Xt, yt, rcond=None)[0]) ** 2)
    nu = len(y) - (X.shape[1] if reml else 0)
    value = 2 * np.log(np.diagonal(L)).sum() + nu * (1 + np.log(2 * np.pi * r2 / nu))
    return value + (np.linalg.slogdet(Xt.T @ Xt)[1] if reml else 0.0)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("weights", [None, "w"])
def test_given_matrices_with_weights_and_offset(data, reml, weights):
    fit = lt.fit_lmm(
        "y ~ x + (1 | id) + (1 | id) + (1 | a) + offset(o)",
        data.sample(frac=1.0, random_state=1),
        known={"id": (data["id"], A), "id.1": (data["id"][::-1], B[::-1, ::-1])},
        weights=weights,
        reml=reml,
    )
    assert list(fit.varcorr["grp"]) == ["id", "id.1", "a", "Residual"]
    assert fit.certificate.status.startswith("certified")
    Z, X = np.eye(6)[data["a"]], np.column_stack([np.ones(N), data["x"]])
    noise = np.eye(N) if weights is None else np.diag(1 / data["w"])

    def at(theta):
        shares = np.square(theta)
        V = shares[0] * A + shares[1] * B + shares[2] * Z @ Z.T + noise
        return density(V, X, (data["y"] - data["o"]).to_numpy(), reml)

    assert fit.criterion == pytest.approx(at(fit.theta), abs=1e-8)
    for k in range(3):
        for step in (-0.02, 0.02):
            assert at(np.maximum(fit.theta + step * np.eye(3)[k], 0.0)) >= fit.criterion - 1e-9


def test_a_known_identity_is_the_ordinary_factor(data):
    labels = sorted(set(data["a"]))
    plain = lt.fit_lmm("y ~ x + (1 + x | a)", data)
    known = lt.fit_lmm("y ~ x + (1 + x | a)", data, known={"a": (labels, np.eye(6))})
    assert known.criterion == pytest.approx(plain.criterion, abs=1e-8)
    np.testing.assert_allclose(known.fitted, plain.fitted, atol=1e-5)


def test_the_order_of_labels_and_rows_changes_nothing(data):
    frame = pd.DataFrame(A, data["id"], data["id"])
    first = lt.fit_lmm("y ~ x + (1 | id)", data, known={"id": frame})
    mixed = frame.sample(frac=1.0, random_state=3).sample(frac=1.0, axis=1, random_state=4)
    again = lt.fit_lmm("y ~ x + (1 | id)", data.sample(frac=1.0, random_state=5), known={"id": mixed})
    assert again.criterion == pytest.approx(first.criterion, abs=1e-9)
    modes = again.ranef["id"].loc[first.ranef["id"].index]
    np.testing.assert_allclose(modes, first.ranef["id"], atol=1e-6)
