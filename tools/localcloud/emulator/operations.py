"""The operation of a request: its name and region only, none of its content."""

import io
import re
from collections.abc import MutableMapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.exceptions import UnknownServiceError
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.request import Request
from moto.core.routing import get_service_router
from moto.kms.models import kms_backends
from werkzeug.exceptions import HTTPException

Environ = MutableMapping[str, Any]

_SCOPE = re.compile(r"Credential=[^/,]*/\d+/([a-z0-9-]+)/([a-z0-9-]+)/")
_TARGET = re.compile(r"(?:^|\.)([A-Za-z0-9]{1,100})$")
_ACTION = re.compile(rb"(?:^|&)Action=([A-Za-z0-9]{1,100})(?:&|$)")
# Operations with these names change nothing worth saving.
_READS = re.compile(r"^(Get|List|Lookup|Describe|Batch|Validate|Decode|Simulate|HEAD$)")


@dataclass(frozen=True)
class Operation:
    """An operation of a service; `name` is the HTTP method where there is nothing better."""

    service: str
    region: str
    name: str

    @property
    def changes(self) -> bool:
        """True if the operation may change something that is worth saving."""
        return not _READS.match(self.name)

    def __str__(self) -> str:
        return f"{self.service} {self.name}"


def is_query(environ: Environ) -> bool:
    """Return whether the request is of a service that reads forms and answers XML."""
    return str(environ.get("CONTENT_TYPE", "")).startswith("application/x-www-form-urlencoded")


def operation_of(environ: Environ) -> Operation:
    """Identify the operation from the credential's scope, and the target header, form or path."""
    scope = _SCOPE.search(str(environ.get("HTTP_AUTHORIZATION", "")))
    service, region = (scope[2], scope[1]) if scope else ("unknown", "us-east-1")
    target = _TARGET.search(str(environ.get("HTTP_X_AMZ_TARGET", "")))
    if target:
        name = target[1]
    elif is_query(environ):
        name = _action(environ)
    else:
        name = _routed(environ, service)
    return Operation(service, region, name or environ["REQUEST_METHOD"])


def _action(environ: Environ) -> str:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    found = _ACTION.search(body)
    return found[1].decode() if found else ""


def _routed(environ: Environ, service: str) -> str:
    try:
        operation, _ = get_service_router(service).match(Request(environ))
    except (HTTPException, UnknownServiceError, NotImplementedError):
        return ""
    return str(operation.name)


@cache
def regions() -> frozenset[str]:
    """Return all regions of AWS."""
    return frozenset(kms_backends[DEFAULT_ACCOUNT_ID].regions)
