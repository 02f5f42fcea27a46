"""AWS Lambda: moto keeps the functions, and an invocation runs the deployed archive.

Source: AWS Lambda API Reference (Invoke, CreateFunction, UpdateFunctionConfiguration); Developer Guide,
"Retry behavior", "CloudWatch Logs for Lambda functions", "Defined runtime environment variables".
"""

import base64
import json
import os
import re
import sys
import threading
import time
import uuid
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote

from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.models import LambdaFunction, lambda_backends
from moto.awslambda.responses import LambdaResponse
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.logs.models import logs_backends

from tools.localcloud.emulator import lambda_alarms, lambda_limits, lambda_network, lambda_role
from tools.localcloud.emulator.lambda_role import RefusedError
from tools.localcloud.emulator.lambda_workers import Code, Outcome, Pool
from tools.localcloud.emulator.turns import ONE_AT_A_TIME

_INVOCATION = re.compile(r"^/2015-03-31/functions/(?P<name>[^/]+)/invocations/?$")
_LOG_TAIL_BYTES = 4096
_MAX_PAYLOAD_BYTES = 6_291_556
_KEPT_SECONDS, _FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 21_600.0, 1.0, 300.0
# Attributes of the configuration that moto loses, with what AWS answers when nothing was asked for.
_KEPT: dict[str, Any] = {
    "DeadLetterConfig": None,
    "LoggingConfig": None,
    "TracingConfig": {"Mode": "PassThrough"},
    "EphemeralStorage": {"Size": 512},
    "KMSKeyArn": None,
    "Environment": None,
    "VpcConfig": None,
}
_STATES = {"State", "StateReason", "StateReasonCode"}
_STATES |= {"LastUpdateStatus", "LastUpdateStatusReason", "LastUpdateStatusReasonCode"}


class _Service:
    """Objects of which the process has one; set when the emulator starts."""

    pool: Pool
    endpoint: str
    changed: Callable[[], None]
    running: ClassVar[Counter[str]] = Counter()


class ThrottledError(RefusedError):
    """The function's reserved concurrency is exhausted."""


def start(endpoint: str, folder: Path, changed: Callable[[], None]) -> None:
    """Set the endpoint and folder of functions; call this before the first request."""
    _Service.endpoint, _Service.pool, _Service.changed = endpoint, Pool(folder), changed


def end() -> None:
    """End all functions."""
    _Service.pool.end()


def _refusing(method: Callable[["Lambda"], Any]) -> Callable[["Lambda"], Any]:
    """Turn the method's refusals into answers."""

    @wraps(method)
    def answer(service: "Lambda") -> Any:  # noqa: ANN401  moto's own form
        try:
            return method(service)
        except RefusedError as error:
            return _refusal(error)

    return answer


def _busy(function: LambdaFunction) -> lambda_limits.Busy | None:
    found: lambda_limits.Busy | None = getattr(function, "localcloud_busy", None)
    return found


class Lambda(LambdaResponse):
    """moto's API, with the configuration that moto loses and the limits that it lacks."""

    def _kept(self, function: LambdaFunction, config: dict[str, Any]) -> dict[str, Any]:
        kept = {**_KEPT, **getattr(function, "localcloud_kept", {})}
        kept["LoggingConfig"] = {
            "LogFormat": "Text",
            "LogGroup": f"/aws/lambda/{function.function_name}",
            **(kept["LoggingConfig"] or {}),
        }
        kept["RevisionId"] = getattr(function, "localcloud_revision", function.code_sha_256)
        kept["RuntimeVersionConfig"] = {
            "RuntimeVersionArn": f"arn:{function.partition}:lambda:{function.region}::runtime:localcloud"
        }
        network = kept.pop("VpcConfig", None)
        kept["VpcConfig"] = lambda_network.described(DEFAULT_ACCOUNT_ID, function.region, network)
        stateless = {key: value for key, value in config.items() if key not in _STATES}
        states = lambda_limits.shown(_busy(function))
        known = {key: value for key, value in {**stateless, **kept, **states}.items() if value is not None}
        variables = (known.get("Environment") or {}).get("Variables") or {}
        if not variables:
            known.pop("Environment", None)
        return known

    def _keep(self, function: LambdaFunction, *, created: bool = False) -> None:
        asked = {key: value for key, value in self.json_body.items() if key in _KEPT}
        vars(function)["localcloud_kept"] = {**getattr(function, "localcloud_kept", {}), **asked}
        vars(function)["localcloud_revision"] = str(uuid.uuid4())
        function.last_modified = time.strftime("%Y-%m-%dT%H:%M:%S.000+0000", time.gmtime())
        function.code.pop("ZipFile", None)  # moto keeps the archive twice
        vars(function)["localcloud_busy"] = lambda_limits.busy(created=created)

    def _function(self, position: int) -> LambdaFunction:
        return self.backend.get_function(unquote(self.path.split("/")[position]), None)

    @_refusing
    def create_function(self) -> Any:  # noqa: ANN401, D102  moto's own form
        asked = self.json_body
        if asked.get("PackageType", "Zip") != "Zip":
            return _refusal(RefusedError(400, "InvalidParameterValueException", _NO_IMAGES))
        lambda_limits.check_name(asked["FunctionName"])
        lambda_limits.check_configuration(asked)
        arn = f"arn:aws:lambda:{self.region}:{DEFAULT_ACCOUNT_ID}:function:{asked['FunctionName']}"
        refused = self._refused_role(asked["Role"], arn) or self._refused_network(asked["Role"])
        if refused:
            return refused
        status, headers, _ = super().create_function()
        function = self.backend.get_function(asked["FunctionName"].rsplit(":", 1)[-1], None)
        if not _is_zip(function):
            self.backend.delete_function(function.function_name, None)
            return _refusal(RefusedError(400, "InvalidParameterValueException", _NO_ZIP))
        self._keep(function, created=True)
        return status, headers, json.dumps(self._kept(function, function.get_configuration(on_create=True)))

    def _refused_role(self, role: str, function_arn: str) -> Any:  # noqa: ANN401  moto's own form
        """Return an existing role that does not trust Lambda; moto rejects one that does not exist."""
        if not lambda_role.exists(role) or lambda_role.is_assumable(role, self.region, function_arn):
            return None
        return _refusal(RefusedError(400, "InvalidParameterValueException", lambda_role.NOT_ASSUMABLE))

    def _refused_network(self, role: str) -> Any:  # noqa: ANN401  moto's own form
        network = self.json_body.get("VpcConfig")
        reason = lambda_network.refusal(DEFAULT_ACCOUNT_ID, self.region, role, network)
        return _refusal(RefusedError(400, "InvalidParameterValueException", reason)) if reason else None

    @_refusing
    def update_function_configuration(self) -> Any:  # noqa: ANN401, D102  moto's own form
        function = self._function(-2)
        lambda_limits.check_idle(_busy(function), function.function_arn)
        lambda_limits.check_configuration(self.json_body)
        role = self.json_body.get("Role") or function.role
        refused = self._refused_role(role, function.function_arn) or self._refused_network(role)
        if refused:
            return refused
        status, headers, body = super().update_function_configuration()
        function = self._function(-2)
        self._keep(function)
        return status, headers, json.dumps(self._kept(function, json.loads(body)))

    @_refusing
    def update_function_code(self) -> Any:  # noqa: ANN401, D102  moto's own form
        function = self._function(-2)
        lambda_limits.check_idle(_busy(function), function.function_arn)
        if "Architectures" in self.json_body:
            function.architectures = self.json_body["Architectures"]
        status, headers, body = super().update_function_code()
        self._keep(function)
        return status, headers, json.dumps(self._kept(function, json.loads(body)))

    def get_function(self) -> Any:  # noqa: ANN401, D102  moto's own form
        answer = json.loads(super().get_function())
        answer["Configuration"] = self._kept(self._function(-1), answer["Configuration"])
        return json.dumps(answer)

    def get_function_configuration(self) -> Any:  # noqa: ANN401, D102  moto's own form
        return json.dumps(self._kept(self._function(-2), json.loads(super().get_function_configuration())))

    @_refusing
    def add_permission(self) -> Any:  # noqa: ANN401, D102  moto's own form
        lambda_limits.check_principal(str(self.json_body.get("Principal")))
        sid = self.json_body.get("StatementId")
        if any(statement.get("Sid") == sid for statement in self._function(-2).policy.statements):
            return _refusal(
                RefusedError(
                    409,
                    "ResourceConflictException",
                    f"The statement id ({sid}) provided already exists. Please provide a new statement id, "
                    "or remove the existing statement.",
                )
            )
        return super().add_permission()

    def delete_function(self) -> Any:  # noqa: ANN401, D102  moto's own form
        arn = self._function(-1).function_arn
        answer = super().delete_function()
        _Service.pool.retire(arn)
        return answer


_NO_IMAGES = "The local cloud runs zip archives only, not container images."
_NO_ZIP = "Could not unzip uploaded file. Please check your file, then try to upload again."


def _is_zip(function: LambdaFunction) -> bool:
    return zipfile.is_zipfile(BytesIO(function.code_bytes))


def _refusal(error: RefusedError) -> tuple[int, dict[str, Any], str]:
    headers = {"x-amzn-errortype": error.code, "status": error.status}
    return error.status, headers, json.dumps({"Type": "User", "Message": error.message})


def allows(  # noqa: PLR0913  what such a policy can ask for
    region: str,
    function_arn: str,
    *,
    service: str,
    source_arn: str,
    account: str,
    names_account: bool = True,
) -> bool | None:
    """Return whether the function's policy lets an AWS service invoke it; None without a function.

    `names_account`: whether the service tells Lambda the account in addition to the ARN.
    """
    try:
        function = lambda_backends[account][region].get_function(function_arn, None)
    except UnknownFunctionException:
        return None
    sources = {"aws:sourceaccount": account if names_account else None, "aws:sourcearn": source_arn}
    return any(
        statement.get("Effect") == "Allow"
        and statement.get("Principal") in ({"Service": service}, service, "*")
        and statement.get("Action") in {"lambda:InvokeFunction", "lambda:*", "*"}
        and statement.get("Resource") in {function_arn, _arn_of(function_arn, function)}
        and all(
            _condition_holds(operator, sources.get(key.lower()), wanted)
            for operator, keys in (statement.get("Condition") or {}).items()
            for key, wanted in keys.items()
        )
        for statement in function.policy.statements
    )


def policy_of(function_arn: str) -> dict[str, Any] | None:
    """Return the resource policy of a function, or of one of its versions; None if it has none."""
    parts = function_arn.split(":")
    region, account = parts[3], parts[4]
    if account not in lambda_backends or region not in lambda_backends[account]:
        return None
    try:
        function = lambda_backends[account][region].get_function(function_arn, None)
    except UnknownFunctionException:
        return None
    return {"Version": "2012-10-17", "Statement": function.policy.statements}


def _arn_of(asked: str, function: LambdaFunction) -> str:
    return asked if asked.startswith("arn:") else str(function.function_arn)


def _condition_holds(operator: str, found: str | None, wanted: str | list[str]) -> bool:
    if found is None:
        return False
    patterns = [wanted] if isinstance(wanted, str) else wanted
    if operator.endswith("Like") or operator == "ArnEquals":
        return any(
            re.fullmatch(re.escape(p).replace(r"\*", ".*").replace(r"\?", "."), found) for p in patterns
        )
    return operator == "StringEquals" and found in patterns


def _code(account: str, region: str, name: str, qualifier: str | None) -> tuple[Code, str]:
    """Return the function as it is now, and its log group."""
    try:
        function = lambda_backends[account][region].get_function(name, qualifier)
    except UnknownFunctionException as error:
        raise RefusedError(404, "ResourceNotFoundException", str(error.message)) from None
    if function.reserved_concurrency == 0:
        raise RefusedError(429, "TooManyRequestsException", "Rate Exceeded.")
    logging = {
        "LogFormat": "Text",
        "LogGroup": f"/aws/lambda/{function.function_name}",
        **(getattr(function, "localcloud_kept", {}).get("LoggingConfig") or {}),
    }
    version = str(function.version)
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        "HOME": "/nonexistent",  # no settings of the emulator's own environment
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.run_time}",
        "AWS_LAMBDA_FUNCTION_NAME": function.function_name,
        "AWS_LAMBDA_FUNCTION_VERSION": version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": str(logging["LogGroup"]),
        "AWS_LAMBDA_LOG_FORMAT": str(logging["LogFormat"]),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        **lambda_role.credentials(str(function.function_arn), str(function.role), region),
        "AWS_ENDPOINT_URL": _Service.endpoint,
        **function.environment_vars,
    }
    level = logging.get("ApplicationLogLevel") or ("INFO" if logging["LogFormat"] == "JSON" else None)
    if level:
        environment["AWS_LAMBDA_LOG_LEVEL"] = str(level)
    code = Code(
        arn=str(function.function_arn),
        version=version,
        handler=str(function.handler),
        sha256=function.code_sha_256,
        timeout=float(function.timeout),
        memory=int(function.memory_size),
        environment=environment,
        role=str(function.role),
        archive=function.code_bytes,
    )
    return code, str(logging["LogGroup"])


def invoke(region: str, name: str, payload: bytes, qualifier: str | None = None) -> tuple[Outcome, str]:
    """Run a function and writes its log, and return what it answered and the log's text.

    Never call it while holding ONE_AT_A_TIME.

    Raises:
        RefusedError: it was not run.
    """
    account = DEFAULT_ACCOUNT_ID
    try:
        event = json.loads(payload or b"{}")
    except ValueError:
        message = "Could not parse request body into json: Could not parse payload into json."
        raise RefusedError(400, "InvalidRequestContentException", message) from None
    with ONE_AT_A_TIME:
        code, group = _code(account, region, name, qualifier)
        reserved = lambda_backends[account][region].get_function(name, qualifier).reserved_concurrency
        if reserved is not None and _Service.running[code.arn] >= reserved:
            raise ThrottledError(429, "TooManyRequestsException", "Rate Exceeded.")
        _Service.running[code.arn] += 1
    request = str(uuid.uuid4())
    began = time.time()
    try:
        outcome = _Service.pool.invoke(code, request, event)
    finally:
        with ONE_AT_A_TIME:
            _Service.running[code.arn] -= 1
    lines = _log_lines(code, request, outcome)
    with ONE_AT_A_TIME:
        if lambda_role.may_write_log(code.arn, code.role, region, group, outcome.stream):
            _write_log(account, region, group, outcome.stream, lines, began)
        lambda_alarms.evaluate(account, region, code.arn, failed=outcome.failed)
    _Service.changed()
    print(
        f"lambda {name.rpartition(':')[2]} {'failed' if outcome.failed else 'succeeded'} "
        f"{outcome.milliseconds:.0f} ms",
        file=sys.stderr,
        flush=True,
    )
    return outcome, "".join(f"{line}\n" for line in lines)


def _log_lines(code: Code, request: str, outcome: Outcome) -> list[str]:
    billed = int(outcome.milliseconds) + 1
    report = (
        f"REPORT RequestId: {request}\tDuration: {outcome.milliseconds:.2f} ms\tBilled Duration: {billed} ms"
        f"\tMemory Size: {code.memory} MB\tMax Memory Used: {outcome.memory} MB\t"
    )
    first = [] if outcome.init_milliseconds is None else ["INIT_START Runtime Version: localcloud"]
    if outcome.init_milliseconds is not None:
        report += f"Init Duration: {outcome.init_milliseconds:.2f} ms\t"
    return [
        *first,
        f"START RequestId: {request} Version: {code.version}",
        *outcome.output,
        f"END RequestId: {request}",
        report,
    ]


def _write_log(account: str, region: str, group: str, stream: str, lines: list[str], began: float) -> None:  # noqa: PLR0913, PLR0917  what PutLogEvents asks for
    logs = logs_backends[account][region]
    logs.ensure_log_group(group)
    logs.ensure_log_stream(group, stream)
    now, first = int(time.time() * 1000), int(began * 1000)
    moments = [first] * (len(lines) - 2) + [now, now]
    logs.put_log_events(
        group,
        stream,
        [{"timestamp": moment, "message": line} for moment, line in zip(moments, lines, strict=True)],
    )


def is_invocation(environ: Mapping[str, Any]) -> bool:
    """Return whether a request is Invoke, which must not hold the lock."""
    return environ["REQUEST_METHOD"] == "POST" and bool(_INVOCATION.match(environ.get("PATH_INFO", "")))


def serve_invocation(environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Return the Invoke operation."""
    found = _INVOCATION.match(environ["PATH_INFO"])
    name = unquote(found["name"]) if found else ""
    scope = re.search(r"Credential=[^/]*/\d+/([^/]*)/", str(environ.get("HTTP_AUTHORIZATION", "")))
    region = scope[1] if scope else "us-east-1"
    payload = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    qualifier = parse_qs(environ.get("QUERY_STRING", "")).get("Qualifier", [None])[0]
    kind = environ.get("HTTP_X_AMZ_INVOCATION_TYPE", "RequestResponse")
    headers = [("Content-Type", "application/json"), ("x-amzn-RequestId", str(uuid.uuid4()))]
    try:
        _check_size(payload, kind)
        with ONE_AT_A_TIME:
            code, _ = _code(DEFAULT_ACCOUNT_ID, region, name, qualifier)
            function = lambda_backends[DEFAULT_ACCOUNT_ID][region].get_function(name, qualifier)
            if lambda_limits.is_pending(_busy(function)):
                lambda_limits.check_idle(_busy(function), code.arn)
        if kind == "DryRun":
            start_response("204 No Content", headers)
            return [b""]
        if kind == "Event":
            json.loads(payload or b"{}")
            invoke_later(region, name, payload, qualifier)
            start_response("202 Accepted", headers)
            return [b""]
        outcome, log = invoke(region, name, payload, qualifier)
    except RefusedError as error:
        headers.append(("x-amzn-errortype", error.code))
        start_response(f"{error.status} Refused", headers)
        return [json.dumps({"Type": "User", "Message": error.message}).encode()]
    except ValueError:
        headers.append(("x-amzn-errortype", "InvalidRequestContentException"))
        start_response("400 Refused", headers)
        return [b'{"Type": "User", "Message": "Could not parse request body into json."}']
    headers.append(("X-Amz-Executed-Version", code.version))
    if outcome.failed:
        headers.append(("X-Amz-Function-Error", "Unhandled"))
    if environ.get("HTTP_X_AMZ_LOG_TYPE") == "Tail":
        tail = log.encode()[-_LOG_TAIL_BYTES:]
        headers.append(("X-Amz-Log-Result", base64.b64encode(tail).decode()))
    body = outcome.payload.encode()
    start_response("200 OK", [*headers, ("Content-Length", str(len(body)))])
    return [body]


def _check_size(payload: bytes, kind: str) -> None:
    if len(payload) > _MAX_PAYLOAD_BYTES:
        message = f"{len(payload)} byte payload is too large for the {kind} invocation type"
        raise RefusedError(413, "RequestTooLargeException", message)


def invoke_later(region: str, name: str, payload: bytes, qualifier: str | None = None) -> None:
    """Invoke asynchronously; an invocation that waits is lost if the emulator ends."""
    arguments = (region, name, payload, qualifier)
    threading.Thread(target=_invoke_again_and_again, args=arguments, daemon=True).start()


def _invoke_again_and_again(region: str, name: str, payload: bytes, qualifier: str | None) -> None:
    """Retry a function that fails; Lambda does so twice, after 1 and 2 minutes."""
    delay = float(os.environ.get("LOCALCLOUD_LAMBDA_RETRY_SECONDS", "60"))
    for wait in (delay, 2 * delay, None):
        try:
            outcome = _invoke_when_there_is_room(region, name, payload, qualifier)
        except (RefusedError, RuntimeError):
            return
        if not outcome.failed or wait is None:
            return
        time.sleep(wait)


def _invoke_when_there_is_room(region: str, name: str, payload: bytes, qualifier: str | None) -> Outcome:
    """Retry a throttled function; Lambda does so for six hours, after 1 second to 5 minutes."""
    deadline, wait = time.monotonic() + _KEPT_SECONDS, _FIRST_WAIT_SECONDS
    while True:
        try:
            return invoke(region, name, payload, qualifier)[0]
        except ThrottledError:
            if time.monotonic() > deadline:
                raise
        time.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
