"""lmmtools: linear mixed models, fitted, certified, cross-checked and reported.

Names are imported when they are first used (SPEC 1), so that ``import lmmtools`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.7.0"

_HOME = {
    "Bootstrap": "resampling",
    "Certificate": "certificate",
    "Criterion": "core.criterion",
    "CriterionGrid": "profiles.grids",
    "Design": "design",
    "Exploration": "explore",
    "Figure": "figures",
    "Frame": "frames",
    "GmanovaFit": "growth",
    "LMMFit": "results",
    "LambdaPattern": "core.structures",
    "MarginalMeans": "inference.means",
    "Profile": "profiles",
    "Replication": "replication.result",
    "ResidualStructures": "residual_choice",
    "Structure": "core.structures",
    "Table": "tables",
    "Triangulation": "triangulation",
    "autocorrelation": "dependence",
    "bootstrap": "resampling",
    "bootstrap_lrt": "comparison",
    "build_design": "design",
    "certify": "certificate",
    "check_assumptions": "assumptions",
    "coefficients": "models",
    "column": "dependence",
    "compare": "comparison",
    "compare_algorithms": "algorithms",
    "conditional_aic": "inference.conditional_aic",
    "conditional_modes": "groupwise",
    "covariance_match": "dependence",
    "criterion_grid": "profiles.grids",
    "cross_check": "crosscheck",
    "cross_validate": "validation",
    "deviance_path": "growth",
    "estimate": "results",
    "exact_lrt": "comparison",
    "explain_singular": "singular",
    "explore_data": "explore",
    "figure": "figures",
    "fit_gls": "fit",
    "fit_gmanova": "growth",
    "fit_groups": "groupwise",
    "fit_lmm": "fit",
    "fit_model": "fit",
    "fit_models": "variants",
    "frame": "frames",
    "gmanova_table": "growth",
    "hypotheses": "inference.hypotheses",
    "icc": "measures",
    "identities": "equations",
    "influence": "deletion",
    "iteration_table": "algorithms",
    "lattice": "lattices",
    "ledger_schema": "replication.ledger.schema",
    "list_datasets": "datasets",
    "load_dataset": "datasets",
    "lrt": "comparison",
    "marginal_means": "inference.means",
    "minimize": "core.optimize",
    "model_matrices": "matrices",
    "mundlak": "assumptions",
    "occasions": "dependence",
    "parse_formula": "formula",
    "parse_residual": "formula",
    "partial_residuals": "assumptions",
    "pick_structure": "residual_choice",
    "planned": "planning",
    "power": "planning",
    "prediction_grid": "surfaces",
    "preview": "frames",
    "profile": "profiles",
    "published": "replication.ledger.sources",
    "quantile_residuals": "uniformity",
    "r2": "measures",
    "ranova": "comparison",
    "read_data": "sources",
    "record": "records",
    "replicate": "replication.run",
    "residual_correlations": "residual_parameters",
    "residual_structures": "residual_choice",
    "residual_table": "residual_parameters",
    "robust_table": "inference.robust",
    "robust_vcov": "inference.robust",
    "semivariogram": "dependence",
    "shrinkage": "groupwise",
    "structure_effects": "residual_choice",
    "summarize": "results",
    "triangulate": "triangulation",
    "variance_explained": "measures",
    "DataError": "errors",
    "FormulaError": "errors",
    "LMMError": "errors",
    "LMMWarning": "errors",
    "ModelError": "errors",
    "NotYetSupported": "errors",
    "StudyError": "errors",
    "TooLarge": "errors",
    "UnboundedLikelihood": "errors",
}
_MODULES = ("plots", "prose")

__all__ = [*_HOME, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*(name for name in globals() if name.startswith("__")), *__all__})
