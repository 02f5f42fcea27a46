"""Functions in a network: Lambda's checks of their subnets, security groups and role, and its answers.

Source: AWS Lambda Developer Guide, "Giving Lambda functions access to resources in an Amazon VPC" (the
execution role's permissions); API Reference, VpcConfigResponse.
"""

from collections.abc import Mapping
from typing import Any

from moto import backends

from tools.localcloud.emulator.authorization import Decision, Request, decide
from tools.localcloud.emulator.identities import PARTITION, common_context, policies_of, role_of
from tools.localcloud.emulator.policy_conditions import UnmodelledError


def refusal(account: str, region: str, role: str, network: Mapping[str, Any] | None) -> str | None:
    """Return why a function cannot be placed in this network, in Lambda's words."""
    if not network or not network.get("SubnetIds"):
        return None
    ec2 = _ec2(account, region)
    vpcs: set[str | None] = set()
    for subnet in network["SubnetIds"]:
        vpc = _vpc_of(ec2, subnet)
        if vpc is None:
            return f"The subnet ID '{subnet}' does not exist"
        vpcs.add(vpc)
    for group in network.get("SecurityGroupIds") or []:
        found = ec2.get_security_group_from_id(group)
        if found is None:
            return f"The security group '{group}' does not exist"
        vpcs.add(found.vpc_id)
    if len(vpcs) > 1:
        return "Subnets and security groups of a function must belong to the same VPC."
    if not _may_create_interfaces(account, region, role):
        return "The provided execution role does not have permissions to call CreateNetworkInterface on EC2"
    return None


def described(account: str, region: str, network: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the network as Lambda answers it, with the VPC."""
    if network is None:
        return None
    subnets = network.get("SubnetIds") or []
    # a subnet can have been deleted since
    vpc = _vpc_of(_ec2(account, region), subnets[0]) if subnets else None
    return {
        "SubnetIds": subnets,
        "SecurityGroupIds": network.get("SecurityGroupIds") or [],
        "VpcId": vpc or "",
        "Ipv6AllowedForDualStack": bool(network.get("Ipv6AllowedForDualStack")),
    }


def _ec2(account: str, region: str) -> Any:  # noqa: ANN401  moto's backend
    """Load moto's EC2 on demand: it is the largest part of moto, and few functions are in a network."""
    return backends.get_backend("ec2")[account][region]


def _vpc_of(ec2: Any, subnet: str) -> str | None:  # noqa: ANN401  moto's backend
    found = next((zone[subnet] for zone in ec2.subnets.values() if subnet in zone), None)
    return None if found is None else str(found.vpc_id)


def _may_create_interfaces(account: str, region: str, arn: str) -> bool:
    """Return whether the role's policies allow Lambda (not the function's code) to create interfaces."""
    role = role_of(arn)
    if role is None:
        return True  # which is refused for another reason
    request = Request(
        action="ec2:CreateNetworkInterface",
        resource=f"arn:{PARTITION}:ec2:{region}:{account}:network-interface/*",
        context=common_context(account, region),
    )
    try:
        return decide(policies_of(role), request) is Decision.ALLOW
    except UnmodelledError:
        return False
