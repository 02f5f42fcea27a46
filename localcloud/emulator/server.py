"""The WSGI application: moto with our Secrets Manager, one request at a time, each logged by name."""

import json
import re
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from moto.awslambda import urls as lambda_urls
from moto.kms import urls as kms_urls
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.secretsmanager import urls as secretsmanager_urls

from localcloud.emulator import kms_service, lambda_service, rotation, secrets_service
from localcloud.emulator.turns import ONE_AT_A_TIME

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

# Operations with these names change nothing worth saving.
_READS = re.compile(r"^(Get|List|Describe|Batch|Validate|Decode)")


def aws_services() -> Application:
    """Moto's application with our Secrets Manager, Lambda and KMS in the place of moto's."""
    secretsmanager_urls.url_paths.clear()
    secretsmanager_urls.url_paths["{0}/$"] = secrets_service.SecretsManager.dispatch
    kms_urls.url_paths["{0}/$"] = kms_service.Kms.dispatch
    for pattern in lambda_urls.url_paths:
        lambda_urls.url_paths[pattern] = lambda_service.Lambda.dispatch
    application: Application = DomainDispatcherApplication(create_backend_app)
    return application


def _operation(environ: Environ) -> str:
    """Service and operation of a request: from the target header, else from the credential's scope."""
    target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
    scope = re.search(r"Credential=[^/]*/\d+/[^/]*/([a-z0-9-]+)/", str(environ.get("HTTP_AUTHORIZATION", "")))
    service = scope[1] if scope else "unknown"
    return f"{service} {target.rpartition('.')[2] or environ['REQUEST_METHOD']}"


def emulator(services: Application, health: dict[str, Any], changed: Callable[[], None]) -> Application:
    """The whole application: AWS, and what only the local cloud has below /_localcloud/."""

    def serve(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith("/_localcloud/"):
            return _own(path, environ, start_response, health, changed)
        began = time.monotonic()
        status: list[str] = []

        def note(line: str, *rest: Any) -> Any:  # noqa: ANN401  WSGI's own form
            status.append(line.split(" ", 1)[0])
            return start_response(line, *rest)

        if lambda_service.is_invocation(environ):
            body = list(lambda_service.serve_invocation(environ, note))
        else:
            with ONE_AT_A_TIME:
                body = list(_answered(services, environ, note))
        operation = _operation(environ)
        if not _READS.match(operation.partition(" ")[2]):
            changed()
        milliseconds = (time.monotonic() - began) * 1000
        print(f"{operation} {status[-1]} {milliseconds:.0f} ms", file=sys.stderr, flush=True)
        return body

    return serve


def _answered(services: Application, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """What moto answers; where it cannot, an error as AWS writes it instead of a traceback."""
    try:
        return list(services(environ, start_response))
    except NotImplementedError:
        return _error(start_response, "501 Not Implemented", "NotImplemented", _operation(environ))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        # Moto trusts its clients. The text of such an error can hold a part of the request: only its kind.
        what = f"{_operation(environ)}: {type(error).__name__}"
        print(f"cannot be answered: {what}", file=sys.stderr, flush=True)
        return _error(start_response, "400 Bad Request", "SerializationException", what)


def _error(start_response: StartResponse, status: str, code: str, what: str) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-ErrorType", code)])
    message = f"The local cloud cannot answer this request ({what})."
    return [json.dumps({"__type": code, "message": message}).encode()]


def _own(
    path: str,
    environ: Environ,
    start_response: StartResponse,
    health: dict[str, Any],
    changed: Callable[[], None],
) -> Iterable[bytes]:
    match (environ["REQUEST_METHOD"], path):
        case ("GET", "/_localcloud/health"):
            answer: dict[str, Any] = health
        case ("GET", "/_localcloud/rotations"):
            with ONE_AT_A_TIME:
                answer = {"unfinished": rotation.unfinished()}
        case ("POST", "/_localcloud/collect-versions" | "/_localcloud/rotate-due"):
            try:
                asked = json.loads(
                    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) or b"{}"
                )
                secret_id = asked.get("SecretId")
            except (ValueError, AttributeError):
                start_response("400 Bad Request", [("Content-Type", "application/json")])
                return [b'{"error": "the body must be empty or a JSON object with SecretId"}']
            with ONE_AT_A_TIME:
                if path.endswith("rotate-due"):
                    answer = {"begun": rotation.rotate_due(secret_id)}
                else:
                    answer = {"collected": secrets_service.collect_versions(secret_id)}
            changed()
        case _:
            start_response("404 Not Found", [("Content-Type", "application/json")])
            return [b'{"error": "the local cloud has no such address"}']
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
