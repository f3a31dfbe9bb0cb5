"""Numbers computed over processes, each model fitted once.

Nothing is imported here: `workers` must load without whatever computes.
"""
