"""What a notebook shows of a fit: what was fitted, its fixed effects, its variances, its messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lmmtools.formats import format_value
from lmmtools.residual_parameters import residual_correlations, residual_table
from lmmtools.tables import Column, Table

__all__ = ["Summary"]


@dataclass(frozen=True)
class Summary:
    """The tables of a fit, rendered one under the other in every medium."""

    fit: Any

    def tables(self) -> tuple[Table, ...]:
        """Facts of the fit, fixed effects, (co)variances, parameters of the residuals."""
        tables = [self._facts(), self.fit.coef_table().table(), self.fit.varcorr.table()]
        if self.fit.design.residual is not None:
            matrix = residual_correlations(self.fit)
            tables += [residual_table(self.fit).table(), *([] if matrix is None else [matrix.table()])]
        return tuple(tables)

    def _facts(self) -> Table:
        fit = self.fit
        groups = ", ".join(f"{n} levels of {factor}" for factor, n in fit.ngroups.items()) or _residual_groups(fit)
        criterion = "−2 restricted log-likelihood" if fit.reml else "−2 log-likelihood"
        aic, bic = (format_value(value, "fixed2") for value in (fit.aic, fit.bic))
        rows = (
            ("Formula", fit.formula),
            *([] if fit.design.residual is None else [("Residuals", fit.design.residual.text)]),
            ("Rows", f"{fit.nobs:,} in {groups}" if groups else f"{fit.nobs:,}"),
            (criterion, format_value(fit.criterion, "fixed4")),
            ("AIC, BIC", f"{aic}, {bic} ({fit.npar} parameters)"),
            ("Certificate", fit.certificate.status),
        )
        return Table(
            columns=(Column("what", "", header=True), Column("value", "")),
            rows=rows,
            caption=f"{_kind(fit)} by {fit.method}",
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


def _kind(fit: Any) -> str:
    """What was fitted."""
    if fit.design.terms:
        return "Linear mixed model fitted"
    return "Linear model fitted" if fit.design.residual is None else "Generalised least squares"


def _residual_groups(fit: Any) -> str:
    """How many groups the residuals are correlated in."""
    c = fit.design.correlation
    return f"{len(c.levels)} residual groups, the levels of {c.group}" if c is not None and c.group else ""
