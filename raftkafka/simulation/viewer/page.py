"""One HTML page of a film: style, program and data inside, nothing outside.

Invariant: the page names no address, so that it works without a network; equal films give equal pages.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from importlib import resources

from raftkafka.simulation.run import Result
from raftkafka.simulation.viewer.film import Film

PROGRAM = ("model.js", "timeline.js", "overview.js", "strips.js", "page.js")
"""The parts of the program, in the order in which they need each other."""


def page_of(film: Film, result: Result, *, broken_rules: Sequence[str] = (), command: str = "") -> str:
    """The page of a run that was filmed; `command` is what repeats the run."""
    content = {**film.content(result), "broken_rules": list(broken_rules), "command": command}
    data = json.dumps(content, separators=(",", ":"), ensure_ascii=False).replace("</", "<\\/")
    title = html.escape(f"raftkafka, seed {result.seed}")
    return (
        _part("page.html")
        .replace("{{title}}", title)
        .replace("{{style}}", _part("page.css"))
        .replace("{{program}}", "\n".join(map(_part, PROGRAM)))
        .replace("{{data}}", data)
    )


def _part(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
