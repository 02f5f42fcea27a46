"""Pulumi components for application secrets and rotating database logins in AWS Secrets Manager.

They take everything as arguments and read no configuration, so any Pulumi program can use them:

```python
from pulumi_aws_secrets import Random, Secret, SecretArgs

app = Secret("app", SecretArgs(secret_name="app", values={"KEY": Random(length=32)}))
app.grant_read("my-task-role")
```

Every class is exported here and loaded when it is first used. `docs/library.md` has a tour.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .account import Account, look_up_account
    from .archives import ArchiveError, rotation_archive
    from .cache_login import Cache, CacheLogin, CacheLoginArgs, CacheUser
    from .checks import ArgumentError
    from .encryption_key import EncryptionKey, EncryptionKeyArgs
    from .function_parts import FunctionSettings
    from .hooks import Hooks, register_hooks
    from .initial_value import (
        Binary,
        FilledByHand,
        Given,
        Random,
        RandomBytes,
        Structure,
        Text,
    )
    from .master_rotation import MasterRotation, MasterRotationArgs
    from .mysql_login import MysqlLogin, MysqlLoginArgs
    from .notices import NoticedSecret, Notices, NoticesArgs, NoticeWebhook
    from .partner_rotation import PartnerRotation, PartnerRotationArgs
    from .postgres_login import PostgresLogin, PostgresLoginArgs, Server
    from .read_access import (
        AssumedBy,
        EcsTasks,
        ExistingRole,
        PodIdentity,
        ReadAccess,
        ReadAccessArgs,
        ServiceAccount,
    )
    from .redeployment import EcsRedeployment, EcsRedeploymentArgs
    from .rotation import Rotation, RotationArgs, Schedule
    from .rotation_function import AdminServer, Network, Retirement, RotationFunction, RotationFunctionArgs
    from .rotation_tags import RenewedKeys
    from .scheduled_rehearsal import RehearsedSecret, ScheduledRehearsal, ScheduledRehearsalArgs
    from .secret import Replica, Secret, SecretArgs
    from .secret_copier import CopyOf
    from .smtp_credentials import SmtpCredentials, SmtpCredentialsArgs
    from .value_writer import ValueWriter, ValueWriterArgs

# loaded when it is named: what imports one small module of this package does not wait for Pulumi's SDK
_MODULES = {
    "Account": "account",
    "look_up_account": "account",
    "ArchiveError": "archives",
    "rotation_archive": "archives",
    "Cache": "cache_login",
    "CacheLogin": "cache_login",
    "CacheLoginArgs": "cache_login",
    "CacheUser": "cache_login",
    "ArgumentError": "checks",
    "EncryptionKey": "encryption_key",
    "EncryptionKeyArgs": "encryption_key",
    "FunctionSettings": "function_parts",
    "Hooks": "hooks",
    "register_hooks": "hooks",
    "Binary": "initial_value",
    "FilledByHand": "initial_value",
    "Given": "initial_value",
    "Random": "initial_value",
    "RandomBytes": "initial_value",
    "Structure": "initial_value",
    "Text": "initial_value",
    "MasterRotation": "master_rotation",
    "MasterRotationArgs": "master_rotation",
    "MysqlLogin": "mysql_login",
    "MysqlLoginArgs": "mysql_login",
    "NoticedSecret": "notices",
    "Notices": "notices",
    "NoticesArgs": "notices",
    "NoticeWebhook": "notices",
    "PartnerRotation": "partner_rotation",
    "PartnerRotationArgs": "partner_rotation",
    "PostgresLogin": "postgres_login",
    "PostgresLoginArgs": "postgres_login",
    "Server": "postgres_login",
    "AssumedBy": "read_access",
    "EcsTasks": "read_access",
    "ExistingRole": "read_access",
    "PodIdentity": "read_access",
    "ReadAccess": "read_access",
    "ReadAccessArgs": "read_access",
    "ServiceAccount": "read_access",
    "EcsRedeployment": "redeployment",
    "EcsRedeploymentArgs": "redeployment",
    "Rotation": "rotation",
    "RotationArgs": "rotation",
    "Schedule": "rotation",
    "AdminServer": "rotation_function",
    "Network": "rotation_function",
    "Retirement": "rotation_function",
    "RotationFunction": "rotation_function",
    "RotationFunctionArgs": "rotation_function",
    "RenewedKeys": "rotation_tags",
    "RehearsedSecret": "scheduled_rehearsal",
    "ScheduledRehearsal": "scheduled_rehearsal",
    "ScheduledRehearsalArgs": "scheduled_rehearsal",
    "Replica": "secret",
    "Secret": "secret",
    "SecretArgs": "secret",
    "CopyOf": "secret_copier",
    "SmtpCredentials": "smtp_credentials",
    "SmtpCredentialsArgs": "smtp_credentials",
    "ValueWriter": "value_writer",
    "ValueWriterArgs": "value_writer",
}

__all__ = [
    "Account",
    "AdminServer",
    "ArchiveError",
    "ArgumentError",
    "AssumedBy",
    "Binary",
    "Cache",
    "CacheLogin",
    "CacheLoginArgs",
    "CacheUser",
    "CopyOf",
    "EcsRedeployment",
    "EcsRedeploymentArgs",
    "EcsTasks",
    "EncryptionKey",
    "EncryptionKeyArgs",
    "ExistingRole",
    "FilledByHand",
    "FunctionSettings",
    "Given",
    "Hooks",
    "MasterRotation",
    "MasterRotationArgs",
    "MysqlLogin",
    "MysqlLoginArgs",
    "Network",
    "NoticeWebhook",
    "NoticedSecret",
    "Notices",
    "NoticesArgs",
    "PartnerRotation",
    "PartnerRotationArgs",
    "PodIdentity",
    "PostgresLogin",
    "PostgresLoginArgs",
    "Random",
    "RandomBytes",
    "ReadAccess",
    "ReadAccessArgs",
    "RehearsedSecret",
    "RenewedKeys",
    "Replica",
    "Retirement",
    "Rotation",
    "RotationArgs",
    "RotationFunction",
    "RotationFunctionArgs",
    "Schedule",
    "ScheduledRehearsal",
    "ScheduledRehearsalArgs",
    "Secret",
    "SecretArgs",
    "Server",
    "ServiceAccount",
    "SmtpCredentials",
    "SmtpCredentialsArgs",
    "Structure",
    "Text",
    "ValueWriter",
    "ValueWriterArgs",
    "look_up_account",
    "register_hooks",
    "rotation_archive",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
