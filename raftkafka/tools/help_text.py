"""How the help of a tool looks: examples first, one sentence of what it is for, then the options in two columns.

Text already broken into lines is kept as it is, so a help may hold a list or a piece of JSON.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

WIDTH = 100
_NAME_WIDTH = 34


def help_text(*, summary: str, examples: Sequence[str], options: Sequence[tuple[str, str]]) -> str:
    """The whole help; `options` are pairs of the option as it is typed and its explanation."""
    lines = [f"Example{'s' if len(examples) > 1 else ''}:", *(f"  {example}" for example in examples), "", summary, "", "Options:"]
    for name, explanation in options:
        lines.extend(_option_lines(name, explanation))
    return "\n".join(lines)


def _option_lines(name: str, explanation: str) -> list[str]:
    wrapped = [line for paragraph in explanation.split("\n") for line in textwrap.wrap(paragraph, WIDTH - _NAME_WIDTH - 4) or [""]]
    if len(name) > _NAME_WIDTH:
        return [f"  {name}", *(f"  {'':{_NAME_WIDTH}}  {line}" for line in wrapped)]
    first, *others = wrapped
    return [f"  {name:<{_NAME_WIDTH}}  {first}", *(f"  {'':{_NAME_WIDTH}}  {line}" for line in others)]
