"""The index: one offline page over all runs of a study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmmtools.formats import format_value
from lmmtools.records import STATUSES
from lmmtools.report.locate import resource_dir
from lmmtools.report.page import sentence
from lmmtools.report.run import Outcome

__all__ = ["Row", "index_page", "summary_row"]

_LINKS = {"html": "HTML", "pdf": "PDF", "json": "numbers", "ipynb": "notebook"}


@dataclass(frozen=True)
class Row:
    """One run as the index shows it: ``numbers`` are label and text, ``checks`` engine and counted verdicts."""

    name: str
    dataset: str
    title: str
    formula: str
    method: str
    status: str
    reasons: tuple[str, ...]
    numbers: tuple[tuple[str, str], ...]
    checks: tuple[tuple[str, tuple[str, ...]], ...]
    links: tuple[tuple[str, str], ...]


def index_page(title: str, outcomes: Sequence[Outcome]) -> str:
    """Return the index as one HTML file without clock times: the same runs give the same page.

    Parameters
    ----------
    title : str
        The study's.
    outcomes : sequence of Outcome
        In the study's order.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resource_dir("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    counted = Counter(outcome.status for outcome in outcomes)
    counts = [(status, counted[status]) for status in STATUSES if counted[status]]
    rows = [summary_row(outcome) for outcome in outcomes]
    template = environment.get_template("lmm_html/study.html.j2")
    return template.render(title=title, counts=counts, rows=rows, total=len(rows))


def summary_row(outcome: Outcome) -> Row:
    """Return the index's view of one outcome."""
    run, record = outcome.run, outcome.record
    # The status stands for the certificate's sentence, which the fit warned of too.
    certified = record.get("certificate", {}).get("sentence")
    said = (*outcome.reasons, *(warning for warning in outcome.warnings if warning != certified))
    return Row(
        name=run.name,
        dataset=run.dataset,
        title=run.title,
        formula=run.formula,
        method=run.method,
        status=outcome.status,
        reasons=tuple(dict.fromkeys(map(sentence, said))),
        numbers=tuple(_numbers(record["numbers"])) if record else (),
        checks=tuple(_verdicts(check) for check in record.get("cross_checks", ())),
        links=tuple((file, _LINKS[file.rpartition(".")[2]]) for file in outcome.files),
    )


def _numbers(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the focal coefficient with its standard error, the residual sd, the ICC and the criterion."""
    rows = []
    if found["coefficients"]:
        focal = found["coefficients"][-1]
        rows.append((focal, f"{_number(found['fixef'][focal])} ± {_number(found['stderr'][focal])}"))
    rows.append(("σ", _number(found["sigma"])))
    for group, share in (found["icc"] or {}).items():
        rows.append((f"ICC {group}", _number(share["adjusted"])))
    rows.append(("criterion", _number(found["criterion"])))
    return rows


def _number(value: float | None) -> str:
    return format_value(value, "sig4")


def _verdicts(check: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Return a cross-check's engine and its verdicts, counted."""
    return str(check["engine"]), tuple(f"{verdict}: {count}" for verdict, count in check["counts"].items())
