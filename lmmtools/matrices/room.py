"""What is too large to write out."""

from __future__ import annotations

from lmmtools.errors import LMMError

__all__ = ["MOST_ENTRIES", "check_room"]

# Entries of a matrix that is written out: 0.6 GB with their places, and a few seconds.
MOST_ENTRIES = 5e7
_BYTES = 12  # a value and the row it stands in


def check_room(name: str, entries: float, size: int) -> None:
    """Refuse a matrix of so many entries that are not zero.

    Raises
    ------
    LMMError
    """
    if entries > MOST_ENTRIES:
        raise LMMError(
            f"model_matrices: {name} ({size:,} × {size:,}) has up to {entries:,.0f} entries other than zero, "
            f"{_BYTES * entries / 1e9:.3g} GB; at most {MOST_ENTRIES:,.0f} are written out. Name some groups: "
            "model_matrices(fit, groups={factor: [levels]})."
        )
