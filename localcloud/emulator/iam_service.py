"""IAM: moto's, with AWS's managed policies taken in when they are asked for: all of them take a second."""

import json
from functools import cache
from typing import Any

from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, IAMBackend
from moto.iam.responses import IamResponse

_PREFIX = "arn:aws:iam::aws:policy/"


class Iam(IamResponse):
    """One request; moto calls the method that is named after its operation."""

    def call_action(self) -> Any:  # noqa: ANN401, D102  moto's own form
        wanted = str(self._get_param("PolicyArn") or "")
        if wanted.startswith(_PREFIX):
            _take_in(self.backend, wanted.rpartition("/")[2])
        if self._get_action() == "ListPolicies":
            for name in _policies():
                _take_in(self.backend, name)
        return super().call_action()


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
