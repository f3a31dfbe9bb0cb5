"""Numbers of a fit by the path that names them.

`paths` reads a path, `heads` says what its first step may be, `mixed` and `curves` hold these first steps for the two
kinds of models, `value` follows a path to its number; `tables` keeps what many numbers are read from.
"""

from __future__ import annotations

from lmmtools.replication.quantities.paths import PathError
from lmmtools.replication.quantities.tables import Tables
from lmmtools.replication.quantities.value import head_of, models_named, path_forms, value_at

__all__ = ["PathError", "Tables", "head_of", "models_named", "path_forms", "value_at"]
