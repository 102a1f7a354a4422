"""What must hold at the end of a world, judged by what its clients saw and by what the partitions finally hold."""

from __future__ import annotations

from raftkafka.simulation.workload.plain import UNKNOWN_OFFSET, History, Slot


def violations_of(history: History) -> list[str]:
    """Everything that is wrong; `history.read` must hold every partition whole."""
    found = list(history.problems)
    for slot in history.sent:
        found.extend(_of_partition(history, slot))
    return found


def _of_partition(history: History, slot: Slot) -> list[str]:
    """Acknowledged records are there, where they were said to be; nothing is there twice, unsent, or out of order."""
    name = f"{slot[0]}-{slot[1]}"
    read, sent = history.read.get(slot, {}), history.sent[slot]
    position = {value: index for index, value in enumerate(sent)}
    found: list[str] = []
    offset_of: dict[bytes, int] = {}
    last_index = -1
    for offset in sorted(read):
        value = read[offset]
        if value not in position:
            found.append(f"{name}: offset {offset} holds {value!r}, which nobody sent")
            continue
        if value in offset_of:
            found.append(f"{name}: {value!r} is at offset {offset_of[value]} and again at {offset}")
        elif position[value] < last_index:
            found.append(f"{name}: {value!r} at offset {offset} is behind a later record of its producer")
        offset_of.setdefault(value, offset)
        last_index = max(last_index, position[value])
    for value, offset in history.acknowledged[slot].items():
        if value not in offset_of:
            found.append(f"{name}: {value!r} was acknowledged at offset {offset} and is lost")
        elif offset not in (UNKNOWN_OFFSET, offset_of[value]):
            found.append(f"{name}: {value!r} was acknowledged at offset {offset} and is at {offset_of[value]}")
    return found
