"""`raftkafka sim-speed`, as the benchmark calls it."""

from __future__ import annotations

import json

from click.testing import CliRunner

from raftkafka.cli.commands import commands


def test_speed_is_told_as_json_for_each_run() -> None:
    called = CliRunner().invoke(commands, ["sim-speed", "--count", "2", "--batches-per-second", "2"])
    assert called.exit_code == 0, called.output
    found = json.loads(called.output)
    assert len(found["runs"]) == 2
    assert min(found["runs"]) > 0
    assert found["batches_per_virtual_s"] in (1, 2, 3)
