"""Running Redis and Valkey servers as ElastiCache and MemoryDB show them."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID

from tools.localcloud.emulator.caches import changes, servers
from tools.localcloud.emulator.caches.model import (
    ELASTICACHE,
    MEMORYDB,
    OPEN_ACCESS,
    SETTLED,
    STORES,
    Cache,
    Endpoint,
    Place,
    Server,
    Tokens,
    hashed,
    store_of,
)
from tools.localcloud.emulator.operations import regions
from tools.localcloud.emulator.turns import ONE_AT_A_TIME

# Kind to its service, and to the kind in its ARN.
KINDS = {
    "replication-group": (ELASTICACHE, "replicationgroup"),
    "serverless": (ELASTICACHE, "serverlesscache"),
    "memorydb": (MEMORYDB, "cluster"),
}
_VERSIONS = {"redis": "7.1.0", "valkey": "8.0.1"}
_MODES = {"required", "preferred"}
_PORTS = range(1, 65_536)
_TEXTS = ("Kind", "Identifier", "Host")
_OPTIONAL_TEXTS = (
    "AuthToken",
    "AdminPassword",
    "AdminUser",
    "CaFile",
    "Description",
    "Engine",
    "EngineVersion",
    "Group",
    "ReaderHost",
    "Region",
    "TransitEncryptionMode",
)
_SWITCHES = {"TransitEncryption": True, "ClusterMode": False}


class RegistrationError(Exception):
    """An invalid description of a cache. The message gives the reason and holds no value."""


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A running cache's description; a group and a token are those of its first registration."""

    place: Place
    kind: str
    identifier: str
    engine: str
    version: str
    primary: Endpoint
    reader: Endpoint
    server: Server | None
    mode: str
    clustered: bool
    description: str
    group: str | None
    token: str | None = field(repr=False)
    tags: Mapping[str, str]


def read_registration(sent: Mapping[str, Any]) -> Registration:
    """Read JSON, as docs/local-cloud.md describes it.

    Raises:
        RegistrationError: A key is missing, of another type, or out of range.
    """
    unknown = sorted(sent.keys() - {*_TEXTS, *_OPTIONAL_TEXTS, *_SWITCHES, "Port", "ReaderPort", "Tags"})
    if unknown:
        raise RegistrationError(f"{', '.join(unknown)}: not a key of a cache")
    texts = _texts(sent)
    kind = texts["Kind"]
    if kind not in KINDS:
        raise RegistrationError(f"Kind must be one of {', '.join(sorted(KINDS))}")
    region = texts.get("Region", "us-east-1")
    if region not in regions():
        raise RegistrationError("Region must be one of AWS")
    engine = texts.get("Engine", "valkey").lower()
    if engine not in _VERSIONS:
        raise RegistrationError(f"Engine must be one of {', '.join(sorted(_VERSIONS))}")
    mode = texts.get("TransitEncryptionMode", "required")
    if mode not in _MODES:
        raise RegistrationError(f"TransitEncryptionMode must be one of {', '.join(sorted(_MODES))}")
    switches = _switches(sent)
    primary = Endpoint(texts["Host"], _port(sent, "Port"))
    port = _port(sent, "ReaderPort") if sent.get("ReaderPort") is not None else primary.port
    reader = Endpoint(texts.get("ReaderHost", primary.host), port)
    server = _server(texts, primary, reader) if switches["TransitEncryption"] else None
    token = texts.get("AuthToken")
    if token is not None and (kind != "replication-group" or server is None or "Group" in texts):
        raise RegistrationError(
            "AuthToken is for a replication group with encryption in transit and without a Group"
        )
    tags = sent.get("Tags") or {}
    if not isinstance(tags, dict) or not all(isinstance(tag, str) for tag in tags.values()):
        raise RegistrationError("Tags must be an object of strings")
    return Registration(
        place=Place(KINDS[kind][0], DEFAULT_ACCOUNT_ID, region),
        kind=kind,
        identifier=texts["Identifier"].lower(),
        engine=engine,
        version=texts.get("EngineVersion", _VERSIONS[engine]),
        primary=primary,
        reader=reader,
        server=server,
        mode=mode,
        clustered=switches["ClusterMode"],
        description=texts.get("Description", ""),
        group=texts["Group"].lower() if "Group" in texts else None,
        token=token,
        tags=tags,
    )


def _texts(sent: Mapping[str, Any]) -> dict[str, str]:
    texts = {}
    for key in (*_TEXTS, *_OPTIONAL_TEXTS):
        value = sent.get(key)
        if value is None and key in _OPTIONAL_TEXTS:
            continue
        if not isinstance(value, str) or not value:
            raise RegistrationError(f"{key} must be a string")
        texts[key] = value
    return texts


def _switches(sent: Mapping[str, Any]) -> dict[str, bool]:
    found = {}
    for key, default in _SWITCHES.items():
        value = sent.get(key, default)
        if not isinstance(value, bool):
            raise RegistrationError(f"{key} must be true or false")
        found[key] = value
    return found


def _port(sent: Mapping[str, Any], key: str) -> int:
    port = sent.get(key)
    if not isinstance(port, int) or isinstance(port, bool) or port not in _PORTS:
        raise RegistrationError(f"{key} must be a number from {_PORTS.start} to {_PORTS.stop - 1}")
    return port


def _server(texts: Mapping[str, str], primary: Endpoint, reader: Endpoint) -> Server:
    for key in ("CaFile", "AdminUser", "AdminPassword"):
        if key not in texts:
            raise RegistrationError(f"{key} must be a string")
    try:
        ca = Path(texts["CaFile"]).read_text(encoding="ascii")
        ssl.create_default_context(cadata=ca)
    except (OSError, ValueError):
        raise RegistrationError("CaFile must be a readable file of certificates (PEM)") from None
    endpoints = (primary,) if reader == primary else (primary, reader)
    return Server(endpoints, ca, texts["AdminUser"], texts["AdminPassword"])


def register(registration: Registration) -> str:
    """Create the cache, or update its address, give its server the users, and return the cache's ARN.

    A cache that is known keeps its group and its tokens: they may have been changed since.

    Raises:
        RegistrationError: the group does not exist, or the server does not take its users.
    """
    place, identifier = registration.place, registration.identifier
    with ONE_AT_A_TIME:
        store = store_of(place)
        known = store.caches.get(identifier)
        if known is not None and known.kind != registration.kind:
            raise RegistrationError(f"Identifier names a cache of another kind ({known.kind})")
        cache = known or _made(registration)
        before = {name: getattr(cache, name) for name in _ADDRESS}
        for name in _ADDRESS:
            setattr(cache, name, getattr(registration, name))
        store.caches[identifier] = cache
    try:
        changes.bring_up_to_date(place, identifier)
    except servers.ServerError as error:
        with ONE_AT_A_TIME:
            if known is None:
                del store.caches[identifier]
            for name, value in before.items():
                setattr(cache, name, value)
        raise RegistrationError(str(error)) from None
    return cache.arn


# What a later registration changes.
_ADDRESS = ("primary", "reader", "server", "mode", "engine", "version", "clustered")


def _made(registration: Registration) -> Cache:
    place, group = registration.place, registration.group
    if place.service == MEMORYDB and group is None:
        group = OPEN_ACCESS
    if group is not None and group not in store_of(place).groups:
        raise RegistrationError("Group names a user group or an ACL that does not exist")
    if group is not None and registration.server is None and group != OPEN_ACCESS:
        raise RegistrationError("Group needs encryption in transit")
    tokens = Tokens() if registration.token is None else Tokens((hashed(registration.token),), optional=False)
    return Cache(
        kind=registration.kind,
        identifier=registration.identifier,
        engine=registration.engine,
        version=registration.version,
        arn=place.arn(KINDS[registration.kind][1], registration.identifier),
        primary=registration.primary,
        reader=registration.reader,
        server=registration.server,
        description=registration.description,
        group=group,
        wanted_group=group,
        tokens=tokens,
        wanted_tokens=tokens,
        tags=dict(registration.tags),
    )


def overview() -> dict[str, Any]:
    """Return every cache, and everything that is being changed; no password, token or hash."""
    caches = [
        {
            "Kind": cache.kind,
            "Identifier": cache.identifier,
            "Region": place.region,
            "Status": cache.status,
            "Group": cache.group,
            "AuthTokens": len(cache.tokens.hashes),
            "AuthTokenRequired": bool(cache.tokens.hashes) and not cache.tokens.optional,
        }
        for place, store in STORES.items()
        for cache in store.caches.values()
    ]
    unfinished = [
        {"Service": place.service, "Kind": kind, "Identifier": one.identifier, "Status": one.status}
        for place, store in STORES.items()
        for kind, one in store.everything()
        if one.status not in SETTLED
    ]
    return {"caches": caches, "unfinished": unfinished, "pace": changes.pace()}
