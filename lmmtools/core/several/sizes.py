"""What the products of several factors would take of memory, asked before any of it is allocated."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from lmmtools.errors import TooLarge

__all__ = ["dense_bytes", "memory_limit", "refuse_too_large"]

# Matrices over the effects of the last step that are held at once: two solutions, and what derivatives take.
_SQUARES = 6
# Arrays over the cells of the coupling likewise, of 8 bytes a value.
_PER_CELL = 8
# Share of the machine's memory that a fit may ask for, and what is taken for it where it cannot be asked.
_SHARE, _UNKNOWN = 0.75, 8e9


def dense_bytes(factors: Sequence[Any], first: int | None, n: int) -> float:
    """Bytes for the dense step over all factors but `first`, and for the coupling with that one."""
    rest = [f for k, f in enumerate(factors) if k != first]
    total = 8.0 * _SQUARES * sum(f.r * f.n_effects for f in rest) ** 2
    if first is not None:
        leaf = factors[first]
        cells = [f.r * (leaf.n_levels * f.n_effects if f.root is not None else min(n, leaf.n_levels * f.n_levels))
                 for f in rest]  # fmt: skip
        total += 8.0 * _PER_CELL * leaf.r * sum(cells)
    return total


def memory_limit() -> float:
    """Bytes that a fit may take."""
    try:
        return _SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return _UNKNOWN


def refuse_too_large(needed: float, factors: Sequence[Any], dense: Sequence[int], names: Sequence[str] | None) -> None:
    """Refuse what memory does not hold.

    Parameters
    ----------
    needed : float
        Bytes.
    factors : sequence of FactorColumns
    dense : sequence of int
        The factors whose effects are coupled with one another through the others.
    names : sequence of str or None

    Raises
    ------
    TooLarge
    """
    limit = memory_limit()
    if needed <= limit:
        return
    names = names or [f"factor {k + 1}" for k in range(len(factors))]
    parts = [f"`{names[k]}` ({factors[k].n_effects:,} levels × {factors[k].r} effects)" for k in dense]
    effects = sum(factors[k].r * factors[k].n_effects for k in dense)
    others = [f"`{name}`" for k, name in enumerate(names) if k not in dense]
    through = f", which the rows of {_listed(others)} tie to one another" if others else ""
    raise TooLarge(
        f"the random effects of {_listed(parts)}{through}, need dense matrices over all {effects:,} of these effects: "
        f"about {needed / 1e9:.1f} GB of memory, where {limit / 1e9:.1f} GB can be used. Leave out effects or a "
        "factor, merge rare levels, or fit a part of the data."
    )


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]
