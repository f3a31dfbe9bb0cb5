"""Refusals and notes that follow from the design alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt


def _data(n_groups, size, seed=0):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(n_groups), size)
    x = np.tile(np.arange(float(size)), n_groups)
    return pd.DataFrame({"y": rng.normal(size=len(g)), "x": x, "z": rng.normal(size=len(g)), "g": g})


def test_one_row_a_group_is_refused_with_the_model_without_it():
    with pytest.raises(lt.ModelError) as e:
        lt.fit_lmm("y ~ x + (1 | g)", _data(20, 1).assign(x=np.arange(20.0)))
    assert "each of the 20 levels of `g` has a single row (20 rows in all)" in str(e.value)
    assert "Fit `y ~ 1 + x` by least squares" in str(e.value)


def test_as_many_effects_as_rows_are_refused_with_a_smaller_model():
    with pytest.raises(lt.ModelError) as e:
        lt.fit_lmm("y ~ x + (1 + x | g)", _data(10, 2))
    assert "20 rows carry 10 × 2 = 20 random effects" in str(e.value)
    assert "`y ~ 1 + x + diag(1 + x | g)`" in str(e.value)


def test_the_suggested_model_fits():
    fit = lt.fit_lmm("y ~ x + diag(1 + x | g)", _data(10, 2))
    assert fit.certificate.status.startswith("certified")


def test_more_effects_than_rows_are_noted_where_the_variances_are_identified():
    data = _data(25, 2)
    fit = lt.fit_lmm("y ~ 1 + (1 + z + x | g)", data.assign(x=data["z"] ** 2))
    assert any("75 random effects are estimated from 50 rows" in m for m in fit.messages)


def test_a_slope_constant_within_groups_is_noted():
    data = _data(12, 4)
    data["between"] = data["g"] % 5
    fit = lt.fit_lmm("y ~ 1 + (1 + between | g)", data)
    assert any("`between` varies only between the levels of `g`" in m for m in fit.messages)


def test_few_levels_are_noted():
    fit = lt.fit_lmm("y ~ 1 + (1 | g)", _data(3, 6))
    assert any("`g` has only 3 levels" in m for m in fit.messages)


def test_ordinary_designs_have_nothing_to_note():
    assert lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy")).messages == ()
