"""Values to strings, decided once: every rendering of a table or sentence prints what this module returns."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from lmmtools.errors import LMMError

__all__ = [
    "closest",
    "counted",
    "effect_unit",
    "estimate_format",
    "format_column",
    "format_value",
    "interval_format",
    "is_missing",
    "is_numeric_format",
    "is_scale",
    "listed",
    "nearest",
    "quoted",
    "rounded",
    "shared_unit",
    "shortened",
    "shown",
    "singular",
    "spread",
    "visible",
    "with_unit",
]

MINUS = "\N{MINUS SIGN}"
MISSING = "\N{EM DASH}"
FIGURE_SPACE, POINT_SPACE = "\N{FIGURE SPACE}", "\N{PUNCTUATION SPACE}"

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SPEC = re.compile(r"estimate[0-9]?|data|p|int|percent|text|sci|fixed[0-9]|sig[1-9]|plain[1-9]")

# What is given as a unit but is the name of a scale: one says "0.3", not "0.3 rating", and "per unit", not "per index".
_SCALES = frozenset(
    "count counts fraction index probability proportion rank rating ratio score scale".split()
    + ["scale score", "standard score", "z score", "z-score", "dimensionless", "unitless"]
)

# An end of an interval below this share of the other is shown in the other's decimals.
_TINY = 0.01
# A number that is this close to a whole one, relative to its size, is one but for rounding.
_WHOLE = 1e-12
# A column shares its decimals as long as its largest value then shows at most this many digits.
_MOST_DIGITS = 8


def format_column(values: Sequence[object], spec: str = "text") -> tuple[str, ...]:
    """Strings of one table column.

    Parameters
    ----------
    values : sequence
        Numbers or objects; ``None`` and NaN are missing.
    spec : str
        ``"estimate"`` (four significant digits of the largest value, three or more of the others where that
        is possible, decimals shared by the column), ``"estimate0"`` … ``"estimate9"`` (the same with these
        decimals, for columns that share them), ``"data"`` (as recorded, up to six decimals, shared),
        ``"sig1"`` … ``"sig9"`` (significant digits of each value,
        padded so that points align), ``"plain1"`` … ``"plain9"`` (the same, whole numbers without decimals),
        ``"fixed0"`` … ``"fixed9"`` (decimals), ``"p"`` (three decimals, ``< 0.001``), ``"int"``, ``"percent"`` (one
        decimal), ``"sci"``, ``"text"``.

    Returns
    -------
    tuple of str
        Missing numbers are an em dash, missing texts empty; negative numbers have a true minus sign.

    Raises
    ------
    LMMError
        When `spec` is none of the above.
    """
    if not isinstance(spec, str) or not _SPEC.fullmatch(spec):
        raise LMMError(
            f"{spec!r} is not a column format; use estimate, data, p, int, percent, sci, text, "
            "estimate0 to estimate9, fixed0 to fixed9, sig1 to sig9 or plain1 to plain9."
        )
    if spec == "text":
        return tuple("" if is_missing(v) else visible(_plain(v)) for v in values)
    if not all(_is_number(v) for v in values if not is_missing(v)):
        return tuple(_mixed(v, spec) for v in values)
    numbers = [None if is_missing(v) else float(v) for v in values]
    if spec.startswith("estimate"):
        decimals = int(spec[-1]) if spec[-1].isdigit() else _shared_decimals([x for x in numbers if x is not None])
        return tuple(_estimate(x, decimals) for x in numbers)
    if spec == "data":
        decimals = _recorded_decimals([x for x in numbers if x is not None])
        return tuple(_number(x, f"fixed{decimals}") for x in numbers)
    if spec == "int":  # integers beyond 2**53 must not pass through floats
        return tuple(MISSING if is_missing(v) else _integer(v) for v in values)
    strings = [_number(x, spec) for x in numbers]
    return tuple(_align_points(strings) if spec.startswith(("sig", "plain")) else strings)


def estimate_format(numbers: Iterable[float]) -> str:
    """The format in which columns of estimates share their decimals: ``"estimate3"``."""
    return f"estimate{min(_shared_decimals(list(map(float, numbers))), 9)}"


def interval_format(low: Iterable[float], high: Iterable[float]) -> str:
    """The format in which both ends of intervals share their decimals; one tiny beside the other sets none."""
    ends = []
    for pair in zip(low, high, strict=True):
        finite = [abs(float(x)) for x in pair if math.isfinite(x)]
        ends += [x for x in finite if x >= _TINY * max(finite)]
    return estimate_format(ends)


def format_value(value: object, spec: str = "estimate") -> str:
    """One value as a table column of its own would show it."""
    return format_column((value,), spec)[0]


def is_missing(value: object) -> bool:
    """Whether `value` is None, NaN, pandas' NA or NaT."""
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return True
    return isinstance(value, float) and math.isnan(value)


def is_numeric_format(spec: str) -> bool:
    """Whether a column of this format is set flush right, in figures of equal width."""
    return spec != "text"


def visible(text: str) -> str:
    r"""`text` on one line: control characters, line breaks and direction marks as escapes such as ``\n``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\N{NO-BREAK SPACE}" else _escaped(c) for c in text)


def shown(value: float, digits: int = 3) -> str:
    """A number within a sentence."""
    return format_value(float(value), f"sig{digits}")


def counted(n: int, one: str, many: str | None = None) -> str:
    """``"1 group"``, ``"2 groups"``, ``"12,000 rows"``."""
    return f"{format_value(int(n), 'int')} {one if n == 1 else many or one + 's'}"


def listed(parts: Iterable[object]) -> str:
    """``"a, b and c"``."""
    *first, last = map(str, parts)
    return f"{', '.join(first)} and {last}" if first else last


def quoted(names: Iterable[object], most: int = 8) -> str:
    """Names and labels of the reader's own, at most `most` of them: ``"`a`, `b`"``, ``"`a`, `b` and 12 more"``."""
    names = [f"`{name}`" for name in names]
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def closest(word: str, known: Iterable[object]) -> str | None:
    """The known word that `word` was probably meant to be, whatever its capitals; None if none is close."""
    by_lower = {str(k).lower(): str(k) for k in known}
    close = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def nearest(word: str, known: Iterable[object]) -> str:
    """``" (did you mean `x`?)"`` for the known word closest to `word`, or an empty string."""
    meant = closest(word, known)
    return f" (did you mean `{meant}`?)" if meant is not None else ""


def shortened(name: object, most: int = 16) -> str:
    """A name of at most `most` characters, for where there is little room."""
    name = visible(str(name))
    return name if len(name) <= most else name[: most - 1] + "…"


def spread(values: Any) -> str:
    """``"−3.1 to 22.8"``: smallest and largest of an array, to three digits of the larger, whole numbers as such."""
    ends = (float(values.min()), float(values.max()))
    exponent = max(map(_exponent, ends))
    if not all(map(math.isfinite, ends)) or not -4 <= exponent < 7:
        return " to ".join(map(shown, ends))
    decimals = max(0, min(2 - exponent, _recorded_decimals(ends)))
    return " to ".join(_end(x, decimals) for x in ends)


def _end(x: float, decimals: int) -> str:
    """One end of a range; a small one that is not zero does not become zero."""
    return shown(x, 2) if x and not round(x, decimals) else _signed(f"{x:,.{decimals}f}" if abs(x) >= 10_000 else
                                                                   f"{x:.{decimals}f}")  # fmt: skip


def rounded(text: str, decimals: int) -> str:
    """A number as a table shows it, rounded for a sentence; as it is where the table shows no more than that.

    Parameters
    ----------
    text : str
        Of a cell.
    decimals : int
        To keep; −2 rounds to hundreds.
    """
    try:
        number = Decimal(text.strip().replace(MINUS, "-").replace(",", ""))
    except InvalidOperation:  # a power of ten, or a dash for what is missing
        return text
    if not number.is_finite() or -number.as_tuple().exponent <= decimals:
        return text
    number = number.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    return _signed(f"{number:,f}" if abs(number) >= 10_000 else f"{number:f}")


def with_unit(name: str, unit: str | None) -> str:
    """``"age (years)"``; the name alone when no unit is known."""
    return f"{visible(name)} ({visible(unit)})" if unit else visible(name)


def shared_unit(units: Mapping[str, str], names: Iterable[str]) -> str:
    """The unit that several columns share, as coordinates do; empty where they have different ones, or one has none."""
    found = {units.get(name, "") for name in names}
    return found.pop() if len(found) == 1 else ""


def effect_unit(units: Mapping[str, str], response: str, effect: str) -> str | None:
    """Unit of a coefficient or random effect: the response's, per unit of its covariate."""
    unit, per = units.get(response), units.get(effect)
    if unit and effect != "Intercept" and "[" not in effect:
        return f"{unit} per {singular(per)}" if per and not is_scale(per) else f"{unit} per unit"
    return unit


def is_scale(unit: str) -> bool:
    """Whether what stands for a unit names a scale, such as a count or a standard score, of which one has no number."""
    return unit.lower() in _SCALES


def singular(unit: str) -> str:
    """A unit that is one English word, in the singular: years, inches, students; others as they are."""
    if not re.fullmatch(r"[a-z]{4,}", unit) or unit.endswith(("ss", "us", "is", "series")) or not unit.endswith("s"):
        return unit
    return re.sub(r"(?<=ch)es$|(?<=sh)es$|(?<=x)es$|s$", "", unit)


def _escaped(char: str) -> str:
    return char if char in (FIGURE_SPACE, POINT_SPACE) else char.encode("unicode_escape").decode("ascii")


def _plain(value: object) -> str:
    return _number(value, "sig6") if isinstance(value, float) else str(value)


def _is_number(value: object) -> bool:
    """Python's and numpy's numbers; not their strings, which float() would read too."""
    return not isinstance(value, (str, bytes)) and hasattr(value, "__float__")


def _mixed(value: object, spec: str) -> str:
    """A cell of a numeric column that also holds words, such as "not expressible"."""
    if is_missing(value):
        return MISSING
    return format_value(value, spec) if _is_number(value) else visible(str(value))


def _exponent(x: float) -> int:
    """Power of ten of the leading digit of `x`."""
    return math.floor(math.log10(abs(x))) if x and math.isfinite(x) else 0


def _shared_decimals(numbers: Iterable[float], digits: int = 4) -> int:
    """Decimals that show `digits` significant digits of the values of largest size, one less of smaller ones.

    Values more than four powers of ten below the largest have no say: they are mostly rounding noise.
    """
    exponents = [_exponent(x) for x in numbers if x and math.isfinite(x)]
    if not exponents:
        return digits - 1
    largest = max(exponents)
    wanted = max(digits - (1 if e >= largest - 1 else 2) - e for e in exponents if e >= largest - 4)
    return max(0, min(wanted, _MOST_DIGITS - 1 - largest)) if largest >= 0 else max(wanted, 0)


def _recorded_decimals(numbers: Iterable[float]) -> int:
    """Decimals that show every value to its last digit, or to six."""
    return max((len(f"{x:.6f}".rstrip("0").partition(".")[2]) for x in numbers if math.isfinite(x)), default=0)


def _estimate(x: float | None, decimals: int) -> str:
    if x is None or not math.isfinite(x):
        return _number(x, "sci")
    shown = f"{x:.{decimals}f}"
    lost = x != 0 and _exponent(x) < -decimals + 1  # fewer than two significant digits left
    return _number(x, "sci") if lost or _exponent(x) >= 9 else _signed(shown)


def _integer(value: object) -> str:
    number = int(value) if math.isfinite(value) else value
    if not isinstance(number, int) or number != value:  # a fraction in a column of counts is not hidden
        return _number(float(value), "sig6")
    return _signed(f"{number:,}" if abs(number) >= 10_000 else str(number))


def _number(x: float | None, spec: str) -> str:
    """One number under a format that does not look at the rest of its column."""
    if x is None:
        return MISSING
    if math.isnan(x):
        return MISSING
    if math.isinf(x):
        return "∞" if x > 0 else f"{MINUS}∞"
    if spec == "p":
        return "< 0.001" if x < 0.001 else f"{x:.3f}"
    if spec == "percent":
        return _signed(f"{100 * x:.1f}") + " %"
    if spec == "sci":
        return _scientific(x, 2) if x else "0"
    digits = int(spec[-1])
    if spec.startswith("fixed"):
        return _signed(f"{x:.{digits}f}")
    exponent = _exponent(float(f"{x:.{digits - 1}e}"))  # after rounding: 9.9996 has the digits of 10
    if not -5 <= exponent < max(digits, 7):
        return _scientific(x, digits - 1)
    if spec.startswith("plain") and abs(x - round(x)) <= _WHOLE * abs(x):
        return _signed(f"{x:.0f}")
    return _signed(f"{x:.{max(0, digits - 1 - exponent)}f}")


def _scientific(x: float, decimals: int) -> str:
    mantissa, exponent = f"{x:.{decimals}e}".split("e")
    return _signed(mantissa) + "×10" + str(int(exponent)).translate(_SUPERSCRIPTS)


def _signed(digits: str) -> str:
    """A true minus sign, and none on a zero that rounding made."""
    if not digits.startswith("-"):
        return digits
    return MINUS + digits[1:] if digits.strip("-0.,") else digits[1:]


def _align_points(strings: Sequence[str]) -> list[str]:
    """Pad with spaces as wide as a digit and a point, so that flush-right cells align at the point."""
    tails = [len(s.partition(".")[2]) if "×" not in s else 0 for s in strings]
    longest = max(tails, default=0)
    if not longest:
        return list(strings)
    padding = ["" if "×" in s else FIGURE_SPACE * (longest - t) for s, t in zip(strings, tails, strict=True)]
    points = [POINT_SPACE if t == 0 and "×" not in s else "" for s, t in zip(strings, tails, strict=True)]
    return [s + point + pad for s, point, pad in zip(strings, points, padding, strict=True)]
