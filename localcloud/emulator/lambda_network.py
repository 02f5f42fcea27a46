"""Functions in a network: what Lambda checks of their subnets, security groups and role, and what it answers.

Source: AWS Lambda Developer Guide, "Giving Lambda functions access to resources in an Amazon VPC" (the
execution role's permissions); API Reference, VpcConfigResponse.
"""

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.iam.exceptions import NotFoundException
from moto.iam.models import Role, iam_backends

_CREATE = "ec2:createnetworkinterface"


def refusal(account: str, region: str, role: str, network: Mapping[str, Any] | None) -> str | None:
    """Why a function cannot be placed in this network, in Lambda's words."""
    if not network or not network.get("SubnetIds"):
        return None
    ec2 = ec2_backends[account][region]
    vpcs: set[str | None] = set()
    for subnet in network["SubnetIds"]:
        try:
            vpcs.add(ec2.get_subnet(subnet).vpc_id)
        except EC2ClientError:
            return f"The subnet ID '{subnet}' does not exist"
    for group in network.get("SecurityGroupIds") or []:
        found = ec2.get_security_group_from_id(group)
        if found is None:
            return f"The security group '{group}' does not exist"
        vpcs.add(found.vpc_id)
    if len(vpcs) > 1:
        return "Subnets and security groups of a function must belong to the same VPC."
    if not _may_create_interfaces(account, role):
        return "The provided execution role does not have permissions to call CreateNetworkInterface on EC2"
    return None


def described(account: str, region: str, network: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The network as Lambda answers it, with the VPC."""
    if network is None:
        return None
    subnets = network.get("SubnetIds") or []
    vpc = ""
    if subnets:
        try:
            vpc = ec2_backends[account][region].get_subnet(subnets[0]).vpc_id
        except EC2ClientError:  # it was deleted since
            vpc = ""
    return {
        "SubnetIds": subnets,
        "SecurityGroupIds": network.get("SecurityGroupIds") or [],
        "VpcId": vpc,
        "Ipv6AllowedForDualStack": bool(network.get("Ipv6AllowedForDualStack")),
    }


def _may_create_interfaces(account: str, arn: str) -> bool:
    """Whether a policy of the role says so; conditions and denials are not looked at."""
    try:
        role = iam_backends[account]["aws"].get_role_by_arn(arn)
    except NotFoundException:
        return True  # which is refused for another reason
    return any(
        statement.get("Effect") == "Allow"
        and any(fnmatchcase(_CREATE, action.lower()) for action in _listed(statement.get("Action")))
        for document in _documents(role)
        for statement in _listed(document.get("Statement"))
    )


def _documents(role: Role) -> Iterator[dict[str, Any]]:
    managed = [
        version.document
        for policy in role.managed_policies.values()
        for version in policy.versions
        if version.is_default
    ]
    for document in [*role.policies.values(), *managed]:
        yield json.loads(document) if isinstance(document, str) else document


def _listed(value: Any) -> list[Any]:  # noqa: ANN401  JSON
    return value if isinstance(value, list) else [] if value is None else [value]
