"""A test whose null distribution is simulated, as a value that shows itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lmmtools.formats import counted
from lmmtools.frames import Frame, frame

__all__ = ["SimulatedTest", "simulated_test"]


@dataclass(frozen=True, repr=False, eq=False)
class SimulatedTest:
    """A likelihood-ratio test by simulation of its null distribution.

    Attributes
    ----------
    statistic : float
        Twice the difference of the (restricted) log-likelihoods.
    p_value : float
        (r + 1)/(n + 1), r of n simulated values being larger, or by bootstrap as large.
    mc_error : float
        Its Monte-Carlo standard error.
    method : str
        What was simulated, and whether it is approximate.
    null : str
        The hypothesis, in words.
    simulated : ndarray, shape (n,)
        The values; NaN where a refit failed.
    failures : tuple of (int, str)
        Replicate and reason of each refit that failed.
    singular : int
        In how many replicates the larger model was singular.
    """

    statistic: float
    p_value: float
    mc_error: float
    method: str
    null: str
    simulated: np.ndarray
    failures: tuple[tuple[int, str], ...] = ()
    singular: int = 0

    def __post_init__(self) -> None:
        self.simulated.setflags(write=False)

    @property
    def table(self) -> Frame:
        """The test as a table of one row: ``statistic, p_value, mc_error``."""
        row = {"statistic": self.statistic, "p_value": self.p_value, "mc_error": self.mc_error}
        return frame(
            pd.DataFrame([row], index=[self.null]),
            caption=f"Likelihood-ratio test: {self.method}",
            label="tbl-simulated-test",
            notes=tuple(self._notes()),
            headings={"statistic": "Statistic", "p_value": "p", "mc_error": "± (simulation)"},
            formats={"statistic": "fixed4", "p_value": "p", "mc_error": "sig2"},
        )

    def _notes(self) -> list[str]:
        notes = []
        if self.failures:
            notes.append(
                f"{counted(len(self.failures), 'refit')} of {len(self.simulated):,} failed and could not be counted; "
                f"the first: {self.failures[0][1]}"
            )
        if self.singular:
            notes.append(
                f"The larger model was singular in {self.singular:,} of {len(self.simulated):,} replicates, as under "
                "the hypothesis it often is where a variance is zero; they count like the others."
            )
        return notes

    def __repr__(self) -> str:
        return repr(self.table)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple[dict, dict]:
        return self.table._repr_mimebundle_(include, exclude)


def simulated_test(
    statistic: float,
    values: np.ndarray,
    *,
    method: str,
    null: str,
    ties: bool = False,
    failures: tuple[tuple[int, str], ...] = (),
    singular: int = 0,
) -> SimulatedTest:
    """The test of a statistic against simulated values, NaN where there is none.

    `ties` counts values as large as the statistic, up to rounding, with the larger ones.
    """
    found = values[np.isfinite(values)]
    n = len(found)
    above = found >= statistic - 1e-9 * max(1.0, statistic) if ties else found > statistic
    p = (np.count_nonzero(above) + 1) / (n + 1)
    error = float(np.sqrt(p * (1.0 - p) / n)) if n else np.nan
    return SimulatedTest(statistic, float(p) if n else np.nan, error, method, null, values, failures, singular)
