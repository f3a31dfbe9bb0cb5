"""Sentences and mathematics written from a fit: Markdown that a notebook shows and a report sets.

Every number in them is one a table of the fit shows, in the same digits; text that comes from data is escaped.
"""

from __future__ import annotations

from lmmtools.prose.mathematics import model
from lmmtools.prose.sentences import certificate, crosscheck, data, icc, summary
from lmmtools.prose.value import Prose
from lmmtools.prose.warnings import caveats, singularity

__all__ = ["Prose", "caveats", "certificate", "crosscheck", "data", "icc", "model", "singularity", "summary"]
