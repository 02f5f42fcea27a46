"""Property values between the engine's protocol and Python."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from google.protobuf import json_format, struct_pb2

# Pulumi's protocol, sdk/go/common/resource/plugin/rpc.go: a value not known in a preview, by type, and the
# mark of special objects.
_UNKNOWN_TEXTS = {
    "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
    "030794c1-ac77-496b-92df-f27374a8bd58",
    "e48ece36-62e2-4504-bad9-02848725956a",
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
}
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  the protocol's mark, not a password
_ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"
_ASSETS = {"c44067f5952c0a294b673a41bacd8c17", _ARCHIVE}

Properties: TypeAlias = dict[str, Any]


class _Unknown:
    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN = _Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that the engine must encrypt; its representation does not show it."""

    value: object

    def __repr__(self) -> str:
        return "<secret>"


@dataclass(frozen=True)
class Asset:
    """A file, a text or an archive of them, as the protocol describes it.

    Attributes:
        signature: tells an asset from an archive.
        hash: SHA-256 of the content; two assets with the same are the same.
        source: `text`, `path`, `uri` or `assets` (an archive's members, each an Asset) and its value.
    """

    signature: str
    hash: str
    source: Mapping[str, Any] = field(compare=False)

    @property
    def is_archive(self) -> bool:
        """True if the asset is an archive of several files."""
        return self.signature == _ARCHIVE

    def __repr__(self) -> str:
        return "<asset>"


def from_struct(struct: struct_pb2.Struct) -> Properties:
    """Return a request's properties: whole numbers as int, unknowns as UNKNOWN, secrets unmarked."""
    return {key: _from_json(value) for key, value in json_format.MessageToDict(struct).items()}


def _from_json(value: Any) -> Any:  # noqa: ANN401  any property value
    if isinstance(value, str):
        return UNKNOWN if value in _UNKNOWN_TEXTS else value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    return _from_object(value) if isinstance(value, dict) else value


def _from_object(value: Properties) -> Any:  # noqa: ANN401  any property value
    if value.get(_SIGNATURE) == _SECRET:
        return _from_json(value.get("value"))
    plain = {key: _from_json(item) for key, item in value.items()}
    if value.get(_SIGNATURE) in _ASSETS:
        return Asset(plain.pop(_SIGNATURE), plain.pop("hash", ""), plain)
    return plain


def to_struct(properties: Properties) -> struct_pb2.Struct:
    """Return the protocol's form of properties."""
    struct = struct_pb2.Struct()
    struct.update({key: _to_json(value) for key, value in properties.items()})
    return struct


def _to_json(value: Any) -> Any:  # noqa: ANN401  any property value
    if value is UNKNOWN:
        return "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    if isinstance(value, Secret):
        return {_SIGNATURE: _SECRET, "value": _to_json(value.value)}
    if isinstance(value, Asset):
        source = {key: _to_json(item) for key, item in value.source.items()}
        return {_SIGNATURE: value.signature, "hash": value.hash, **source}
    if isinstance(value, (list, tuple)):
        return [_to_json(item) for item in value]
    if isinstance(value, dict):
        return {key: _to_json(item) for key, item in value.items()}
    return value


def unwrapped(value: Any) -> Any:  # noqa: ANN401  any property value
    """Return the value without the mark of a secret."""
    return value.value if isinstance(value, Secret) else value
