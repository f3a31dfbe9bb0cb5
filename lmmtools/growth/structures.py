"""The structures that Σ can have: their names, how many parameters each has, and which lies in which."""

from __future__ import annotations

__all__ = ["RANDOM", "STRUCTURES", "TITLES", "lies_in", "parameters"]

STRUCTURES = ("scalar", "diagonal", "free", "random", "random, unrestricted")
#: Those with Σ = XΩX' + σ²I.
RANDOM = ("random", "random, unrestricted")
#: What captions call them.
TITLES = {
    "scalar": "Σ scalar",
    "diagonal": "Σ diagonal",
    "free": "Σ free",
    "random": "Σ = XΩX' + σ²I",
    "random, unrestricted": "Σ = XΩX' + σ²I, Ω unrestricted",
}
_LARGER = {
    "scalar": STRUCTURES,
    "diagonal": ("diagonal", "free"),
    "free": ("free",),
    "random": ("random", "random, unrestricted", "free"),
    "random, unrestricted": ("random, unrestricted", "free"),
}


def parameters(structure: str, m: int, p: int) -> int:
    """Parameters of Σ, for m occasions and p columns of X."""
    if structure in RANDOM:
        return p * (p + 1) // 2 + 1
    return {"scalar": 1, "diagonal": m, "free": m * (m + 1) // 2}[structure]


def lies_in(smaller: str, larger: str) -> bool:
    """Whether every Σ of one structure is one of the other, the columns of X being the same."""
    return larger in _LARGER[smaller]
