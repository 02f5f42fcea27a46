"""The AWS account and region that a provider's configuration leads to."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tools.localcloud.plugins.serve import ProviderError, UnfinishedError
from tools.localcloud.plugins.values import Properties

Answer = TypeVar("Answer")

# As many calls as the plugin has threads may be under way at once.
_CONNECTIONS = 128
_PATIENCE = 960  # seconds; a function runs at most 900


@dataclass(frozen=True)
class Account:
    """The target of calls. Each client is created once and shared by all threads.

    Attributes:
        region: of resources that name none.
        default_tags: of every resource.
        endpoints: service to URL, for those that the configuration names.
        session: of boto3, with the credentials.
        options: of botocore's Config.
    """

    region: str
    default_tags: Mapping[str, str]
    endpoints: Mapping[str, str]
    session: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    _clients: dict[tuple[str, str, bool], Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def client(self, service: str, properties: Properties | None = None, *, patient: bool = False) -> Any:  # noqa: ANN401  boto3 is untyped
        """Return the client of a service in the resource's region.

        A patient one waits for an answer longer than the longest function runs: a call that is given up is
        sent again, and would invoke it twice.
        """
        region = str((properties or {}).get("region") or self.region)
        with self._lock:
            key = (service, region, patient)
            if key not in self._clients:
                self._clients[key] = self._new_client(service, region, _PATIENCE if patient else 60)
            return self._clients[key]

    def _new_client(self, service: str, region: str, seconds: int) -> Any:  # noqa: ANN401  boto3 is untyped
        from botocore.config import Config  # noqa: PLC0415  loaded when first needed: it takes as long as Python

        # botocore takes the number of attempts from AWS_MAX_ATTEMPTS, else three
        options: dict[str, Any] = {
            "connect_timeout": 5,
            "read_timeout": seconds,
            "max_pool_connections": _CONNECTIONS,
            "retries": {"mode": "standard"},
            **self.options,
        }
        client = self.session.client(
            service, region_name=region, endpoint_url=self.endpoints.get(service), config=Config(**options)
        )
        client.meta.events.register("after-call", _note_service)
        return client


def _note_service(parsed: dict[str, Any], model: Any, **_: object) -> None:  # noqa: ANN401  botocore is untyped
    """Add the service's name to an error's response, where `words` finds it."""
    if "Error" in parsed:
        parsed["Service"] = model.service_model.service_id


@contextmanager
def doing(action: str, *, made: str | None = None) -> Iterator[None]:
    """Turn an error of AWS into the provider's words; `action` as in `creating Secrets Manager Secret (x)`.

    Args:
        action: what is done.
        made: the id of the object that this is done to, when it was made just now.

    Raises:
        ProviderError: with the service's error code and message.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  loaded when first needed
    from botocore.parsers import ResponseParserError  # noqa: PLC0415  likewise

    try:
        yield
    except (BotoCoreError, ClientError, ResponseParserError) as error:
        text = f"{action}: {words(error)}"
        raise (UnfinishedError(text, made) if made else ProviderError(text)) from None


def words(error: Any) -> str:  # noqa: ANN401  botocore is untyped
    """Return an error of botocore in the words of the official provider's SDK, without parameter values."""
    from botocore.exceptions import ClientError, ParamValidationError  # noqa: PLC0415  loaded when first needed
    from botocore.parsers import ResponseParserError  # noqa: PLC0415  likewise

    if isinstance(error, ResponseParserError):
        return "deserialization failed: what answers at this address or in between is not AWS"
    if isinstance(error, ParamValidationError):
        names = re.findall(r"parameter (\S+?),|in input: \"(\S+?)\"", error.kwargs.get("report", ""))
        return f"invalid input: {', '.join(sorted({one or other for one, other in names}))}"
    if not isinstance(error, ClientError):
        return str(error)
    answer, about = error.response.get("ResponseMetadata", {}), error.response.get("Error", {})
    return (
        f"operation error {error.response.get('Service', 'AWS')}: {error.operation_name}, "
        f"https response error StatusCode: {answer.get('HTTPStatusCode', 0)}, "
        f"RequestID: {answer.get('RequestId', '')}, {about.get('Code', '')}: {about.get('Message', '')}"
    )


def is_error(error: Any, code: str, text: str = "") -> bool:  # noqa: ANN401  botocore is untyped
    """Return whether an error of botocore has this code, and this text in its message."""
    about = getattr(error, "response", {}).get("Error", {})
    return about.get("Code") == code and text in about.get("Message", "")


def missing(error: Exception) -> bool:
    """Return whether an error of botocore says that the object is not there."""
    return is_error(error, "ResourceNotFoundException") or is_error(error, "NotFoundException")


def unless_gone(call: Callable[[], Answer], is_gone: Callable[[Exception], bool] = missing) -> Answer | None:
    """Return a call's answer; None if AWS says that the object does not exist."""
    from botocore.exceptions import ClientError  # noqa: PLC0415  loaded when first needed

    try:
        return call()
    except ClientError as error:
        if is_gone(error):
            return None
        raise
