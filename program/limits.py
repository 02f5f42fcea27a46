"""Check a stack against AWS's limits before anything is created.

A role's policy names every secret. A prefix with a wildcard would be shorter, but would also grant the role
secrets that somebody else creates under that prefix later.

Sources:
- AWS Secrets Manager API Reference, "PutResourcePolicy" (20,480 characters) and "TagResource" (50 tags)
"""

import json
from collections.abc import Iterator, Mapping, Sequence

import pulumi

from components import notices as notices_component
from components import read_access, rotation_function, value_writer
from components.function_parts import FunctionSettings
from components.role_policies import MOST_ATTACHED, MOST_INLINE, MOST_MANAGED, Division
from components.secret_copier import copier_name
from program import notices, rotations, size_limits, smtp
from program.arns import Account
from program.aws_lookups import Servers
from program.database_users import reserved
from program.desired import NOTICES, REHEARSAL, WRITER, Desired
from program.existing_secrets import ExistingSecret
from program.networks import merged
from program.rehearsed import rehearsed
from stack_file import Mistake

MAX_RESOURCE_POLICY = 20_480
MAX_TAGS = 50
# of the managed policies of an existing role, which may have some that this stack does not know
_LEFT_TO_OTHERS = 4
# characters for the inline policy of each workload that shares a role: ten of them fit
_SHARED_ROOM = 1_024
_KEY_ID = "x" * 36  # as long as the ID in a key's ARN
_NO_CODE = pulumi.AssetArchive({})


def mistakes(
    desired: Desired,
    account: Account,
    servers: Servers,
    existing: Mapping[str, ExistingSecret],
) -> list[Mistake]:
    """Return a mistake for each limit that the stack exceeds.

    Args:
        desired: the stack.
        account: the account and region of the stack.
        servers: what the stack's logins log in to.
        existing: existing secrets that workloads read, by their names or ARNs as declared.
    """
    return [
        *_of_workloads(desired, account, existing),
        *_of_writer(desired, account),
        *_of_rotation(desired, account, servers),
        *smtp.mistakes(desired, account),
        *_of_notices(desired, account),
        *_of_resource_policies(desired, account),
        *_of_tags(desired, account),
        *size_limits.of_names(desired, account, _functions(desired, account, servers)),
        *size_limits.of_stack_key(desired, account, desired.cross_account_readers(account)),
        *size_limits.of_login_values(desired, servers.databases),
    ]


def _common(desired: Desired, account: Account) -> FunctionSettings:
    return FunctionSettings(
        account_id=account.account_id,
        partition=account.partition,
        region=account.region,
        log_group_prefix=desired.log_group_prefix,
    )


def _key_arn(account: Account, encryption: str) -> str | None:
    """Return an ARN as long as the one of a secret's key; None for the AWS managed key."""
    match encryption:
        case "aws-managed":
            return None
        case "stack-key":
            return account.arn("kms", f"key/{_KEY_ID}")
        case arn:
            return arn


def inline_rooms(
    desired: Desired, account: Account, existing: Mapping[str, ExistingSecret]
) -> dict[str, int]:
    """Return the size limit of the inline policy of each workload whose role is shared and too small.

    Limits are in characters, and the largest workload comes first. They do not depend on the number of
    workloads: a policy never has to grow before another one is gone.
    """
    crowded: dict[str, int] = {}
    for names in _by_role(desired, account).values():
        if len(names) == 1:
            continue
        sizes = {
            name: read_access.division(_access_args(desired, account, existing, name)).whole
            + reserved(desired, desired.workloads[name], account)
            for name in names
        }
        if sum(sizes.values()) > MOST_INLINE:
            crowded |= sizes
    return dict.fromkeys(sorted(crowded, key=lambda name: -crowded[name]), _SHARED_ROOM)


def _by_role(desired: Desired, account: Account) -> dict[str, list[str]]:
    """Return the workloads of each role of this account."""
    sharing: dict[str, list[str]] = {}
    for name, workload in desired.workloads.items():
        if workload.cross_account_role(account) is None:
            # a role's name is unique in IAM, whatever its path
            role = f"role {workload.role.rpartition('/')[2]}" if workload.role else f"workload {name}"
            sharing.setdefault(role, []).append(name)
    return sharing


def _access_args(
    desired: Desired,
    account: Account,
    existing: Mapping[str, ExistingSecret],
    name: str,
    room: int = MOST_INLINE,
) -> read_access.ReadAccessArgs:
    """Return a workload's access with everything that the size of its policies depends on."""
    workload = desired.workloads[name]
    keys = [_key_arn(account, desired.secrets[secret].encryption) for secret in workload.secrets]
    others = [existing[reference] for reference in workload.existing_secrets]
    return read_access.ReadAccessArgs(
        account_id=account.account_id,
        partition=account.partition,
        region=account.region,
        reader=read_access.EcsTasks(),
        secret_arns=(),
        secret_names=workload.secrets,
        existing_secret_arns=[other.arn for other in others],
        existing_secret_keys=[other.kms_key_arn for other in others],
        kms_key_arns=[key for key in (*keys, *(other.kms_key_arn for other in others)) if key],
        secret_keys=keys,
        inline_room=room - reserved(desired, workload, account),
    )


def _of_workloads(
    desired: Desired, account: Account, existing: Mapping[str, ExistingSecret]
) -> Iterator[Mistake]:
    rooms = inline_rooms(desired, account, existing)
    for names in _by_role(desired, account).values():
        divisions = [
            read_access.division(_access_args(desired, account, existing, name, rooms.get(name, MOST_INLINE)))
            for name in names
        ]
        sharing = [desired.workloads[name] for name in names]
        exists = sharing[-1].role is not None
        most = MOST_ATTACHED - (_LEFT_TO_OTHERS if exists else 0)
        taken = sum(reserved(desired, one, account) for one in sharing)
        if _fit(divisions, most, taken):
            continue
        read = len({secret for one in sharing for secret in (*one.secrets, *one.existing_secrets)})
        shared = f" together with {', '.join(names[:-1])}, which has the same role," if names[:-1] else ""
        left = f"; {_LEFT_TO_OTHERS} more are left to the role's owner" if exists else ""
        yield Mistake(
            sharing[-1].path,
            f"it reads {read} secrets,{shared} and the policies of its role would have "
            f"{sum(division.whole for division in divisions)} characters",
            f"{_room(most)}{left}",
            "Put the values into fewer secrets, or split the workload into several with their own roles",
        )


def _fit(divisions: Sequence[Division], most: int, taken: int = 0) -> bool:
    """Return whether a role can have all these policies, `most` of them managed ones.

    Args:
        divisions: the policies.
        most: how many managed policies it can have.
        taken: characters of its other inline policies. Default: 0.
    """
    return (
        sum(division.sizes[0] for division in divisions) + taken <= MOST_INLINE
        and sum(division.managed for division in divisions) <= most
        and all(size <= MOST_MANAGED for division in divisions for size in division.sizes[1:])
    )


def _room(most: int) -> str:
    return f"IAM accepts {MOST_INLINE} for one role, and {most} managed policies of {MOST_MANAGED} each"


def _of_writer(desired: Desired, account: Account) -> Iterator[Mistake]:
    written = desired.written_secrets
    if not written:
        return
    keys = [_key_arn(account, secret.encryption) for secret in written]
    args = value_writer.ValueWriterArgs(
        common=_common(desired, account),
        code=_NO_CODE,
        handler="",
        secret_names=[secret.name for secret in written],
        kms_key_arns=[key for key in keys if key],
    )
    division = value_writer.division(WRITER, args)
    if not _fit([division], MOST_ATTACHED):
        yield Mistake(
            written[-1].path,
            f"it is one of {len(written)} secrets whose values are written in the account, and the "
            f"writer's policies would have {division.whole} characters",
            _room(MOST_ATTACHED),
            "Put the values into fewer secrets, or split the secrets into several stacks",
        )


def _of_rotation(desired: Desired, account: Account, servers: Servers) -> Iterator[Mistake]:
    common = _common(desired, account)
    served = rotations.served_by(desired, account, servers, lambda encryption: _key_arn(account, encryption))
    for name, about in served.items():
        network, authorities = merged(about.servers)
        args = rotation_function.RotationFunctionArgs(
            common=common,
            archive="",
            handler="",
            secret_names=about.secret_names,
            admin_secret_arns=about.admin_secret_arns,
            admin_servers=about.admin_servers,
            kms_key_arns=about.kms_key_arns,
            cache_arns=about.cache_arns,
            smtp_user_arns=about.smtp_user_arns,
            retirements=about.retirements,
            network=network,
            certificate_authorities=authorities,
        )
        path = (
            desired.secrets[about.secret_names[-1]].path if about.secret_names else desired.path("databases")
        )
        yield from size_limits.of_environment(args, path)
        division = rotation_function.division(name, args)
        if not _fit([division], MOST_ATTACHED):
            yield Mistake(
                path,
                f"it is one of {len(about.secret_names)} secrets that one function rotates, and the "
                f"function's policies would have {division.whole} characters",
                _room(MOST_ATTACHED),
                "Split the secrets into several stacks, or rotate fewer of them",
            )


def _of_notices(desired: Desired, account: Account) -> Iterator[Mistake]:
    args = notices.args_of(
        desired, _common(desired, account), lambda encryption: _key_arn(account, encryption)
    )
    if args is None:
        return
    division = notices_component.division(NOTICES, args)
    if not _fit([division], MOST_ATTACHED):
        yield Mistake(
            desired.path("notices"),
            f"the function asks about {len(args.secrets)} secrets, and its policies would have "
            f"{division.whole} characters",
            _room(MOST_ATTACHED),
            "Split the secrets into several stacks, or remove notices",
        )


def _functions(desired: Desired, account: Account, servers: Servers) -> list[str]:
    """Return the logical names of the stack's functions, without those that redeploy services."""
    served = rotations.served_by(desired, account, servers, lambda _: None)
    copiers = [copier_name(secret.name) for secret in desired.secrets.values() if secret.renamed_from]
    return [
        *served,
        *([WRITER] if desired.written_secrets else []),
        *copiers,
        *([NOTICES] if desired.stack_file.notices else []),
        *([REHEARSAL] if rehearsed(desired) else []),
    ]


def _of_resource_policies(desired: Desired, account: Account) -> Iterator[Mistake]:
    readers = desired.cross_account_readers(account)
    for secret in desired.secrets.values():
        roles = readers.get(secret.name, [])
        # the provider sends it without whitespace
        size = len(json.dumps(secret.policy(roles), separators=(",", ":")))
        if size > MAX_RESOURCE_POLICY:
            yield Mistake(
                secret.path,
                f"its resource policy would have {size} characters, with {len(roles)} roles of other "
                "accounts that read it",
                f"Secrets Manager accepts {MAX_RESOURCE_POLICY}",
                "Shorten the policy, or let fewer roles of other accounts read the secret",
            )


def _of_tags(desired: Desired, account: Account) -> Iterator[Mistake]:
    for secret in desired.secrets.values():
        count = len(secret.tags) + len(secret.component_tags(account))
        if count > MAX_TAGS:
            yield Mistake(
                secret.path,
                f"it would have {count} tags, including the stack's and those for rotation",
                f"AWS accepts {MAX_TAGS}",
                f"Remove {count - MAX_TAGS} of them",
            )
