"""DescribeGroups and ListGroups: groups as people see them."""

from __future__ import annotations

from raftkafka.base.errors import ErrorCode
from raftkafka.group.classic_group import ClassicGroup, ClassicGroupState, Member
from raftkafka.group.group_table import GroupTable
from raftkafka.protocol.messages.describe_groups import DescribedGroup, DescribedGroupMember
from raftkafka.protocol.messages.list_groups import ListedGroup, ListGroupsRequest

GROUP_TYPE = "classic"

_FIRST_VERSION_WITH_GROUP_ID_NOT_FOUND = 6


def describe(table: GroupTable, group_id: str, api_version: int) -> DescribedGroup:
    """A group with its members; their metadata only while it is Stable. A group that there is not is Dead."""
    group = table.find(group_id)
    if group is None:
        described = DescribedGroup(group_id=group_id, group_state=ClassicGroupState.DEAD.value)
        if api_version >= _FIRST_VERSION_WITH_GROUP_ID_NOT_FOUND:
            described.error_code = ErrorCode.GROUP_ID_NOT_FOUND
            described.error_message = f"Group {group_id} not found."
        return described
    is_stable = group.state is ClassicGroupState.STABLE
    return DescribedGroup(
        group_id=group_id,
        group_state=group.state.value,
        protocol_type=group.protocol_type or "",
        protocol_data=(group.protocol or "") if is_stable else "",
        members=[_describe_member(group, member, with_metadata=is_stable) for member in group.members.values()],
    )


def _describe_member(group: ClassicGroup, member: Member, *, with_metadata: bool) -> DescribedGroupMember:
    return DescribedGroupMember(
        member_id=member.member_id,
        group_instance_id=member.group_instance_id,
        client_id=member.client_id,
        client_host=member.client_host,
        member_metadata=member.protocols[group.protocol or ""] if with_metadata else b"",
        member_assignment=member.assignment,
    )


def list_groups(table: GroupTable, request: ListGroupsRequest) -> list[ListedGroup]:
    """The groups in the states and of the types asked for, however those are capitalised; all when nothing is asked for."""
    states = {state.lower() for state in request.states_filter}
    if request.types_filter and GROUP_TYPE not in {group_type.lower() for group_type in request.types_filter}:
        return []
    listed = []
    for group_id, metadata in table.state.groups.items():
        # Only Empty groups have no machine, and none needs to be made to list them.
        machine = table.machines.get(group_id)
        state = ClassicGroupState.EMPTY if machine is None else machine.state
        protocol_type = (machine.protocol_type if machine is not None else metadata and metadata.protocol_type) or ""
        if not states or state.value.lower() in states:
            listed.append(ListedGroup(group_id=group_id, protocol_type=protocol_type, group_state=state.value, group_type=GROUP_TYPE))
    return listed
