"""The covariance notebook, run from top to bottom on designs of every kind."""

import re

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from tests.test_notebook_inference import RECORD, labels, prose, run, text

QUICK = {"simulations": 39}
OVARY = {
    "dataset": "Ovary",
    "formula": "follicles ~ sin(6.283185307179586 * Time) + cos(6.283185307179586 * Time)",
    "time": "Time",
    "group": "Mare",
}
DESIGNS = {
    "common occasions": {},
    "a structure of one's own choice": {"residual": "us(age | Subject) * varident(age)"},
    "by ML": {"reml": False, "structures": ["independent", "cs(Subject)"]},
    "any times": OVARY | {"structures": ["independent", "car1(Time | Mare)", "cs(Mare)"]},
    "random effects": {
        "dataset": "sleepstudy", "formula": "Reaction ~ Days + (1 | Subject)", "time": "Days", "group": "Subject",
    },
    "one structure": {"structures": ["ar1(age | Subject)"]},
    "variances alone": {"structures": ["varident(Sex)"]},
}  # fmt: skip


@pytest.mark.parametrize("design", DESIGNS)
def test_it_is_whole_for_every_design(design):
    shown = run("covariance_report", **QUICK, **DESIGNS[design])
    there = labels(shown)
    assert len(set(there)) == len(there)
    assert set(re.findall(r"(?<![\\\w])@((?:tbl|fig)-[\w-]+)", prose(shown))) <= set(there)
    wanted = {"tbl-occasions", "tbl-residual-structures", "fig-residual-structures", "fig-semivariogram-normalized",
              "fig-semivariogram-pearson", "tbl-structure-effects", "fig-structure-effects",
              "tbl-crosscheck"}  # fmt: skip
    assert wanted <= set(there)
    assert ("fig-covariance-match" in there) == ("fig-autocorrelation-normalized" in there) == (design != "any times")
    assert shown[-1][0][RECORD]["status"] in ("ok", "singular")
    assert all(len(about["alt"]) > 40 for _, about in shown if about.get("kind") == "figure")


def test_it_tells_the_structure_asked_for():
    asked = "us(age | Subject) * varident(age)"
    shown = run("covariance_report", **QUICK, residual=asked)
    assert text(shown, "tbl-residual").startswith(f"Parameters of the residuals (REML): {asked}")
    with pytest.raises(lt.LMMError, match="is not among the structures compared"):
        run("covariance_report", **QUICK, residual="gaus(age | Subject)")


def test_places_have_no_occasions(tmp_path):
    rng = np.random.default_rng(1)
    data = pd.DataFrame(rng.uniform(0, 9, (80, 2)), columns=["east", "north"])
    gap = np.hypot(*(np.subtract.outer(data[c].to_numpy(), data[c].to_numpy()) for c in ("east", "north")))
    data["z"] = 3 + np.linalg.cholesky(np.exp(-gap / 2) + 0.1 * np.eye(80)) @ rng.normal(size=80)
    data.to_csv(tmp_path / "field.csv", index=False)
    shown = run(
        "covariance_report", **QUICK, dataset=str(tmp_path / "field.csv"), formula="z ~ east", time="", group="",
        structures=["exp(east + north)", "spher(east + north, nugget=True)"],
    )  # fmt: skip
    assert "fig-covariance-match" not in labels(shown)
    assert "fig-autocorrelation-normalized" not in labels(shown)
    assert "fig-semivariogram-pearson" in labels(shown)
    assert "positions are of 2 coordinates" in text(shown, "tbl-occasions")


def test_the_same_seed_gives_the_same_report():
    one, other = (run("covariance_report", **QUICK, structures=["ar1(age | Subject)"], seed=3) for _ in range(2))
    assert [data for data, _ in one[:-1]] == [data for data, _ in other[:-1]]
