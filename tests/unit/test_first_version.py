"""Every secret gets a current version, and a live one never loses AWSCURRENT to an initial value."""

import pulumi
import pytest

from components import first_version
from components.first_version import FirstVersionError, FirstVersions
from components.version_labels import LookupFailedError, Version

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app-AbCdEf"
COMMAND = (
    f"aws secretsmanager update-secret-version-stage --secret-id {ARN} --version-stage AWSCURRENT "
    "--move-to-version-id initial"
)


class Moves:
    """Records the versions that become current, or fails with a reason."""

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
    """Versions that AWS lists; the test fills it."""
    versions: list[Version] = []
    monkeypatch.setattr(first_version, "list_versions", lambda _: versions)
    return versions


def test_only_a_new_secret_is_put_with_the_current_label() -> None:
    first = FirstVersions(None)
    assert first.labels(ARN) == ["aws-secrets-initial"]
    first.secret_was_created(creation(arn=ARN))
    assert first.labels(ARN) == ["AWSCURRENT", "aws-secrets-initial"]
    assert first.labels(f"{ARN}-other") == ["aws-secrets-initial"]


def test_a_current_version_needs_no_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_version, "list_versions", lambda _: pytest.fail("AWS was asked"))
    put(FirstVersions(None), ["AWSCURRENT", "aws-secrets-initial"])


def test_another_current_version_keeps_its_label(in_aws: list[Version]) -> None:
    in_aws += [Version("live", ("AWSCURRENT",)), Version("initial", ("aws-secrets-initial",))]
    moves = Moves()
    put(FirstVersions(moves), ["aws-secrets-initial"])
    assert moves.made == []


def test_the_version_becomes_current_if_there_is_none(in_aws: list[Version]) -> None:
    in_aws.append(Version("initial", ("aws-secrets-initial",)))
    moves = Moves()
    put(FirstVersions(moves), ["aws-secrets-initial"])
    assert moves.made == [(ARN, "initial")]


@pytest.mark.parametrize("moves", [None, Moves("no credentials")])
def test_a_failed_label_move_shows_the_command(in_aws: list[Version], moves: Moves | None) -> None:
    in_aws.append(Version("initial", ("aws-secrets-initial",)))
    with pytest.raises(FirstVersionError, match="has no current version") as failure:
        put(FirstVersions(moves), ["aws-secrets-initial"])
    assert COMMAND in str(failure.value)


def test_the_update_fails_if_the_lookup_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_: str) -> list[Version]:
        raise LookupFailedError("AccessDeniedException")

    monkeypatch.setattr(first_version, "list_versions", denied)
    moves = Moves()
    with pytest.raises(FirstVersionError, match="could not be checked: AccessDenied") as failure:
        put(FirstVersions(moves), ["aws-secrets-initial"])
    assert COMMAND in str(failure.value)
    assert moves.made == []
