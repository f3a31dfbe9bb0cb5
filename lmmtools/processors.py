"""The processors there are, and how many threads of linear algebra a process that shares them may have.

Nothing but the standard library is imported, so that a process that starts here can still be told.
"""

from __future__ import annotations

import os

__all__ = ["ONE_THREAD", "processor_count"]

# For the environment of as many processes as processors: a second thread in each only makes them wait for one another.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)


def processor_count() -> int:
    """Processors that this process may use, which on a shared machine are fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
