"""What to look at beside a check: a call as a value, which can be made as well as shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Look", "Written", "picture"]


@dataclass(frozen=True, eq=False)
class Written:
    """A value that a call has in other words than its own: rows of a column as ``data['x']``."""

    value: Any
    text: str

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True, eq=False)
class Look:
    """A call that draws a fit, or makes a table of it; its text is the call, with the package as ``lt``.

    Attributes
    ----------
    name : str
        A function of `lmmtools.plots`; of the package itself where it makes a table.
    options : tuple of (str, object)
        Keyword arguments beside the fit, in the order of the text.
    drawn : bool
        Whether it is a picture.

    Examples
    --------
    >>> str(picture("residuals_by_group", factor="Subject"))
    "lt.figure(lt.plots.residuals_by_group, fit, factor='Subject')"
    """

    name: str
    options: tuple[tuple[str, Any], ...] = ()
    drawn: bool = True

    @property
    def arguments(self) -> dict[str, Any]:
        """The keyword arguments as the function takes them."""
        return {name: value.value if isinstance(value, Written) else value for name, value in self.options}

    def __str__(self) -> str:
        said = ", ".join(["fit", *(f"{name}={value!r}" for name, value in self.options)])
        return f"lt.figure(lt.plots.{self.name}, {said})" if self.drawn else f"lt.{self.name}({said})"


def picture(plot: str, **options: Any) -> Look:
    """The look at a plot of that name."""
    return Look(plot, tuple(options.items()))
