"""--validate-regex: whether a broker that speaks RE2 would take a regular expression, and if not, RE2's reason.

Python's parser decides; what it allows and RE2 does not (references to groups, looking ahead and behind, possessive and atomic
groups) is refused too.

Sources: the syntax of RE2; the words of its errors as Apache Kafka 4.3.1's tool prints them.
"""

from __future__ import annotations

import re
import warnings

_PERL_ONLY = re.compile(r"(?<!\\)(?:\\\\)*\((?:\?=|\?!|\?<=|\?<!|\?>|\?P=|\?\(|\?#)")
_REFERENCE = re.compile(r"(?<!\\)(?:\\\\)*\\[1-9]")
_POSSESSIVE = re.compile(r"(?<!\\)(?:\\\\)*[*+?}]\+")

_REASONS = (
    ("missing ), unterminated subpattern", "missing closing )"),
    ("unbalanced parenthesis", "unexpected )"),
    ("unterminated character set", "missing closing ]"),
    ("nothing to repeat", "missing argument to repetition operator"),
    ("multiple repeat", "invalid nested repetition operator"),
    ("bad character range", "invalid character class range"),
    ("bad escape (end of pattern)", "trailing backslash at end of expression"),
    ("bad escape", "invalid escape sequence"),
    ("min repeat greater than max repeat", "invalid repeat count"),
    ("the repetition number is too large", "invalid repeat count"),
    ("bad character in group name", "invalid named capture"),
    ("redefinition of group name", "duplicate capture group name"),
)


def describe_regex(expression: str) -> str:
    """Whether the expression is valid, in the words of the tool."""
    fault = _fault(expression)
    if fault is None:
        return f"The regular expression `{expression}` is valid."
    return f"The regular expression `{expression}` is invalid: {fault}."


def _fault(expression: str) -> str | None:
    if _PERL_ONLY.search(expression):
        return "invalid or unsupported Perl syntax"
    if _REFERENCE.search(expression):
        return "invalid escape sequence"
    if _POSSESSIVE.search(expression):
        return "invalid nested repetition operator"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(re.sub(r"\\([pP]\{\^?\w+\}|[pP]\w|Q.*?(?:\\E|$)|z|C)", ".", expression))
    except (re.error, OverflowError, RecursionError) as error:
        return next((ours for theirs, ours in _REASONS if str(error).startswith(theirs)), "invalid or unsupported Perl syntax")
    return None
