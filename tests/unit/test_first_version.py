"""Every secret gets a current version, and a live one never loses AWSCURRENT to an initial value."""

import pulumi
import pytest

from components import first_version
from components.first_version import FirstVersionError, FirstVersions
from components.versions import LookupFailedError, Version

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app-AbCdEf"
COMMAND = (
    f"aws secretsmanager update-secret-version-stage --secret-id {ARN} --version-stage AWSCURRENT "
    "--move-to-version-id initial"
)


class Moves:
    """Records which versions are made current; or fails with a reason."""

    def __init__(self, reason: str | None = None) -> None:
        self.made: list[tuple[str, str]] = []
        self.reason = reason

    def __call__(self, arn: str, version: str) -> None:
        if self.reason:
            raise RuntimeError(self.reason)
        self.made.append((arn, version))


def creation(**outputs: object) -> pulumi.ResourceHookArgs:
    return pulumi.ResourceHookArgs("urn", "id", "app-initial-version", "type", new_outputs=outputs)


def put(first: FirstVersions, labels: list[str]) -> None:
    first.version_was_created(creation(secretId=ARN, versionId="initial", versionStages=labels))


@pytest.fixture
def in_aws(monkeypatch: pytest.MonkeyPatch) -> list[Version]:
    """What AWS lists, to be filled by the test."""
    versions: list[Version] = []
    monkeypatch.setattr(first_version, "list_versions", lambda _: versions)
    return versions


def test_only_a_secret_that_this_update_created_is_put_with_the_current_label() -> None:
    first = FirstVersions(None)
    assert first.labels(ARN) == ["aws-secrets-initial"]
    first.secret_was_created(creation(arn=ARN))
    assert first.labels(ARN) == ["AWSCURRENT", "aws-secrets-initial"]
    assert first.labels(f"{ARN}-other") == ["aws-secrets-initial"]


def test_aws_is_not_asked_where_the_version_became_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_version, "list_versions", lambda _: pytest.fail("AWS was asked"))
    put(FirstVersions(None), ["AWSCURRENT", "aws-secrets-initial"])


def test_nothing_is_moved_where_another_version_is_current(in_aws: list[Version]) -> None:
    in_aws += [Version("live", ("AWSCURRENT",)), Version("initial", ("aws-secrets-initial",))]
    moves = Moves()
    put(FirstVersions(moves), ["aws-secrets-initial"])
    assert moves.made == []


def test_the_version_is_made_current_where_none_is(in_aws: list[Version]) -> None:
    in_aws.append(Version("initial", ("aws-secrets-initial",)))
    moves = Moves()
    put(FirstVersions(moves), ["aws-secrets-initial"])
    assert moves.made == [(ARN, "initial")]


@pytest.mark.parametrize("moves", [None, Moves("no credentials")])
def test_the_update_fails_with_the_command_where_it_cannot_be_made_current(
    in_aws: list[Version], moves: Moves | None
) -> None:
    in_aws.append(Version("initial", ("aws-secrets-initial",)))
    with pytest.raises(FirstVersionError, match="has no current version") as failure:
        put(FirstVersions(moves), ["aws-secrets-initial"])
    assert COMMAND in str(failure.value)


def test_the_update_fails_where_it_cannot_be_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_: str) -> list[Version]:
        raise LookupFailedError("AccessDeniedException")

    monkeypatch.setattr(first_version, "list_versions", denied)
    moves = Moves()
    with pytest.raises(FirstVersionError, match="could not be checked: AccessDenied") as failure:
        put(FirstVersions(moves), ["aws-secrets-initial"])
    assert COMMAND in str(failure.value)
    assert moves.made == []
