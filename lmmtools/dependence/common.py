"""What the semivariogram and the autocorrelation take alike, and say alike of pairs and envelopes."""

from __future__ import annotations

from numbers import Real

import numpy as np
import pandas as pd

from lmmtools.dependence.pairs import Pairs
from lmmtools.errors import LMMError

__all__ = [
    "KINDS",
    "check_kind",
    "check_length",
    "drawn_note",
    "plain_format",
    "simulated_note",
]

# Kinds of residuals, and what they are called in a sentence.
KINDS = {"normalized": "normalized", "pearson": "Pearson"}


def check_length(value: float | None, what: str) -> None:
    """A longest distance.

    Raises
    ------
    LMMError
        If there is one and it is no positive number.
    """
    if value is not None and not (isinstance(value, Real) and value > 0):
        raise LMMError(f"{what} must be a positive number; got {value!r}.")


def check_kind(kind: str, what: str) -> str:
    """A kind of residual.

    Raises
    ------
    LMMError
        If there is no such kind here.
    """
    if kind not in KINDS:
        raise LMMError(f"{what}: kind={kind!r} is unknown; use {' or '.join(map(repr, KINDS))}.")
    return kind


def plain_format(values: pd.Series) -> str:
    """The format of distances: as they are where that is short."""
    return "data" if np.allclose(values, values.round(3), rtol=0.0, atol=1e-9) else "sig4"


def drawn_note(pairs: Pairs) -> tuple[str, ...]:
    """What is said where pairs are a sample."""
    if not pairs.sampled:
        return ()
    return (f"Of {pairs.total:,} pairs within groups a random sample of {pairs.drawn:,} was looked at.",)


def simulated_note(n: int, coverage: float) -> tuple[str, ...]:
    """What an envelope is."""
    if not n:
        return ()
    return (
        f"Envelope: {100 * coverage:.3g} % of responses drawn from the fitted model, point by point, by {n:,} "
        "simulations. Fixed effects, random effects and σ are estimated again from each, the other covariance "
        "parameters are kept at their estimates.",
    )
