"""Marginal means, slopes and contrasts of an unbalanced design equal emmeans'; see marginal_means.R."""

import gzip
import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt

FILE = Path(__file__).parent.parent / "reference" / "marginal_means.json.gz"
COLUMNS = {
    "emmean": "estimate", "x.trend": "estimate", "z.trend": "estimate", "estimate": "estimate", "SE": "std_error",
    "df": "df", "t.ratio": "statistic", "p.value": "p_value", "lower.CL": "ci_low", "upper.CL": "ci_high",
}  # fmt: skip


@cache
def stored():
    return json.loads(gzip.decompress(FILE.read_bytes()))


@cache
def fits():
    data = pd.DataFrame(stored()["data"])
    options = {"weights": {"weights": "w"}}
    rows = {"empty": ~((data["A"] == "c") & (data["B"] == "v"))}
    rows["additive"] = rows["empty"]
    return {
        name: lt.fit_lmm(formula, data[rows.get(name, slice(None))], **options.get(name, {}))
        for name, (formula,) in stored()["formulas"].items()
    }


def ours(fit, ask):
    ask = dict(ask)
    table = {"method": ask.pop("method", None), "adjust": ask.pop("adjust", None)}
    means = lt.marginal_means(fits()[fit], ask.pop("specs"), **ask)
    if table["method"] is not None:
        return means.contrasts(**table)
    return pd.DataFrame(means).assign(**pd.DataFrame(means.test())[["statistic", "p_value"]])


def test_the_fits_are_at_the_same_optimum():
    for name, (criterion,) in stored()["criteria"].items():
        assert fits()[name].criterion == pytest.approx(criterion, abs=1e-8)


@pytest.mark.parametrize("k", range(len(stored()["tables"])))
def test_a_table_equals_that_of_emmeans(k):
    table = stored()["tables"][k]
    (fit,) = table["fit"]
    mine, theirs = ours(fit, table["ask"]), table["result"]
    for name in ("A", "B", "contrast"):
        if name in theirs:
            assert [str(level) for level in mine[name]] == theirs[name]
    slopes = "trend" in table["ask"]  # one-sided differences over 1e-5 there
    for name, column in COLUMNS.items():
        if name not in theirs:
            continue
        a, b = mine[column].to_numpy(float), np.array(theirs[name], dtype=float)
        assert np.array_equal(np.isnan(a), np.isnan(b))
        size = mine["std_error"].to_numpy(float) if column in ("estimate", "ci_low", "ci_high") else 1.0
        size = np.maximum(1.0, np.abs(b)) if column in ("df", "statistic") else size
        assert np.nanmax(np.abs(a - b) / size) < (2e-5 if slopes else 3e-6), column
