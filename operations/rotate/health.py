"""Find out whether a reader is healthy: its deployment, its load balancer, alarms, and a URL.

A reader is healthy once every check is good. Alarms and the URL must then stay good for as long as the stack
file says, because an alarm needs time to go off.

Source: Elastic Load Balancing API Reference, TargetHealth; Amazon CloudWatch API Reference, DescribeAlarms.
"""

import http.client
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from operations.renewal import services
from operations.renewal.model import Failure
from operations.renewal.rotations import explained
from operations.status.aws import AwsSession
from stack_file.workloads import Redeploy, Restart

_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds between looks; the last one repeats
_URL_SECONDS = 10
_OK = range(200, 300)
# of targets: those of earlier tasks, and those that are not asked
_IGNORED = {"draining", "unused"}


@dataclass(frozen=True, kw_only=True)
class Checks:
    """The health checks of a reader.

    Attributes:
        aws: AWS in the stack's region.
        restart: what the stack file declares.
        service: its ECS service; None on other platforms.
    """

    aws: AwsSession
    restart: Restart
    service: Redeploy | None

    def problems(self, deployment: str = "") -> list[str]:
        """Return what is not good yet, or not good any more.

        Args:
            deployment: id of the deployment that must be done; empty for the current one.

        Raises:
            Failure: the deployment failed, or AWS rejected a request.
        """
        return [
            *(self._of_service(self.service, deployment) if self.service else ()),
            *self._of_alarms(),
            *_of_url(self.restart.url),
        ]

    def _of_service(self, service: Redeploy, deployment: str) -> Iterator[str]:
        found = _asked(lambda: services.describe(self.aws.client("ecs"), service), "ecs:DescribeServices")
        if (kind := (found.get("deploymentController") or {}).get("type", "ECS")) != "ECS":
            raise Failure(
                f"The service is deployed by {kind}, and this command knows only rolling updates by ECS. "
                "Remove ecs.redeploy, and restart it by hand."
            )
        wanted = deployment or next(
            (str(one["id"]) for one in found["deployments"] if one["status"] == services.PRIMARY), ""
        )
        progress = services.progress(found, wanted)
        if progress.state in {"failed", "replaced"}:
            raise Failure(
                f"The deployment {wanted} of {services.words(service)} {_ENDS[progress.state]}: "
                f"{progress.reason}. ECS says: {services.last_event(found)}"
            )
        if progress.state == "running":
            yield f"the deployment of {services.words(service)} is not complete: {progress.reason}"
        groups = [
            one["targetGroupArn"] for one in found.get("loadBalancers", ()) if one.get("targetGroupArn")
        ]
        for arn in groups:
            yield from self._of_targets(arn, int(found["desiredCount"]))

    def _of_targets(self, arn: str, desired: int) -> Iterator[str]:
        described = _asked(
            lambda: self.aws.client("elbv2").describe_target_health(TargetGroupArn=arn),
            "elasticloadbalancing:DescribeTargetHealth",
        )["TargetHealthDescriptions"]
        states = [one["TargetHealth"] for one in described]
        bad = [one for one in states if one["State"] not in {*_IGNORED, "healthy"}]
        healthy = sum(one["State"] == "healthy" for one in states)
        if bad or healthy < desired:
            reasons = sorted({str(one.get("Reason") or one["State"]) for one in bad})
            yield (
                f"{healthy} of {desired} targets in {arn.rpartition(':')[2]} are healthy"
                f"{', others: ' if reasons else ''}{', '.join(reasons)}"
            )

    def _of_alarms(self) -> Iterator[str]:
        names = self.restart.alarms
        if not names:
            return
        found = _asked(
            lambda: self.aws.client("cloudwatch").describe_alarms(
                AlarmNames=list(names), AlarmTypes=["MetricAlarm", "CompositeAlarm"], MaxRecords=100
            ),
            "cloudwatch:DescribeAlarms",
        )
        alarms = {
            one["AlarmName"]: one for key in ("MetricAlarms", "CompositeAlarms") for one in found.get(key, ())
        }
        for name in names:
            if name not in alarms:
                yield f"CloudWatch has no alarm {name}"
            elif alarms[name]["StateValue"] == "ALARM":
                yield f"the alarm {name} has gone off"


_ENDS: Mapping[str, str] = {"failed": "failed", "replaced": "is not the service's deployment any more"}


def wait(
    checks: Checks,
    deployment: str,
    stop: threading.Event,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Wait until a reader is healthy, and has been for as long as declared.

    Raises:
        Failure: it is not healthy in time; the message has the reasons.
    """
    restart = checks.restart
    watched = restart.watch_seconds if restart.alarms or restart.url else 0
    deadline, good_since, looks = clock() + restart.timeout_seconds + watched, None, 0
    while True:
        problems: Sequence[str] = checks.problems(deployment)
        now = clock()
        good_since = None if problems else now if good_since is None else good_since
        if good_since is not None and now - good_since >= watched:
            return
        if now > deadline:
            said = "; ".join(problems) or "it was not good for long enough without a break"
            raise Failure(f"Not healthy after {restart.timeout_seconds} seconds: {said}")
        if stop.wait(_PAUSES[min(looks, len(_PAUSES) - 1)]):
            raise KeyboardInterrupt
        looks += 1


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow no redirect: the answer must come from the URL itself."""


def _of_url(url: str | None) -> Iterator[str]:
    if url is None:
        return
    answers: list[list[str]] = []
    # the timeout of a socket begins again with each byte that a server sends
    request = threading.Thread(target=lambda: answers.append([*_answer_of(url)]), daemon=True)
    request.start()
    request.join(2 * _URL_SECONDS)
    yield from answers[0] if answers else [f"{url} does not answer: timed out"]


def _answer_of(url: str) -> Iterator[str]:
    verified = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    opener = urllib.request.build_opener(verified, _NoRedirects)
    try:
        with opener.open(url, timeout=_URL_SECONDS) as answer:
            status = int(answer.status)
    except urllib.error.HTTPError as error:
        status = error.code
        error.close()
    except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: a name that is too long
        yield f"{url} does not answer: {getattr(error, 'reason', error) or type(error).__name__}"
        return
    if status not in _OK:
        yield f"{url} answers with status {status}"


def _asked(request: Callable[[], dict[str, Any]], action: str) -> dict[str, Any]:
    try:
        return request()
    except (ClientError, BotoCoreError) as error:
        raise explained(error, action) from None
