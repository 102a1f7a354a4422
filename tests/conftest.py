"""What all tests share: repeatable Hypothesis profiles, free ports, processes that hear SIGINT, and nothing else."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings

from cluster.ports import unused_ports

settings.register_profile(
    "default", derandomize=True, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.register_profile("fast", settings.get_profile("default"), max_examples=10)
settings.register_profile("thorough", settings.get_profile("default"), derandomize=False, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    """A function that finds this many ports nobody listens on, all different."""

    return unused_ports


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Processes in the background of a shell are born deaf to SIGINT, and hand that on."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
