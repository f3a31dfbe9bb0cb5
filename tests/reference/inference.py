"""What R infers from the shipped fits, and fits of its own tables; see README.md in this folder."""

import gzip
import json
import re
from functools import cache
from pathlib import Path

import lmmtools as lt
from tests.reference.lme4_fits import data, fitted, references

HERE = Path(__file__).parent


@cache
def stored() -> dict[str, dict]:
    """Tables by kind: fits, profiles, profile_roots, means, exact, ranova, contests, lrt."""
    with gzip.open(HERE / "inference.json.gz", "rt", encoding="utf-8") as file:
        return json.load(file)


def inference(name: str) -> dict:
    """Of one of the shipped fits: ``satterthwaite``, ``hypotheses``, ``kenward_roger``, ``r2``, ``leverage_sum``."""
    return stored()["fits"][name]


def having(*keys: str) -> list[str]:
    """Names of the fits for which R gives all of these."""
    return [name for name, entry in stored()["fits"].items() if all(key in entry for key in keys)]


@cache
def model(formula: str, name: str, reml: bool) -> lt.LMMFit:
    """A fit of a table's model: one of the shipped fits where it is the same, made once."""
    method = "REML" if reml else "ML"
    for known, reference in references().items():
        same = re.sub(r"\s", "", reference["formula"]) == re.sub(r"\s", "", formula)
        if same and reference["data_frame"] == name and reference["method"] == method and not reference["weights"]:
            return fitted(known)
    return lt.fit_lmm(formula, data(name), reml=reml)


def models(entry: dict) -> list[lt.LMMFit]:
    """The fits of a table of several models, whose formulas stand in increasing order."""
    formulas = [formula.strip() for formula in entry["formula"].split("<")]
    return [model(formula, entry["data_frame"], entry["method"] == "REML") for formula in formulas]


def parameter(name: str, fit: lt.LMMFit) -> str:
    """Our name of an R profile's standard deviation or correlation, such as ``sd_Days|Subject``.

    A second term of a factor is ``Subject.1`` with us and ``Subject`` in R, whose factors may be turned around.
    """
    kind, rest = name.split("_", 1)
    columns, group = rest.rsplit("|", 1)
    wanted = {part.replace("(Intercept)", "Intercept") for part in columns.split(".", 1 if kind == "cor" else 0)}
    for row in fit.varcorr.itertuples():
        factor = re.sub(r"\.\d+$", "", row.grp)
        of = {part for part in (row.var1, row.var2) if part}
        if of == wanted and len(of) == len(wanted) and sorted(factor.split(":")) == sorted(group.split(":")):
            return f"{kind}({', '.join(part for part in (row.grp, row.var1, row.var2) if part)})"
    raise KeyError(name)
