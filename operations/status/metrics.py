"""A status as OpenMetrics text, which Prometheus scrapes or the textfile collector of node_exporter reads.

Times are in seconds since 1970, so that an alert computes ages itself and a file that is no longer written
can be noticed. Names of secrets are labels; no metric holds a value of a secret.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import get_args

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.openmetrics.exposition import generate_latest

from operations.status import texts
from operations.status.model import Kind, RotationState, Secret, Status

_PREFIX = "aws_secrets"


def metrics(found: Status) -> str:
    """Return the metrics of a status."""
    place = {
        "project": found.project,
        "stack": found.stack,
        "account": found.account,
        "region": found.region,
    }
    collected = CollectorRegistry()

    def gauge(name: str, about: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", about, (*place, *labels), registry=collected)

    def moment(one: Gauge, when: datetime | None, **labels: str) -> None:
        if when is not None:
            one.labels(**place, **labels).set(when.timestamp())

    asked = gauge("asked_timestamp_seconds", "When AWS was queried")
    moment(asked, found.asked_at)
    _totals(found, place, gauge)
    problems = gauge("problems", "Problems of a secret, by kind", "secret", "kind")
    changed = gauge("changed_timestamp_seconds", "Last change of a secret, tags included", "secret")
    created = gauge("value_created_timestamp_seconds", "When a secret's current version was stored", "secret")
    expires = gauge(
        "expires_timestamp_seconds", "End of the last day on which a value is valid", "secret", "key"
    )
    rotated = gauge("rotated_timestamp_seconds", "Last successful rotation of a secret", "secret")
    due = gauge("rotation_due_timestamp_seconds", "Latest time of a secret's next rotation", "secret")
    deferred = gauge("rotations_deferred", "Rotations in a row that renewed nothing", "secret")
    state = gauge("rotation_state", "1 for the state that a secret's rotation is in", "secret", "state")
    alarm = gauge("function_alarm", "1 while the error alarm of a rotation function is on", "function")
    errors = gauge("function_problems", "Problems of a rotation function", "function")
    for secret in found.secrets:
        for kind in get_args(Kind):
            count = sum(problem.kind == kind for problem in secret.problems)
            problems.labels(**place, secret=secret.name, kind=kind).set(count)
        moment(changed, secret.last_changed, secret=secret.name)
        moment(created, secret.value_created, secret=secret.name)
        _set_expiries(expires, secret, place)
        if secret.rotation:
            moment(rotated, secret.rotation.last_rotated, secret=secret.name)
            moment(due, secret.rotation.next_by, secret=secret.name)
            deferred.labels(**place, secret=secret.name).set(secret.rotation.deferred)
            for known in get_args(RotationState):
                state.labels(**place, secret=secret.name, state=known).set(known == secret.rotation.state)
    for function in found.functions:
        name = function.arn.rpartition(":")[2]
        errors.labels(**place, function=name).set(len(function.problems))
        if function.alarm is not None:
            alarm.labels(**place, function=name).set(function.alarm == "ALARM")
    _rehearsals(found, place, gauge)
    _readers(found, place, gauge)
    text: bytes = generate_latest(collected)  # type: ignore[no-untyped-call] # has no types
    return text.decode()


def _totals(found: Status, place: Mapping[str, str], gauge: Callable[..., Gauge]) -> None:
    """Add what is counted for the whole stack."""
    secrets = gauge("secrets", "Secrets of the stack, and existing ones that its workloads read")
    secrets.labels(**place).set(found.summary.secrets)
    healthy = gauge("healthy_secrets", "Secrets that need no attention")
    healthy.labels(**place).set(found.summary.well)
    price = gauge("monthly_usd", "List price in a month of what the stack has in AWS")
    if found.cost:
        price.labels(**place).set(found.cost.monthly_usd)


def _rehearsals(found: Status, place: Mapping[str, str], gauge: Callable[..., Gauge]) -> None:
    """Add the last rehearsals on a schedule."""
    rehearsed = gauge("rehearsed_timestamp_seconds", "Last rehearsal of a secret on a schedule", "secret")
    works = gauge("rehearsal_works", "1 if the last rehearsal found that the next rotation works", "secret")
    for secret in found.secrets:
        if secret.rehearsal and secret.rehearsal.at is not None:
            labels = {**place, "secret": secret.name}
            rehearsed.labels(**labels).set(secret.rehearsal.at.timestamp())
            works.labels(**labels).set(bool(secret.rehearsal.works))


def _set_expiries(gauge: Gauge, secret: Secret, place: Mapping[str, str]) -> None:
    """Set the end of the last day on which each value is valid."""
    for one in secret.expires:
        end = datetime.combine(one.date + timedelta(days=1), time(), UTC)
        gauge.labels(**place, secret=secret.name, key=one.key).set(end.timestamp())


def _readers(found: Status, place: Mapping[str, str], gauge: Callable[..., Gauge]) -> None:
    """Add who reads; from events that are incomplete, nothing but AWS's own dates."""
    accessed = gauge(
        "last_accessed_timestamp_seconds", "Day on which AWS last saw a read of a secret", "secret"
    )
    for secret in found.secrets:
        if secret.last_accessed is not None:
            accessed.labels(**place, secret=secret.name).set(secret.last_accessed.timestamp())
    undeclared = gauge("undeclared_readers", "Principals that read a secret and are not declared", "secret")
    silent = gauge("silent_readers", "Workloads that are declared to read a secret and do not", "secret")
    unread = gauge("unread", "1 if nobody reads a secret", "secret")
    price = gauge("unread_usd", "List price in a month of the secrets that nobody reads")
    if found.observation is None or not found.observation.is_complete:
        return
    price.labels(**place).set(found.observation.unread_usd)
    for secret in found.secrets:
        if secret.readings:
            labels = {**place, "secret": secret.name}
            undeclared.labels(**labels).set(sum(map(texts.is_foreign, secret.readings.actual)))
            silent.labels(**labels).set(len(secret.readings.silent))
            unread.labels(**labels).set(secret.readings.unread)
