"""Sample statuses of stacks of any size, without AWS."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from operations.status.model import (
    VERSION,
    ActualReader,
    Cost,
    Difference,
    Expiry,
    Function,
    Observation,
    Placeholder,
    Problem,
    Reader,
    Readings,
    Rehearsal,
    Rotation,
    Secret,
    Status,
    Suggestion,
    Summary,
    Workload,
)
from operations.status.rotation import log_command

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:rotation-function-1a2b3c4"
_WORDS = (
    "payments",
    "sessions",
    "prismic",
    "stripe",
    "search",
    "mail",
    "reports",
    "images",
    "audit",
    "billing",
)


def sample_status(secrets: int, workloads: int, *, healthy: bool = False, observed: bool = False) -> Status:
    """Return a status; unless `healthy`, one secret in seven has a problem, of each kind in turn.

    With `observed`, one workload in three does not read what it is declared to, and one secret in six has a
    reader that is not declared.
    """
    names = [
        f"{_WORDS[index % len(_WORDS)]}-{'worker' if index % 2 else 'web'}" for index in range(workloads)
    ]
    if workloads > len(_WORDS):
        names = [f"{name}-{index}" for index, name in enumerate(names)]
    sample = tuple(_secret(index, names, healthy=healthy) for index in range(secrets))
    if observed:
        sample = tuple(_observed(index, secret) for index, secret in enumerate(sample))
    kinds = [{problem.kind for problem in secret.problems} for secret in sample]
    return Status(
        version=VERSION,
        project="aws-secrets",
        stack="production",
        account="123456789012",
        region="us-east-1",
        asked_at=NOW,
        summary=Summary(
            secrets=secrets,
            well=sum(not group for group in kinds),
            unavailable=sum("unavailable" in group for group in kinds),
            rotation=sum("rotation" in group for group in kinds),
            drift=sum("drift" in group for group in kinds),
            waiting=sum("waiting" in group for group in kinds),
            unknown=sum("unknown" in group for group in kinds),
            readers=sum("readers" in group for group in kinds),
        ),
        secrets=sample,
        workloads=tuple(
            Workload(
                name=name, platform="kubernetes", runs_as=f"service account shop/{name} (IRSA)", role=None
            )
            for name in names
        ),
        functions=(
            Function(
                arn=FUNCTION,
                alarm="OK",
                since=NOW - timedelta(days=2),
                secrets=tuple(secret.name for secret in sample if secret.rotation),
                problems=(),
            ),
        ),
        observation=Observation(
            source="event-history",
            since=NOW - timedelta(days=30),
            until=NOW,
            is_complete=True,
            events=12_345,
            damaged=0,
            unread_usd=0.4,
            usd_per_secret=0.4,
            price_date=NOW.date(),
            problems=(),
        )
        if observed
        else None,
        cost=Cost(
            monthly_usd=0.4 * secrets + 1.1,
            secrets=secrets,
            replicas=0,
            keys=1,
            alarms=1,
            price_list=date(2025, 11, 1),
            basis="list price",
            not_counted="API calls",
        ),
    )


def _observed(index: int, secret: Secret) -> Secret:
    """Return a secret with its readers."""
    silent = tuple(reader.workload for number, reader in enumerate(secret.readers) if number % 3 == 2)
    readers = [
        ActualReader(
            principal=f"arn:aws:iam::123456789012:role/{reader.workload}",
            account="123456789012",
            kind="workload",
            declared=True,
            workloads=(reader.workload,),
            reads=720,
            last_read=NOW - timedelta(hours=index % 24),
            sources=("vpce-0a1b2c3d",),
        )
        for reader in secret.readers
        if reader.workload not in silent
    ]
    problems = secret.problems
    if index % 6 == 2:
        who = f"arn:aws:iam::123456789012:role/batch-export-{index % 4}"
        readers = [
            ActualReader(
                principal=who,
                account="123456789012",
                kind="other",
                declared=False,
                workloads=(),
                reads=3,
                last_read=NOW - timedelta(days=2),
                sources=("203.0.113.7", "203.0.113.8"),
            ),
            *readers,
        ]
        text = f"{who} has read it 3 times, and the stack file does not declare it"
        problems = (*problems, Problem(kind="readers", text=text, remedy="Declare it."))
    reason = f"It has not read {secret.name} since 2026-10-25"
    readings = Readings(
        actual=tuple(readers),
        silent=silent,
        unread=not readers,
        unread_keys=(),
        monthly_usd=0.4,
        suggestions=tuple(
            Suggestion(
                path=f"aws-secrets:workloads.{name}",
                change="remove",
                lines=f"environment:\n  TOKEN: {{secret: {secret.name}}}",
                reason=reason,
            )
            for name in silent
        ),
    )
    return replace(secret, readings=readings, last_accessed=NOW - timedelta(hours=12), problems=problems)


def _problem(index: int, name: str) -> tuple[Problem, ...]:
    return (
        (
            Problem(
                kind="unavailable",
                text="AWS has no secret with this name",
                remedy="Run `pulumi up --refresh` to create it. If it existed before, its value is lost.",
            ),
            Problem(
                kind="rotation",
                text="The rotation is overdue: it was due by 2026-11-20 23:59 UTC",
                remedy=f"The last [ERROR] in the function's log has the cause: {log_command(FUNCTION)}.",
            ),
            Problem(
                kind="drift",
                text="The tags differ: the stack file has team=web, AWS has team=other",
                remedy="Run `pulumi up --refresh` to apply the stack file.",
            ),
            Problem(
                kind="waiting",
                text="TOKEN is not filled in yet",
                remedy="Get the value here: Vendor > Settings > API & Security. Then fill it in here: "
                f"https://us-east-1.console.aws.amazon.com/secretsmanager/secret?name={name}&region=us-east-1",
            ),
        )[index // 7 % 4],
    )


def _secret(index: int, names: list[str], *, healthy: bool) -> Secret:
    word = _WORDS[index % len(_WORDS)]
    name = f"{word}-{index}" if index % 3 else f"team-{index % 5}/{word}/credentials-of-the-vendor-{index}"
    problems = () if healthy or index % 7 != 3 else _problem(index, name)
    kind = problems[0].kind if problems else None
    rotates = index % 4 == 1 or kind == "rotation"
    readers = {names[(index * step) % len(names)] for step in range(1, 1 + index % 4)} if names else set()
    return Secret(
        name=name,
        path=f"aws-secrets:secrets.{name}",
        presence="missing" if kind == "unavailable" else "present",
        arn=None
        if kind == "unavailable"
        else f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}-AbCdEf",
        console=None if kind == "unavailable" else f"https://us-east-1.console.aws.amazon.com/?name={index}",
        content="keys",
        keys=("TOKEN", "URL") if index % 2 else ("SECRET_KEY_BASE", "SESSION_KEY", "RAILS_ENV"),
        placeholders=(Placeholder(key="TOKEN", hint="Vendor > Settings"),) if kind == "waiting" else (),
        filled="waiting" if kind == "waiting" else "not-by-hand",
        created=NOW - timedelta(days=400),
        last_changed=NOW - timedelta(days=index % 90, hours=index % 24),
        deletion_after=None,
        rotation=Rotation(
            state="overdue" if kind == "rotation" else "on-schedule",
            schedule="every 30 days",
            last_rotated=NOW - timedelta(days=12),
            next_by=NOW + timedelta(days=-4 if kind == "rotation" else 18),
            pending_since=None,
            function=FUNCTION,
        )
        if rotates
        else None,
        drift=(Difference(what="tags", declared="team=web", actual="team=other"),) if kind == "drift" else (),
        readers=tuple(Reader(workload=name, keys=("TOKEN",)) for name in names if name in readers),
        problems=problems,
        value_created=NOW - timedelta(days=index % 90) if index % 2 else None,
        max_age_days=365 if index % 2 else None,
        expires=(Expiry(key="TOKEN", date=date(2027, 3, 1)),) if index % 5 == 0 else (),
        rehearsal=Rehearsal(at=NOW - timedelta(hours=3), works=True) if rotates else None,
    )
