"""Permissions that requests for S3 objects need: the action, and its bucket or object.

Buckets are named in the path, as clients do for an address without a domain; their policies are not read.

Sources: Service Authorization Reference; Amazon S3 User Guide, "Required permissions for Amazon S3 API
operations".
"""

from collections.abc import Iterator
from urllib.parse import parse_qs, unquote

from tools.localcloud.emulator.needs import Asked, Need

_OF_OBJECTS = {
    "CopyObject": "PutObject",
    "DeleteObject": "DeleteObject",
    "GetObject": "GetObject",
    "HeadObject": "GetObject",
    "PutObject": "PutObject",
}
_LISTS = {"ListObjects", "ListObjectsV2"}


def needed(asked: Asked) -> Iterator[Need]:
    """Yield everything that the request needs."""
    place = unquote(asked.path).lstrip("/")
    bucket = place.partition("/")[0]
    if asked.name in _LISTS or asked.name == "HeadBucket":
        prefix = parse_qs(asked.query, keep_blank_values=True).get("prefix")
        yield asked.need(_arn(bucket), "ListBucket", **({"s3__prefix": prefix[0]} if prefix else {}))
        return
    if asked.name not in _OF_OBJECTS:
        yield asked.need(None)
        return
    if asked.name == "CopyObject":
        yield asked.need(_arn(unquote(asked.copy_source).lstrip("/")), "GetObject")
    yield asked.need(_arn(place), _OF_OBJECTS[asked.name])


def _arn(place: str) -> str:
    return f"arn:aws:s3:::{place}"
