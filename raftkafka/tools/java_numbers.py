"""Floating-point numbers as Java prints them (Double.toString): `1024.0`, `1.0E7`, `5.0E-4`."""

from __future__ import annotations

import math
from decimal import Decimal


def double_text(number: float) -> str:
    """The text of a double: plain from a thousandth to below ten million, in scientific notation otherwise."""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        return repr(number)
    sign, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    first, rest = str(digits[0]), "".join(map(str, digits[1:])) or "0"
    return f"{'-' if sign else ''}{first}.{rest}E{int(exponent) + len(digits) - 1}"
