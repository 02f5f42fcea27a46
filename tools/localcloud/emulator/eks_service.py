"""moto's EKS, with the Pod Identity associations that moto lacks.

Source: Amazon EKS API Reference.
"""

import re
import secrets
import string
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.eks.exceptions import InvalidParameterException, ResourceInUseException, ResourceNotFoundException
from moto.eks.models import EKSBackend
from moto.eks.responses import EKSResponse
from moto.iam.models import iam_backends

from tools.localcloud.emulator.identities import PARTITION

PATHS = (
    "{0}/clusters/(?P<name>[^/]+)/pod-identity-associations$",
    "{0}/clusters/(?P<name>[^/]+)/pod-identity-associations/(?P<associationId>[^/]+)$",
    "{0}/tags/(?P<resourceArn>.+)$",
)
_ASSOCIATION = re.compile(r"arn:[^:]+:eks:[^:]+:\d{12}:podidentityassociation/[^/]+/(?P<id>a-[a-z0-9]+)")
_ID_LENGTH = 17
_CHANGES = ("roleArn", "disableSessionTags", "targetRoleArn", "policy")

Association = dict[str, Any]


class Eks(EKSResponse):
    """One request; moto calls the method that is named after its operation."""

    def create_pod_identity_association(self) -> ActionResult:  # noqa: D102  moto's own form
        cluster = self._cluster()
        namespace, account = self._get_param("namespace"), self._get_param("serviceAccount")
        role = self._role()
        for found in _associations(self.eks_backend).values():
            if (found["clusterName"], found["namespace"], found["serviceAccount"]) == (
                cluster,
                namespace,
                account,
            ):
                raise ResourceInUseException(
                    clusterName=cluster,
                    nodegroupName=None,
                    addonName=None,
                    message=f"Association already exists: {found['associationId']}",
                )
        letters = string.ascii_lowercase + string.digits
        identity = "a-" + "".join(secrets.choice(letters) for _ in range(_ID_LENGTH))
        place = f"{self.region}:{self.current_account}:podidentityassociation/{cluster}/{identity}"
        made: Association = {
            "clusterName": cluster,
            "namespace": namespace,
            "serviceAccount": account,
            "roleArn": role,
            "associationArn": f"arn:{PARTITION}:eks:{place}",
            "associationId": identity,
            "tags": dict(self._get_param("tags") or {}),
            "createdAt": _now(),
            "modifiedAt": _now(),
            "disableSessionTags": bool(self._get_param("disableSessionTags")),
            **self._given("targetRoleArn", "policy"),
        }
        _associations(self.eks_backend)[identity] = made
        return ActionResult({"association": made})

    def describe_pod_identity_association(self) -> ActionResult:  # noqa: D102  moto's own form
        return ActionResult({"association": self._association()})

    def update_pod_identity_association(self) -> ActionResult:  # noqa: D102  moto's own form
        found = self._association()
        if self._get_param("roleArn"):
            self._role()
        found |= {**self._given(*_CHANGES), "modifiedAt": _now()}
        return ActionResult({"association": found})

    def delete_pod_identity_association(self) -> ActionResult:  # noqa: D102  moto's own form
        found = self._association()
        del _associations(self.eks_backend)[found["associationId"]]
        return ActionResult({"association": found})

    def list_pod_identity_associations(self) -> ActionResult:  # noqa: D102  moto's own form
        wanted = {"clusterName": self._cluster(), **self._given("namespace", "serviceAccount")}
        shown = ("clusterName", "namespace", "serviceAccount", "associationArn", "associationId")
        return ActionResult(
            {
                "associations": [
                    {name: found[name] for name in shown}
                    for found in _associations(self.eks_backend).values()
                    if wanted.items() <= found.items()
                ]
            }
        )

    def tag_resource(self) -> ActionResult:  # noqa: D102  moto's own form
        found = self._tagged()
        if found is None:
            return super().tag_resource()
        found["tags"] |= self._get_param("tags")
        return ActionResult({})

    def untag_resource(self) -> ActionResult:  # noqa: D102  moto's own form
        found = self._tagged()
        if found is None:
            return super().untag_resource()
        for key in self._get_param("tagKeys") or []:
            found["tags"].pop(key, None)
        return ActionResult({})

    def _cluster(self) -> str:
        name = str(self._get_param("name"))
        self.eks_backend.describe_cluster(name=name)  # raises where there is none
        return name

    def _association(self) -> Association:
        cluster, identity = self._cluster(), str(self._get_param("associationId"))
        found = _associations(self.eks_backend).get(identity)
        if found is None or found["clusterName"] != cluster:
            raise ResourceNotFoundException(
                clusterName=cluster,
                nodegroupName=None,
                fargateProfileName=None,
                addonName=None,
                message=f"Association not found: {identity}",
            )
        return found

    def _tagged(self) -> Association | None:
        arn = _ASSOCIATION.fullmatch(str(self._get_param("resourceArn")))
        return _associations(self.eks_backend).get(arn["id"]) if arn else None

    def _role(self) -> str:
        arn = str(self._get_param("roleArn"))
        roles = iam_backends[self.current_account][PARTITION].roles.values()
        if not any(role.arn == arn for role in roles):
            raise InvalidParameterException(
                clusterName=self._get_param("name"),
                nodegroupName=None,
                fargateProfileName=None,
                addonName=None,
                message="Role provided in the request does not exist.",
            )
        return arn

    def _given(self, *names: str) -> dict[str, Any]:
        found = {name: self._get_param(name) for name in names}
        return {name: value for name, value in found.items() if value is not None}


def _associations(backend: EKSBackend) -> dict[str, Association]:
    found: dict[str, Association] = vars(backend).setdefault("localcloud_pod_identities", {})
    return found


def _now() -> datetime:
    return datetime.now(UTC)
