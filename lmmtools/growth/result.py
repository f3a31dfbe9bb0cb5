"""The fitted growth curve model: a frozen value and its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.arguments import check_level
from lmmtools.errors import ModelError
from lmmtools.formats import counted
from lmmtools.frames import Frame, frame
from lmmtools.growth.estimators import regression
from lmmtools.growth.hypotheses import hypothesis_tests
from lmmtools.growth.problem import Problem
from lmmtools.growth.structures import RANDOM, TITLES, parameters
from lmmtools.inference.contrasts import Functions, df_format, estimate_columns
from lmmtools.tables import Table

__all__ = ["GmanovaFit"]


@dataclass(frozen=True, repr=False)
class GmanovaFit:
    """A growth curve model Y = G B X' + E, rows of E from N(0, Σ), fitted by maximum likelihood.

    Attributes
    ----------
    response, between_text, within_text : str
        As written.
    structure : {"scalar", "diagonal", "free", "random", "random, unrestricted"}
        Of Σ.
    Y, between, within : DataFrame
        Responses (n subjects, m occasions), G (n, g) and X (m, p).
    B : DataFrame, shape (g, p)
        Coefficients: rows as columns of G, columns as those of X.
    Sigma : DataFrame, shape (m, m)
        Maximum-likelihood estimate (divisor n).
    deviance : float
        n log det Σ + tr((Y − GBX')Σ⁻¹(Y − GBX')'), without constants, as de Leeuw (2004) has it.
    algorithm : {"closed form", "alternating"}
    n_evaluations : int
        Times that Σ was computed, from all starts.
    messages : tuple of str
        Everything a reader of the fit should know.
    problem : Problem
        The model in orthonormal bases.
    random : DataFrame, shape (p, p), or None
        Ω of Σ = XΩX' + σ²I; see `Omega`.
    units : Mapping[str, str]
        Of the columns of long data, where these are known.
    """

    response: str
    between_text: str
    within_text: str
    structure: str
    Y: pd.DataFrame
    between: pd.DataFrame
    within: pd.DataFrame
    B: pd.DataFrame
    Sigma: pd.DataFrame
    deviance: float
    algorithm: str
    n_evaluations: int
    messages: tuple[str, ...]
    problem: Problem
    random: pd.DataFrame | None = None
    units: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def nobs(self) -> int:
        """Observations, n × m."""
        return self.Y.size

    @property
    def n_subjects(self) -> int:
        """Rows of Y."""
        return self.problem.n

    @property
    def npar(self) -> int:
        """Number of parameters: B and Σ."""
        return self.B.size + parameters(self.structure, self.problem.m, self.problem.p)

    @property
    def criterion(self) -> float:
        """−2 log-likelihood with all constants: `deviance` + nm log 2π."""
        return self.deviance + self.nobs * float(np.log(2.0 * np.pi))

    @property
    def loglik(self) -> float:
        """The log-likelihood."""
        return -0.5 * self.criterion

    @property
    def aic(self) -> float:
        """criterion + 2 npar."""
        return self.criterion + 2.0 * self.npar

    @property
    def bic(self) -> float:
        """criterion + log(nm) npar: observations are counted, as for the same model fitted to long data."""
        return self.criterion + float(np.log(self.nobs)) * self.npar

    @property
    def fitted(self) -> pd.DataFrame:
        """G B̂ X', subjects by occasions."""
        return self.Y - self.residuals

    @property
    def residuals(self) -> pd.DataFrame:
        """Y − G B̂ X', subjects by occasions."""
        A = self.problem.between[1] @ self.B.to_numpy() @ self.problem.within[1].T
        return pd.DataFrame(self.problem.residuals(A), index=self.Y.index, columns=self.Y.columns)

    @property
    def correlations(self) -> pd.DataFrame:
        """Σ as correlations."""
        size = np.sqrt(np.diagonal(self.Sigma))
        return self.Sigma / np.outer(size, size)

    @property
    def sigma2(self) -> float:
        """σ² of Σ = σ²I, or of Σ = XΩX' + σ²I.

        Raises
        ------
        ModelError
            If Σ has several variances and no such part.
        """
        if self.structure == "scalar":
            return float(self.Sigma.iloc[0, 0])
        if self.structure not in RANDOM:
            raise ModelError(f"Σ is {self.structure}, with a variance for each occasion: see fit.Sigma.")
        rest = self.problem.within[2]  # what X leaves of the occasions, where Σ is σ²I
        return float(np.trace(rest.T @ self.Sigma.to_numpy() @ rest) / rest.shape[1])

    @property
    def Omega(self) -> pd.DataFrame:
        """Ω of Σ = XΩX' + σ²I, shape (p, p): how the coefficients of the subjects vary about GB.

        Raises
        ------
        ModelError
            If Σ is of another structure.
        """
        if self.random is None:
            raise ModelError(f"Σ is {self.structure} and has no Ω: fit with sigma='random' for Σ = XΩX' + σ²I.")
        return self.random

    @property
    def conditional(self) -> pd.DataFrame:
        """E(coefficients | Y), a row a subject, shape (n, p): GB + (Y − GBX')Σ⁻¹XΩ at the estimates; GB without Ω.

        Of random coefficients the best linear unbiased predictors, estimated.
        """
        mean = self.between.to_numpy() @ self.B.to_numpy()
        if self.random is not None:
            weights = np.linalg.solve(self.Sigma.to_numpy(), self.within.to_numpy() @ self.random.to_numpy())
            mean = mean + self.residuals.to_numpy() @ weights
        return pd.DataFrame(mean, index=self.Y.index, columns=self.B.columns)

    @cached_property
    def vcov(self) -> pd.DataFrame:
        """Covariance of B̂ as if Σ were Σ̂: (G'G)⁻¹ ⊗ (X'Σ̂⁻¹X)⁻¹, in the order of ``B.stack()``.

        The inverse of the expected information. With few subjects it is too small; `coef_table` has exact tests.
        """
        QX = self.problem.within[0]
        Sigma = self.Sigma.to_numpy()
        size = np.sqrt(np.diagonal(Sigma))
        root = np.linalg.cholesky(Sigma / np.outer(size, size))
        half = np.linalg.solve(root, QX / size[:, None])
        P = self.problem.from_within(np.linalg.inv(half.T @ half))
        names = self._names
        return pd.DataFrame(np.kron(self.problem.gram_inverse, P), index=names, columns=names)

    @property
    def se(self) -> pd.DataFrame:
        """Standard errors of B̂ from `vcov`."""
        return self._like_B(np.sqrt(np.diagonal(self.vcov)))

    @property
    def _names(self) -> pd.MultiIndex:
        return pd.MultiIndex.from_product([self.B.index, self.B.columns], names=["between", "within"])

    def _like_B(self, values: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame(np.reshape(values, self.B.shape), index=self.B.index, columns=self.B.columns)

    def coef_table(self, level: float = 0.95) -> Frame:
        """Estimates, standard errors, tests of zero and intervals, a row for each element of B.

        Σ free: t given the covariates Y_2 (what X leaves of the occasions), n − rank(G) − (m − p) degrees of freedom,
        exact whatever these are; Σ scalar: t of least squares, nm − gp; Σ = XΩX' + σ²I: t of the least-squares
        coefficients of the subjects, n − rank(G), exact; Σ diagonal: normal, from the information.

        Parameters
        ----------
        level : float
            Confidence level.

        Returns
        -------
        Frame
            ``estimate, std_error, df, statistic, p_value, ci_low, ci_high``.

        Raises
        ------
        ModelError
            If Σ = XΩX' + σ²I and G leaves no degrees of freedom for Ω.
        """
        check_level(level)
        problem = self.problem
        if self.structure in ("free", *RANDOM):
            found = regression(problem, self.structure)
            df = found.df
            if not df:
                raise ModelError(
                    f"coef_table: rank(G) = {problem.g} for {counted(problem.n, 'subject')} leaves no degrees of "
                    "freedom for how their coefficients vary, so B has no standard errors. Use fewer columns in "
                    "between, or sigma='scalar', with which curves of their own for subjects are taken as they are."
                )
            root = np.linalg.inv(problem.between[1])
            variances = np.outer(np.diagonal(root @ found.M @ root.T), np.diagonal(problem.from_within(found.W)) / df)
            given = " (given what X leaves of the occasions)" if self.structure == "free" else ""
            words = f"t with {df} df, exact{given}"
        elif self.structure == "scalar":
            df = self.nobs - self.B.size
            variances = np.diagonal(self.vcov) * self.nobs / df
            words = f"t with {df} df, exact"
        else:
            df, variances, words = np.inf, np.diagonal(self.vcov), "normal"
        std_error = np.sqrt(np.ravel(variances))
        functions = Functions(np.ravel(self.B), std_error, np.full(len(std_error), df), np.empty((0, 0)))
        table = pd.DataFrame(estimate_columns(functions, level), index=self._names)
        few = "The normal reference treats Σ as known: with few subjects the intervals are too short."
        return frame(
            table,
            caption=f"Coefficients B ({TITLES[self.structure]}), with {100 * level:g} % intervals; reference: {words}",
            label="tbl-coef",
            notes=(few,) if self.structure == "diagonal" else (),
            headings={"between": "Between", "within": "Within", "estimate": "Estimate", "std_error": "Std. error",
                      "df": "df", "statistic": "z" if np.isinf(df) else "t", "p_value": "p",
                      "ci_low": f"{100 * level:g} % low", "ci_high": "high"},
            formats={"estimate": "sig4", "std_error": "sig4", "df": df_format(table["df"]), "statistic": "fixed2",
                     "p_value": "p", "ci_low": "sig4", "ci_high": "sig4"},
        )  # fmt: skip

    def test(self, C: Any = None, D: Any = None, rhs: Any = None, test: str | Sequence[str] | None = None) -> Frame:
        """Test the hypothesis C B D = 0, or = rhs.

        Parameters
        ----------
        C : array_like (c, g), Mapping, DataFrame or names, optional
            Functions over the columns of G: rows of a matrix, names of columns, each by itself, or
            ``{"boys − girls": {"Sex[Male]": 1, "Sex[Female]": -1}}``. All columns when left out.
        D : array_like (p, d), Mapping, DataFrame or names, optional
            Functions over the columns of X: columns of a matrix, or as for C: ``"age"`` tests slopes. All when left
            out.
        rhs : float or array_like, shape (c, d), optional
        test : str or sequence of str, optional
            Σ free, or XΩX' + σ²I: ``"wilks"`` (default; F exact if C or D has at most two functions, else Rao's
            approximation), ``"lrt"`` (χ²), ``"pillai"``, ``"hotelling-lawley"``, ``"roy"``; Σ scalar: ``"f"`` (default,
            exact), ``"lrt"``; Σ diagonal: ``"lrt"``. ``"all"`` for all of them.

        Returns
        -------
        Frame
            A row a test: ``statistic, f_value, num_df, den_df, p_value, exact``; `exact` says what the reference is.

        Raises
        ------
        LMMError
            If C or D do not fit the columns, or the test is not defined for this Σ.

        Notes
        -----
        −n log Λ is the likelihood ratio, so ``"wilks"`` and ``"lrt"`` order samples alike; only the reference differs.
        Of sigma="random" that is so unless Ω ⪰ 0 binds; Wilks' Λ is exact even then.

        References
        ----------
        Khatri, C. G. (1966). A note on a MANOVA model applied to problems in growth curve. Ann. Inst. Stat. Math. 18.
        Grizzle, J. E. and Allen, D. M. (1969). Analysis of growth and dose response curves. Biometrics 25.
        Rao, C. R. (1951). An asymptotic expansion of the distribution of Wilks' criterion. Bull. Inst. Int. Stat. 33.
        """
        return hypothesis_tests(self, C, D, rhs, test)

    def lrt(self, smaller: GmanovaFit) -> Frame:
        """Likelihood-ratio test of a smaller model nested in this one; see `lmmtools.growth.nested.ratio_table`."""
        from lmmtools.growth.nested import ratio_table

        return ratio_table(smaller, self)

    def tables(self) -> tuple[Table, ...]:
        """Those of `summary`."""
        return self.summary().tables()

    def correlation_table(self, printed: Any = None) -> Frame:
        """Correlations of Σ, variances under them, as in papers; see `lmmtools.growth.layouts.correlation_table`."""
        from lmmtools.growth.layouts import correlation_table

        return correlation_table(self, printed)

    def summary(self) -> Any:
        """What a notebook shows: the tables of the fit."""
        from lmmtools.growth.summary import GrowthSummary

        return GrowthSummary(self)

    def __repr__(self) -> str:
        return self.summary().text()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return self.summary()._repr_mimebundle_(include, exclude)
