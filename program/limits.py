"""What AWS takes at the most of what grows with a stack, told before anything is made.

A role's policy names every secret by itself. A prefix with a wildcard would be shorter, and would also let
the role read secrets that somebody else makes under that prefix later.

Sources:
- AWS Secrets Manager API Reference, "PutResourcePolicy" (20,480 characters) and "TagResource" (50 tags)
"""

import json
from collections.abc import Iterator, Mapping, Sequence

import pulumi

from components import read_access, rotation_function, value_writer
from components.function_parts import FunctionSettings
from components.role_policies import MOST_ATTACHED, MOST_INLINE, MOST_MANAGED, Division
from program import rotations, size_limits
from program.existing_secrets import ExistingSecret, existing_of, of_workload
from program.lookup import Found, merged
from program.making import Account, chosen, log_group_prefix, policy_of, tags_of
from program.workloads import foreign_role, role_of, roles_elsewhere, secrets_of
from settings import Mistake, StackFile
from settings.mistakes import path_of
from settings.modes import written_secrets
from settings.secrets import Kept
from settings.stack_secrets import StackSecret, by_name, stack_secrets

MOST_OF_RESOURCE_POLICY = 20_480
MOST_TAGS = 50
_ROTATION_TAGS_OF_A_LOGIN = 2
# of the managed policies of a role that exists: it may have some that this stack does not know
_LEFT_TO_OTHERS = 4
# of the inline policy of each of several workloads: ten of them fit into one role
_SHARED_ROOM = 1_024
_KEY_ID = "x" * 36  # what a key's ARN ends with
_NO_CODE = pulumi.AssetArchive({})


def mistakes(
    declared: StackFile,
    account: Account,
    servers: Mapping[str, Found],
    existing: Mapping[str, ExistingSecret],
) -> list[Mistake]:
    """Where the stack passes a limit.

    Args:
        declared: the stack file.
        account: where.
        servers: what AWS says of each database.
        existing: what is known of secrets that workloads read and this stack does not make.
    """
    return [
        *_of_workloads(declared, account, existing),
        *_of_writer(declared, account),
        *_of_rotation(declared, account, servers),
        *_of_resource_policies(declared, account),
        *_of_tags(declared),
        *size_limits.of_names(declared, account, _functions(declared, servers)),
        *size_limits.of_stack_key(declared, account, roles_elsewhere(declared, account)),
        *size_limits.of_login_values(declared, servers),
    ]


def _path(*place: str | int) -> str:
    return path_of(pulumi.get_project(), place)


def _common(declared: StackFile, account: Account) -> FunctionSettings:
    return FunctionSettings(
        account_id=account.account_id,
        partition=account.partition,
        region=account.region,
        log_group_prefix=log_group_prefix(declared),
    )


def _key(declared: StackFile, account: Account, kept: Kept) -> str | None:
    """ARN of the key that encrypts a secret, as long as it will be; None for AWS's own key."""
    match chosen(kept.encryption, declared.encryption):
        case "aws-managed":
            return None
        case "stack-key":
            return f"arn:{account.partition}:kms:{account.region}:{account.account_id}:key/{_KEY_ID}"
        case arn:
            return arn


def inline_rooms(
    declared: StackFile, account: Account, existing: Mapping[str, ExistingSecret]
) -> dict[str, int]:
    """Workload to the characters of its inline policy, where several share a role and do not fit into it.

    The largest come first. The room is the same for however many they are: it never has to grow before the
    policy of another is gone.
    """
    crowded: dict[str, int] = {}
    for names in _by_role(declared, account).values():
        if len(names) == 1:
            continue
        wholes = {
            name: read_access.division(_access_args(declared, account, existing, name)).whole
            for name in names
        }
        if sum(wholes.values()) > MOST_INLINE:
            crowded |= wholes
    return dict.fromkeys(sorted(crowded, key=lambda name: -crowded[name]), _SHARED_ROOM)


def _by_role(declared: StackFile, account: Account) -> dict[str, list[str]]:
    """What is unique to each role of this account, to the workloads that have it."""
    sharing: dict[str, list[str]] = {}  # IAM knows a role by its name, whatever its path
    for name, workload in declared.workloads.items():
        if not foreign_role(workload, account):
            role = role_of(workload)
            sharing.setdefault(f"role {role.rpartition('/')[2]}" if role else f"workload {name}", []).append(
                name
            )
    return sharing


def _access_args(
    declared: StackFile,
    account: Account,
    existing: Mapping[str, ExistingSecret],
    name: str,
    room: int = MOST_INLINE,
) -> read_access.ReadAccessArgs:
    """A workload's access, as far as its size depends on it."""
    made = by_name(declared)
    names = [secret for secret in secrets_of(declared.workloads[name]) if secret in made]
    keys = [_key(declared, account, made[secret].kept) for secret in names]
    others = of_workload(declared.workloads[name], existing)
    return read_access.ReadAccessArgs(
        account_id=account.account_id,
        partition=account.partition,
        region=account.region,
        reader=read_access.EcsTasks(),
        secret_arns=(),
        secret_names=names,
        existing_secret_arns=[other.arn for other in others],
        existing_secret_keys=[other.kms_key_arn for other in others],
        kms_key_ids=[key for key in (*keys, *(other.kms_key_arn for other in others)) if key],
        secret_keys=keys,
        inline_room=room,
    )


def _of_workloads(
    declared: StackFile, account: Account, existing: Mapping[str, ExistingSecret]
) -> Iterator[Mistake]:
    rooms = inline_rooms(declared, account, existing)
    for names in _by_role(declared, account).values():
        divisions = [
            read_access.division(
                _access_args(declared, account, existing, name, rooms.get(name, MOST_INLINE))
            )
            for name in names
        ]
        exists = role_of(declared.workloads[names[-1]]) is not None
        most = MOST_ATTACHED - (_LEFT_TO_OTHERS if exists else 0)
        if _fit(divisions, most):
            continue
        whole = [declared.workloads[name] for name in names]
        read = len({secret for one in whole for secret in [*secrets_of(one), *existing_of(one)]})
        shared = f" together with {', '.join(names[:-1])}, which has the same role," if names[:-1] else ""
        left = f"; {_LEFT_TO_OTHERS} more are left to whoever made the role" if exists else ""
        yield Mistake(
            _path("workloads", names[-1]),
            f"it reads {read} secrets,{shared} and the policies of its role would have "
            f"{sum(division.whole for division in divisions)} characters",
            f"{_room(most)}{left}",
            "Put what it reads into fewer secrets, or divide it among workloads with roles of their own",
        )


def _fit(divisions: Sequence[Division], most: int) -> bool:
    """Return whether a role can have the policies of all of these, `most` managed ones."""
    return (
        sum(division.sizes[0] for division in divisions) <= MOST_INLINE
        and sum(division.managed for division in divisions) <= most
        and all(size <= MOST_MANAGED for division in divisions for size in division.sizes[1:])
    )


def _room(most: int) -> str:
    return f"IAM takes {MOST_INLINE} for one role, and {most} managed policies of {MOST_MANAGED} each"


def _of_writer(declared: StackFile, account: Account) -> Iterator[Mistake]:
    written = written_secrets(declared)
    if not written:
        return
    keys = [_key(declared, account, secret.kept) for secret in written]
    args = value_writer.ValueWriterArgs(
        common=_common(declared, account),
        code=_NO_CODE,
        handler="",
        secret_names=[secret.name for secret in written],
        kms_key_ids=[key for key in keys if key],
    )
    division = value_writer.division("writer", args)
    if not _fit([division], MOST_ATTACHED):
        yield Mistake(
            _path(*written[-1].place),
            f"it is one of {len(written)} secrets whose values are written in the account, and the "
            f"policies of the function that writes them would have {division.whole} characters",
            _room(MOST_ATTACHED),
            "Put the values into fewer secrets, or divide the secrets among several stacks",
        )


def _of_rotation(declared: StackFile, account: Account, servers: Mapping[str, Found]) -> Iterator[Mistake]:
    common = _common(declared, account)
    made = by_name(declared)
    served = rotations.served_by(declared, servers, lambda kept: _key(declared, account, kept))
    for name, serves in served.items():
        network, authorities = merged(serves.databases)
        args = rotation_function.RotationFunctionArgs(
            common=common,
            archive="",
            handler="",
            secret_names=serves.secret_names,
            admin_secret_arns=serves.admin_secret_arns,
            admin_servers=rotations.admin_servers(serves),
            kms_key_ids=serves.kms_key_ids,
            network=network,
            certificate_authorities=authorities,
        )
        last = made[serves.secret_names[-1]].place if serves.secret_names else ("databases",)
        yield from size_limits.of_environment(args, last)
        division = rotation_function.division(name, args)
        if not _fit([division], MOST_ATTACHED):
            yield Mistake(
                _path(*last),
                f"it is one of {len(serves.secret_names)} secrets that one function rotates, and the "
                f"function's policies would have {division.whole} characters",
                _room(MOST_ATTACHED),
                "Divide the secrets among several stacks, or rotate fewer of them",
            )


def _functions(declared: StackFile, servers: Mapping[str, Found]) -> list[str]:
    """Logical names of the stack's functions but those that redeploy services."""
    served = rotations.served_by(declared, servers, lambda _: None)
    return [*served, *(["writer"] if written_secrets(declared) else [])]


def _of_resource_policies(declared: StackFile, account: Account) -> Iterator[Mistake]:
    readers = roles_elsewhere(declared, account)
    for secret in stack_secrets(declared):
        roles = readers.get(secret.name, [])
        # the provider sends it without white space
        size = len(json.dumps(policy_of(secret.kept, roles), separators=(",", ":")))
        if size > MOST_OF_RESOURCE_POLICY:
            yield Mistake(
                _path(*secret.place),
                f"its policy would have {size} characters, with {len(roles)} roles of other "
                "accounts that read it",
                f"Secrets Manager takes {MOST_OF_RESOURCE_POLICY}",
                "Shorten its policy, or let fewer roles of other accounts read it",
            )


def _of_tags(declared: StackFile) -> Iterator[Mistake]:
    for secret in stack_secrets(declared):
        count = len(tags_of(declared, secret.kept)) + _own_tags(secret)
        if count > MOST_TAGS:
            yield Mistake(
                _path(*secret.place),
                f"it would have {count} tags, with those of the whole stack and those that rotation reads",
                f"AWS takes {MOST_TAGS}",
                f"Remove {count - MOST_TAGS} of them",
            )


def _own_tags(secret: StackSecret) -> int:
    return _ROTATION_TAGS_OF_A_LOGIN if secret.own_keys else 0
