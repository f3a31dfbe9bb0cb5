"""What a notebook shows of a fit: what was fitted, its fixed effects, its variances, its messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lmmtools.formats import format_value
from lmmtools.tables import Column, Table

__all__ = ["Summary"]


@dataclass(frozen=True)
class Summary:
    """The tables of a fit, rendered one under the other in every medium."""

    fit: Any

    def tables(self) -> tuple[Table, ...]:
        """Facts of the fit, fixed effects, (co)variances."""
        return (self._facts(), self.fit.coef_table().table(), self.fit.varcorr.table())

    def _facts(self) -> Table:
        fit = self.fit
        groups = ", ".join(f"{n} levels of {factor}" for factor, n in fit.ngroups.items())
        criterion = "−2 restricted log-likelihood" if fit.reml else "−2 log-likelihood"
        aic, bic = (format_value(value, "fixed2") for value in (fit.aic, fit.bic))
        rows = (
            ("Formula", fit.formula),
            ("Rows", f"{fit.nobs:,} in {groups}"),
            (criterion, format_value(fit.criterion, "fixed4")),
            ("AIC, BIC", f"{aic}, {bic} ({fit.npar} parameters)"),
            ("Certificate", fit.certificate.status),
        )
        return Table(
            columns=(Column("what", "", header=True), Column("value", "")),
            rows=rows,
            caption=f"Linear mixed model fitted by {fit.method}",
            label="tbl-fit",
            notes=fit.messages,
        )

    def text(self) -> str:
        """Plain text."""
        return "\n\n".join(t.text() for t in self.tables())

    def html(self) -> str:
        """HTML."""
        return "\n".join(t.html() for t in self.tables())

    def typst(self) -> str:
        """Typst markup."""
        return "\n\n".join(t.typst() for t in self.tables())

    def __repr__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.html(), "text/vnd.typst": self.typst(), "text/plain": self.text()}
