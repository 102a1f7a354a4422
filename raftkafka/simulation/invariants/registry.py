"""An invariant: a function with an id, that says nothing while all is well and raises `Violation` when it does not hold.

How to write one: a small function over views and memories, decorated with `@invariant(id, name)`, that returns a `Breach` or None.
Its docstring has three parts, for lists of them: what must hold, `Hazard:` what goes wrong otherwise, `Source:` where the rule comes from.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import ParamSpec

import attrs

from raftkafka.simulation.world import Violation

P = ParamSpec("P")


@attrs.frozen
class Breach:
    """Why an invariant does not hold: a sentence, and the two states that do not go together, in a few words."""

    text: str
    before: str = ""
    after: str = ""


@attrs.frozen(kw_only=True)
class Invariant:
    """`check` has the signature of the function that was declared, and raises."""

    id: str
    name: str
    statement: str
    hazard: str
    source: str
    check: Callable[..., None]

    @property
    def title(self) -> str:
        return f"{self.id} {self.name}"


INVARIANTS: dict[str, Invariant] = {}
"""All of them by id, in the order of their declaration."""


_silent: set[str] = set()


@contextmanager
def silenced(ids: Iterable[str]) -> Iterator[None]:
    """Within it these invariants break without a word. One run at a time: runs do not share a thread."""
    _silent.update(ids)
    try:
        yield
    finally:
        _silent.clear()


def invariant(invariant_id: str, name: str) -> Callable[[Callable[P, Breach | None]], Callable[P, None]]:
    """Declares one. What it decorates becomes a function that raises `Violation` where it returned a `Breach`."""
    title = f"{invariant_id} {name}"

    def declare(check: Callable[P, Breach | None]) -> Callable[P, None]:
        @functools.wraps(check)
        def demand(*args: P.args, **kwargs: P.kwargs) -> None:
            breach = check(*args, **kwargs)
            if breach is not None and invariant_id not in _silent:
                raise Violation(breach.text, invariant=title, before=breach.before, after=breach.after)

        assert invariant_id not in INVARIANTS, f"{invariant_id} is declared twice"
        statement, hazard, source = _parts_of(inspect.getdoc(check) or "")
        INVARIANTS[invariant_id] = Invariant(id=invariant_id, name=name, statement=statement, hazard=hazard, source=source, check=demand)
        return demand

    return declare


def _parts_of(docstring: str) -> tuple[str, str, str]:
    """Statement, hazard and source."""
    statement, _, rest = docstring.partition("Hazard:")
    hazard, _, source = rest.partition("Source:")
    statement, hazard, source = (" ".join(part.split()) for part in (statement, hazard, source))
    assert statement and hazard and source, f"an invariant's docstring lacks a part: {docstring!r}"
    return statement, hazard, source
