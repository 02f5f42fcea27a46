"""Who reads the stack's secrets: access, and the manifests that bring values to them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from program.existing_secrets import (
    ExistingSecret,
    arn_pattern,
    existing_of,
    of_workload,
)
from program.making import Account, Making, chosen
from settings import Mistake, SettingsError, StackFile
from settings.mistakes import path_of
from settings.reads import Origin, Read
from settings.stack_secrets import by_name
from settings.workloads import Workload
from workloads.contract import Authorities, Source, Template, Value
from workloads.contract import Workload as Contract
from workloads.ecs import container_secrets, database_authorities
from workloads.kubernetes import manifests
from workloads.lambda_environment import lambda_environment
from workloads.pod import pod_part
from workloads.yaml_files import render

_ARN = re.compile(r"arn:[^:]+:iam::(?P<account>\d{12}):role/(?P<path>.+/)?(?P<name>[^/]+)")


def foreign_readers(
    declared: StackFile, account: Account, limits: Iterable[Mistake] = ()
) -> dict[str, list[str]]:
    """Name of each secret that other accounts read, to the ARNs of their roles.

    Args:
        declared: the stack's.
        account: where.
        limits: where it is more than AWS takes, to be said along with the rest.

    Raises:
        SettingsError: one is encrypted with AWS's own key, a service cannot be redeployed, or a
            limit is passed.
    """
    every_read = {
        name: [arn_pattern(secret, account) for secret in [*secrets_of(workload), *existing_of(workload)]]
        for name, workload in declared.workloads.items()
    }
    mistakes = list(redeployments.mistakes(declared, account, every_read))
    mistakes += limits
    made = by_name(declared)
    for name, workload in declared.workloads.items():
        role = foreign_role(workload, account)
        if role is None:
            continue
        mistakes += _closed_to_other_accounts(name, workload)
        for secret in secrets_of(workload):
            if chosen(made[secret].kept.encryption, declared.encryption) == "aws-managed":
                mistakes.append(
                    Mistake(
                        path_of(pulumi.get_project(), ("workloads", name)),
                        f"its role is in another account, and {secret} is encrypted with AWS's own key",
                        "Other accounts can never decrypt with that key",
                        f"Write encryption: stack-key for {secret}",
                    )
                )
    if mistakes:
        raise SettingsError(pulumi.get_stack(), mistakes)
    return roles_elsewhere(declared, account)


def roles_elsewhere(declared: StackFile, account: Account) -> dict[str, list[str]]:
    """Return the name of each secret that other accounts read, with the ARNs of their roles."""
    readers: dict[str, set[str]] = {}
    for workload in declared.workloads.values():
        role = foreign_role(workload, account)
        for secret in secrets_of(workload) if role else ():
            readers.setdefault(secret, set()).add(role or "")
    return {secret: sorted(roles) for secret, roles in readers.items()}


def _closed_to_other_accounts(name: str, workload: Workload) -> Iterator[Mistake]:
    for read in workload.existing_reads:
        yield Mistake(
            path_of(pulumi.get_project(), ("workloads", name, *read.place, "existingSecret")),
            "the workload's role is in another account, and this stack does not make the secret",
            "The stack cannot let the role in by the secret's policy",
            "Give the workload a role of this account, or write that policy where the secret is made and let "
            "a stack of the other account have the workload",
        )


def role_of(workload: Workload) -> str | None:
    """The role that the stack file names for it; None where one is made."""
    for platform in (workload.kubernetes, workload.ecs, workload.lambda_):
        if platform and platform.role:
            return platform.role
    return None


def foreign_role(workload: Workload, account: Account) -> str | None:
    """ARN of its role where that is in another account."""
    role = role_of(workload)
    found = _ARN.fullmatch(role) if role else None
    return role if found and found["account"] != account.account_id else None


def secrets_of(workload: Workload) -> list[str]:
    """Names of the secrets that it reads."""
    return sorted({*(read.secret for read in workload.reads), *workload.environment_from})


@dataclass(frozen=True)
class Sources:
    """All that workloads can read.

    Attributes:
        secrets: name in AWS to secret, of those that this stack makes.
        existing: what the stack file calls a secret that it does not make, to what is known of it.
    """

    secrets: Mapping[str, Secret]
    existing: Mapping[str, ExistingSecret]


def declare(
    making: Making,
    sources: Sources,
    authorities: Mapping[str, str],
    inline_rooms: Mapping[str, int],
) -> dict[str, object]:
    """Access for every workload; what the stack says of them.

    Args:
        making: how this stack makes things.
        sources: what they read.
        authorities: workload to the PEM text of certificate authorities, for those that ask for it.
        inline_rooms: workload to the characters of its inline policy, where several have to share a role's.
    """
    shared = _shared_access(making, sources, inline_rooms)
    return {
        name: _declare_one(making, name, sources, authorities.get(name), shared.get(name))
        for name in making.settings.stack_file.workloads
    }


def _declare_one(
    making: Making,
    name: str,
    sources: Sources,
    pem: str | None,
    access: ReadAccess | None,
) -> pulumi.Output[dict[str, Any]]:
    workload, secrets = making.settings.stack_file.workloads[name], sources.secrets
    names = secrets_of(workload)
    foreign = foreign_role(workload, making.account)
    role_arn: pulumi.Input[str] = foreign or (access or _access(making, name, sources)).role_arn
    others = {other.reference: other.arn for other in of_workload(workload, sources.existing)}
    arns = pulumi.Output.all(**{secret: secrets[secret].arn for secret in names}, **others)
    keys = {secret: secrets[secret].keys if secrets[secret].content == "keys" else None for secret in names}
    region = making.account.region

    def contract(role_arn: str, arns: Mapping[str, str]) -> Contract:
        made = _contract(name, workload, region, role_arn, _Known(keys, arns))
        return replace(made, authorities=_authorities(workload, pem))

    return pulumi.Output.all(role_arn, arns, _redeployment(making, name, workload, sources)).apply(
        lambda known: {
            "roleArn": known[0],
            **known[2],
            **_rendered(contract(known[0], known[1]), workload),
        }
    )


def _authorities(workload: Workload, pem: str | None) -> Authorities | None:
    if pem is None or workload.database_authorities is None:
        return None
    variables = workload.database_authorities.variables
    return Authorities(pem=pem, path=workload.authorities_path, variables=variables)


def _redeployment(
    making: Making, name: str, workload: Workload, sources: Sources
) -> dict[str, pulumi.Output[str]]:
    if not (workload.ecs and workload.ecs.redeploy):
        return {}
    read = [sources.secrets[secret] for secret in secrets_of(workload)]
    others = [other.arn for other in of_workload(workload, sources.existing)]
    made = redeployments.declare(making, name, workload.ecs.redeploy, read, others)
    return {"redeployFunction": made.function_name, "redeployLogGroup": made.log_group_name}


def _shared_access(
    making: Making, sources: Sources, inline_rooms: Mapping[str, int]
) -> dict[str, ReadAccess]:
    """Access of workloads whose inline policies have to fit into one role, one after the other.

    The largest comes first: it gives up the room that the next may need.
    """
    made: dict[str, ReadAccess] = {}
    before: list[pulumi.Resource] = []
    for name, room in inline_rooms.items():
        made[name] = _access(making, name, sources, room, before)
        before = [made[name].policy]
    return made


def _access(
    making: Making,
    name: str,
    sources: Sources,
    inline_room: int = MOST_INLINE,
    after: Sequence[pulumi.Resource] = (),
) -> ReadAccess:
    workload = making.settings.stack_file.workloads[name]
    secrets, others = sources.secrets, of_workload(workload, sources.existing)
    made = by_name(making.settings.stack_file)
    names = secrets_of(workload)
    key_ids = [making.kms_key_id(made[secret].kept) for secret in names]
    key_ids += [other.kms_key_arn for other in others]
    return ReadAccess(
        name,
        ReadAccessArgs(
            account_id=making.account.account_id,
            partition=making.account.partition,
            region=making.account.region,
            reader=_reader(workload),
            secret_arns=[secrets[secret].arn for secret in names],
            secret_names=names,
            existing_secret_arns=[other.arn for other in others],
            kms_key_ids=[key for key in key_ids if key is not None],
            secret_keys=key_ids[: len(names)],
            existing_secret_keys=[other.kms_key_arn for other in others],
            inline_room=inline_room,
            tags=making.settings.stack_file.tags,
            permissions_boundary=making.settings.stack_file.permissions_boundary,
            after=after,
        ),
    )


def _reader(workload: Workload) -> Reader:
    role = role_of(workload)
    if role:
        return ExistingRole(name=role.partition(":role/")[2] or role)
    kubernetes = workload.kubernetes
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


@dataclass(frozen=True)
class _Known:
    """What a workload reads.

    Attributes:
        keys: name of a secret of this stack to its keys; None if it is one text or binary.
        arns: name of a secret, or what the stack file calls an existing one, to its full ARN.
    """

    keys: Mapping[str, Sequence[str] | None]
    arns: Mapping[str, str]

    def source(self, secret: str, key: str | None) -> Source:
        """Return where a key is, or the whole secret."""
        has_keys = self.keys.get(secret, ()) is not None
        return Source(secret_name=secret, secret_arn=self.arns[secret], key=key if has_keys else None)


def _contract(
    name: str,
    workload: Workload,
    region: str,
    role_arn: str,
    known: _Known,
) -> Contract:
    def environment() -> Iterator[tuple[str, Value]]:
        for secret in workload.environment_from:
            yield from ((key, known.source(secret, key)) for key in known.keys[secret] or ())
        for variable, read in workload.environment.items():
            yield variable, _value(read, variable, known)

    kubernetes = workload.kubernetes
    return Contract(
        name=name,
        region=region,
        environment=dict(environment()),
        environment_from_all=tuple(
            known.source(_named(secret), None) for secret in workload.environment_from_all
        ),
        files={path: _value(file, path, known) for path, file in workload.files.items()},
        mount_path=workload.mount_path,
        namespace=kubernetes.namespace if kubernetes else "default",
        service_account=kubernetes.service_account if kubernetes else "default",
        refresh_seconds=kubernetes.refresh_seconds if kubernetes else 0,
        restart=kubernetes.restart if kubernetes else "none",
        pod_identity=bool(kubernetes and kubernetes.pod_identity),
        assumed_role=role_arn if kubernetes and kubernetes.operator_role else None,
    )


def _named(origin: Origin) -> str:
    """Return what the stack file calls the secret that is read."""
    return origin.secret or origin.existing_secret or ""


def _value(read: Read, name: str, known: _Known) -> Value:
    if read.template is None:
        return known.source(_named(read), None if read.whole else read.key or name)
    parts = {part: known.source(_named(about), about.key) for part, about in read.keys.items()}
    return Template(pieces=read.pieces, sources=parts)


def _rendered(contract: Contract, workload: Workload) -> dict[str, Any]:
    """What a workload needs to read; no value."""
    authorities = contract.authorities
    if workload.ecs:
        needed = {"databaseAuthorities": database_authorities(authorities)} if authorities else {}
        return {"containerSecrets": container_secrets(contract), **needed}
    if workload.lambda_:
        file = (
            {"databaseAuthorities": {"path": authorities.path, "pem": authorities.pem}} if authorities else {}
        )
        return {"environment": lambda_environment(contract), **file}
    operator = workload.kubernetes.operator if workload.kubernetes else "external-secrets"
    return {
        "manifests": render(manifests(contract, operator)),
        "pod": render([pod_part(contract, operator)]),
    }
