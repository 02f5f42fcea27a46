"""Declare the SMTP credentials of a stack."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from components.rotation_function import RotationFunction
from components.smtp_credentials import SmtpCredentials, SmtpCredentialsArgs
from components.smtp_permissions import MOST_USER_POLICY, sending
from program.arns import Account
from program.desired import ROTATION_FUNCTION, Desired
from program.secret_args import SecretDefaults
from stack_file import Mistake


def declare(
    defaults: SecretDefaults, functions: Mapping[str, RotationFunction]
) -> dict[str, SmtpCredentials]:
    """Declare all SMTP credentials; return them by the names of their secrets in AWS."""
    declared = {}
    for name, credentials in defaults.desired.stack_file.smtp.items():
        secret = defaults.desired.secrets[name]
        args = SmtpCredentialsArgs(
            secret=replace(defaults.secret_args(secret), values=defaults.initial_values(credentials.values)),
            identities=credentials.from_,
            configuration_sets=credentials.configuration_sets,
            region=credentials.region,
            port=credentials.port,
            function=functions[ROTATION_FUNCTION],
            common=defaults.function_settings(),
            permissions_boundary=credentials.permissions_boundary,
            schedule=secret.schedule,
        )
        declared[name] = SmtpCredentials(name, args, defaults.options(secret))
    return declared


def outputs(
    credentials: Mapping[str, SmtpCredentials], functions: Mapping[str, RotationFunction]
) -> dict[str, object]:
    """Return the stack's outputs about its SMTP credentials."""
    return {
        name: {
            "arn": one.secret.arn,
            "name": one.secret.secret_name,
            "userArn": one.user_arn,
            "rotationFunction": functions[ROTATION_FUNCTION].function_name,
            "logGroup": functions[ROTATION_FUNCTION].log_group_name,
            "warnings": one.warnings,
        }
        for name, one in credentials.items()
    }


def mistakes(desired: Desired, account: Account) -> Iterator[Mistake]:
    """Yield SMTP credentials whose user would have too long a policy."""
    for name, credentials in desired.stack_file.smtp.items():
        policy = sending(
            credentials.from_,
            credentials.configuration_sets,
            partition=account.partition,
            region=credentials.region or account.region,
            account=account.account_id,
        )
        size = len("".join(policy.split()))
        if size > MOST_USER_POLICY:
            yield Mistake(
                desired.path("smtp", name, "from"),
                f"the policy of its IAM user would have {size} characters",
                f"IAM accepts {MOST_USER_POLICY}",
                "List domains instead of addresses, or split the credentials",
            )
