r"""Java's regular expressions for topics in the dialect that librdkafka understands: POSIX extended, which lacks `\d`, `(?:...)` and more.

What has a meaning there is translated; of what has none `UsageError` tells, rather than matching something else. A pattern matches a
whole name, as in Java, so that lazy and possessive quantifiers mean the same as plain ones.

Sources: java.util.regex.Pattern; POSIX.1, 9.4 (extended regular expressions).
"""

from __future__ import annotations

import re

from raftkafka.tools.errors import UsageError

_CLASSES = {"d": "0-9", "w": "A-Za-z0-9_", "s": " \t"}
_TOKEN = re.compile(
    r"""
      \\Q(?P<quoted>.*?)(?:\\E|$)
    | \\(?P<escaped>.)
    | (?P<group>\(\?)(?P<kind>:|.)
    | (?P<quantifier>[*+?]|\{\d+(?:,\d*)?\})[?+]
    | (?P<bracket>\[\^?\]?(?:\\.|[^\]\\])*\])
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


def subscription_of(pattern: str) -> str:
    """What to subscribe to for the topics whose whole name matches a pattern of Java; `UsageError` when it cannot be said."""
    subscription = f"^({''.join(_translated(token) for token in _TOKEN.finditer(pattern))})$"
    try:
        re.compile(subscription)
    except re.error:
        raise UsageError(f"{pattern} is not a valid regular expression.") from None
    return subscription


def _translated(token: re.Match[str]) -> str:
    if token["quoted"] is not None:
        return "".join(_literal(each) for each in token["quoted"])
    if token["escaped"] is not None:
        return _escaped(token["escaped"])
    if token["group"] is not None:
        if token["kind"] != ":":
            raise UsageError(f"(?{token['kind']} in a pattern of topics is not supported by this tool.")
        return "("
    if token["quantifier"] is not None:
        return token["quantifier"]
    if token["bracket"] is not None:
        return re.sub(r"\\(.)", lambda found: _in_brackets(found[1]), token["bracket"])
    return token["other"]


def _escaped(letter: str) -> str:
    if letter in _CLASSES:
        return f"[{_CLASSES[letter]}]"
    if letter.lower() in _CLASSES:
        return f"[^{_CLASSES[letter.lower()]}]"
    if letter.isalnum():
        raise UsageError(f"\\{letter} in a pattern of topics is not supported by this tool.")
    return _literal(letter)


def _in_brackets(letter: str) -> str:
    if letter in _CLASSES:
        return _CLASSES[letter]
    if letter.isalnum() or letter in "]^-":
        raise UsageError(f"\\{letter} in brackets in a pattern of topics is not supported by this tool.")
    return letter


def _literal(character: str) -> str:
    return character if character.isalnum() or character in "_-" else f"\\{character}"
