"""A model of a ledger in words: as its source writes it and as it is run."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import UNSET

from lmmtools.replication.ledger.schema import Model
from lmmtools.toml import Column

__all__ = ["ModelRun", "model_run"]


@dataclass(frozen=True)
class ModelRun:
    """A model as the source writes it and as it is run.

    Attributes
    ----------
    name, printed, data : str
    run : str
        In a line: ``"Reaction ~ Days + (Days | Subject)"``.
    method : str
        ``"REML"`` or ``"ML"``.
    options : tuple of (str, str)
        What is set besides, with what it is called.
    status : str
        What the fit's certificate says; empty where there is none, or no fit.
    message : str
        Why it could not be fitted; empty if it could.
    """

    name: str
    printed: str
    run: str
    method: str
    data: str
    options: tuple[tuple[str, str], ...]
    status: str
    message: str


def model_run(name: str, model: Model, status: str, message: str) -> ModelRun:
    """A model in words, and what became of its fit.

    Parameters
    ----------
    name : str
    model : Model
    status, message : str
        As of `ModelRun`.
    """
    return ModelRun(
        name=name,
        printed=model.printed,
        run=_line(model),
        method=_method(model),
        data=model.data,
        options=_options(model),
        status=status,
        message=message,
    )


def _line(model: Model) -> str:
    """What is fitted, in a line: the formula, or that of a growth curve with both its sides."""
    if model.growth is UNSET:
        return str(model.formula)
    sigma = "free" if model.sigma is UNSET else model.sigma
    return f"{model.growth}, between {model.between}, within {model.within}, Σ {sigma}"


def _method(model: Model) -> str:
    """How it is estimated: growth curves by maximum likelihood, mixed models by REML if nothing is said."""
    if model.growth is not UNSET:
        return "ML"
    return "REML" if model.method is UNSET else model.method


def _options(model: Model) -> tuple[tuple[str, str], ...]:
    """What else is set, with what it is called."""
    start = ", ".join(f"{name} = {value:g}" for name, value in model.start.items())
    contrasts = ", ".join(f"{name}: {coding}" for name, coding in model.contrasts.items())
    columns = ", ".join(f"{name}: {_column(about)}" for name, about in model.columns.items())
    found = {
        "Rows": model.filter,
        "Columns": columns,
        "Residuals": model.residual,
        "Column row": f"counts rows within {model.row}" if model.row else "",
        "Weights": model.weights,
        "Contrasts": contrasts,
        "Search starts at": start,
    }
    return tuple((label, text) for label, text in found.items() if text)


def _column(about: Column) -> str:
    ordered = "" if about.levels is UNSET else " of levels " + ", ".join(map(str, about.levels))
    return ("as read" if about.kind is UNSET else about.kind) + ordered
