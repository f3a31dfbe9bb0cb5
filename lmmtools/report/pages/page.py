"""What a report says around its blocks: title, facts, parameters, status and provenance."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmmtools.formats import counted, visible
from lmmtools.report.asked.parameters import Parameter
from lmmtools.report.pages.blocks import Block, Note, Prose, Record, blocks, join_code

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["Page", "Setting", "find_record", "make_page", "sentence"]

_TITLE = re.compile(r"\A\s*# +(.+?) *#*\s*(?:\n|\Z)")


@dataclass(frozen=True)
class Setting:
    """One parameter as the title block shows it; ``given`` says that the study set it."""

    name: str
    value: str
    help: str
    given: bool


@dataclass(frozen=True)
class Page:
    """A report, ready to be laid out.

    Attributes
    ----------
    title, subtitle : str
        The run's title, and the notebook's own.
    status : str
        One of the record's statuses.
    reasons : tuple of str
    settings : tuple of Setting
        All parameters, defaults included.
    facts, provenance : tuple of (str, str)
        Label and value.
    blocks : tuple of Block
    """

    title: str
    subtitle: str
    status: str
    reasons: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    settings: tuple[Setting, ...]
    provenance: tuple[tuple[str, str], ...]
    blocks: tuple[Block, ...]


def make_page(
    notebook: NotebookNode,
    *,
    title: str = "",
    status: str = "",
    reasons: tuple[str, ...] = (),
    parameters: tuple[tuple[Parameter, Any, bool], ...] = (),
    facts: tuple[tuple[str, str], ...] = (),
) -> Page:
    """Return the page of an executed notebook.

    Parameters
    ----------
    notebook : NotebookNode
    title, status, reasons
        The run's; where left out, the notebook's title and its record's status.
    parameters : tuple of (Parameter, object, bool)
        Declaration, value, and whether the study set it.
    facts : tuple of (str, str)
        What is known of a run that left no record.
    """
    content, heading = _without_title(blocks(notebook))
    record = find_record(content)
    status = status or str(record.get("status", "failed"))
    reasons = reasons or tuple(record.get("reasons", ()))
    shown_title = title or heading or "Report"
    return Page(
        title=_line(shown_title),
        subtitle=_line(heading) if heading != shown_title else "",
        status=status,
        reasons=tuple(dict.fromkeys(_line(sentence(reason)) for reason in reasons)),
        facts=tuple((label, _line(value)) for label, value in _facts(record) or facts),
        settings=tuple(
            Setting(one.name, _line(shown(value)), _line(one.help), given) for one, value, given in parameters
        ),
        provenance=_provenance(record),
        blocks=join_code(_without_repeats(content, reasons)),
    )


def find_record(content: tuple[Block, ...]) -> Mapping[str, Any]:
    """Return the last run record among the blocks, or an empty mapping."""
    found = [one.content for one in content if isinstance(one, Record)]
    return found[-1] if found else {}


def sentence(text: str) -> str:
    """Return a reason or warning as it begins a line: with a capital."""
    return text[:1].upper() + text[1:]


def shown(value: Any) -> str:
    """Return a parameter's value as readers see it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == "":
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _line(text: str) -> str:
    """Return text of the reader's own on one line, without characters that turn the direction of others."""
    return visible(" ".join(text.split()))


def _without_title(content: tuple[Block, ...]) -> tuple[tuple[Block, ...], str]:
    """Take the notebook's first-level heading out of its first prose: the title block shows it."""
    for number, block in enumerate(content):
        if isinstance(block, Prose):
            match = _TITLE.match(block.markdown)
            if not match:
                break
            rest = block.markdown[match.end() :]
            middle = (Prose(rest),) if rest.strip() else ()
            return content[:number] + middle + content[number + 1 :], match[1]
    return content, ""


def _without_repeats(content: tuple[Block, ...], reasons: tuple[str, ...]) -> Iterator[Block]:
    """Leave out the record, and each warning that the title block, the prose or an earlier note gives word for word."""
    said = " | ".join([*map(_words, reasons), *(_words(one.markdown) for one in content if isinstance(one, Prose))])
    for one in content:
        if isinstance(one, Note) and one.level == "warning":
            if _words(one.text) in said:
                continue
            said += f" | {_words(one.text)}"
        if not isinstance(one, Record):
            yield one


def _words(text: str) -> str:
    """Return the words of plain text or Markdown, whose marks differ."""
    return " ".join(re.findall(r"\w+", html.unescape(text).replace("\\_", "_")))


def _facts(record: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return what the title block says of what was done to which data; a fact the record lacks is left out."""
    if not record:
        return ()
    numbers = record["numbers"]
    compared = numbers.get("models", ())
    preferred = f"{numbers['chosen']}: {record['formula']}" if compared else ""
    groups = ", ".join(f"{counted(count, 'level')} of {name}" for name, count in numbers.get("ngroups", {}).items())
    facts = (
        ("Data", str(record["dataset"] or "unnamed")),
        ("Models", f"{len(compared)} compared by {numbers['compared_by']}" if compared else ""),
        ("Preferred", preferred),
        ("Model", "" if compared else str(record["formula"] or "")),
        ("Residuals", str(numbers.get("residual") or "")),
        ("Method", str(record["method"] or "")),
        ("Rows used", f"{numbers['nobs']:,}" if "nobs" in numbers else ""),
        ("Groups", groups),
    )
    return tuple((label, value) for label, value in facts if value)


def _provenance(record: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    if not record:
        return ()
    made = record["provenance"]
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    return (
        ("Data hash", f"sha256 {made['data_sha256']} over the rows used" if made["data_sha256"] else "none"),
        ("Versions", versions),
        ("Seed", "none" if made["seed"] is None else str(made["seed"])),
    )
