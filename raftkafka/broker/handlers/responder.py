"""How a handler answers: by calling `Respond` with the response message, at once or later, exactly once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Respond = Callable[[Any], None]
