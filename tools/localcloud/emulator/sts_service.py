"""moto's STS, which also keeps a session's policies, tags and identity provider."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.iam.models import iam_backends
from moto.sts.models import AssumedRole, sts_backends
from moto.sts.responses import TokenResponse

from tools.localcloud.emulator import iam_service, role_assumption
from tools.localcloud.emulator.identities import PARTITION, SessionDetails, keep_details, tags_of

_SESSION_SECONDS = 3600
_COLONS = 5  # of an ARN


class SessionError(Exception):
    """An invalid request for a service's session. The message gives the reason."""


def for_service(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return a session as an AWS service begins it for tasks and pods, which the emulator cannot run.

    Args:
        asked: RoleArn, Service (such as ecs-tasks.amazonaws.com), and perhaps SourceArn, Tags, Region and
            RoleSessionName.

    Raises:
        SessionError: a parameter is missing or of another type, or the role does not let the service in.
    """
    texts = {key: asked.get(key) for key in ("RoleArn", "Service", "SourceArn", "RoleSessionName", "Region")}
    for key, value in texts.items():
        if not isinstance(value, str) and (value is not None or key in {"RoleArn", "Service"}):
            raise SessionError(f"{key} must be a string")
    tags = asked.get("Tags") or {}
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        raise SessionError("Tags must be an object of strings")
    role_arn, service, source = str(texts["RoleArn"]), str(texts["Service"]), texts["SourceArn"]
    if source is not None and source.count(":") < _COLONS:
        raise SessionError("SourceArn must be an ARN")
    region = texts["Region"] or "us-east-1"
    if not role_assumption.service_may_assume(service, role_arn, region, source, tags):
        raise SessionError(f"{role_arn} does not exist or does not trust {service}")
    name = texts["RoleSessionName"] or "session"
    session = begun(role_arn, name, region, SessionDetails(begun=now(), tags=tags))
    return {
        "AccessKeyId": session.access_key_id,
        "SecretAccessKey": session.secret_access_key,
        "SessionToken": session.session_token,
    }


def begun(
    role_arn: str, name: str, region: str, details: SessionDetails, seconds: int = _SESSION_SECONDS
) -> AssumedRole:
    """Return a new session, without checking permissions."""
    account = role_arn.split(":")[4]
    session = sts_backends[account][PARTITION].assume_role(
        region_name=region,
        role_session_name=name,
        role_arn=role_arn,
        policy="",
        duration=seconds,
        external_id="",
    )
    keep_details(session, details)
    return session


def now() -> str:
    """Return the time in the form that sessions record."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Sts(TokenResponse):
    """One request; moto calls the method that is named after its operation."""

    def assume_role(self) -> Any:  # noqa: ANN401, D102  moto's own form
        answer = super().assume_role()
        self._keep(answer, tags=tags_of(self._get_param("Tags")))
        return answer

    def assume_role_with_web_identity(self) -> Any:  # noqa: ANN401, D102  moto's own form
        identity = role_assumption.web_identity(
            str(self._get_param("WebIdentityToken")), str(self._get_param("RoleArn"))
        )
        answer = super().assume_role_with_web_identity()
        session = self._keep(answer, tags=identity.tags, provider=identity.provider_arn)
        claims = identity.claims
        result: Any = answer.result
        return ActionResult(
            {
                **result,
                "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.arn},
                "SubjectFromWebIdentityToken": str(claims.get("sub", "")),
                "Audience": str(claims.get("azp") or claims.get("aud") or ""),
                "Provider": identity.provider_arn,
            }
        )

    def _keep(self, answer: ActionResult, **details: Any) -> AssumedRole:  # noqa: ANN401  details
        result: Any = answer.result
        session: AssumedRole = result["Credentials"]
        inline = self._get_param("Policy")
        arns = [str(one.get("arn")) for one in self._get_param("PolicyArns") or []]
        policies: tuple[str, ...] | None = None
        if inline or arns:
            policies = (*([str(inline)] if inline else []), *(_managed(session, arn) for arn in arns))
        keep_details(session, SessionDetails(begun=now(), policies=policies, **details))
        return session


def _managed(session: AssumedRole, arn: str) -> str:
    """Return the document of a managed policy when the session begins; one that is missing allows nothing."""
    found = iam_service.managed_policy(iam_backends[session.account_id][PARTITION], arn)
    return "{}" if found is None else str(iam_service.default_document(found))
