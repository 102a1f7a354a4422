"""The times of --to-datetime and --by-duration, as Java reads them.

Sources: java.time.Duration.parse; the format `yyyy-MM-dd'T'HH:mm:ss.SSS`, in UTC unless an offset follows it.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from raftkafka.tools.consumer_groups.failure import CommandFailed

_PARSE_ERROR = "java.text.ParseException: "
_DATETIME = re.compile(r"(\d+)-(\d{1,2})-(\d{1,2})T(\d{1,2}):(\d{1,2}):(\d{1,2})\.(\d{1,3})(?:(Z)|([+-])(\d{2}):?(\d{2})?)", re.ASCII)
_DURATION = re.compile(
    r"([-+]?)P(?:([-+]?\d+)D)?(T(?=[-+\d])(?:([-+]?\d+)H)?(?:([-+]?\d+)M)?(?:([-+]?\d+)(?:[.,](\d{0,9}))?S)?)?", re.ASCII | re.IGNORECASE
)


def timestamp_ms(text: str) -> int:
    """Milliseconds since 1970 of a date and time; `CommandFailed` in Java's words when it is none."""
    date, _, time_of_day = text.partition("T")
    if not date or not time_of_day:
        raise CommandFailed(f"{_PARSE_ERROR}Error parsing timestamp. It does not contain a 'T' according to ISO8601 format")
    if not any(mark in time_of_day for mark in "+-Z"):
        text += "Z"
    match = _DATETIME.fullmatch(text)
    if match is None:
        raise CommandFailed(f'{_PARSE_ERROR}Unparseable date: "{text}"')
    *fields, millisecond = (int(group) for group in match.groups()[:7])
    _, sign, hours, minutes = match.groups()[7:]
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    try:
        moment = datetime(*fields, tzinfo=timezone(offset))  # type: ignore[misc,arg-type]
    except ValueError:
        raise CommandFailed(f'{_PARSE_ERROR}Unparseable date: "{text}"') from None
    return int(moment.timestamp()) * 1000 + millisecond


def duration_ms(text: str) -> int:
    """Milliseconds of an ISO 8601 duration of days or less (`P1DT2H`, `PT-5M`); `CommandFailed` in Java's words when it is none."""
    match = _DURATION.fullmatch(text)
    if match is None or (match[2] is None and match[3] is None):
        raise CommandFailed("Text cannot be parsed to a Duration")
    sign, days, _, hours, minutes, seconds, fraction = match.groups()
    nanoseconds = int((fraction or "").ljust(9, "0"))
    if (seconds or "").startswith("-"):
        nanoseconds = -nanoseconds
    total_s = ((int(days or 0) * 24 + int(hours or 0)) * 60 + int(minutes or 0)) * 60 + int(seconds or 0)
    total_ms = (total_s * 1_000_000_000 + nanoseconds) // 1_000_000
    return -total_ms if sign == "-" else total_ms
