"""Statuses of stacks of any size, made up: what a page must be able to show."""

from datetime import UTC, datetime, timedelta

from automation.status.model import (
    VERSION,
    Difference,
    Function,
    Placeholder,
    Problem,
    Reader,
    Rotation,
    Secret,
    Status,
    Summary,
    Workload,
)

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


def made_up(secrets: int, workloads: int, *, wrong: bool = True) -> Status:
    """So many secrets and workloads; with `wrong`, one in seven has a problem, of each kind in turn."""
    names = [
        f"{_WORDS[index % len(_WORDS)]}-{'worker' if index % 2 else 'web'}" for index in range(workloads)
    ]
    if workloads > len(_WORDS):
        names = [f"{name}-{index}" for index, name in enumerate(names)]
    found = tuple(_secret(index, names, wrong=wrong) for index in range(secrets))
    kinds = [{problem.kind for problem in secret.problems} for secret in found]
    return Status(
        version=VERSION,
        project="aws-secrets",
        stack="production",
        account="123456789012",
        region="us-east-1",
        asked_at=NOW,
        summary=Summary(
            secrets=secrets,
            well=sum(not found for found in kinds),
            unavailable=sum("unavailable" in found for found in kinds),
            rotation=sum("rotation" in found for found in kinds),
            drift=sum("drift" in found for found in kinds),
            waiting=sum("waiting" in found for found in kinds),
            unknown=sum("unknown" in found for found in kinds),
        ),
        secrets=found,
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
                secrets=tuple(secret.name for secret in found if secret.rotation),
                problems=(),
            ),
        ),
    )


def _problem(index: int) -> tuple[Problem, ...]:
    return (
        (
            Problem(
                kind="unavailable",
                text="AWS has no secret of this name",
                remedy="pulumi up --refresh makes it. If it was there before, its value is lost.",
            ),
            Problem(
                kind="rotation",
                text="The rotation is overdue: it was due by 2026-11-20 23:59 UTC",
                remedy="The last [ERROR] in the function's log says why.",
            ),
            Problem(
                kind="drift",
                text="The tags differ: the stack file has team=web, AWS has team=other",
                remedy="pulumi up --refresh writes what the stack file says.",
            ),
            Problem(
                kind="waiting",
                text="TOKEN waits for a person",
                remedy="Get it here: Vendor > Settings > API & Security. Then fill it in AWS.",
            ),
        )[index // 7 % 4],
    )


def _secret(index: int, names: list[str], *, wrong: bool) -> Secret:
    word = _WORDS[index % len(_WORDS)]
    name = f"{word}-{index}" if index % 3 else f"team-{index % 5}/{word}/credentials-of-the-vendor-{index}"
    problems = _problem(index) if wrong and index % 7 == 3 else ()
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
    )
