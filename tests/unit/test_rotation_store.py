"""The rotation function's store, when somebody else changes the secret at the same time."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from components.lambdas.rotation import store
from components.lambdas.rotation.errors import OperatorError


class RejectingClient:
    """A Secrets Manager that rejects the removal of a label, and then describes the secret."""

    def __init__(self, stages: list[str]) -> None:
        self.stages = stages

    def update_secret_version_stage(self, **_request: object) -> None:
        raise ClientError(
            {"Error": {"Code": "InvalidParameterException", "Message": "not the version with the label"}},
            "UpdateSecretVersionStage",
        )

    def describe_secret(self, **_request: object) -> dict[str, Any]:
        return {"ARN": "arn", "VersionIdsToStages": {"v1": self.stages}, "RotationEnabled": True, "Tags": []}


def test_a_label_that_aws_has_already_removed_is_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_client", lambda: RejectingClient(["AWSPREVIOUS"]))
    store.drop_pending("arn", "v1")


def test_a_label_that_cannot_be_removed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_client", lambda: RejectingClient(["AWSCURRENT", "AWSPENDING"]))
    with pytest.raises(OperatorError, match="UpdateSecretVersionStage"):
        store.drop_pending("arn", "v1")
