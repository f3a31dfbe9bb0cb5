"""How papermill runs a notebook here: in memory, and saved once at its end."""

from __future__ import annotations

from typing import Any

from papermill.engines import NBClientEngine, papermill_engines

__all__ = ["ENGINE"]

ENGINE = "lmmtools"


class _SavedOnce(NBClientEngine):
    """papermill's own engine without a save before and after each cell, a sixteenth of a report's time."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **kwargs: Any) -> Any:
        """Execute the notebook; whatever stops it, papermill saves what there is afterwards."""
        path, nb_man.output_path = nb_man.output_path, None
        try:
            return super().execute_managed_notebook(nb_man, kernel_name, **kwargs)
        finally:
            nb_man.output_path = path


papermill_engines.register(ENGINE, _SavedOnce)
