"""The moment at which the copy of a log in another directory takes its place.

Invariants
- The checkpoints of the copy's directory speak of it before it is there under the name of its partition: nothing older is ever taken for
  its offsets.
- After a crash at any point the later one of the two logs has everything that the node had told anybody of (`log_loading`): when the disk
  does not say whether the copy is in place, the log that goes on being used is made the later one.

Sources: KIP-113.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from raftkafka.base.disk import Disk
from raftkafka.base.errors import DiskError
from raftkafka.base.observed import Observed
from raftkafka.base.rules import Rules
from raftkafka.storage.log_loading import write_generation
from raftkafka.storage.log_moves import LogMove
from raftkafka.storage.partition_log import PartitionLog
from raftkafka.storage.recovery import open_log


def replace_log(
    disk: Disk,
    move: LogMove,
    *,
    others: Iterable[PartitionLog],
    high_watermark: Callable[[PartitionLog], int],
    observe: Callable[[Observed], None],
    disabled_rules: Rules,
) -> PartitionLog:
    """Puts the copy in place, opened; `others` are the logs of its directory. Raises `ApiError` or `DiskError`: the log goes on then."""
    log, copy, target = move.log, move.copy, move.target
    copy.take_over(log)
    copy.advance_log_start(min(log.log_start_offset, copy.log_end_offset))
    copy.close()
    for write in target.changed_checkpoints([*others, copy], high_watermark):
        disk.replace_file(write.path, write.data)
    path = target.file(str(move.place))
    try:
        disk.rename(copy.directory, path)
        moved = open_log(
            disk,
            path,
            topic=log.topic,
            partition=log.partition,
            topic_id=log.topic_id,
            config=log.config,
            log_start_offset=copy.log_start_offset,
            recovery_point=min(log.recovery_point, copy.recovery_point),  # a power failure may still bring the old one back
            clean=True,
            observe=observe,
            disabled_rules=disabled_rules,
        )
        if moved.offline_reason is not None:
            raise DiskError(path, moved.offline_reason)
    except DiskError:
        write_generation(disk, log.directory, move.generation._replace(moves=move.generation.moves + 1))
        raise
    moved.take_over(log)
    return moved
