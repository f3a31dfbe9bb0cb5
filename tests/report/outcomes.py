"""Outcomes as a study leaves them, made up, and what a parser finds in a page of theirs."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from lmmtools.report.asked.expand import Run
from lmmtools.report.asked.parameters import Parameter
from lmmtools.report.runs.outcome import Outcome

HOSTILE = "</script><script>alert(1)</script> \"' ]]> -->\n{{ x }} \u202egnp.\u202c עברית 😀 漢 =1+1"


def run_of(name="orthodont-slope-reml", **changes):
    given = {
        "notebook": Path("model_report.ipynb"),
        "dataset": "Orthodont",
        "variant": "slope",
        "formula": "distance ~ age + (age | Subject)",
        "method": "REML",
        "title": "Dental growth",
        "parameters": ((Parameter("level", "float", 0.95, "coverage"), 0.95, False),),
        "timeout": 60.0,
    }
    return Run(name=name, **(given | changes))


def difference(quantity="standard error age", verdict="statsmodels stopped short", explanation="by 1e-11 deviance"):
    return {"quantity": quantity, "ours": 0.0712, "theirs": 0.0713, "difference": 1e-4, "verdict": verdict,
            "explanation": explanation}  # fmt: skip


def record_of(estimate=0.66, se=0.07, *, rows=None, interval=True, **changes):
    rows = [difference()] if rows is None else rows
    counts = {"equal": 2}
    for row in rows:
        counts[row["verdict"]] = counts.get(row["verdict"], 0) + 1
    low, high = {"Intercept": 15.2, "age": estimate - 2 * se}, {"Intercept": 18.2, "age": estimate + 2 * se}
    numbers = {
        "coefficients": ["Intercept", "age"],
        "fixef": {"Intercept": 16.7, "age": estimate},
        "stderr": {"Intercept": 0.77, "age": se},
        "sigma": 1.31, "criterion": 442.6, "loglik": -221.3, "aic": 454.6, "bic": 470.7, "npar": 6, "nobs": 108,
        "ngroups": {"Subject": 27}, "icc": {"Subject": {"icc": 0.55, "adjusted": 0.74}},
    }  # fmt: skip
    if interval:
        numbers["intervals"] = {"level": 0.95, "reference": "normal", "low": low, "high": high}
    return {
        "kind": "model", "formula": "distance ~ age + (age | Subject)", "numbers": numbers,
        "certificate": {"status": "certified", "sentence": "This is an optimum."},
        "cross_checks": [{"engine": "statsmodels 0.15.0 MixedLM", "ok": True, "counts": counts, "rows": rows,
                          "equal": ["fixed effect age", "fixed effect Intercept"]}],
    } | changes  # fmt: skip


def outcome_of(name="orthodont-slope-reml", *, status="ok", reasons=(), record=None, suffixes=None, current=True,
               warnings=(), **changes):  # fmt: skip
    suffixes = ("html", "pdf", "json", "ipynb") if suffixes is None else suffixes
    record = record_of() if record is None else record
    files = tuple(f"{name}.{suffix}" for suffix in suffixes)
    return Outcome(run_of(name, **changes), status, reasons, record, files, warnings, {"notebook": 1.25}, current)


def varied():
    """One run of everything that can become of a run."""
    bad = [difference("fixed effect age", "unexplained", "theirs should be 0.66 there"), difference()]
    return [
        outcome_of(),
        outcome_of("orthodont-slope-ml", method="ML", record=record_of(0.7)),
        outcome_of("dye-singular", dataset="Dyestuff", status="singular", reasons=("the fit is singular.",),
                   record=record_of(-3, interval=False), variant="batch"),
        outcome_of("dye-bad", dataset="Dyestuff", status="unexplained", record=record_of(rows=bad),
                   reasons=("The cross-check differs.",)),
        outcome_of("dye-failed", status="failed", reasons=("ValueError: no such <batch>",), record={},
                   suffixes=("html", "json", "ipynb", "log")),
        outcome_of("old", current=False, reasons=("The formula changed.",), record=record_of(123456.5)),
        outcome_of("unmade", current=False, status="failed", reasons=("Not asked for.",), record={}, suffixes=()),
        outcome_of("absent", focal="Sex[T.Female]"),
        outcome_of("compared", notebook=Path("model_comparison.ipynb"), method="", formula="",
                   record=record_of(kind="comparison", method="REML") | {"numbers": record_of()["numbers"] | {
                       "chosen": "slope", "verdict": "The data prefer slope."}}),
        outcome_of("explored", notebook=Path("exploration.ipynb"), method="", formula="", suffixes=("html",),
                   record={"kind": "exploration", "numbers": {"rows": 108}, "cross_checks": []}),
    ]  # fmt: skip


def hostile():
    record = record_of(rows=[difference(HOSTILE, "unexplained", HOSTILE)])
    record["numbers"] |= {"coefficients": [HOSTILE], "fixef": {HOSTILE: 1.0}, "stderr": {HOSTILE: 0.1}}
    record["numbers"] |= {"icc": {HOSTILE: {"adjusted": 0.5}, "g": {"adjusted": 0.1}}, "ngroups": {HOSTILE: 3}}
    record["cross_checks"][0]["engine"] = HOSTILE
    return [
        outcome_of(dataset=HOSTILE, variant=HOSTILE, formula=HOSTILE, title=HOSTILE, method=HOSTILE, reasons=(HOSTILE,),
                   warnings=("\ud800 half a pair",), record=record),
        outcome_of("other"),
    ]  # fmt: skip


def many(n):
    """As many outcomes of all kinds as a large study has."""
    made = []
    for i in range(n):
        found = replace(varied()[i % 10], current=i % 10 != 5)
        run = replace(found.run, name=f"run-{i:04d}", dataset=f"Data {i % 7}", title=f"Growth, variant {(i * 37) % n}")
        if i % 10 < 3:
            found = replace(
                found, record=record_of(0.5 + (i * 7919 % n) / n, rows=[difference(), difference("variance")])
            )
        made.append(replace(found, run=run, files=tuple(f"{run.name}.{s}" for s in ("html", "pdf", "json", "ipynb"))))
    return made


class Elements(HTMLParser):
    """Elements as (tag, attributes), and the text of each row of the table."""

    def __init__(self, page):
        super().__init__()
        self.found, self.rows, self.text, self.raw = [], {}, "", ""
        self._row, self._raw = "", None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self._raw = tag if tag in ("script", "style") else None
        if tag == "tr":
            self._row = dict(attrs).get("id", self._row)

    def handle_endtag(self, tag):
        self._raw = None

    def handle_data(self, data):
        if self._raw:
            self.raw += data
            return
        self.text += data
        self.rows[self._row] = self.rows.get(self._row, "") + data

    def of(self, tag, **attributes):
        return [one for name, one in self.found
                if name == tag and all(one.get(k) == v for k, v in attributes.items())]  # fmt: skip


def row_of(found, name):
    """The text of a row, as it is read."""
    return re.sub(r"\s+", " ", found.rows[name])
