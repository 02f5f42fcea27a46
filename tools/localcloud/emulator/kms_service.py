"""moto's KMS, with keys pending deletion unusable, policies checked and AWS's aliases reserved.

Sources: AWS KMS Developer Guide, "Key states of AWS KMS keys"; API Reference, ScheduleKeyDeletion,
GetKeyRotationStatus.
"""

import json
from typing import Any

from moto.kms.models import Key
from moto.kms.responses import KmsResponse

# Operations that a key pending deletion still answers.
_ALLOWED = {"CancelKeyDeletion", "DescribeKey", "GetKeyPolicy", "PutKeyPolicy", "ListKeyPolicies"}
_ALLOWED |= {"ListResourceTags", "ListAliases", "DeleteAlias", "ListGrants", "RevokeGrant", "RetireGrant"}
_ALLOWED |= {"GetKeyRotationStatus"}
_KEY_PARAMETERS = ("KeyId", "TargetKeyId", "SourceKeyId", "DestinationKeyId")
_LEAST_DAYS, _MOST_DAYS = 7, 30
# Operations of moto that find a key by its id only, where AWS takes the ARN as well.
_MOST_POLICY_BYTES = 32_768  # Source: AWS KMS Developer Guide, "Resource quotas"
_BY_ID_ONLY = {"CancelKeyDeletion", "DisableKey", "EnableKey", "ScheduleKeyDeletion"}


class Kms(KmsResponse):
    """One request; moto calls the method that is named after its operation."""

    def _get_param(self, param_name: str, if_none: Any = None) -> Any:  # noqa: ANN401  moto's own form
        found = super()._get_param(param_name, if_none)
        if param_name == "KeyId" and isinstance(found, str) and self._get_action() in _BY_ID_ONLY:
            return self.kms_backend.get_key_id(found)
        return found

    def _pending(self) -> Key | None:
        """Return a key of the request that is pending deletion."""
        asked = json.loads(self.body or "{}")
        for parameter in _KEY_PARAMETERS:
            named = asked.get(parameter)
            if not isinstance(named, str):
                continue
            backend = self.kms_backend
            key = backend.keys.get(backend.get_key_id(named))
            if key is None and "alias/" in named:
                target = backend.get_key_id_from_alias(backend.get_alias_name(named))
                key = backend.keys.get(backend.get_key_id(target)) if target else None
            if key is not None and key.key_state == "PendingDeletion":
                return key
        return None

    def get_key_rotation_status(self) -> str:  # noqa: D102  AWS's operation
        answer = json.loads(super().get_key_rotation_status())
        return json.dumps({**answer, "KeyRotationEnabled": False} if self._pending() else answer)

    def call_action(self) -> Any:  # noqa: ANN401, D102  moto's own form
        pending = None if self._get_action() in _ALLOWED else self._pending()
        if pending is not None:
            return self._refused("KMSInvalidStateException", f"{pending.arn} is pending deletion.")
        asked = json.loads(self.body or "{}")
        if "Policy" in asked and not _is_policy(asked["Policy"]):
            return self._refused("MalformedPolicyDocumentException", "This policy contains invalid Json")
        if len(str(asked.get("Policy", "")).encode()) > _MOST_POLICY_BYTES:
            message = f"Key policy size must be less than or equal to {_MOST_POLICY_BYTES} bytes."
            return self._refused("LimitExceededException", message)
        if str(asked.get("AliasName")).startswith("alias/aws/") and self._get_action() != "ListAliases":
            return self._refused("NotAuthorizedException", "The prefix alias/aws/ is reserved for AWS.")
        days = asked.get("PendingWindowInDays", _LEAST_DAYS)
        if not isinstance(days, int) or not _LEAST_DAYS <= days <= _MOST_DAYS:
            return self._refused(
                "ValidationException",
                f"PendingWindowInDays must be between {_LEAST_DAYS} and {_MOST_DAYS} (inclusive).",
            )
        return super().call_action()

    def _refused(self, code: str, message: str) -> tuple[int, dict[str, Any], str]:
        headers = {**self.response_headers, "x-amzn-errortype": code, "status": 400}
        return 400, headers, json.dumps({"__type": code, "message": message})


def _is_policy(text: object) -> bool:
    """Return whether the text is a policy document; its content is not evaluated here."""
    try:
        statements = json.loads(str(text))["Statement"]
    except (ValueError, KeyError, TypeError):
        return False
    found = statements if isinstance(statements, list) else [statements]
    return bool(found) and all(
        isinstance(statement, dict) and {"Effect", "Principal"} <= statement.keys() for statement in found
    )
