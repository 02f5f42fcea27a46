"""Running databases as RDS shows them: with their own address, and a master secret that RDS manages."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from moto.core.exceptions import ServiceException
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.rds.models import DBInstance, rds_backends

from tools.localcloud.emulator import secrets_rules as rules
from tools.localcloud.emulator import secrets_service
from tools.localcloud.emulator.operations import regions
from tools.localcloud.emulator.secrets_rules import Content, Secret, ServiceError

_PORTS = range(1, 65_536)
# Engine to what moto does not know of it by itself.
_ENGINES: Mapping[str, Mapping[str, str]] = {
    "postgres": {},
    "mariadb": {"engine_version": "11.8.3"},
    "mysql": {},
}


class RegistrationError(Exception):
    """An invalid description of a database. The message gives the reason and holds no value."""


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A running database's description of itself; `name` is the one that RDS would have created in it."""

    identifier: str
    engine: str = "postgres"
    host: str
    port: int
    username: str
    password: str = field(repr=False)
    name: str | None = None
    region: str = "us-east-1"


def read_registration(sent: Mapping[str, Any]) -> Registration:
    """Read JSON: DBInstanceIdentifier, Host, Port, Username, Password; optionally Engine, DBName and Region.

    Raises:
        RegistrationError: A key is missing, of another type, or out of range.
    """
    texts = {}
    for key in ("DBInstanceIdentifier", "Host", "Username", "Password", "Engine", "DBName", "Region"):
        if key in {"Engine", "DBName", "Region"} and sent.get(key) is None:
            continue
        value = sent.get(key)
        if not isinstance(value, str) or not value:
            raise RegistrationError(f"{key} must be a string")
        texts[key] = value
    port = sent.get("Port")
    if not isinstance(port, int) or isinstance(port, bool) or port not in _PORTS:
        raise RegistrationError(f"Port must be a number from {_PORTS.start} to {_PORTS.stop - 1}")
    region = texts.get("Region", "us-east-1")
    if region not in regions():
        raise RegistrationError("Region must be one of AWS")
    if texts.get("Engine", "postgres") not in _ENGINES:
        raise RegistrationError(f"Engine must be one of {', '.join(_ENGINES)}")
    return Registration(
        identifier=texts["DBInstanceIdentifier"].lower(),
        engine=texts.get("Engine", "postgres"),
        host=texts["Host"],
        port=port,
        username=texts["Username"],
        password=texts["Password"],
        name=texts.get("DBName"),
        region=region,
    )


class RunningInstance(DBInstance):
    """An instance whose endpoint is where the database listens; moto would make up another address."""

    running_host = ""

    @property
    def address(self) -> str:
        """Host name."""
        return self.running_host


def register(registration: Registration) -> str:
    """Create the instance, or update its address, and return the master secret's ARN.

    The secret keeps its value: it may have been rotated since.

    Raises:
        RegistrationError: RDS rejects the instance.
    """
    known = rds_backends[DEFAULT_ACCOUNT_ID][registration.region].databases.get(registration.identifier)
    if known is not None and not isinstance(known, RunningInstance):
        raise RegistrationError(
            "DBInstanceIdentifier names an instance that was created through RDS and does not run: "
            "delete it, or use another identifier"
        )
    secret = _master_secret(known, registration.region) if known is not None else None
    if known is not None and secret is not None:
        instance = known
        secret.deleted = None  # RDS keeps it as long as the instance
    else:
        instance = _made(registration)
    instance.running_host, instance.port = registration.host, registration.port
    if registration.name is not None:
        instance.db_name = registration.name
    return str(instance.master_user_secret.secret_arn)


def _made(registration: Registration) -> RunningInstance:
    """Return the instance with its master secret, in the place of one whose secret was deleted for good."""
    backend = rds_backends[DEFAULT_ACCOUNT_ID][registration.region]
    replaced = backend.databases.get(registration.identifier)
    try:
        if replaced is not None:
            replaced.manage_master_user_password = False  # there is no secret left to delete with it
            backend.delete_db_instance(registration.identifier)
        made = backend.create_db_instance(
            {
                "db_instance_identifier": registration.identifier,
                "db_instance_class": "db.t4g.micro",
                "engine": registration.engine,
                **_ENGINES[registration.engine],
                "allocated_storage": 20,
                "port": registration.port,
                "master_username": registration.username,
                "manage_master_user_password": True,
                "vpc_security_group_ids": [],
                "tags": [],
            }
        )
    except ServiceException as error:
        raise RegistrationError(f"RDS has no such instance: {error.message}") from None
    made.__class__ = RunningInstance  # type: ignore[type-abstract]  # moto counts its own class as abstract
    instance = cast("RunningInstance", made)
    secret = _master_secret(instance, registration.region)
    if secret is not None:
        # the password that the database has, in the place of the one that RDS made up
        text = json.dumps({"username": registration.username, "password": registration.password})
        secret.fixed = True
        rules.put_value(secret, rules.new_token(), Content(text, None), None)
    return instance


def _master_secret(instance: RunningInstance, region: str) -> Secret | None:
    store = secrets_service.store_of(DEFAULT_ACCOUNT_ID)
    try:
        return store.find(region, instance.master_user_secret.secret_arn)
    except ServiceError:
        return None
