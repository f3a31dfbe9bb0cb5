"""Cross-validation: what models say of rows, or whole groups, that they were not fitted to."""

from __future__ import annotations

from lmmtools.validation.run import cross_validate
from lmmtools.validation.value import CrossValidation

__all__ = ["CrossValidation", "cross_validate"]
