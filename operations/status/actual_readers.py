"""Compare who read each secret, as CloudTrail recorded it, with the stack file."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from operations.status import texts
from operations.status.aws import AwsSession
from operations.status.cost import PRICE_LIST, SECRET
from operations.status.declared import DeclaredSecret, ExistingSecret
from operations.status.declared_readers import Identities, declaration
from operations.status.errors import ALLOW, denial
from operations.status.event_history import History, load, midnight, read_history, save
from operations.status.model import ActualReader, Observation, Problem, Readings, Secret, Suggestion
from operations.status.principals import Principal
from operations.status.read_events import Count, Tally, secrets_to_count
from operations.status.read_search import Budget, DeniedError, Search
from operations.status.rotation import format_utc
from operations.status.trail_files import Trail, read_trail
from program.arns import Account
from program.desired import Desired

USD_PER_SECRET = float(SECRET)  # a replica is a secret of its own
DAYS = 30
_MOST_LOOKUPS, _MOST_FILES = 1_000, 20_000
_PAUSE = 0.5  # seconds; two requests per second are allowed
_MOST_PROBLEMS = 10
_NEW = timedelta(days=1)  # the readers of a secret that was just created may not be deployed yet
# those who use a value, so that the secret is not unread
_USERS = {"workload", "policy", "person", "service", "other"}


@dataclass(frozen=True, kw_only=True)
class ReaderQuery:
    """A query for the actual readers.

    Attributes:
        days: to look back, from midnight in UTC: up to 89 in the event history.
        trail: where a trail's files are; None for CloudTrail's event history.
        state: a file that keeps what was read of the event history for the next run; None to keep nothing.
        deployers: ARNs of roles and users that update the stack, other than `updateRole`.
        requests: the most requests to CloudTrail or S3. Default: 1,000 or 20,000.
        progress: called with a line after each request.
    """

    days: int = DAYS
    trail: Trail | None = None
    state: Path | None = None
    deployers: tuple[str, ...] = ()
    requests: int | None = None
    progress: Callable[[str], None] | None = None


def search_of(
    query: ReaderQuery,
    secrets: Sequence[Secret],
    replicas: Mapping[str, tuple[str, ...]],
    account: Account,
    now: datetime,
) -> Search:
    """Return the search for the readers of secrets.

    Args:
        query: how to find out.
        secrets: as assessed.
        replicas: regions of their replicas, by name.
        account: of the stack.
        now: the moment to assess for.
    """
    regions = (account.region, *(region for group in replicas.values() for region in group))
    return Search(
        secrets=secrets_to_count({one.name: one.arn for one in secrets if one.arn}, account, replicas),
        regions=tuple(dict.fromkeys(regions)),
        since=midnight(now - timedelta(days=query.days)),
        until=now.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1),
        budget=Budget(
            requests=query.requests or (_MOST_FILES if query.trail else _MOST_LOOKUPS),
            pause=0,
            tell=query.progress,
        ),
    )


def observe(
    query: ReaderQuery, search: Search, aws: AwsSession
) -> tuple[Observation, Mapping[str, Mapping[Principal, Count]]]:
    """Return the observation, and by secret who read it.

    Args:
        query: how to find out.
        search: from `search_of`.
        aws: it calls LookupEvents, or lists and gets a trail's files.
    """
    problems = []
    try:
        if query.trail:
            tally, is_complete = read_trail(aws.client("s3"), query.trail, search)
        else:
            search.budget.pause = _PAUSE if aws.on_aws else 0
            tally, is_complete = _history(query, search, aws)
        if not is_complete:
            problems.append(_incomplete(query, search.budget))
    except DeniedError as error:
        tally, is_complete = Tally(), False
        problems.append(Problem(kind="unknown", text=denial(str(error)), remedy=ALLOW))
    observation = Observation(
        source="trail" if query.trail else "event-history",
        since=search.since,
        until=search.until,
        is_complete=is_complete,
        events=tally.events,
        damaged=tally.damaged,
        unread_usd=0,
        usd_per_secret=USD_PER_SECRET,
        price_date=PRICE_LIST,
        problems=tuple(problems),
    )
    return observation, tally.by_secret(search.since.date())


def _history(query: ReaderQuery, search: Search, aws: AwsSession) -> tuple[Tally, bool]:
    known = load(query.state, search) if query.state else {}
    tally, is_complete = Tally(), True
    try:
        for region in search.regions:
            # throttled requests are repeated by the client, more slowly
            client = replace(aws, region=region).client("cloudtrail")
            found, is_read = read_history(client, known.setdefault(region, History()), search)
            tally.include(found)
            is_complete = is_complete and is_read
    finally:
        if query.state:
            save(query.state, known, search.secrets)
    return tally, is_complete


def _incomplete(query: ReaderQuery, budget: Budget) -> Problem:
    more = (
        f"Run the command again: it goes on where it stopped ({query.state})."
        if query.state
        else "Look back over fewer days, or use --readers-state FILE and run the command again: it goes on "
        "where it stopped. A trail's files have no such limit (--trail)."
    )
    if query.trail:
        more = "Look back over fewer days."
    return Problem(
        kind="unknown",
        text=f"Not all events were read: {budget.sent} requests were not enough",
        remedy=more,
    )


# --- Comparison


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The declarations and events that a secret is compared with.

    Attributes:
        desired: meaning of the stack file.
        declared: the stack's secrets and existing ones, by name.
        known: the principals that the deployment declares.
        observation: the events.
        reads: by secret who read it.
    """

    desired: Desired
    declared: Mapping[str, DeclaredSecret | ExistingSecret]
    known: Identities
    observation: Observation
    reads: Mapping[str, Mapping[Principal, Count]]


def compared(secret: Secret, by: Comparison) -> Secret:
    """Return a secret with its readings, and with a problem for each undeclared reader."""
    declared = by.declared.get(secret.name)
    if declared is None or secret.arn is None:
        return secret
    actual = sorted(
        _actual(by.reads.get(secret.name, {}), declared, by.known),
        key=lambda one: (one.declared, one.kind, -one.reads, one.principal),
    )
    is_ours, is_complete = isinstance(declared, DeclaredSecret), by.observation.is_complete
    read_by = {name for one in actual for name in one.workloads if one.declared}
    silent = tuple(
        name for name in declared.reads if name not in read_by and name not in by.known.unknown_roles
    )
    # AWS saw a read that no event explains: perhaps the trail leaves it out
    is_unexplained = (
        not actual and secret.last_accessed is not None and secret.last_accessed >= by.observation.since
    )
    is_new = secret.created is None or secret.created > by.observation.until - _NEW
    unread = not (is_new or is_unexplained) and not any(one.kind in _USERS for one in actual)
    readings = Readings(
        actual=tuple(actual),
        silent=silent if is_complete and not is_new else (),
        unread=unread and is_ours and is_complete and secret.presence == "present",
        unread_keys=_unread_keys(declared),
        monthly_usd=round(USD_PER_SECRET * (1 + len(declared.replicas)), 2)
        if isinstance(declared, DeclaredSecret)
        else 0,
        suggestions=(),
    )
    problems = _problems(actual) if is_ours else []
    return replace(
        secret,
        readings=replace(readings, suggestions=tuple(_suggestions(secret, readings, by))),
        problems=(*secret.problems, *problems),
    )


def observation_of(observation: Observation, secrets: Sequence[Secret], known: Identities) -> Observation:
    """Return the observation with the price of unread secrets, and with what keeps readers unknown."""
    problems = [Problem(kind="unknown", text=denial(action), remedy=ALLOW) for action in known.denied]
    if known.unknown_roles:
        problems.append(
            Problem(
                kind="unknown",
                text=f"The names of the roles of {', '.join(known.unknown_roles)} are not known",
                remedy="Pass the stack's outputs: `pulumi stack output --json | python -m operations status "
                "--readers --outputs -`.",
            )
        )
    unread = [one.readings.monthly_usd for one in secrets if one.readings and one.readings.unread]
    return replace(observation, unread_usd=round(sum(unread), 2), problems=(*observation.problems, *problems))


def _actual(
    reads: Mapping[Principal, Count], declared: DeclaredSecret | ExistingSecret, known: Identities
) -> Iterator[ActualReader]:
    for principal, count in reads.items():
        relation = declaration(principal, declared, known)
        yield ActualReader(
            principal=principal.shown,
            account=principal.account,
            kind=relation.kind,
            declared=relation.declared,
            workloads=relation.workloads,
            reads=count.reads,
            last_read=count.last,
            sources=count.sources,
        )


def _problems(actual: Sequence[ActualReader]) -> Iterator[Problem]:
    """Yield a problem for each reader that needs attention."""
    foreign = list(filter(texts.is_foreign, actual))
    for one in foreign[:_MOST_PROBLEMS]:
        times = "once" if one.reads == 1 else f"{one.reads} times"
        role = f" (the role of workload {', '.join(one.workloads)})" if one.workloads else ""
        yield Problem(
            kind="readers",
            text=f"{one.principal}{role} has read it {times}, last on {format_utc(one.last_read)} from "
            f"{one.sources[0]}, and the stack file does not declare it",
            remedy="If it may read the secret, declare it: as a workload, or in the secret's policy. "
            "Otherwise remove its permission, then replace the value: it knows the value.",
        )
    if len(foreign) > _MOST_PROBLEMS:
        yield Problem(
            kind="readers",
            text=f"{len(foreign) - _MOST_PROBLEMS} more principals have read it without being declared",
            remedy="--json lists all of them.",
        )


def _unread_keys(declared: DeclaredSecret | ExistingSecret) -> tuple[str, ...]:
    """Return the keys that no workload reads; a login's belong together."""
    if not isinstance(declared, DeclaredSecret) or not declared.reads or declared.is_login:
        return ()
    read = {key for keys in declared.reads.values() for key in keys}
    return tuple(key for key in declared.keys if key not in read)


# --- Suggestions


def _suggestions(secret: Secret, readings: Readings, by: Comparison) -> Iterator[Suggestion]:
    declared, since = by.declared[secret.name], by.observation.since
    since_day = f"{max(since, secret.created or since):%Y-%m-%d}"
    if not isinstance(declared, DeclaredSecret):
        return
    for one in readings.actual:
        for name in () if one.declared else one.workloads:
            yield Suggestion(
                path=by.desired.path("workloads", name),
                change="add",
                lines=_yaml({"environmentFrom": [secret.name]}),
                reason=f"Its role reads {secret.name}; events do not show which keys, so name them under "
                "environment if it needs few",
            )
    for name in readings.silent:
        yield Suggestion(
            path=by.desired.path("workloads", name),
            change="remove",
            lines=_lines_of(name, secret.name, by.desired),
            reason=f"It has not read {secret.name} since {since_day}",
        )
    if readings.unread and not declared.is_login:
        nobody = "nobody" if readings.actual else "nobody, not even a function,"
        yield Suggestion(
            path=by.desired.path("secrets"),
            change="remove",
            lines=f"{_yaml(secret.name)}:",
            reason=f"Since {since_day} {nobody} has read it, at {readings.monthly_usd:.2f} USD a month",
        )
    are_all_declared = all(one.declared for one in readings.actual)
    if readings.unread_keys and are_all_declared and not any(one.kind == "policy" for one in readings.actual):
        yield Suggestion(
            path=f"{declared.path}.values",
            change="remove",
            lines="\n".join(f"{_yaml(key)}:" for key in readings.unread_keys),
            reason="No workload reads these keys, and only workloads read the secret",
        )


def _lines_of(workload: str, secret: str, desired: Desired) -> str:
    """Return the lines of a workload that name a secret."""
    declared = desired.workloads[workload].declared
    found: dict[str, Any] = {}
    if secret in declared.environment_from:
        found["environmentFrom"] = [secret]
    for read in desired.workloads[workload].reads:
        if read.secret != secret:
            continue
        section, *rest = map(str, read.place)
        key = {"key": read.key} if read.key else {}
        if section in {"environment", "files"}:
            found.setdefault(section, {})[rest[0]] = {"secret": secret, **key}
        else:
            found.setdefault(section, []).append({"secret": secret})
    return _yaml(found)


def _yaml(value: object) -> str:
    """Return YAML; a bare text is quoted if it has to be."""
    text = yaml.safe_dump(value, sort_keys=False, default_flow_style=None, width=1000, allow_unicode=True)
    return str(text).removesuffix("...\n").rstrip("\n")
