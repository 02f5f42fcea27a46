"""Recognize the functions of others that rotate PostgreSQL logins.

Sources: AWS Secrets Manager User Guide, "Secrets Manager rotation function templates", and its functions
(aws-samples/aws-secrets-manager-rotation-lambdas); AWS CloudFormation User Guide, "HostedRotationLambda";
thoughtbot/terraform-aws-databases, modules rds-postgres/rds-postgres-login and rds-postgres/admin-login.
"""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from operations.adopt.model import RotationFunction

Kind: TypeAlias = Literal["aws-single", "aws-alternating", "thoughtbot", "thoughtbot-admin", "ours"]

ALTERNATE, PRIMARY = "ALTERNATE_USERNAME", "PRIMARY_USERNAME"
ADMIN, GRANTS = "ADMIN_LOGIN_SECRET_ARN", "GRANTS"
LENGTH = "PASSWORD_LENGTH"
VARIABLES = (ALTERNATE, PRIMARY, ADMIN, GRANTS, LENGTH)
"""Environment variables that are read; another function's may hold anything."""

ENDPOINT = "SECRETS_MANAGER_ENDPOINT"
APPLICATION_TAG = "serverlessrepo:applicationId"

_APPLICATION = re.compile(
    r"SecretsManager(?:RDS)?(?P<engine>[A-Za-z0-9]+?)(?:Rotation)?(?P<users>Single|Multi)User"
)
_HOSTED = re.compile(r"(?P<engine>[A-Za-z0-9]+?)(?P<users>Single|Multi)User")
_HANDLER = "lambda_function.lambda_handler"
_POSTGRES = "PostgreSQL"


@dataclass(frozen=True, kw_only=True)
class Recognized:
    """A function that rotates database logins.

    Attributes:
        kind: whose it is, and how it rotates; None for one of another database.
        words: what it is, for a report.
    """

    kind: Kind | None
    words: str


def application_of(hosted: str) -> str:
    """Return the application of a HostedRotationLambda's `RotationType`, such as PostgreSQLMultiUser."""
    found = _HOSTED.fullmatch(hosted)
    return f"SecretsManagerRDS{found['engine']}Rotation{found['users']}User" if found else ""


def recognize(
    function: RotationFunction, application: str = "", *, names_admin: bool | None = None
) -> Recognized | None:
    """Return what a function is; None if nothing says so.

    Args:
        function: as AWS or the origin has it.
        application: name of AWS's application that the origin made it from; empty if it does not say.
        names_admin: whether the secret names an administrator, by AWS's convention for alternating users;
            None if that is not known.
    """
    if function.variables.get(PRIMARY) and function.variables.get(ALTERNATE):
        if function.variables.get(ADMIN):
            return Recognized(kind="thoughtbot", words="thoughtbot's function for logins")
        return Recognized(kind="thoughtbot-admin", words="thoughtbot's function for administrators")
    name = function.arn.split(":")[6] if function.arn.count(":") >= 6 else ""  # noqa: PLR2004  of an ARN
    for said in (function.application.rpartition("/")[2], application, name):
        found = _APPLICATION.search(said)
        if found:
            return _of_aws(found["engine"], found["users"])
    if function.handler == _HANDLER and function.has_endpoint and names_admin is not None:
        return _of_aws(_POSTGRES, "Multi" if names_admin else "Single")
    return None


def _of_aws(engine: str, users: str) -> Recognized:
    alternating = users == "Multi"
    how = "alternating users" if alternating else "a single user"
    if engine != _POSTGRES:
        return Recognized(kind=None, words=f"AWS's function for {engine}")
    return Recognized(
        kind="aws-alternating" if alternating else "aws-single", words=f"AWS's function for {how}"
    )
