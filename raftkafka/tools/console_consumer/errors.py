"""What may be wrong with a record that is to be printed."""

from __future__ import annotations


class FormatError(Exception):
    """A record cannot be shown; the text is an exception's class and message, as Java prints them."""
