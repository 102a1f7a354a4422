"""What kafka-consumer-groups works out without a cluster: times, plans as CSV, regular expressions, tables."""

from __future__ import annotations

import pytest

from raftkafka.base.ids import TopicPartition
from raftkafka.tools.consumer_groups.describing import OffsetRow, print_members, print_offsets, print_state
from raftkafka.tools.consumer_groups.failure import CommandFailed
from raftkafka.tools.consumer_groups.groups import Committed, Group, Member
from raftkafka.tools.consumer_groups.offset_plan import plan_as_csv, plan_from_csv
from raftkafka.tools.consumer_groups.regex import describe_regex
from raftkafka.tools.consumer_groups.times import duration_ms, timestamp_ms


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("1970-01-01T00:00:00.000", 0),
        ("2026-01-01T00:00:00.5", 1767225600005),
        ("2026-01-01T09:00:00.000+09:00", 1767225600000),
        ("2026-01-01T09:00:00.000+0900", 1767225600000),
        ("2025-12-31T23:00:00.250-01", 1767225600250),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_datetimes_are_read_as_java_reads_them(text: str, expected_ms: int) -> None:
    assert timestamp_ms(text) == expected_ms


@pytest.mark.parametrize(
    "text", ["2026-01-01", "2026-01-01T", "2026-01-01T00:00:00", "2026-13-01T00:00:00.000", "2026-01-01T00:00:00.1234"]
)
def test_what_is_no_datetime_is_refused(text: str) -> None:
    with pytest.raises(CommandFailed, match="ParseException"):
        timestamp_ms(text)


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("PT1H", 3600000),
        ("P1DT2H", 93600000),
        ("-PT1H", -3600000),
        ("PT-1H", -3600000),
        ("pt5m", 300000),
        ("PT1.5S", 1500),
        ("P1D", 86400000),
    ],
)
def test_durations_are_read_as_java_reads_them(text: str, expected_ms: int) -> None:
    assert duration_ms(text) == expected_ms


@pytest.mark.parametrize("text", ["", "P", "PT", "1D", "P1Y", "P1W", "PT1H5"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(CommandFailed):
        duration_ms(text)


def test_a_plan_is_read_back_from_its_csv() -> None:
    plan = {TopicPartition("plain", 0): 3, TopicPartition("a-topic-with-a-name-of-more-than-24", 7): 0}
    text = plan_as_csv({"group, 1": plan}, with_group=True)
    assert text == '"group, 1",plain,0,3\n"group, 1","a-topic-with-a-name-of-more-than-24",7,0\n'
    assert plan_from_csv(text, group_id=None) == {"group, 1": plan}
    assert plan_from_csv(plan_as_csv({"g": plan}, with_group=False), group_id="g") == {"g": plan}


def test_a_line_that_is_no_plan_is_refused() -> None:
    with pytest.raises(CommandFailed, match="topic,partition,offset"):
        plan_from_csv("garbage\n", group_id="g")


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("a+.*[0-9]", None),
        ("\\pL\\Q(\\E", None),
        ("(a+", "missing closing )"),
        ("[a", "missing closing ]"),
        ("*a", "missing argument to repetition operator"),
        ("a(?=b)", "invalid or unsupported Perl syntax"),
        ("(a)\\1", "invalid escape sequence"),
        ("a)", "unexpected )"),
    ],
)
def test_regular_expressions_are_judged_as_re2_judges_them(expression: str, reason: str | None) -> None:
    verdict = "is valid." if reason is None else f"is invalid: {reason}."
    assert describe_regex(expression) == f"The regular expression `{expression}` {verdict}"


MEMBER = Member(
    member_id="XQfiWxo6Q7-Ua-Vm-w4G7g",
    instance_id="",
    client_id="console-consumer",
    host="/127.0.0.1",
    assignment=(TopicPartition("hello.kafka", 1), TopicPartition("hello.kafka", 0)),
    target_assignment=(TopicPartition("hello.kafka", 0), TopicPartition("hello.kafka", 1)),
    epoch=4,
    target_epoch=4,
    is_upgraded=True,
)
GROUP = Group(group_id="hello-group-848", state="Stable", assignor="uniform", members=(MEMBER,), epoch=4, target_epoch=4)


def test_tables_are_those_of_the_transcripts(capsys: pytest.CaptureFixture[str]) -> None:
    """Reference/golden 51, 55 and 56."""
    row = OffsetRow(partition=TopicPartition("hello.kafka", 9), committed=Committed(offset=8, leader_epoch=0), end_offset=10, member=MEMBER)
    print_offsets(GROUP, [row], verbose=False)
    print_members(GROUP, verbose=True)
    print_state(GROUP, "127.0.0.1:18092  (1)", verbose=False)
    assert capsys.readouterr().out.splitlines() == [
        "",
        "GROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             "
        "CONSUMER-ID            HOST            CLIENT-ID",
        "hello-group-848 hello.kafka     9          8               10              2               "
        "XQfiWxo6Q7-Ua-Vm-w4G7g /127.0.0.1      console-consumer",
        "",
        "GROUP           CONSUMER-ID            HOST            CLIENT-ID        #PARTITIONS     "
        "CURRENT-EPOCH   CURRENT-ASSIGNMENT   TARGET-EPOCH    TARGET-ASSIGNMENT   ",
        "hello-group-848 XQfiWxo6Q7-Ua-Vm-w4G7g /127.0.0.1      console-consumer 2               "
        "4               hello.kafka:0,1      4               hello.kafka:0,1     ",
        "",
        "GROUP           COORDINATOR (ID)          ASSIGNMENT-STRATEGY  STATE                #MEMBERS",
        "hello-group-848 127.0.0.1:18092  (1)      uniform              Stable               1",
    ]
