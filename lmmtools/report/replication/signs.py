"""Verdicts as a page shows them: a mark and words, so that nobody needs colours to tell them apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lmmtools.formats import format_value

__all__ = ["SIGNS", "Sign", "counted_signs", "counts_sentence", "sign_of"]


@dataclass(frozen=True)
class Sign:
    """How a page shows one status.

    Attributes
    ----------
    status : str
        As the replication calls it, but "no estimate exists" where the source says so too.
    mark : str
        One character, in every font of the pages.
    kind : str
        ``good``, ``near`` or ``bad``: the colour it has where there are colours.
    heading : str
        Over a column of counts.
    said : str
        Within a sentence, after a number.
    meaning : str
        What the words mean, as a sentence.
    """

    status: str
    mark: str
    kind: str
    heading: str
    said: str
    meaning: str


# From good to bad.
SIGNS = (
    Sign("reproduced", "✓", "good", "reproduced", "reproduced as printed",
         "The computed number rounds to the printed one: it lies within half a unit of the last printed place, both "
         "ends included, so that it does not matter how ties were rounded."),
    Sign("truncated", "✓", "good", "truncated", "truncated",
         "The printed number is the computed one cut off after its last place instead of rounded."),
    Sign("variant", "→", "good", "under a variant", "reproduced under a variant",
         "The model as stated does not print the digits, another convention or model does: one that the ledger states, "
         "or one of those that were tried, if no more than one in twenty such numbers would match by luck. Whether the "
         "source itself says so is told under the number."),
    Sign("no estimate exists", "✓", "good", "no estimate exists", "rightly said to have no estimate",
         "The source says that the criterion has no minimum, by printing −∞, and it has none."),
    Sign("off by n", "≈", "near", "off by units", "off by some units in the last place",
         "At most nine units in the last printed place, and at most one percent of the number: another way of "
         "rounding, or an optimiser that stopped earlier. What might have printed it is told under the number."),
    Sign("not reproduced", "≠", "bad", "not reproduced", "not reproduced",
         "Further off than that. How many of its significant digits agree is told, and the reason where it is known."),
    Sign("no estimate", "≠", "bad", "no estimate", "without an estimate",
         "A number is printed, but the model as stated has no estimate."),
    Sign("error", "!", "bad", "error", "not computed, for an error",
         "Nothing could be computed: the entry is malformed, names something that is not there, or its model fails. "
         "The message stands under the number."),
)  # fmt: skip
_BY_STATUS = {sign.status: sign for sign in SIGNS}


def sign_of(entry: Any) -> Sign:
    """Return the sign of an entry's verdict; that nothing can be estimated is good where the source says the same."""
    return _BY_STATUS["no estimate exists" if entry.verdict == "no estimate" and entry.good else entry.verdict]


def counted_signs(entries: Iterable[Any]) -> tuple[tuple[Sign, int], ...]:
    """Return the signs that occur, from good to bad, each with how often."""
    found = Counter(map(sign_of, entries))
    return tuple((sign, found[sign]) for sign in SIGNS if found[sign])


def counts_sentence(counts: Iterable[tuple[Sign, int]]) -> str:
    """Return ``"12 are reproduced as printed, 1 is off by some units in the last place"``."""
    return ", ".join(f"{format_value(n, 'int')} {'is' if n == 1 else 'are'} {sign.said}" for sign, n in counts)
