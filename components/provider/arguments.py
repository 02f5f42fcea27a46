"""Turn the inputs of other languages into the arguments of the components."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar, cast

from ..checks import ArgumentError, is_later
from ..function_parts import FunctionSettings
from ..initial_value import (
    Binary,
    Encoding,
    FilledByHand,
    Given,
    InitialValue,
    Random,
    RandomBytes,
    Source,
    Structure,
    Text,
    Whole,
)
from ..lambdas.rotation import protocol
from ..login_parts import Server
from ..mysql_login import MysqlLoginArgs
from ..postgres_login import Authentication, PostgresLoginArgs
from ..rotation import RotationArgs, Schedule
from ..rotation_function import AdminServer, Network, Retirement, RotationFunctionArgs, WhileUsed
from ..rotation_tags import KeyFormat, RenewedKeys
from ..secret import Replica, SecretArgs
from . import inputs

Inputs = TypeVar("Inputs")

# Inputs that become FunctionSettings, and their names in other languages.
_SETTINGS = {"alarm_topic_arn": "alarmTopicArn", "log_retention_days": "logRetentionDays"}
_SOURCES = ("random", "random_bytes", "value", "json", "filled_by_hand")


def secret_args(given: inputs.SecretInputs) -> SecretArgs:
    """Return the arguments of a secret.

    Raises:
        ArgumentError: an input cannot work.
    """
    known = _plain(given)
    where = f"secret {known['secret_name']}"
    text, binary = known.get("text"), known.get("binary")
    if text is not None and binary is not None:
        raise ArgumentError(f"{where}: text and binary are both set: set one")
    whole: Whole | None = None
    if text is not None:
        whole = Text(source=_source(f"{where}, text", text))
    elif binary is not None:
        whole = Binary(source=_bytes_source(f"{where}, binary", binary))
    renewed = known.get("renewed_keys")
    return SecretArgs(
        secret_name=known["secret_name"],
        values=_values(where, known.get("values", {})),
        whole=whole,
        description=known.get("description"),
        kms_key_id=known.get("kms_key_id"),
        recovery_window_days=known.get("recovery_window_days", 30),
        policy=known.get("policy"),
        replicas=[
            Replica(region=replica["region"], kms_key_id=replica.get("kms_key_id"))
            for replica in known.get("replicas", [])
        ],
        tags=known.get("tags", {}),
        renewed_keys=_renewed_keys(renewed) if renewed else None,
    )


def login_args(given: inputs.PostgresLoginInputs) -> PostgresLoginArgs:
    """Return the arguments of a PostgreSQL login.

    Raises:
        ArgumentError: an input cannot work.
    """
    known = _plain(given)
    authentication = known.get("authentication", "password")
    of_any = _login(known, "postgres")
    if authentication == "iam" and "schedule" not in known:
        of_any["schedule"] = None
    return PostgresLoginArgs(
        **of_any,
        authentication=cast("Authentication", authentication),
        alternating=known.get("alternating", authentication != "iam"),
        schemas=known.get("schemas", ["public"]),
        create_schemas=known.get("create_schemas", False),
        owner_role=known.get("owner_role"),
    )


def mysql_login_args(given: inputs.MysqlLoginInputs) -> MysqlLoginArgs:
    """Return the arguments of a MySQL or MariaDB login.

    Raises:
        ArgumentError: an input cannot work.
    """
    known = _plain(given)
    return MysqlLoginArgs(
        **_login(known, "mysql"),
        user_host=known.get("user_host", "%"),
        url_scheme=known.get("url_scheme", "mysql"),
    )


def _login(known: Mapping[str, Any], engine: str) -> dict[str, Any]:
    """Return the arguments that the logins of all databases have."""
    where = f"login {known['secret_name']}"
    if "grants" in known and "grant_statements" in known:
        raise ArgumentError(f"{where}: grants and grantStatements are both set: set one")
    settings = [shown for name, shown in _SETTINGS.items() if name in known]
    if settings and "rotation_function_arn" in known:
        raise ArgumentError(
            f"{where}: {' and '.join(settings)} would be ignored, as the login has no function of its own: "
            "set them on its RotationFunction"
        )
    network = known.get("network")
    return {
        "secret": SecretArgs(
            secret_name=known["secret_name"],
            values=_values(where, known.get("values", {})),
            description=known.get("description"),
            kms_key_id=known.get("kms_key_id"),
            recovery_window_days=known.get("recovery_window_days", 30),
            tags=known.get("tags", {}),
        ),
        "server": Server(
            engine=known.get("engine", engine),
            host=known["host"],
            **({"port": known["port"]} if "port" in known else {}),
        ),
        "reader_host": known.get("reader_host"),
        "database": known["database"],
        "username": known["username"],
        "function": known.get("rotation_function_arn"),
        "network": Network(**network) if network else None,
        "certificate_authorities": known.get("certificate_authorities", ""),
        "common": _settings(known) if settings else None,
        "retirement": _retirement(known["retirement"]) if "retirement" in known else None,
        "admin_secret_arn": known.get("admin_secret_arn"),
        "grants": known.get("grants") or known.get("grant_statements"),
        "password": known.get("password"),
        "password_length": known.get("password_length", 40),
        "schedule": _schedule(known.get("schedule")),
    }


def rotation_args(given: inputs.RotationInputs) -> RotationArgs:
    """Return the arguments of a rotation.

    Raises:
        ArgumentError: an input cannot work.
    """
    known = _plain(given)
    return RotationArgs(
        secret_arn=known["secret_arn"],
        function=known["function_arn"],
        schedule=_schedule(known.get("schedule")),
    )


def function_args(given: inputs.RotationFunctionInputs) -> RotationFunctionArgs:
    """Return the arguments of a rotation function.

    Raises:
        ArgumentError: an input cannot work.
    """
    known = _plain(given)
    network = known.get("network")
    return RotationFunctionArgs(
        common=replace(_settings(known), tags=known.get("tags", {})),
        secret_names=known["secret_names"],
        admin_secret_arns=known.get("admin_secret_arns", []),
        admin_servers=[
            AdminServer(secret_arn=server["secret_arn"], host=server["host"], port=server.get("port", 5432))
            for server in known.get("admin_servers", [])
        ],
        kms_key_arns=known.get("kms_key_arns", []),
        network=Network(**network) if network else None,
        certificate_authorities=known.get("certificate_authorities", ""),
        retirements={name: _retirement(one) for name, one in known.get("retirements", {}).items()},
    )


def _retirement(given: inputs.Retirement) -> Retirement:
    mode = cast("WhileUsed", given["mode"])
    return Retirement(mode=mode, deferrals=given.get("deferrals", protocol.DEFAULT_DEFERRALS))


def _settings(known: Mapping[str, Any]) -> FunctionSettings:
    return FunctionSettings(
        log_retention_days=known.get("log_retention_days", 90), alarm_topic_arn=known.get("alarm_topic_arn")
    )


def _values(where: str, given: Mapping[str, inputs.Value]) -> dict[str, InitialValue]:
    if is_later(given):
        raise ArgumentError(
            f"{where}: values as a whole is an Output: set each value, whose `value` may be an Output"
        )
    return {key: _initial_value(f"{where}, values.{key}", value) for key, value in given.items()}


def _initial_value(where: str, given: inputs.Value) -> InitialValue:
    _check_one_source(where, given)
    return Structure(value=given["json"]) if "json" in given else _source(where, given)


def _source(where: str, given: inputs.Value) -> Source:
    _check_one_source(where, given)
    if "random" in given:
        return Random(**given["random"])
    if "random_bytes" in given:
        options = given["random_bytes"]
        encoding = cast("Encoding", options.get("encoding", "hex"))
        return RandomBytes(length=options["length"], encoding=encoding)
    if "filled_by_hand" in given:
        return FilledByHand(hint=given["filled_by_hand"])
    if "value" in given:
        return Given(value=given["value"])
    raise ArgumentError(f"{where}: json needs keys: put it under values")


def _bytes_source(where: str, given: inputs.Value) -> RandomBytes | Given | FilledByHand:
    source = _source(where, given)
    if isinstance(source, Random):
        raise ArgumentError(f"{where}: random makes text: use randomBytes")
    if isinstance(source, RandomBytes):
        return RandomBytes(length=source.length, encoding="base64")
    return source


def _check_one_source(where: str, given: inputs.Value) -> None:
    """Check that one source is set.

    Raises:
        ArgumentError: none is, or several are, or the sources are not known yet.
    """
    if is_later(given):
        raise ArgumentError(f"{where} is an Output: write its source, such as {{value: OUTPUT}}")
    if len([name for name in _SOURCES if name in given]) != 1:
        raise ArgumentError(f"{where}: set exactly one of random, randomBytes, value, json and filledByHand")


def _renewed_keys(given: inputs.RenewedKeys) -> RenewedKeys:
    format_ = cast("KeyFormat", given.get("format", "alphanumeric"))
    return RenewedKeys(keys=given["keys"], length=given.get("length", 64), format=format_)


def _schedule(given: inputs.Schedule | None) -> Schedule:
    known = given or {}
    days = known.get("automatically_after_days")
    expression = known.get("schedule_expression")
    return Schedule(
        automatically_after_days=30 if days is None and expression is None else days,
        schedule_expression=expression,
        duration=known.get("duration"),
        rotate_immediately=known.get("rotate_immediately", False),
    )


def _plain(given: Inputs) -> Inputs:
    """Return the inputs with whole numbers as integers: the engine knows floats alone."""
    return cast("Inputs", _whole_numbers(given))


def _whole_numbers(value: Any) -> Any:  # noqa: ANN401  any input
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(item) for item in value]
    return value
