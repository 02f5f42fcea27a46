"""The rotation function's requests where somebody else changes the secret at the same moment."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.rotation import store
from functions.rotation.errors import OperatorError


class Refusing:
    """Secrets Manager, which refuses to take a label off, and then says who has it."""

    def __init__(self, stages: list[str]) -> None:
        self.stages = stages

    def update_secret_version_stage(self, **_asked: object) -> None:
        raise ClientError(
            {"Error": {"Code": "InvalidParameterException", "Message": "not the version with the label"}},
            "UpdateSecretVersionStage",
        )

    def describe_secret(self, **_asked: object) -> dict[str, Any]:
        return {"ARN": "arn", "VersionIdsToStages": {"v1": self.stages}, "RotationEnabled": True, "Tags": []}


def test_a_label_that_aws_took_off_first_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_client", lambda: Refusing(["AWSPREVIOUS"]))
    store.drop_pending("arn", "v1")


def test_a_label_that_stays_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_client", lambda: Refusing(["AWSCURRENT", "AWSPENDING"]))
    with pytest.raises(OperatorError, match="update_secret_version_stage"):
        store.drop_pending("arn", "v1")
