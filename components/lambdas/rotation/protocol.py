"""The contract of the rotation function with the components that configure and invoke it.

Both sides take the names from here: a secret's tags, the function's environment variables, and the keys of
the events and of their answers (see `provision.py`, `end_sessions.py` and `rehearse.py`).
"""

import base64
import hashlib

# Tags of a secret: how to rotate it.
ROTATION_TAG = "aws-secrets:rotation"
LENGTH_TAG = "aws-secrets:rotation-length"
KEYS_TAG = "aws-secrets:rotation-keys"
FORMAT_TAG = "aws-secrets:rotation-format"
CACHE_TAG = "aws-secrets:rotation-cache"
USER_TAG = "aws-secrets:rotation-user"

# Tag of a cache user, replication group or IAM user: the name of the secret that has its password.
OWNER_TAG = "aws-secrets:secret"
# Tag of an IAM user: the region in which it sends email; default: the secret's.
SMTP_REGION_TAG = "aws-secrets:smtp-region"

# Values of ROTATION_TAG.
AUTH_TOKEN = "auth-token"  # noqa: S105  a tag's value
CACHE_USER = "cache-user"
MARIADB = "mariadb"
MYSQL = "mysql"
POSTGRES = "postgres"
POSTGRES_ALTERNATING = "postgres-alternating"
POSTGRES_IAM = "postgres-iam"
RANDOM_KEY = "random-key"
SMTP = "smtp"

# Values of LENGTH_TAG.
DEFAULT_PASSWORD_LENGTH = 40
SHORTEST_LENGTH, LONGEST_LENGTH = 16, 256
LONGEST_CACHE_LENGTH = 128

# Environment variables of the function.
SERVERS_VARIABLE = "ADMINISTRATOR_SERVERS"
"""Fingerprints of the servers on which an administrator's password may be used, with spaces between."""
CA_PEM_VARIABLE = "DATABASE_CA_PEM"
"""Certificates of additional certificate authorities, as PEM text."""
CA_FILE_VARIABLE = "DATABASE_CA_FILE"
"""The same as a file, of a Lambda layer for example."""
RETIREMENT_VARIABLE = "OLD_PASSWORDS"
"""What to do while an old password is used, per secret: `retirement_entry`, with spaces between."""

# What a rotation does while somebody uses the password that it would end.
PROCEED, WAIT, DEFER = "proceed", "wait", "defer"
DEFAULT_DEFERRALS, MOST_DEFERRALS = 3, 99

NOW_VERSION = "aws-secrets-now-"
"""The beginning of a version's ID (RotateSecret's ClientRequestToken) whose rotation neither waits nor is
deferred: after a leak. Only who may rotate the secret chooses it."""

# Keys of the provisioning event.
ACTION = "Action"
PROVISION, END_SESSIONS, REHEARSE = "provision", "end-sessions", "rehearse"
OLD_PASSWORDS = "old-passwords"
"""Values of ACTION."""
SECRET_ID = "SecretId"  # noqa: S105  a key's name
USERNAME = "Username"
AUTHENTICATION = "Authentication"
IAM = "iam"
"""The only value of AUTHENTICATION: the login has no password."""
OWNER_ROLE = "OwnerRole"
GRANTS = "Grants"
SCHEMAS = "Schemas"
SMTP_REQUEST = "Smtp"
SMTP_USER = "user"
"""The only key of SMTP_REQUEST: the ARN of the IAM user."""
CREATE_SCHEMAS = "CreateSchemas"
CONNECTION = "Connection"
CACHE = "Cache"
CACHE_SERVICE, CACHE_USER_ARN, CACHE_GROUP_ARN = "service", "user", "replicationGroup"
"""Keys of CACHE."""
ACCESS_STRING = "AccessString"
USER_GROUP = "UserGroup"
USER_HOST = "UserHost"

# Keys of the answers.
ROLES = "Roles"
WARNINGS = "Warnings"
SESSIONS = "Sessions"
REHEARSED = "Rehearsed"
FINDINGS = "Findings"
NOT_REHEARSED = "NotRehearsed"
OUTLOOK = "Outlook"
HOLDERS = "Holders"
HOLDER_USER, HOLDER_HOST, HOLDER_APPLICATION = "User", "Host", "Application"
"""Keys of a holder."""
FINDING_STEP, FINDING_PROBLEM, FINDING_CONSEQUENCE = "Step", "Problem", "Consequence"
"""Keys of a finding."""

# A rehearsal's version of a secret.
REHEARSAL_LABEL = "aws-secrets-rehearsal"
"""On the version while it is rehearsed. It is here because the other functions do not know it."""
REHEARSAL_VERSION = "aws-secrets-rehearsal-"
"""The beginning of the version's ID, by which it is known when AWS has not yet deleted it."""

# Keys of a login's JSON; HOST to MASTER_ARN are those of AWS's own rotation functions.
ENGINE = "engine"
HOST = "host"
PORT = "port"
DATABASE = "dbname"
LOGIN_USERNAME = "username"
PASSWORD = "password"  # noqa: S105  a key's name
MASTER_ARN = "masterarn"
URL = "DATABASE_URL"
READER_URL = "DATABASE_READER_URL"
CACHE_URL = "REDIS_URL"
CACHE_READER_URL = "REDIS_READER_URL"
SMTP_USERNAME = "SMTP_USERNAME"
SMTP_PASSWORD = "SMTP_PASSWORD"  # noqa: S105  a key's name
SMTP_ADDRESS = "SMTP_ADDRESS"
SMTP_PORT = "SMTP_PORT"

CONNECTION_KEYS = (HOST, PORT, DATABASE, MASTER_ARN)
"""Keys of a login's JSON that CONNECTION may declare."""


def fingerprint(admin_arn: str, host: str, port: int) -> str:
    """Return the entry of SERVERS_VARIABLE for an administrator's secret and a server.

    It is a short hash, because Lambda limits all environment variables together to 4 KB.
    """
    digest = hashlib.sha256(f"{admin_arn}\n{host.casefold()}:{port}".encode()).digest()
    return base64.urlsafe_b64encode(digest[:12]).decode()


def retirement_key(secret_name: str) -> str:
    """Return the beginning of a secret's entry in RETIREMENT_VARIABLE: a short hash of its name in AWS."""
    digest = hashlib.sha256(secret_name.encode()).digest()
    return base64.urlsafe_b64encode(digest[:9]).decode()


def retirement_entry(secret_name: str, mode: str, deferrals: int) -> str:
    """Return the entry of RETIREMENT_VARIABLE for a secret.

    Args:
        secret_name: its name in AWS.
        mode: PROCEED, WAIT or DEFER.
        deferrals: how many rotations in a row may be deferred.
    """
    return f"{retirement_key(secret_name)}:{mode}:{deferrals}"
