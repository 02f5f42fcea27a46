"""Requests of AWS's slow kinds are spaced below their quota."""

import threading
from itertools import pairwise

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.status.aws import AwsSession, Pace


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(self.now + seconds)


@given(pauses=st.lists(st.floats(0, 3), min_size=1, max_size=30))
def test_no_second_has_more_requests_than_the_pace(pauses: list[float]) -> None:
    clock, sent = Clock(), []
    pace = Pace(10, lambda: clock.now, clock.sleep)
    for pause in pauses:
        clock.now += pause
        clock.slept.clear()
        pace.wait()
        sent.append(clock.slept[-1] if clock.slept else clock.now)
    assert all(later - earlier > 0.0999 for earlier, later in pairwise(sent))


def test_threads_share_the_pace() -> None:
    clock = Clock()
    pace = Pace(10, lambda: clock.now, clock.sleep)
    threads = [threading.Thread(target=pace.wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(clock.slept) == pytest.approx([0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize(
    ("endpoint", "on_aws"),
    [(None, True), ("http://127.0.0.1:4566", False), ("https://amazonaws.com.example.com", False)],
)
def test_only_aws_has_quotas(endpoint: str | None, on_aws: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    if endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    session = boto3.session.Session("key", "secret", region_name="us-east-1")
    assert AwsSession("us-east-1", session).on_aws is on_aws
