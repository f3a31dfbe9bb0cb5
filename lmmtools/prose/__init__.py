"""Sentences and mathematics written from a fit: Markdown that a notebook shows and a report sets.

Every number in them is one that a table of the fit shows, rounded to what it can be known to; text that comes from
data is escaped.
"""

from __future__ import annotations

from lmmtools.prose.checks import checks
from lmmtools.prose.decisions import decision, reasons
from lmmtools.prose.diagnosing import covariates, effects, held_out, predicted
from lmmtools.prose.executive import summary
from lmmtools.prose.exploration import (
    exploration_candidates,
    exploration_figure,
    exploration_groups,
    exploration_lines,
    exploration_missing,
    exploration_response,
    exploration_summary,
    exploration_table,
    exploration_variation,
)
from lmmtools.prose.influential import influence
from lmmtools.prose.mathematics import model
from lmmtools.prose.method import methods
from lmmtools.prose.openings import levels, modes, needed, profiled, replicates, terms
from lmmtools.prose.preference import untested, verdict
from lmmtools.prose.residuals import residuals
from lmmtools.prose.sentences import certificate, crosscheck, data, icc
from lmmtools.prose.simpler import singular
from lmmtools.prose.value import Prose
from lmmtools.prose.warnings import caveats, singularity

__all__ = [
    "Prose",
    "caveats",
    "certificate",
    "checks",
    "covariates",
    "crosscheck",
    "data",
    "decision",
    "effects",
    "exploration_candidates",
    "exploration_figure",
    "exploration_groups",
    "exploration_lines",
    "exploration_missing",
    "exploration_response",
    "exploration_summary",
    "exploration_table",
    "exploration_variation",
    "held_out",
    "icc",
    "influence",
    "levels",
    "methods",
    "model",
    "modes",
    "needed",
    "predicted",
    "profiled",
    "reasons",
    "replicates",
    "residuals",
    "singular",
    "singularity",
    "summary",
    "terms",
    "untested",
    "verdict",
]
