"""Databases that really run, as RDS shows them: their own address, and a master secret that RDS manages."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from moto.core.exceptions import ServiceException
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.rds.models import DBInstance, rds_backends

from localcloud.emulator import secrets_rules as rules
from localcloud.emulator import secrets_service
from localcloud.emulator.operations import regions
from localcloud.emulator.secrets_rules import Content, Secret, ServiceError

_PORTS = range(1, 65_536)


class RegistrationError(Exception):
    """What was sent describes no database; the message says why and holds no value."""


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What a database that runs says of itself; `name` is the one that RDS would have created in it."""

    identifier: str
    host: str
    port: int
    username: str
    password: str = field(repr=False)
    name: str | None = None
    region: str = "us-east-1"


def read_registration(sent: Mapping[str, Any]) -> Registration:
    """From JSON: DBInstanceIdentifier, Host, Port, Username, Password, and perhaps DBName and Region.

    Raises:
        RegistrationError: a key is missing, of another type, or beyond what it can be.
    """
    texts = {}
    for key in ("DBInstanceIdentifier", "Host", "Username", "Password", "DBName", "Region"):
        if key in {"DBName", "Region"} and sent.get(key) is None:
            continue
        value = sent.get(key)
        if not isinstance(value, str) or not value:
            raise RegistrationError(f"{key} must be a text")
        texts[key] = value
    port = sent.get("Port")
    if not isinstance(port, int) or isinstance(port, bool) or port not in _PORTS:
        raise RegistrationError(f"Port must be a number from {_PORTS.start} to {_PORTS.stop - 1}")
    region = texts.get("Region", "us-east-1")
    if region not in regions():
        raise RegistrationError("Region must be one of AWS")
    return Registration(
        identifier=texts["DBInstanceIdentifier"].lower(),
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
    """Makes the instance, or moves the one that is there; the master secret's ARN.

    The secret keeps what it holds now: it may have been rotated since.

    Raises:
        RegistrationError: RDS cannot have such an instance.
    """
    known = rds_backends[DEFAULT_ACCOUNT_ID][registration.region].databases.get(registration.identifier)
    if known is not None and not isinstance(known, RunningInstance):
        raise RegistrationError(
            "DBInstanceIdentifier names an instance that was made through RDS and runs nowhere: "
            "delete that one, or send another identifier"
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
    """The instance with its master secret, in the place of one whose secret was deleted for good."""
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
                "engine": "postgres",
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
