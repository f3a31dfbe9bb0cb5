"""What the benchmark's figures are held against: the lowest criterion known of each case, the floor and the goals.

Floor: a criterion not above the best known by more than `EQUAL`, and never slower than the fastest Python engine
that reaches as good an optimum; for sleepstudy, where the formula alone takes a millisecond, at most
`SLEEPSTUDY` seconds instead. Goals are ratios of medians, those against Python engines held against the
fastest that comes near the optimum.
"""

from dataclasses import dataclass

EQUAL = 1e-6  # criteria closer than this are the same optimum
NEAR = 1e-3  # an engine that stops no further above it has found the optimum, if not all its digits
SLEEPSTUDY = 0.005

LOWEST = {  # REML criterion, the lowest of all engines when the cases were made
    "sleep": 1743.62827196,
    "math": 46561.41790764,
    "sing": 57840.84113057,
    "ri125k": 1175859.64089134,
    "rs1m": 2906492.06975917,
    "rs5": 289822.17093165,
    "nested": 595110.8505275,
    "cross100k": 294066.3326441,
    "inst": 237733.8341275,
}


@dataclass(frozen=True)
class Goal:
    """How many times as long lme4 and the fastest Python engine are to take at least, ours at most in seconds."""

    lme4: float | None = None
    peer: float | None = None
    seconds: float | None = None


GOALS = {
    "sleep": Goal(3.5, seconds=SLEEPSTUDY),
    "math": Goal(12),
    "sing": Goal(40, 2),
    "ri125k": Goal(90),
    "rs1m": Goal(300, 2),
    "rs5": Goal(2000, 2),
    "nested": Goal(100, 6),
    "cross100k": Goal(13, 3.5),
    "inst": Goal(16, 6),
    "ml1m": Goal(seconds=7),
}
