"""Databases that really run, as RDS shows them: their own address, and a master secret that RDS manages."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.rds.models import DBInstance, rds_backends

from localcloud.emulator import secrets_rules as rules
from localcloud.emulator import secrets_service
from localcloud.emulator.secrets_rules import Content


class RegistrationError(Exception):
    """What was sent describes no database; the message says why and holds no value."""


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What a database that runs says of itself."""

    identifier: str
    host: str
    port: int
    username: str
    password: str = field(repr=False)
    region: str = "us-east-1"


def read_registration(sent: Mapping[str, Any]) -> Registration:
    """From JSON: DBInstanceIdentifier, Host, Port, Username, Password, and perhaps Region.

    Raises:
        RegistrationError: a key is missing or of another type.
    """
    texts = {}
    for key in ("DBInstanceIdentifier", "Host", "Username", "Password"):
        value = sent.get(key)
        if not isinstance(value, str) or not value:
            raise RegistrationError(f"{key} must be a text")
        texts[key] = value
    port = sent.get("Port")
    if not isinstance(port, int) or isinstance(port, bool):
        raise RegistrationError("Port must be a number")
    return Registration(
        identifier=texts["DBInstanceIdentifier"].lower(),
        host=texts["Host"],
        port=port,
        username=texts["Username"],
        password=texts["Password"],
        region=str(sent.get("Region", "us-east-1")),
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
    """
    backend = rds_backends[DEFAULT_ACCOUNT_ID][registration.region]
    known = backend.databases.get(registration.identifier)
    if isinstance(known, RunningInstance):
        instance = known
    else:
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
        made.__class__ = RunningInstance  # type: ignore[type-abstract]  # moto counts its own class as abstract
        instance = cast("RunningInstance", made)
        _give(registration, instance.master_user_secret.secret_arn)
    instance.running_host, instance.port = registration.host, registration.port
    return str(instance.master_user_secret.secret_arn)


def _give(registration: Registration, secret_arn: str) -> None:
    """The password that the database has, in the place of the one that RDS made up."""
    secret = secrets_service.store_of(DEFAULT_ACCOUNT_ID).find(registration.region, secret_arn)
    text = json.dumps({"username": registration.username, "password": registration.password})
    rules.put_value(secret, rules.new_token(), Content(text, None), None)
