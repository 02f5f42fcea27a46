"""CloudTrail's events of reads, counted by day, secret and principal.

GetSecretValue is a management event, so the event history has it without a trail. BatchGetSecretValue is one
event of GetSecretValue for each secret. An event names the secret as the caller did: by name, ARN, or ARN
without the last seven characters. It has neither the value nor the keys that the caller used.

Sources: AWS Secrets Manager User Guide, "AWS CloudTrail entries for Secrets Manager"; AWS Secrets Manager API
Reference, BatchGetSecretValue; AWS CloudTrail User Guide, "CloudTrail record contents".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from operations.status.principals import DamagedEventError, Principal, mapping, principal_of, text
from program.arns import Account

READ_EVENT = "GetSecretValue"
_SOURCE = "secretsmanager.amazonaws.com"
_SUFFIX = len("-AbCdEf")
_MOST_SOURCES = 5
_MOST_ENTRIES = 100_000


@dataclass(frozen=True, kw_only=True)
class Read:
    """A successful read of a secret; `source` is a VPC endpoint, an IP address or an AWS service."""

    secret: str
    principal: Principal
    region: str
    moment: datetime
    source: str


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """The secrets whose reads count.

    Attributes:
        names: name by each identifier that an event may have.
        account: the stack's account, in which names without an ARN are looked up.
    """

    names: Mapping[str, str]
    account: str

    def name(self, identifier: str, caller_account: str) -> str | None:
        """Return the secret's name; None for a secret that does not count."""
        if not identifier.startswith("arn:") and caller_account not in {self.account, ""}:
            return None
        return self.names.get(identifier)


def secrets_to_count(
    arns: Mapping[str, str], account: Account, replicas: Mapping[str, tuple[str, ...]]
) -> Secrets:
    """Return the secrets whose reads count.

    Args:
        arns: full ARN of each secret by its name.
        account: of the stack.
        replicas: regions of each secret's replicas by its name.
    """
    names: dict[str, str] = {}
    for name, arn in arns.items():
        parts = arn.split(":")
        for region in (parts[3], *replicas.get(name, ())):
            there = ":".join([*parts[:3], region, *parts[4:]])
            names |= {there: name, there[:-_SUFFIX]: name}
        if account.owns(arn):
            names[name] = name
    return Secrets(names=names, account=account.account_id)


def read_of(record: object, secrets: Secrets) -> Read | None:
    """Return the read that an event records; None for other events, failed ones and other secrets.

    Raises:
        DamagedEventError: the event is not in CloudTrail's form.
    """
    event = mapping(record)
    if not event:
        raise DamagedEventError
    if (text(event, "eventSource"), text(event, "eventName")) != (_SOURCE, READ_EVENT):
        return None
    if event.get("errorCode"):
        return None
    principal = principal_of(
        event.get("userIdentity"), from_console=text(event, "sessionCredentialFromConsole") == "true"
    )
    identifier = text(mapping(event.get("requestParameters")), "secretId")
    name = secrets.name(identifier, principal.account)
    if name is None:
        return None
    return Read(
        secret=name,
        principal=principal,
        region=text(event, "awsRegion"),
        moment=_moment(text(event, "eventTime")),
        source=text(event, "vpcEndpointId") or text(event, "sourceIPAddress") or "unknown",
    )


def _moment(written: str) -> datetime:
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise DamagedEventError from None
    if moment.tzinfo is None:
        raise DamagedEventError
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise DamagedEventError from None


@dataclass(frozen=True, kw_only=True)
class Key:
    """The day, secret and principal that reads are counted by."""

    day: date
    secret: str
    principal: Principal


@dataclass(frozen=True, kw_only=True)
class Count:
    """The number of reads, the last one, and the sources, the latest first."""

    reads: int
    last: datetime
    sources: tuple[str, ...]

    def plus(self, other: "Count") -> "Count":
        """Return the sum of two counts."""
        newest, oldest = (self, other) if self.last >= other.last else (other, self)
        sources = tuple(dict.fromkeys((*newest.sources, *oldest.sources)))[:_MOST_SOURCES]
        return Count(reads=self.reads + other.reads, last=newest.last, sources=sources)


@dataclass
class Tally:
    """Counted reads.

    Attributes:
        counts: of reads.
        events: number of events that were looked at.
        damaged: number of events that are not in CloudTrail's form.
        is_full: whether reads were left out because too many principals read.
    """

    counts: dict[Key, Count] = field(default_factory=dict)
    events: int = 0
    damaged: int = 0
    is_full: bool = False

    def look_at(self, record: object, secrets: Secrets) -> None:
        """Count an event; whatever is not a read of these secrets adds nothing."""
        self.events += 1
        try:
            read = read_of(record, secrets)
        except DamagedEventError:
            self.damaged += 1
            return
        if read is not None:
            key = Key(day=read.moment.date(), secret=read.secret, principal=read.principal)
            self.add(key, Count(reads=1, last=read.moment, sources=(read.source,)))

    def add(self, key: Key, count: Count) -> None:
        """Add counted reads."""
        known = self.counts.get(key)
        if known is None and len(self.counts) >= _MOST_ENTRIES:
            self.is_full = True
            return
        self.counts[key] = count if known is None else known.plus(count)

    def include(self, other: "Tally") -> None:
        """Add everything that another tally has."""
        for key, count in other.counts.items():
            self.add(key, count)
        self.events += other.events
        self.damaged += other.damaged
        self.is_full |= other.is_full

    def by_secret(self, since: date) -> dict[str, dict[Principal, Count]]:
        """Return the reads since a day, by secret and principal."""
        found: dict[str, dict[Principal, Count]] = {}
        for key, count in self.counts.items():
            if key.day >= since:
                readers = found.setdefault(key.secret, {})
                known = readers.get(key.principal)
                readers[key.principal] = count if known is None else known.plus(count)
        return found
