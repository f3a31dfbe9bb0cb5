"""The shipped lme4 fits, and the data and arguments to repeat each of them; see README.md in this folder."""

import gzip
import json
import re
import warnings
from functools import cache
from pathlib import Path

import pandas as pd

import lmmtools as lt

HERE = Path(__file__).parent
FILES = ("lme4_one_factor.json.gz", "lme4_several_factors.json.gz")
LARGE = 10_000  # rows from which a fit's tests are slow
DTYPES = {"float": "float64", "int": "int64", "factor": "str", "ordered": "str"}
# What the data cannot tell apart, and the words a certificate has to name it with: (1 | Worker) beside an
# unstructured 3 x 3 of the machines has 7 parameters for 6 covariances; (0 + Sex | Subject) never sees a boy and a
# girl in one subject. sd's and modes are then where the optimiser started; criterion, beta, its standard errors and
# V are not.
UNIDENTIFIED = {"Machines__dbar": ("Intercept", "Machine"), "Orthodont__bysex": ("Sex",)}

CODINGS = {"contr.poly": "poly", "contr.sum": "sum", "contr.helmert": "helmert"}


@cache
def references() -> dict[str, dict]:
    """Every fit by its name, such as ``sleepstudy__rs_reml``: one grouping factor, then several."""
    return {fit["id"]: fit for name in FILES for fit in read(name)}


def read(name: str, part: str = "fits") -> list[dict]:
    """The fits of one file, or another list it has."""
    with gzip.open(HERE / name, "rt", encoding="utf-8") as file:
        return json.load(file)[part]


@cache
def _catalogue() -> dict[str, dict]:
    return json.loads((HERE / "datasets.json").read_text(encoding="utf-8"))


@cache
def data(name: str) -> pd.DataFrame:
    """The data frame of a fit: the package's own data set, or the one kept here; factors as R has them."""
    if name not in _catalogue():
        return lt.load_dataset(name)
    entry = _catalogue()[name]
    columns = entry["columns"]
    frame = pd.read_csv(
        HERE / "data" / entry["file"],
        dtype={column: DTYPES[about["kind"]] for column, about in columns.items()},
        keep_default_na=False,
        na_values=[""],
    )
    for column, about in columns.items():
        if "levels" in about:
            frame[column] = pd.Categorical(frame[column], about["levels"], ordered=about["kind"] == "ordered")
    return frame


def contrasts(reference: dict) -> dict[str, str]:
    """R's codings that are not ours by default: it gives ordered factors polynomial contrasts unasked."""
    codings = {name: CODINGS.get(coding) for name, coding in reference["contrasts"].items()}
    return {name: coding for name, coding in codings.items() if coding}


@cache
def fitted(name: str) -> lt.LMMFit:
    """Our fit of the same model to the same data, made once; only the unidentified ones may warn."""
    with warnings.catch_warnings():
        if base(name) in UNIDENTIFIED:
            warnings.simplefilter("ignore", lt.LMMWarning)
        return refit(name)


def refit(name: str) -> lt.LMMFit:
    """Our fit, made anew."""
    reference = references()[name]
    return lt.fit_lmm(
        reference["formula"],
        data(reference["data_frame"]),
        reml=reference["method"] == "REML",
        weights=reference["weights"],
        contrasts=contrasts(reference) or None,
    )


def new_rows(reference: dict) -> pd.DataFrame:
    """The rows the reference predicts for."""
    return pd.DataFrame(reference["predict"]["newdata"])


def base(name: str) -> str:
    """Name without the method: ``sleepstudy__rs``."""
    return re.sub(r"_(reml|ml)$", "", name)
