"""Golden scripts: a story of a group, command by command, with what everybody is told. They are lessons, too.

`REWRITE_GOLDEN=1 pytest tests/group/test_scripts.py` writes what happens into the scripts; a person then reads the difference.

Commands: `join NAME`, `static NAME`, `restart NAME` (a static member comes without an id), `heartbeat NAME`, `leave NAME`,
`sync NAME NAME=ASSIGNMENT ...`, `ghost NAME` (a heartbeat of its earlier incarnation), `commit NAME OFFSET`, `advance MS`,
`hold` and `release` the commits of the log, `failover` (uncommitted records are lost), `show` the group.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from raftkafka.base.errors import ErrorCode
from raftkafka.protocol.messages.leave_group import MemberIdentity
from tests.coordinator.fake_log import FakeLog
from tests.group.cluster import Answer, World

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.txt"))


class Story:
    """Runs commands and collects what happens."""

    def __init__(self) -> None:
        self.log = FakeLog()
        self.world = World(log=self.log, initial_rebalance_delay_ms=3_000)
        self.ids: dict[str, str] = {}
        self.earlier_ids: dict[str, str] = {}
        self.generations: dict[str, int] = {}
        self.static: set[str] = set()
        self._shown: str | None = None
        self.waiting: list[tuple[str, str, Answer[Any]]] = []

    def run(self, line: str) -> list[str]:
        command, *words = line.split()
        getattr(self, f"do_{command}")(*words)
        return [*self._answers(), *(f"  * {self._named(str(event))}" for event in self.world.coordinator.drain())]

    def do_join(self, name: str) -> None:
        answer = self.world.join(self.ids.get(name, ""), instance=self._instance(name))
        self.waiting.append((name, "join", answer))

    def do_static(self, name: str) -> None:
        self.static.add(name)
        self.do_join(name)

    def do_restart(self, name: str) -> None:
        self.earlier_ids[name] = self.ids.pop(name)
        self.do_join(name)

    def do_sync(self, name: str, *assignments: str) -> None:
        pairs = (assignment.split("=") for assignment in assignments)
        given = {self.ids[member]: assignment.encode() for member, assignment in pairs}
        answer = self.world.sync(self.ids[name], self.generations[name], given, instance=self._instance(name))
        self.waiting.append((name, "sync", answer))

    def do_heartbeat(self, name: str) -> None:
        self._code(name, "heartbeat", self.world.heartbeat(self.ids[name], self.generations[name], instance=self._instance(name)))

    def do_ghost(self, name: str) -> None:
        code = self.world.heartbeat(self.earlier_ids[name], self.generations[name], instance=self._instance(name))
        self._code(f"earlier {name}", "heartbeat", code)

    def do_leave(self, name: str) -> None:
        self.waiting.append((name, "leave", self.world.leave(MemberIdentity(member_id=self.ids[name]))))

    def do_commit(self, name: str, offset: str) -> None:
        answer = self.world.commit_offset(
            int(offset), member_id=self.ids[name], generation=self.generations[name], instance=self._instance(name)
        )
        self.waiting.append((name, "commit", answer))

    def do_advance(self, duration_ms: str) -> None:
        self.world.advance(int(duration_ms))

    def do_hold(self) -> None:
        self.log.commits_at_once = False

    def do_release(self) -> None:
        self.log.commits_at_once = True
        self.world.commit()

    def do_failover(self) -> None:
        self.log.lose_uncommitted(0)
        self.world.fail_over()

    def do_show(self) -> None:
        group = self.world.coordinator.table("g").find("g")
        assert group is not None
        members = ", ".join(f"{member_id}={member.assignment.decode()}" for member_id, member in group.members.items())
        text = f"{group.state.value} generation {group.generation} leader {group.leader} members {members} offset {self.world.offset()}"
        self._shown = self._named(text)

    # --- what is printed

    def _instance(self, name: str) -> str | None:
        return f"instance-{name}" if name in self.static else None

    def _code(self, name: str, what: str, code: int) -> None:
        self._shown = f"{name}: {what} {ErrorCode(code).name}"

    def _answers(self) -> list[str]:
        lines = []
        if self._shown is not None:
            lines.append(f"  {self._shown}")
            self._shown = None
        for name, what, answer in self.waiting:
            if answer:
                lines.append(f"  {self._answer(name, what, answer.value)}")
        self.waiting = [each for each in self.waiting if not each[2]]
        return lines

    def _answer(self, name: str, what: str, response: Any) -> str:
        match what:
            case "join":
                code = ErrorCode(response.error_code)
                if code in (ErrorCode.NONE, ErrorCode.MEMBER_ID_REQUIRED):
                    self.ids[name] = response.member_id
                if code is not ErrorCode.NONE:
                    return f"{name}: join {code.name}"
                self.generations[name] = response.generation_id
                skip = " (skips the assignment)" if response.skip_assignment else ""
                members = self._named(", ".join(member.member_id for member in response.members))
                leads = f", leads {members}{skip}" if members else ""
                return f"{name}: join generation {response.generation_id}{leads}"
            case "sync":
                return f"{name}: sync {ErrorCode(response.error_code).name} {response.assignment.decode()}".rstrip()
            case "commit":
                return f"{name}: commit {ErrorCode(response.topics[0].partitions[0].error_code).name}"
            case _:
                return f"{name}: {what} {ErrorCode(response.error_code).name}"

    def _named(self, text: str) -> str:
        for name, member_id in [*self.ids.items(), *((f"earlier {name}", each) for name, each in self.earlier_ids.items())]:
            text = text.replace(member_id, name)
        return re.sub(r"-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "-ID", text)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script(path: Path) -> None:
    expected = path.read_text()
    story = Story()
    lines: list[str] = []
    for line in expected.splitlines():
        if line.startswith("> "):
            lines += [line, *story.run(line[2:])]
        elif not line.startswith("  "):
            lines.append(line)
    happened = "\n".join(lines) + "\n"
    if os.environ.get("REWRITE_GOLDEN"):
        path.write_text(happened)
    else:
        assert happened == expected
