"""What can be said about the parameters of a fit: one idea a module, plain functions of a fit."""
