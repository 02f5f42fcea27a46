"""Check AWS's limits on names and documents that grow with a stack.

Sources:
- IAM User Guide, "IAM and AWS STS quotas": names of roles (64) and policies (128)
- AWS Lambda Developer Guide, "Lambda quotas": names of functions (64) and environment variables (4 KB in all)
- AWS KMS Developer Guide, "Resource quotas": key policy document size (32 KB)
- AWS Secrets Manager User Guide, "Quotas": a secret's value (65,536 bytes)
"""

import json
from collections.abc import Iterable, Iterator, Mapping

import pulumi

from components import postgres_login
from components.encryption_key import EncryptionKeyArgs, key_policy
from components.login_parts import UrlForm
from components.mysql_login import MysqlLoginArgs
from components.rotation_function import RotationFunctionArgs, variables
from program.arns import Account
from program.aws_lookups import DatabaseServer
from program.desired import Desired
from stack_file import Mistake
from stack_file.databases import Login
from stack_file.engines import ENGINES
from stack_file.secrets import MOST_VALUE_BYTES, least_size

MAX_ROLE_NAME = 64
MAX_POLICY_NAME = 128
MAX_FUNCTION_NAME = 64
MAX_ENVIRONMENT = 4_096
MAX_KEY_POLICY = 32_768
_SUFFIX = 8  # characters that the engine adds to a name
_ADMIN_ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:-xxxxxx"


def of_names(desired: Desired, account: Account, functions: Iterable[str]) -> Iterator[Mistake]:
    """Yield names that would be too long.

    Args:
        desired: the stack.
        account: the account and region of the stack.
        functions: logical names of the components with a function.
    """
    prefix = desired.name_prefix
    if not prefix and pulumi.runtime.get_config("pulumi:autonaming"):
        return  # the operator's own pattern makes names of unknown length
    for name, workload in desired.workloads.items():
        if workload.role is None:
            what, longest, most = "role", desired.role_name(name), MAX_ROLE_NAME
        else:
            what, longest, most = "policy", f"{prefix}{name}-policy-10", MAX_POLICY_NAME
        size = len(longest) + _SUFFIX
        if size > most and workload.cross_account_role(account) is None:
            yield Mistake(
                workload.path,
                f"its {what}'s name would have {size} characters",
                f"IAM accepts {most}",
                f"Shorten the workload's name by {size - most}",
            )
    longest_function = max((len(desired.function_name(name)) + _SUFFIX for name in functions), default=0)
    if longest_function > MAX_FUNCTION_NAME:
        yield Mistake(
            desired.path("updateRole"),
            "with the names of project and stack, a function's name would have "
            f"{longest_function} characters",
            f"Lambda accepts {MAX_FUNCTION_NAME}",
            f"Use a stack whose name is shorter by {longest_function - MAX_FUNCTION_NAME}",
        )


def of_environment(args: RotationFunctionArgs, path: str) -> Iterator[Mistake]:
    """Yield a mistake if a rotation function's environment variables are too large.

    Args:
        args: the function's arguments.
        path: place in the stack file to report.
    """
    size = len(json.dumps(variables(args), separators=(",", ":"), ensure_ascii=False).encode())
    if size > MAX_ENVIRONMENT:
        yield Mistake(
            path,
            f"the environment of its rotation function would have {size} bytes, with the certificate "
            f"authorities of the databases in its network and {len(args.admin_servers)} servers"
            + (f", and whileOldPasswordIsUsed of {len(args.retirements)} logins" if args.retirements else ""),
            f"Lambda accepts {MAX_ENVIRONMENT}",
            "Use fewer certificateAuthorities, or split the databases into several stacks",
        )


def of_stack_key(
    desired: Desired, account: Account, readers: Mapping[str, Iterable[str]]
) -> Iterator[Mistake]:
    """Yield a mistake if the policy of the stack's key is too large.

    Args:
        desired: the stack.
        account: the account and region of the stack.
        readers: secret to the roles of other accounts that read it.
    """
    encrypted = desired.stack_key_secrets
    roles = sorted({role for secret in encrypted for role in readers.get(secret.name, ())})
    update_role = desired.stack_file.update_role
    args = EncryptionKeyArgs(
        account_id=account.account_id,
        partition=account.partition,
        region=account.region,
        alias="",
        description="",
        reader_arns=roles,
        administrator_arns=[update_role] if update_role else [],
    )
    # the provider sends it without whitespace
    size = len(json.dumps(json.loads(key_policy(args)), separators=(",", ":")).encode())
    if encrypted and size > MAX_KEY_POLICY:
        yield Mistake(
            desired.path("encryption"),
            f"the key's policy would have {size} bytes, with {len(roles)} roles of other accounts that read",
            f"KMS accepts {MAX_KEY_POLICY}",
            "Let fewer roles of other accounts read, or split the secrets into several stacks",
        )


def of_login_values(desired: Desired, servers: Mapping[str, DatabaseServer]) -> Iterator[Mistake]:
    """Yield logins whose initial value is too large, including the login's own keys."""
    for name, database in desired.databases.items():
        for login, declared in database.declared.logins.items():
            size = least_login_bytes(declared, servers[name], database.admin_secret)
            if size > MOST_VALUE_BYTES:
                yield Mistake(
                    desired.path("databases", name, "logins", login, "values"),
                    f"the initial value would have at least {size} bytes, including the login's own keys",
                    f"Secrets Manager accepts {MOST_VALUE_BYTES}",
                    "Shorten the values, or move keys to another secret",
                )


def least_login_bytes(login: Login, server: DatabaseServer, admin_secret: str | None) -> int:
    """Return the minimum size in bytes of a login's initial value.

    Args:
        login: the login as declared.
        server: its server.
        admin_secret: name of the administrator's secret, if the stack creates it.
    """
    password = "" if login.password or login.authentication == "iam" else "x" * login.password_length
    hosts = {"DATABASE_URL": server.server.host}
    if login.reader_url and server.reader_host:
        hosts["DATABASE_READER_URL"] = server.reader_host
    is_postgres = server.server.engine in ENGINES["postgres"].rds_engines
    mysql = UrlForm(scheme=login.url_scheme or MysqlLoginArgs.url_scheme)
    url = postgres_login.url if is_postgres else mysql.url
    admin = f"{_ADMIN_ARN}{admin_secret}" if admin_secret else server.admin.arn if server.admin else None
    value = {
        "engine": server.server.engine,
        "host": server.server.host,
        "port": str(server.server.port),
        "dbname": login.database,
        "username": login.username,
        **({"masterarn": admin} if admin else {}),
        "password": password,
        **{
            key: url(str(host), server.server.port, (login.username, password), login.database)
            for key, host in hosts.items()
        },
        **{key: "x" * least_size(value) for key, value in login.values.items()},
    }
    return len(json.dumps(value))
