"""The dense oracle, under the name the tests use."""

from lmmtools.crosscheck.dense import DenseFit, DenseModel, DenseTerm, dense_model
from lmmtools.crosscheck.derivatives import gradient, hessian

__all__ = ["DenseFit", "DenseModel", "DenseTerm", "dense_model", "gradient", "hessian"]
