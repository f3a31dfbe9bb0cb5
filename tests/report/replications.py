"""A replication made by hand: every verdict, every kind of text, as hostile as a ledger can make it."""

from dataclasses import replace
from types import SimpleNamespace

from lmmtools import Replication
from lmmtools.replication.alternatives import Search, Tried
from lmmtools.replication.printed import read_printed
from lmmtools.replication.result import ModelRun, Place, ReplicatedNumber, ReplicatedSource

# What is printed, what is computed, and what is said of it.
NUMBERS = (
    ("1743.6", 1743.62827, "reproduced", "reproduced", True, ""),
    ("24.74", 24.7488, "truncated", "truncated", True, ""),
    ("35.07", 32.86, "variant", "reproduced under a variant: the other method", True, "Printed by: ML."),
    ("-0.138", -0.1401, "off by n", "off by 2 units in the last place", False, "Of 14 alternatives none prints it."),
    ("612.1002", 612.0899, "not reproduced", "not reproduced; 4 of 7 digits agree", False, "Reason not found."),
    ("58", None, "no estimate", "a number is printed, but no estimate exists", False, "The variance goes to zero."),
    ("-inf", None, "no estimate", "no estimate exists", True, ""),
    ("8.8e-11", None, "error", "error", False, "there is no data set `sleep` (`sleepstudy`?)."),
)


def number(source, at, place, model, row, level=""):
    printed, computed, verdict, words, good, remark = row
    shown = "no estimate" if verdict == "no estimate" else ""
    return ReplicatedNumber(
        source=source, at=at, table=0, place=place, page="12", line="7" if at % 2 else "", read="",
        quantity=f"quantity {at}{level}", printed=printed, path="varcorr.Subject.Days.sd", model=model,
        note=f"a note{level}" if at % 3 == 0 else "", reason="", says="", number=read_printed(printed), fault="",
        computed=computed, computed_text=shown if computed is None else read_printed(printed).shown(computed),
        verdict=verdict, verdict_text=words, units=None, good=good, looked_at=verdict != "error",
        remark=f"{remark}{level}" if remark else "", search=None, own_remark=f"{remark}{level}" if remark else "",
    )  # fmt: skip


def source(name, level="", rows=NUMBERS, problems=()):
    """A source of two places, the second with numbers of two models."""
    models = [
        ModelRun(model, f"lmer(y ~ x, data{level})", "y ~ x + (x | g)", "REML", "sleepstudy",
                 (("Filter", "x > 1"),), "", "it failed" if model == "fm2" else "")
        for model in ("fm1", "fm2")
    ]  # fmt: skip
    first = tuple(number(name, 10 + i, "Table 1", "fm1", row, level) for i, row in enumerate(rows))
    second = tuple(number(name, 40 + i, "Table 2", f"fm{i + 1}", rows[0], level) for i in range(2))
    return ReplicatedSource(
        name=name, title=f"On {name}{level}", citation=f"Author, A. (2015). On {name}{level}. Journal 1.",
        read=f"the print{level}", remarks=f"Five digits{level}.", sha256="0" * 64,
        models={model.name: model for model in models},
        places=(Place("Table 1", "12", "", "", first), Place(f"Table 2{level}", "13", "7", f"a scan{level}", second)),
        problems=problems,
    )  # fmt: skip


def sharing():
    """A source two of whose numbers fail for one reason, one of which might be printed by luck."""
    reason = "The search ended early."
    found = (
        Search((Tried("ML", "", 1.0), Tried("EM", "", 2.0)), (), None, 1.3e-9),
        Search((Tried("ML", "", 1.0), Tried("EM", "", 2.0)), (Tried("EM", "", 2.0),), 0.5, 1e-12),
    )
    plain = source("shared", rows=NUMBERS[:1])
    missed = tuple(
        replace(number("shared", at, "Table 1", "fm1", NUMBERS[at - 10]), search=search, shared=True,
                remark=f"{reason} {search.sentence}", own_remark=search.sentence)
        for at, search in zip((13, 14), found, strict=True)
    )  # fmt: skip
    place = plain.places[0]
    return replace(plain, places=(replace(place, entries=(*place.entries, *missed), remark=reason),))


def replication(*sources):
    return Replication(sources, {"lmmtools": "1.0", "python": "3.11"}, {"all": 1.0})


def printed_as(text):
    """How a page shows what is printed."""
    return "−∞" if text == "-inf" else text.replace("-", "−")


def silent():
    """Someone who is told how far it is and says nothing."""
    names = ("number", "start", "end", "say")
    return SimpleNamespace(**{name: lambda *_: None for name in names})
