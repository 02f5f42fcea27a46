"""Declare the access of workloads, and export what they need to read their secrets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pulumi

from components.read_access import (
    AssumedBy,
    EcsTasks,
    ExistingRole,
    PodIdentity,
    ReadAccess,
    ReadAccessArgs,
    Reader,
    ServiceAccount,
)
from components.role_policies import MOST_INLINE
from components.secret import Secret
from program import redeployments
from program.aws_lookups import DatabaseServer
from program.contracts import Known, contract_of
from program.database_users import let_connect, reserved
from program.desired import DesiredWorkload
from program.existing_secrets import ExistingSecret
from program.manifests.contract import Authorities, Workload
from program.manifests.contract_json import to_json
from program.manifests.ecs import container_secrets, database_authorities
from program.manifests.lambda_environment import lambda_environment
from program.secret_args import SecretDefaults


@dataclass(frozen=True)
class Sources:
    """Everything that workloads can read.

    Attributes:
        secrets: the stack's secrets, by their names in AWS.
        existing: other secrets, by their names or ARNs as declared.
        servers: the servers of databases, by their names in the stack file.
    """

    secrets: Mapping[str, Secret]
    existing: Mapping[str, ExistingSecret]
    servers: Mapping[str, DatabaseServer]

    def existing_of(self, workload: DesiredWorkload) -> list[ExistingSecret]:
        """Return the existing secrets that a workload reads."""
        return [self.existing[reference] for reference in workload.existing_secrets]


def declare(
    defaults: SecretDefaults,
    sources: Sources,
    authorities: Mapping[str, str],
    inline_rooms: Mapping[str, int],
) -> dict[str, object]:
    """Declare every workload's access; return the stack's outputs about them.

    Args:
        defaults: what the stack's components share.
        sources: what the workloads can read.
        authorities: workload to the PEM text of certificate authorities, for those that ask for it.
        inline_rooms: workload to the characters of its inline policy, where several share a role's.
    """
    shared = _shared_access(defaults, sources, inline_rooms)
    return {
        name: _declare_one(defaults, workload, sources, authorities.get(name), shared.get(name))
        for name, workload in defaults.desired.workloads.items()
    }


def _declare_one(
    defaults: SecretDefaults,
    workload: DesiredWorkload,
    sources: Sources,
    pem: str | None,
    access: ReadAccess | None,
) -> pulumi.Output[dict[str, Any]]:
    role_arn: pulumi.Input[str] | None = workload.cross_account_role(defaults.account)
    if role_arn is None:
        access = access or _access(defaults, workload, sources)
        role_arn = access.role_arn
    let_connect(defaults.desired, workload, defaults.account, sources.servers, access)
    others = {other.reference: other.arn for other in sources.existing_of(workload)}
    own = {name: sources.secrets[name] for name in workload.secrets}
    keys = {name: secret.keys if secret.content == "keys" else None for name, secret in own.items()}
    arns = pulumi.Output.all(**{name: secret.arn for name, secret in own.items()}, **others)

    def contract(role_arn: str, arns: Mapping[str, str]) -> Workload:
        known = Known(region=defaults.account.region, role_arn=role_arn, keys=keys, arns=arns)
        return replace(contract_of(workload, known), authorities=_authorities(workload, pem))

    return pulumi.Output.all(role_arn, arns, _redeployment(defaults, workload, sources)).apply(
        lambda known: {
            "roleArn": known[0],
            **known[2],
            **_output(contract(known[0], known[1]), workload),
        }
    )


def _authorities(workload: DesiredWorkload, pem: str | None) -> Authorities | None:
    declared = workload.declared.database_authorities
    if pem is None or declared is None:
        return None
    return Authorities(pem=pem, path=workload.declared.authorities_path, variables=declared.variables)


def _redeployment(
    defaults: SecretDefaults, workload: DesiredWorkload, sources: Sources
) -> dict[str, pulumi.Output[str]]:
    service = workload.declared.automatic_redeploy
    if service is None:
        return {}
    read = [sources.secrets[name] for name in workload.secrets]
    others = [other.arn for other in sources.existing_of(workload)]
    redeployment = redeployments.declare(defaults, workload.name, service, read, others)
    return {
        "redeployFunction": redeployment.function_name,
        "redeployLogGroup": redeployment.log_group_name,
    }


def _shared_access(
    defaults: SecretDefaults, sources: Sources, inline_rooms: Mapping[str, int]
) -> dict[str, ReadAccess]:
    """Declare the access of workloads whose inline policies share a role, one after another.

    The largest comes first: it frees the room that the next one may need.
    """
    shared: dict[str, ReadAccess] = {}
    before: list[pulumi.Resource] = []
    for name, room in inline_rooms.items():
        shared[name] = _access(defaults, defaults.desired.workloads[name], sources, room, before)
        before = [shared[name].policy]
    return shared


def _access(
    defaults: SecretDefaults,
    workload: DesiredWorkload,
    sources: Sources,
    inline_room: int = MOST_INLINE,
    after: Sequence[pulumi.Resource] = (),
) -> ReadAccess:
    desired, others = defaults.desired, sources.existing_of(workload)
    own_keys = [defaults.kms_key_arn(desired.secrets[name].encryption) for name in workload.secrets]
    key_arns = [*own_keys, *(other.kms_key_arn for other in others)]
    return ReadAccess(
        workload.name,
        ReadAccessArgs(
            account_id=defaults.account.account_id,
            partition=defaults.account.partition,
            region=defaults.account.region,
            reader=_reader(workload),
            secret_arns=[sources.secrets[name].arn for name in workload.secrets],
            secret_names=workload.secrets,
            existing_secret_arns=[other.arn for other in others],
            kms_key_arns=[key for key in key_arns if key is not None],
            secret_keys=own_keys,
            existing_secret_keys=[other.kms_key_arn for other in others],
            inline_room=inline_room - reserved(desired, workload, defaults.account),
            tags=desired.stack_file.tags,
            permissions_boundary=desired.stack_file.permissions_boundary,
            after=after,
        ),
    )


def _reader(workload: DesiredWorkload) -> Reader:
    if workload.role:
        return ExistingRole(name=workload.role.partition(":role/")[2] or workload.role)
    kubernetes = workload.declared.kubernetes
    if kubernetes is None:
        return EcsTasks()
    namespace, name = kubernetes.namespace, kubernetes.service_account
    if kubernetes.pod_identity:
        return PodIdentity(cluster=kubernetes.pod_identity.cluster, namespace=namespace, name=name)
    if kubernetes.operator_role:
        return AssumedBy(role_arn=kubernetes.operator_role)
    return ServiceAccount(
        oidc_provider_arn=kubernetes.oidc_provider_arn or "", namespace=namespace, name=name
    )


def _output(contract: Workload, workload: DesiredWorkload) -> dict[str, Any]:
    """Return what a workload needs to read its secrets; no value."""
    authorities = contract.authorities
    if workload.declared.ecs:
        needed = {"databaseAuthorities": database_authorities(authorities)} if authorities else {}
        return {"containerSecrets": container_secrets(contract), **needed}
    if workload.declared.lambda_:
        file = (
            {"databaseAuthorities": {"path": authorities.path, "pem": authorities.pem}} if authorities else {}
        )
        return {"environment": lambda_environment(contract), **file}
    return {"contract": to_json(contract)}
