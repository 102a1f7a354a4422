"""The golden scripts of Raft. `REWRITE_GOLDEN=1 pytest tests/raft/test_scripts.py` writes down what happens now; a person reads the
difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.raft.script import run_script

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.txt"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script(path: Path) -> None:
    text = path.read_text()
    happened = run_script(text)
    if os.environ.get("REWRITE_GOLDEN"):
        path.write_text(happened)
    else:
        assert happened == text, (
            f"{path.name} differs from what happens; if it should, run again with REWRITE_GOLDEN=1 and read the difference"
        )
