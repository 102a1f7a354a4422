"""`raftkafka rules`: the rules that can be switched off, what each prevents, and the stored counter-example."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill, indent

import click

from raftkafka.base.rule_texts import RULE_TEXTS, Area
from raftkafka.base.rules import BROKEN_RULES_KEY, Rule, UnknownRule, rule_named

COUNTEREXAMPLES = Path(__file__).parents[2] / "tests" / "simulation" / "counterexamples"
WIDTH = 110
BREAKS = "# Breaks: "
"""How a stored counter-example says which invariant it breaks."""


@click.command("rules", epilog="Exit code: 0 good, 2 there is no such rule.")
@click.argument("name", required=False)
@click.option("--markdown", is_flag=True, help="All rules as the text of docs/rules.md.")
def rules(name: str | None, markdown: bool) -> None:
    """List the rules that can be switched off; with NAME, tell what it prevents and show the counter-example."""
    if markdown:
        click.echo(rules_document(), nl=False)
    elif name is None:
        click.echo("\n".join(_list_lines()))
    else:
        try:
            click.echo("\n".join(_rule_lines(rule_named(name))))
        except UnknownRule as error:
            click.echo(f"raftkafka rules: {error}", err=True)
            sys.exit(2)


def rules_document() -> str:
    """docs/rules.md: generated, so that it says what the code says."""
    lines = [
        "# Rules that can be switched off",
        "",
        "<!-- Made by `raftkafka rules --markdown`; a test compares. -->",
        "",
        fill(
            "Each of these rules looks as if it could be left out. Switched off, a node behaves as a naive implementation would, and the "
            "simulator finds what comes of it. `make sim BREAK=name` runs without one, `raftkafka rules name` shows the smallest "
            "counter-example that is stored, and the property "
            f"`{BROKEN_RULES_KEY}=name` breaks it in a real process. Never do that to a cluster that you need.",
            width=140,
        ),
    ]
    for area in Area:
        lines += ["", f"## {area.value.capitalize()}", ""]
        for rule, text in RULE_TEXTS.items():
            if text.area is area:
                lines += [
                    f"### {rule.value}",
                    "",
                    text.sentence,
                    "",
                    f"Without it: {text.hazard[0].lower()}{text.hazard[1:]}",
                    "",
                    f"Source: {text.source}.",
                    "",
                    _counterexample_line(rule),
                    "",
                ]
        lines.pop()
    return "\n".join(lines) + "\n"


def _counterexample_line(rule: Rule) -> str:
    path = _counterexample(rule)
    if not path.exists():
        return "Counter-example: none is stored yet."
    broken = next(line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith(BREAKS))
    return (
        f"[Counter-example](../tests/simulation/counterexamples/{path.name}): it breaks {broken.removeprefix(BREAKS).partition(': ')[0]}."
    )


def _list_lines() -> Iterator[str]:
    longest = max(len(rule.value) for rule in Rule)
    for area in Area:
        yield click.style(area.value, bold=True)
        for rule, text in RULE_TEXTS.items():
            if text.area is area:
                mark = " " if _counterexample(rule).exists() else "*"
                yield f" {mark}{rule.value:<{longest}}  {text.sentence}"
        yield ""
    if any(not _counterexample(rule).exists() for rule in Rule):
        yield "* no counter-example is stored"
    yield "raftkafka rules NAME tells more; make sim BREAK=NAME runs without it."


def _rule_lines(rule: Rule) -> Iterator[str]:
    text = RULE_TEXTS[rule]
    yield click.style(f"{rule.value} ({text.area.value})", bold=True)
    yield ""
    for title, content in (("Rule", text.sentence), ("Without it", text.hazard), ("Source", text.source)):
        yield f"{title}:"
        yield indent(fill(content, width=WIDTH - 2), "  ")
    path = _counterexample(rule)
    if not path.exists():
        yield ""
        yield "No counter-example is stored. Look for one with"
        yield f"  make sim-many BREAK={rule.value}"
        return
    shown = _shown(path)
    yield ""
    yield "The smallest counter-example that is stored:"
    yield ""
    yield indent(path.read_text(encoding="utf-8").rstrip(), "  ")
    yield ""
    yield "Repeat it with"
    yield f"  make sim PLAN={shown}"


def _shown(path: Path) -> str:
    """The path as it is short: from here, if it lies below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _counterexample(rule: Rule) -> Path:
    return COUNTEREXAMPLES / f"{rule.value}.txt"
