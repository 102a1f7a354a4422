"""`check HISTORY` as people meet it: exit codes, what it says, bad input, and the pictures."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from jepsen_like.__main__ import main
from jepsen_like.history import History, HistoryError, HistoryWriter, read_history
from raftkafka.cli.check_command import check
from tests.jepsen_like.build import Script


def write(path: Path, history: History) -> Path:
    with path.open("w") as file:
        writer = HistoryWriter(file, history.options)
        for op in history.operations:
            writer.write(op)
        writer.close()
    return path


def good() -> Script:
    return Script().send(1, (0, 10)).nemesis("kill", "begin").send(1, (1, 11)).nemesis("kill", "end").poll(2, (0, 10), (1, 11))


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_history(write(tmp_path / "h", good().history())) == good().history()


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        (good(), 0, "VALID: Nothing was lost"),
        (Script().send(1, (0, 10), (1, 11)).poll(2, (1, 11)), 1, "value 10 of x was acknowledged at offset 0"),
        (Script(), 3, "UNKNOWN: No send was acknowledged"),
    ],
)
def test_exit_codes_and_words(tmp_path: Path, script: Script, code: int, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "history.jsonl", script.history())
    assert main(["check", str(path)]) == code
    text = capsys.readouterr().out
    assert words in text
    result = CliRunner().invoke(check, [str(path)])
    assert (result.exit_code, result.stdout) == (code, text)


def test_the_offending_operations_are_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "h", Script().send(1, (0, 10), (1, 11)).poll(2, (1, 11)).history())
    assert '"value": [["send", "x", [0, 10]], ["send", "x", [1, 11]]]' in CliRunner().invoke(check, [str(path)]).stdout


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda lines: [], "line 1: the file is empty"),
        (lambda lines: lines[1:], "line 1: the first line of a history is"),
        (lambda lines: lines[:-1], "line 9: the history is truncated: after 8 operations"),
        (lambda lines: [*lines[:-1], '{"end": 7}'], "line 10: the end says 7 operations, but there are 8"),
        (lambda lines: [*lines, lines[1]], "line 11: there is something after the end"),
        (lambda lines: [*lines[:2], lines[2][:30]], "line 3: not JSON"),
        (lambda lines: [*lines[:2], *lines[3:]], "line 3: index 2 does not follow 0"),
        (lambda lines: [lines[0], lines[1].replace('"invoke"', '"begin"')], "line 2: 'begin' is missing, or not a type"),
        (lambda lines: [lines[0], lines[1].replace('["send", "x", 10]', '["send", 3]')], "line 2: not the value of a send"),
    ],
)
def test_bad_input_is_named_with_its_line(tmp_path: Path, spoil, words: str) -> None:  # type: ignore[no-untyped-def]
    path = write(tmp_path / "h", good().history())
    path.write_text("".join(f"{line}\n" for line in spoil(path.read_text().splitlines())))
    with pytest.raises(HistoryError, match="line"):
        read_history(path)
    result = CliRunner().invoke(check, [str(path)])
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_missing_file_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "none")]) == 2
    assert "No such file" in capsys.readouterr().err


def test_plots_are_written_and_well_formed(tmp_path: Path) -> None:
    path = write(tmp_path / "h", good().history())
    assert CliRunner().invoke(check, [str(path), "--out", str(tmp_path / "plots")]).exit_code == 0
    files = sorted(each.name for each in (tmp_path / "plots").iterdir())
    assert files == ["latency.svg", "order-of-x.svg", "unseen-values-over-time.svg"]
    for name in files:
        text = (tmp_path / "plots" / name).read_text()
        assert ElementTree.fromstring(text).tag.endswith("svg")
        assert name == "order-of-x.svg" or "kill" in text


def test_a_history_without_operations_can_be_drawn(tmp_path: Path) -> None:
    path = write(tmp_path / "h", Script().history())
    assert CliRunner().invoke(check, [str(path), "--out", str(tmp_path / "plots")]).exit_code == 3
