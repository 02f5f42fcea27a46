"""The WSGI application: moto with our Secrets Manager, one request at a time, each logged by name."""

import json
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import cache, lru_cache
from html import escape
from pathlib import Path
from typing import Any, cast

from moto.awslambda import urls as lambda_urls
from moto.cloudtrail import urls as cloudtrail_urls
from moto.core import responses, utils
from moto.eks import urls as eks_urls
from moto.iam import urls as iam_urls
from moto.kms import urls as kms_urls
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.secretsmanager import urls as secretsmanager_urls
from moto.secretsmanager.models import secretsmanager_backends
from moto.sts import urls as sts_urls

from tools.localcloud.emulator import (
    ecs_outcomes,
    eks_service,
    enforcement,
    event_bus,
    event_history,
    iam_service,
    kms_service,
    lambda_service,
    managed_secrets,
    rotation,
    secrets_service,
    sts_service,
)
from tools.localcloud.emulator.caches import changes
from tools.localcloud.emulator.caches import registration as caches
from tools.localcloud.emulator.operations import Operation, is_query, operation_of, regions
from tools.localcloud.emulator.turns import ONE_AT_A_TIME

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


def aws_services() -> Application:
    """Return moto's application with our Secrets Manager, Lambda, KMS, IAM and CloudTrail."""
    secretsmanager_urls.url_paths.clear()
    secretsmanager_urls.url_paths["{0}/$"] = secrets_service.SecretsManager.dispatch
    secretsmanager_backends.backend = managed_secrets.ManagedSecrets
    cloudtrail_urls.url_paths["{0}/$"] = event_history.CloudTrail.dispatch
    kms_urls.url_paths["{0}/$"] = kms_service.Kms.dispatch
    iam_urls.url_paths["{0}/$"] = iam_service.Iam.dispatch
    sts_urls.url_paths["{0}/$"] = sts_service.Sts.dispatch
    for pattern in eks_service.PATHS:
        eks_urls.url_paths[pattern] = eks_service.Eks.dispatch
    for pattern in lambda_urls.url_paths:
        lambda_urls.url_paths[pattern] = lambda_service.Lambda.dispatch
    # by default inspected in every request
    vars(responses)["method_names_from_class"] = cache(utils.method_names_from_class)
    return Services(create_backend_app)


def replace_service(name: str) -> None:
    """Replace those services of moto that `aws_services` leaves, before the first request to them."""
    if name == "ecs":
        from tools.localcloud.emulator import ecs_service  # noqa: PLC0415  moto's ECS loads EC2, for half a second

        ecs_service.take_the_place_of_motos()
    elif name == "elasticache":
        from tools.localcloud.emulator.caches import elasticache_service  # noqa: PLC0415  seldom asked

        elasticache_service.take_the_place_of_motos()
    elif name == "memorydb":
        from tools.localcloud.emulator.caches import memorydb_service  # noqa: PLC0415  moto's loads EC2

        memorydb_service.take_the_place_of_motos()


class Services(DomainDispatcherApplication):
    """Moto's application, which remembers the service of a host.

    By default it looks at every file of its package, twice in each request: a third of a request's time.
    """

    def __init__(self, create_app: Callable[..., Any]) -> None:
        super().__init__(create_app)
        self._service_of_host = lru_cache(maxsize=1000)(super().get_backend_for_host)

    def get_backend_for_host(self, host: str | None) -> Any:  # noqa: ANN401  as in the base class
        """Return the name of a host's service; None for an unknown host."""
        return self._service_of_host(host)


def emulator(services: Application, health: dict[str, Any], changed: Callable[[], None]) -> Application:
    """Return the whole application: AWS, and what only the local cloud has below /_localcloud/."""

    def serve(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith(("/_localcloud/cache", "/_localcloud/ecs")) and "HTTP_ORIGIN" not in environ:
            return _own_services(path, environ, start_response, changed)
        if path.startswith("/_localcloud/") and "HTTP_ORIGIN" not in environ:
            return _own(path, environ, start_response, health, changed)
        began = time.monotonic()
        status: list[str] = []

        def note(line: str, *rest: Any) -> Any:  # noqa: ANN401  WSGI's own form
            status.append(line.split(" ", 1)[0])
            return start_response(line, *rest)

        operation = operation_of(environ)
        if "HTTP_ORIGIN" in environ or path.startswith("/moto-api"):
            # A page in the developer's browser may be anybody's; moto's own interface empties everything.
            body = _refused(environ, note, "AccessDeniedException", "Only clients of AWS are served here.")
        elif operation.region not in regions():
            body = _refused(environ, note, "UnrecognizedClientException", "The region does not exist on AWS.")
        else:
            body = _checked(services, environ, note, operation)
        if operation.changes:
            changed()
        milliseconds = (time.monotonic() - began) * 1000
        print(f"{operation} {status[-1]} {milliseconds:.0f} ms", file=sys.stderr, flush=True)
        return body

    return serve


def _checked(
    services: Application, environ: Environ, start_response: StartResponse, operation: Operation
) -> list[bytes]:
    """Return the answer to a request: a refusal, or the service's own."""
    status: list[str] = []

    def note(line: str, *rest: Any) -> Any:  # noqa: ANN401  WSGI's own form
        status.append(line)
        return start_response(line, *rest)

    with ExitStack() as turn:
        turn.enter_context(ONE_AT_A_TIME)
        asked = event_history.sent(environ, operation)
        refusal = turn.enter_context(enforcement.as_caller(environ, operation))
        if refusal is not None or not lambda_service.is_invocation(environ):
            answer = (
                _answered(services, environ, note, operation)
                if refusal is None
                else _denied(environ, note, operation, refusal)
            )
            event_history.record(environ, operation, asked, status[-1], answer)
            return answer
    # out of turn: a function calls back while it runs
    return list(lambda_service.serve_invocation(environ, start_response))


def _denied(
    environ: Environ, start_response: StartResponse, operation: Operation, refusal: enforcement.Refusal
) -> list[bytes]:
    """Return a denial in the service's protocol: except in JSON, a shorter code and the status 403."""
    as_it_is = refusal.exact or not (is_query(environ) or operation.service == "s3")
    code = refusal.code if as_it_is else _QUERY_CODES.get(refusal.code, refusal.code)
    status = "400 Bad Request" if refusal.exact or "HTTP_X_AMZ_TARGET" in environ else "403 Forbidden"
    if operation.service == "s3":
        start_response(status, [("Content-Type", "application/xml")])
        error = f"<Code>{code}</Code><Message>{escape(refusal.message)}</Message>"
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [f"<Error>{error}</Error>".encode()]
    if operation.service == "ec2":
        start_response(status, [("Content-Type", "text/xml")])
        error = f"<Code>UnauthorizedOperation</Code><Message>{escape(refusal.message)}</Message>"
        return [f"<Response><Errors><Error>{error}</Error></Errors></Response>".encode()]
    return _refused(environ, start_response, code, refusal.message, status)


_QUERY_CODES = {
    "AccessDeniedException": "AccessDenied",
    "ExpiredTokenException": "ExpiredToken",
    "UnrecognizedClientException": "InvalidClientTokenId",
}


def _answered(
    services: Application, environ: Environ, start_response: StartResponse, operation: Operation
) -> list[bytes]:
    """Return moto's answer; where it fails, an error as AWS writes it instead of a traceback."""
    replace_service(operation.service)
    try:
        return list(services(environ, start_response))
    except NotImplementedError:
        code, what, status = "NotImplemented", str(operation), "501 Not Implemented"
    except Exception as error:  # noqa: BLE001  moto trusts its clients: anything may come of a bad request
        # The text of such an error can hold a part of the request: only its kind, and where it happened.
        code, what, status = (
            "SerializationException",
            f"{operation}: {type(error).__name__}",
            "400 Bad Request",
        )
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).parent.name}/{Path(frame.filename).name}:{frame.lineno}"
        print(f"cannot be answered: {what} at {place}", file=sys.stderr, flush=True)
    message = f"The local cloud cannot answer this request ({what})."
    return _refused(environ, start_response, code, message, status)


def _refused(
    environ: Environ, start_response: StartResponse, code: str, message: str, status: str = "400 Bad Request"
) -> list[bytes]:
    """Return an error in the form that the client of this service reads."""
    if is_query(environ):
        start_response(status, [("Content-Type", "text/xml")])
        error = f"<Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message>"
        return [f"<ErrorResponse><Error>{error}</Error></ErrorResponse>".encode()]
    start_response(status, [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-ErrorType", code)])
    return [json.dumps({"__type": code, "Message": message}).encode()]


# What AWS does in its own time: the name of the answer, and the function that does it now.
_BEFORE_THEIR_TIME: dict[str, tuple[str, Callable[[Any], object]]] = {
    "collect-versions": ("collected", secrets_service.collect_versions),
    "rotate-due": ("begun", rotation.rotate_due),
    "run-schedules": ("called", lambda _: event_bus.run_schedules()),
}


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
                answer = {"unfinished": rotation.unfinished(), "events": rotation.events()}
        case ("POST", "/_localcloud/databases"):
            from tools.localcloud.emulator import databases  # noqa: PLC0415  moto's RDS and EC2 load for half a second

            try:
                registration = databases.read_registration(_sent(environ))
                with ONE_AT_A_TIME:
                    answer = {"MasterUserSecretArn": databases.register(registration)}
            except databases.RegistrationError as error:
                start_response("400 Bad Request", [("Content-Type", "application/json")])
                return [json.dumps({"error": str(error)}).encode()]
            changed()
        case ("POST", "/_localcloud/sessions"):
            try:
                with ONE_AT_A_TIME:
                    answer = sts_service.for_service(_sent(environ))
            except sts_service.SessionError as error:
                start_response("400 Bad Request", [("Content-Type", "application/json")])
                return [json.dumps({"error": str(error)}).encode()]
            changed()
        case ("POST", place) if place.removeprefix("/_localcloud/") in _BEFORE_THEIR_TIME:
            try:
                asked = json.loads(
                    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) or b"{}"
                )
                secret_id = asked.get("SecretId")
            except (ValueError, AttributeError):
                start_response("400 Bad Request", [("Content-Type", "application/json")])
                return [b'{"error": "the body must be empty or a JSON object with SecretId"}']
            name, act = _BEFORE_THEIR_TIME[path.removeprefix("/_localcloud/")]
            with ONE_AT_A_TIME:
                answer = {name: act(secret_id)}
            changed()
        case _:
            start_response("404 Not Found", [("Content-Type", "application/json")])
            return [b'{"error": "the local cloud does not serve this address"}']
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]


def _own_services(
    path: str, environ: Environ, start_response: StartResponse, changed: Callable[[], None]
) -> Iterable[bytes]:
    status, answer = "200 OK", cast("dict[str, Any]", {})
    try:
        match (environ["REQUEST_METHOD"], path):
            case ("GET", "/_localcloud/caches"):
                with ONE_AT_A_TIME:
                    answer = caches.overview()
            case ("POST", "/_localcloud/caches"):
                answer = {"Arn": caches.register(caches.read_registration(_sent(environ)))}
                changed()
            case ("POST", "/_localcloud/cache-changes"):
                answer = changes.read_pace(_sent(environ))
            case ("POST", "/_localcloud/ecs-deployments"):
                answer = ecs_outcomes.read_outcome(_sent(environ))
            case _:
                status = "404 Not Found"
                answer = {"error": "the local cloud does not serve this address"}
    except (caches.RegistrationError, changes.PaceError, ecs_outcomes.OutcomeError) as error:
        status, answer = "400 Bad Request", {"error": str(error)}
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]


def _sent(environ: Environ) -> dict[str, Any]:
    """Return the JSON object that a request carries; an empty one if it carries none."""
    try:
        found = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
