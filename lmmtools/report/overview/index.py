"""The index: offline pages over all runs of a study, and the same for other programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lmmtools.formats import format_value, visible
from lmmtools.report.locate import resource_dir
from lmmtools.report.overview.checks_page import check_rows, summary_sentence, without_empty_groups
from lmmtools.report.overview.entries import VERDICT_CLASSES, Entry, make_entry
from lmmtools.report.overview.forest import forest, interval_words
from lmmtools.report.overview.tabulate import as_csv, as_json
from lmmtools.report.pages.policy import page_policy
from lmmtools.report.pages.terms import formula_html, message_html
from lmmtools.report.pages.webfonts import web_fonts
from lmmtools.report.runs.outcome import Outcome

if TYPE_CHECKING:
    import jinja2

__all__ = ["STATUSES", "index_files", "index_page"]

# From good to bad, the record's first; records.py itself would bring pandas along.
STATUSES = ("ok", "singular", "flat direction", "unexplained", "failed", "out of date", "not made")
_WORST_FIRST = ("unexplained", "explained", "not compared", "equal", "not checked")
_LINKS = {"html": "HTML", "pdf": "PDF", "json": "JSON", "ipynb": "notebook"}
_LONG = 150  # characters of reasons that are shown unfolded


def index_files(
    title: str, outcomes: Sequence[Outcome], *, times: str = "run.json", above: tuple[str, str] | None = None
) -> dict[str, str]:
    """Return the files over all runs of a study, by name, without clock times: equal outcomes give equal bytes.

    Parameters
    ----------
    title : str
        The study's.
    outcomes : sequence of Outcome
        In the study's order; those that are out of date too.
    times : str
        Name of the file beside the index that holds the clock times; nothing breaks without it.
    above : tuple of str, optional
        Address and name of a page that the index leads back to.

    Returns
    -------
    dict of str to str
        ``index.json`` (everything; see `as_json`), ``index.csv`` (a row for each run), ``crosscheck.html`` (every
        number that another engine was asked for) and ``index.html``.
    """
    entries = [make_entry(outcome) for outcome in outcomes]
    return {
        "index.json": as_json(title, entries),
        "index.csv": as_csv(entries),
        "crosscheck.html": _checks_page(title, entries),
        "index.html": _runs_page(title, entries, times, above),
    }


def index_page(title: str, outcomes: Sequence[Outcome]) -> str:
    """Return ``index.html`` alone."""
    return _runs_page(title, [make_entry(outcome) for outcome in outcomes], "run.json", None)


def _runs_page(title: str, entries: Sequence[Entry], times: str, above: tuple[str, str] | None) -> str:
    scales, marks = forest(entries)
    facets = (
        ("status", "Status", _counted((entry.status for entry in entries), STATUSES)),
        ("data", "Data set", _counted(entry.dataset for entry in entries)),
        ("method", "Method", _counted(entry.method or "none" for entry in entries)),
        ("kind", "Kind", _counted(entry.kind for entry in entries)),
    )
    return _render(
        "lmm_html/study.html.j2",
        frames="'self'",
        title=title,
        entries=[
            (entry, mark, (entry.status, entry.dataset, entry.method or "none", entry.kind))
            for entry, mark in zip(entries, marks, strict=True)
        ],
        scales=scales,
        level=_level(entries),
        facets=facets,
        times=times,
        above=above,
    )


def _checks_page(title: str, entries: Sequence[Entry]) -> str:
    groups, rows = without_empty_groups(check_rows(entries))
    facets = (
        ("verdict", "Verdict", _counted((row.worst for row in rows), _WORST_FIRST)),
        ("data", "Data set", _counted(row.entry.dataset for row in rows)),
        ("engine", "Engine", _counted(row.engine or "none" for row in rows)),
    )
    return _render(
        "lmm_html/checks.html.j2",
        frames="'none'",
        title=title,
        summary=summary_sentence(rows),
        rows=[(row, (row.worst, row.entry.dataset, row.engine or "none")) for row in rows],
        groups=groups,
        rules=f":root {{ --groups: {len(groups)}; }}",
        classes=VERDICT_CLASSES,
        facets=facets,
    )


def _render(template: str, *, frames: str, facets: Sequence[tuple], rules: str = "", **values: Any) -> str:
    """Return a page with its style sheet and script inline, which its policy knows by their hashes."""
    environment = _environment()
    sheet = "\n".join([_sans(), *(_source(environment, f"{name}.css") for name in ("style", "index")), rules])
    script = "\n".join(_source(environment, f"{name}.js") for name in ("theme", "index"))
    return environment.get_template(template).render(
        policy=page_policy(scripts=(script,), styles=(sheet,), frames=frames),
        sheet=sheet,
        script=script,
        facets=facets,
        places=[{value: place for place, (value, _) in enumerate(choices)} for _, _, choices in facets],
        **values,
    )


def _source(environment: jinja2.Environment, name: str) -> str:
    return environment.get_template(f"lmm_html/{name}").render()


def _sans() -> str:
    """Return the rules of the one family these pages are set in; the others would weigh as much as 150 runs."""
    return "\n".join(rule for rule in web_fonts().splitlines() if '"Report Sans"' in rule)


def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resource_dir("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= _FILTERS
    return environment


def _shown(value: Any) -> Any:
    """Return what a page prints: no control character, line break or direction mark of a name leaves its place."""
    return visible(value) if type(value) is str else value


def _counted(values: Any, order: Sequence[str] = ()) -> list[tuple[str, int]]:
    """Return the values that occur with their counts, in the order given or as they come."""
    found = Counter(values)
    return [(value, found[value]) for value in order or found if found[value]]


def _level(entries: Sequence[Entry]) -> str:
    """Return what all intervals of the page cover, for the head of their column; nothing where they differ."""
    levels = {entry.focal.level for entry in entries if entry.focal.low is not None}
    level = levels.pop() if len(levels) == 1 else None
    return "" if level is None else f"{100 * level:g} % interval"


def _folded(reasons: Sequence[str]) -> tuple[str, str]:
    """Return what is shown of long reasons before they are unfolded, and nothing for short ones."""
    text = " ".join(reasons)
    return (f"{text[: _LONG // 2].rsplit(' ', 1)[0]} …" if len(text) > _LONG else ""), text


_FILTERS: Mapping[str, Callable] = {
    "key": lambda value: f"{value:.9g}",
    "number": lambda value: format_value(value, "sig4"),
    "share": lambda value: format_value(value, "fixed3"),
    "interval": interval_words,
    "folded": _folded,
    "formula": formula_html,
    "message": message_html,
    "link": lambda kind: _LINKS.get(kind, kind),
}
