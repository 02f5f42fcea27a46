"""What AWS takes at the most of what grows with a stack, told before anything is made.

A role's policy names every secret by itself. A prefix with a wildcard would be shorter, and would also let
the role read secrets that somebody else makes under that prefix later.

Sources:
- IAM User Guide, "IAM and AWS STS quotas": inline policies of a role, 10,240 characters white space left out
- AWS Secrets Manager API Reference, "PutResourcePolicy" (20,480 characters) and "TagResource" (50 tags)
"""

import json
from collections.abc import Iterator, Mapping, Sequence

import pulumi

from components import read_access, rotation_function, value_writer
from components.function_parts import FunctionSettings
from program import rotations
from program.existing_secrets import ExistingSecret, existing_of, of_workload
from program.lookup import Found, merged
from program.making import Account, chosen, log_group_prefix, policy_of, tags_of
from program.workloads import foreign_role, role_of, secrets_of
from settings import Mistake, StackFile
from settings.mistakes import path_of
from settings.modes import mode_of
from settings.secrets import Kept
from settings.stack_secrets import StackSecret, by_name, stack_secrets

MOST_OF_ROLE = 10_240
MOST_OF_RESOURCE_POLICY = 20_480
MOST_TAGS = 50
_ROTATION_TAGS_OF_A_LOGIN = 2
# what AWS adds to a secret's name, what a key's ARN ends with, what the provider adds to a log group's prefix
_SECRET_SUFFIX = "-" + "x" * 6
_KEY_ID = "x" * 36
_LOG_GROUP_SUFFIX = "x" * 26


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
    ]


def _characters(policy: str) -> int:
    """As IAM counts them; names and ARNs hold no white space."""
    return len("".join(policy.split()))


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


def _of_workloads(
    declared: StackFile, account: Account, existing: Mapping[str, ExistingSecret]
) -> Iterator[Mistake]:
    made = by_name(declared)
    common = _common(declared, account)
    sizes: dict[str, int] = {}
    sharing: dict[str, list[str]] = {}  # IAM knows a role by its name, whatever its path
    for name, workload in declared.workloads.items():
        if foreign_role(workload, account):
            continue
        names = [secret for secret in secrets_of(workload) if secret in made]
        keys = [_key(declared, account, made[secret].kept) for secret in names]
        arns = [common.arn("secretsmanager", f"secret:{secret}{_SECRET_SUFFIX}") for secret in names]
        others = of_workload(workload, existing)
        arns += [other.arn for other in others]
        keys += [other.kms_key_arn for other in others]
        policy = read_access.permissions(account.region, arns, [key for key in keys if key])
        sizes[name] = _characters(policy)
        role = role_of(workload)
        sharing.setdefault(f"role {role.rpartition('/')[2]}" if role else f"workload {name}", []).append(name)
    for names in sharing.values():
        size = sum(sizes[name] for name in names)
        if size <= MOST_OF_ROLE:
            continue
        whole = [declared.workloads[name] for name in names]
        read = len({secret for one in whole for secret in [*secrets_of(one), *existing_of(one)]})
        shared = f" together with {', '.join(names[:-1])}, which has the same role," if names[:-1] else ""
        yield Mistake(
            _path("workloads", names[-1]),
            f"it reads {read} secrets,{shared} and the policies of its role would have {size} characters",
            f"IAM takes {MOST_OF_ROLE} for one role",
            "Put what it reads into fewer secrets, or divide it among workloads with roles of their own",
        )


def _of_writer(declared: StackFile, account: Account) -> Iterator[Mistake]:
    written = [secret for secret in stack_secrets(declared) if mode_of(declared, secret.kept) != "once"]
    if not written:
        return
    common = _common(declared, account)
    keys = [_key(declared, account, secret.kept) for secret in written]
    size = _characters(
        value_writer.permissions(
            common,
            [secret.name for secret in written],
            _log_group(common, "writer"),
            [key for key in keys if key],
        )
    )
    if size > MOST_OF_ROLE:
        yield Mistake(
            _path(*written[-1].place),
            f"it is one of {len(written)} secrets whose values are written in the account, and the "
            f"policy of the function that writes them would have {size} characters",
            f"IAM takes {MOST_OF_ROLE} for one role",
            "Put the values into fewer secrets, or divide the secrets among several stacks",
        )


def _of_rotation(declared: StackFile, account: Account, servers: Mapping[str, Found]) -> Iterator[Mistake]:
    common = _common(declared, account)
    made = by_name(declared)
    served = rotations.served_by(declared, servers, lambda kept: _key(declared, account, kept))
    for name, serves in served.items():
        network, _ = merged(serves.databases)
        args = rotation_function.RotationFunctionArgs(
            common=common, archive="", handler="", secret_names=serves.secret_names, network=network
        )
        keys = [key for key in serves.kms_key_ids if isinstance(key, str)]
        size = _characters(
            rotation_function.permissions(args, _log_group(common, name), serves.admin_secret_arns, keys)
        )
        if size > MOST_OF_ROLE:
            yield Mistake(
                _path(*made[serves.secret_names[-1]].place),
                f"it is one of {len(serves.secret_names)} secrets that one function rotates, and the "
                f"function's policy would have {size} characters",
                f"IAM takes {MOST_OF_ROLE} for one role",
                "Divide the secrets among several stacks, or rotate fewer of them",
            )


def _log_group(common: FunctionSettings, name: str) -> str:
    return common.arn("logs", f"log-group:{common.log_group_prefix}{name}-{_LOG_GROUP_SUFFIX}")


def _of_resource_policies(declared: StackFile, account: Account) -> Iterator[Mistake]:
    readers: dict[str, set[str]] = {}
    for workload in declared.workloads.values():
        role = foreign_role(workload, account)
        for name in secrets_of(workload) if role else ():
            readers.setdefault(name, set()).add(role or "")
    for secret in stack_secrets(declared):
        roles: Sequence[str] = sorted(readers.get(secret.name, ()))
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
