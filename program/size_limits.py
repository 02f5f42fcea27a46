"""What AWS takes at the most of names and documents that grow with a stack or its names.

Sources:
- IAM User Guide, "IAM and AWS STS quotas": names of roles (64) and policies (128)
- AWS Lambda Developer Guide, "Lambda quotas": names of functions (64) and environment variables (4 KB in all)
- AWS KMS Developer Guide, "Resource quotas": key policy document size (32 KB)
- AWS Secrets Manager User Guide, "Quotas": a secret's value (65,536 bytes)
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pulumi

from components import postgres_login
from components.encryption_key import EncryptionKeyArgs, key_policy
from components.rotation_function import RotationFunctionArgs, variables
from program.lookup import Found
from program.making import Account, chosen, name_prefix
from program.workloads import foreign_role, role_of
from settings import Mistake, StackFile
from settings.databases import Login
from settings.mistakes import path_of
from settings.secrets import MOST_VALUE_BYTES, least_size
from settings.stack_secrets import stack_secrets

MOST_OF_ROLE_NAME = 64
MOST_OF_POLICY_NAME = 128
MOST_OF_FUNCTION_NAME = 64
MOST_OF_ENVIRONMENT = 4_096
MOST_OF_KEY_POLICY = 32_768
_UNIQUE = 8  # characters that the engine adds to a name
_ADMIN_ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:-xxxxxx"


def of_names(declared: StackFile, account: Account, functions: Iterable[str]) -> Iterator[Mistake]:
    """Names that would be too long; `functions` has the logical names of components with a function."""
    prefix = name_prefix(declared)
    if not prefix and pulumi.runtime.get_config("pulumi:autonaming"):
        return  # nobody knows here what the operator's pattern makes of them
    for name, workload in declared.workloads.items():
        made = role_of(workload) is None
        what, rest, most = (
            ("role", "-role", MOST_OF_ROLE_NAME) if made else ("policy", "-policy-10", MOST_OF_POLICY_NAME)
        )
        size = len(f"{prefix}{name}{rest}") + _UNIQUE
        if size > most and not foreign_role(workload, account):
            yield Mistake(
                _path("workloads", name),
                f"its {what}'s name would have {size} characters",
                f"IAM takes {most}",
                f"Shorten the workload's name by {size - most}",
            )
    sizes = {name: len(f"{prefix}{name}-function") + _UNIQUE for name in functions}
    longest = max(sizes.values(), default=0)
    if longest > MOST_OF_FUNCTION_NAME:
        yield Mistake(
            _path("updateRole"),
            f"with the names of project and stack, a function's name would have {longest} characters",
            f"Lambda takes {MOST_OF_FUNCTION_NAME}",
            f"Make a stack whose name is shorter by {longest - MOST_OF_FUNCTION_NAME}",
        )


def of_environment(args: RotationFunctionArgs, place: Sequence[str | int]) -> Iterator[Mistake]:
    """A rotation function's variables; `place` is in the stack file."""
    size = len(json.dumps(variables(args), separators=(",", ":"), ensure_ascii=False).encode())
    if size > MOST_OF_ENVIRONMENT:
        yield Mistake(
            _path(*place),
            f"the environment of its rotation function would have {size} bytes, with the certificate "
            f"authorities of the databases in its network and {len(args.admin_servers)} servers",
            f"Lambda takes {MOST_OF_ENVIRONMENT}",
            "Name fewer certificateAuthorities, or divide the databases among several stacks",
        )


def of_stack_key(
    declared: StackFile, account: Account, readers: Mapping[str, Iterable[str]]
) -> Iterator[Mistake]:
    """The policy of the stack's key; `readers` has the roles of other accounts that read each secret."""
    encrypted = [
        secret.name
        for secret in stack_secrets(declared)
        if chosen(secret.kept.encryption, declared.encryption) == "stack-key"
    ]
    roles = sorted({role for name in encrypted for role in readers.get(name, ())})
    args = EncryptionKeyArgs(
        account_id=account.account_id,
        partition=account.partition,
        region=account.region,
        alias="",
        description="",
        reader_arns=roles,
        administrator_arns=[declared.update_role] if declared.update_role else [],
    )
    # the provider sends it without white space
    size = len(json.dumps(json.loads(key_policy(args)), separators=(",", ":")).encode())
    if encrypted and size > MOST_OF_KEY_POLICY:
        yield Mistake(
            _path("encryption"),
            f"its key's policy would have {size} bytes, with {len(roles)} roles of other accounts that read",
            f"KMS takes {MOST_OF_KEY_POLICY}",
            "Let fewer roles of other accounts read, or divide the secrets among several stacks",
        )


def of_login_values(declared: StackFile, servers: Mapping[str, Found]) -> Iterator[Mistake]:
    """First values of logins, whose own keys count too; of other secrets the stack file alone tells."""
    for database, about in declared.databases.items():
        for name, login in about.logins.items():
            size = least_login_bytes(login, servers[database], about.admin.secret if about.admin else None)
            if size > MOST_VALUE_BYTES:
                yield Mistake(
                    _path("databases", database, "logins", name, "values"),
                    f"the first value would have at least {size} bytes, with the login's own keys",
                    f"AWS would refuse more than {MOST_VALUE_BYTES}",
                    "Shorten the values, or move keys to a secret of their own",
                )


def least_login_bytes(login: Login, found: Found, admin_secret: str | None) -> int:
    """Bytes of a login's first value, as far as the stack file and AWS tell.

    Args:
        login: as it is declared.
        found: its server.
        admin_secret: name of the administrator's secret where the stack makes it.
    """
    password = "" if login.password else "x" * login.password_length
    hosts = {"DATABASE_URL": found.server.host}
    if login.reader_url and found.reader_host:
        hosts["DATABASE_READER_URL"] = found.reader_host
    admin = f"{_ADMIN_ARN}{admin_secret}" if admin_secret else found.admin.arn if found.admin else None
    value = {
        "engine": found.server.engine,
        "host": found.server.host,
        "port": str(found.server.port),
        "dbname": login.database,
        "username": login.username,
        **({"masterarn": admin} if admin else {}),
        "password": password,
        **{
            key: postgres_login.url(host, found.server.port, (login.username, password), login.database)
            for key, host in hosts.items()
        },
        **{key: "x" * least_size(value) for key, value in login.values.items()},
    }
    return len(json.dumps(value))


def _path(*place: str | int) -> str:
    return path_of(pulumi.get_project(), place)
