"""moto's IAM with AWS's limits; AWS's managed policies are loaded on demand, because all take a second.

Deleted access keys are remembered: they must not become those of the administrator.
"""

import json
from functools import cache
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, IAMBackend, ManagedPolicy
from moto.iam.responses import IamResponse

from tools.localcloud.emulator import iam_limits

_PREFIX = "arn:aws:iam::aws:policy/"


class Iam(IamResponse):
    """One request; moto calls the method that is named after its operation."""

    def call_action(self) -> Any:  # noqa: ANN401, D102  moto's own form
        asked = {name: values[0] for name, values in self.querystring.items() if values}
        try:
            iam_limits.check(self.backend, self._get_action(), asked)
        except ServiceException as error:
            status, headers, body = self.serialized(ActionResult(error))
            return status, {**headers, "status": str(status)}, body
        for parameter in ("PolicyArn", "PermissionsBoundary"):
            managed_policy(self.backend, str(self._get_param(parameter) or ""))
        if self._get_action() == "ListPolicies":
            for name in _policies():
                _take_in(self.backend, name)
        if self._get_action() == "DeleteAccessKey":
            known = set(self.backend.access_keys)
            answer = super().call_action()
            vars(self.backend)["localcloud_taken_back"] = keys_taken_back(self.backend) | (
                known - self.backend.access_keys.keys()
            )
            return answer
        return super().call_action()


def keys_taken_back(backend: IAMBackend) -> frozenset[str]:
    """Access keys that were given out once and deleted since."""
    found: frozenset[str] = vars(backend).get("localcloud_taken_back", frozenset())
    return found


def managed_policy(backend: IAMBackend, arn: str) -> ManagedPolicy | None:
    """Return a policy of the account, or one of AWS's."""
    if arn.startswith(_PREFIX):
        _take_in(backend, arn.rpartition("/")[2])
    return backend.managed_policies.get(arn)


def default_document(policy: ManagedPolicy) -> Any:  # noqa: ANN401  text, or parsed already
    """Return the document that counts."""
    return next(version.document for version in policy.versions if version.is_default)


@cache
def _policies() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(aws_managed_policies_data)
    return found


def _take_in(backend: IAMBackend, name: str) -> None:
    data = _policies().get(name)
    if data is None:
        return
    policy = AWSManagedPolicy.from_data(name, backend.account_id, backend.region_name, data)
    if policy.arn not in backend.managed_policies:
        backend.managed_policies[policy.arn] = policy
        backend.aws_managed_policies.append(policy)
