"""The redeployment function, with valid events and with events that EventBridge does not send."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from unittest.mock import MagicMock

import pytest

from components.lambdas import redeploy

EVENT = {"time": "2026-01-02T03:04:05Z", "detail": {"name": "app/secret"}}
BEFORE = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def ecs(monkeypatch: pytest.MonkeyPatch) -> Iterator[MagicMock]:
    """ECS, with one service whose newest deployment began before the event."""
    client = MagicMock()
    service = {"status": "ACTIVE", "deployments": [{"createdAt": BEFORE}]}
    client.describe_services.return_value = {"services": [service]}
    monkeypatch.setattr("boto3.client", lambda *_, **__: client)
    monkeypatch.setenv("ECS_CLUSTER", "shop")
    monkeypatch.setenv("ECS_SERVICE", "web")
    return client


def test_an_event_deploys_only_the_declared_service(ecs: MagicMock) -> None:
    redeploy.handle({**EVENT, "ECS_SERVICE": "another", "resources": ["x"], "cluster": "another"}, None)
    ecs.update_service.assert_called_once_with(cluster="shop", service="web", forceNewDeployment=True)


@pytest.mark.parametrize(
    "event",
    [
        {**EVENT, "detail": {"name": "app\n::warning::forged"}},
        {**EVENT, "detail": {"name": "app\x1b[2J"}},
        {**EVENT, "detail": {"name": ""}},
        {**EVENT, "detail": {"name": ["app"]}},
        {**EVENT, "detail": None},
        {**EVENT, "time": "2026-01-02T03:04:05"},
        {**EVENT, "time": "9999-12-31T23:59:59.9Z"},
        {**EVENT, "time": "now\n"},
        {**EVENT, "time": None},
        {},
        [],
        None,
        "event",
    ],
)
def test_an_invalid_event_deploys_nothing_and_forges_no_log_line(
    ecs: MagicMock,
    capsys: pytest.CaptureFixture[str],
    event: Any,  # noqa: ANN401  anything at all
) -> None:
    with pytest.raises(redeploy.MalformedEventError) as raised:
        redeploy.handle(event, None)
    assert str(raised.value).isprintable()
    assert "forged" not in str(raised.value)
    assert raised.value.__context__ is None
    assert capsys.readouterr().out == ""
    ecs.update_service.assert_not_called()
