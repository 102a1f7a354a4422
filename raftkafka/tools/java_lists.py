"""Lists as Java's String.split reads them: empty items at the end fall away, an empty text is one empty item."""

from __future__ import annotations


def split(text: str, separator: str = ",") -> list[str]:
    """The items of `a,b,,`: `a` and `b`."""
    items = text.split(separator)
    while len(items) > 1 and not items[-1]:
        items.pop()
    return items if items != [""] or not text else []
