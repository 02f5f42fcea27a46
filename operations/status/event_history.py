"""Read the event history of CloudTrail by LookupEvents, within a budget of requests, and go on later.

LookupEvents returns 50 events of the last 90 days, the newest first, twice a second in each region of an
account. What was read completely is kept by time span, so that the next run asks for the rest alone.

Source: AWS CloudTrail API Reference, LookupEvents.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import TypeAdapter, ValidationError

from operations.files import replace_text
from operations.status.errors import is_denied, query_error
from operations.status.read_events import READ_EVENT, Count, Key, Secrets, Tally
from operations.status.read_search import DeniedError, Search
from stack_file.documents import FileError

LOOKUP = "cloudtrail:LookupEvents"
# whole days, of the 90 times 24 hours that the history has
MOST_DAYS = 89
_PAGE = 50
_SECOND = timedelta(seconds=1)
# CloudTrail delivers most events within minutes; what is younger is asked for again by the next run
_LATE = timedelta(hours=1)
_VERSION = 1

Span = tuple[datetime, datetime]
"""A time span, without its end, in whole seconds."""


@dataclass
class History:
    """One region's events: the time spans that were read completely, and the reads in them."""

    spans: list[Span] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)


def read_history(client: Any, history: History, search: Search) -> tuple[Tally, bool]:  # noqa: ANN401
    """Return the reads that a search finds in one region, and whether all of its time was read.

    Args:
        client: of CloudTrail in this region; it calls LookupEvents.
        history: what earlier runs read; it is extended, also if this is interrupted.
        search: what to look for.

    Raises:
        DeniedError: the permission is missing.
        QueryError: AWS cannot be queried.
    """
    settled = max(search.until - _LATE, search.since)
    latest = Tally()
    is_complete = _Walk(client, search, latest, (settled, search.until)).run()
    for span in _missing((search.since, settled), history.spans):
        if not is_complete:
            break
        walk = _Walk(client, search, history.tally, span)
        try:
            is_complete = walk.run()
        finally:
            history.spans = _merged([*history.spans, (walk.reached, span[1])])
    latest.include(history.tally)
    return latest, is_complete and not latest.is_full


class _Walk:
    """Read a time span from its end to its start; what was counted is exactly what is after `reached`."""

    def __init__(self, client: Any, search: Search, tally: Tally, span: Span) -> None:  # noqa: ANN401
        self._client, self._search, self._tally = client, search, tally
        self._start, self.reached = span
        self._held: list[object] = []
        self._second = span[1]

    def run(self) -> bool:
        """Read it; return whether the budget sufficed."""
        budget = self._search.budget
        request = {
            "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": READ_EVENT}],
            "StartTime": self._start,
            "EndTime": self._second - _SECOND,
            "MaxResults": _PAGE,
        }
        while budget.take():
            page = self._page(request)
            for event in page.get("Events") or ():
                self._hold(event)
            if budget.tell:
                budget.tell(f"CloudTrail: {budget.sent} requests, back to {self._second:%Y-%m-%d %H:%M} UTC")
            if not page.get("NextToken"):
                self._count()
                self.reached = self._start
                return True
            request["NextToken"] = page["NextToken"]
        return False

    def _page(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            page: dict[str, Any] = self._client.lookup_events(**request)
        except ClientError as error:
            if is_denied(error):
                raise DeniedError(LOOKUP) from None
            raise query_error(error, LOOKUP) from None
        except BotoCoreError as error:
            raise query_error(error, LOOKUP) from None
        return page

    def _hold(self, event: dict[str, Any]) -> None:
        """Keep an event until an older one shows that its second is complete."""
        moment = _whole(event["EventTime"])
        if moment < self._second:
            self._count()
            self._second = moment
        self._held.append(event.get("CloudTrailEvent"))

    def _count(self) -> None:
        for written in self._held:
            self._tally.look_at(_parsed(written), self._search.secrets)
        if self._held:
            self.reached = self._second
        self._held = []


def _parsed(written: object) -> object:
    try:
        return json.loads(written) if isinstance(written, str) else None
    except (ValueError, RecursionError):
        return None


def midnight(moment: datetime) -> datetime:
    """Return the beginning of a moment's day in UTC."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _whole(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def _missing(wanted: Span, spans: Sequence[Span]) -> Iterator[Span]:
    """Yield what no span covers, the newest first."""
    start, end = wanted
    for known_start, known_end in sorted(spans, reverse=True):
        if known_start >= end or known_end <= start:
            continue
        if known_end < end:
            yield known_end, end
        end = max(known_start, start)
    if start < end:
        yield start, end


def _merged(spans: Sequence[Span]) -> list[Span]:
    found: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


# --- The file


@dataclass(frozen=True)
class _Region:
    spans: tuple[Span, ...]
    counts: tuple[tuple[Key, Count], ...]


@dataclass(frozen=True)
class _File:
    version: int
    account: str
    identifiers: tuple[str, ...]
    regions: dict[str, _Region]


def load(path: Path, search: Search) -> dict[str, History]:
    """Return by region what earlier runs read; nothing if they searched for other secrets.

    Raises:
        FileError: the file cannot be read.
    """
    try:
        written = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}.") from None
    try:
        file = TypeAdapter(_File).validate_json(written)
    except ValidationError:
        file = None
    if file is None or file.version != _VERSION:
        raise FileError(f"{path}: not a file that --readers-state wrote. Delete it, or name another one.")
    secrets = search.secrets
    if (file.account, file.identifiers) != (secrets.account, tuple(sorted(secrets.names))):
        return {}
    oldest = midnight(search.until - timedelta(days=MOST_DAYS))
    return {
        name: History(
            spans=_merged([(max(start, oldest), end) for start, end in region.spans]),
            tally=Tally(counts={key: count for key, count in region.counts if key.day >= oldest.date()}),
        )
        for name, region in file.regions.items()
    }


def save(path: Path, histories: dict[str, History], secrets: Secrets) -> None:
    """Write what was read: names of secrets and principals, and no value.

    Raises:
        FileError: the file cannot be written.
    """
    regions = {
        name: _Region(tuple(history.spans), tuple(history.tally.counts.items()))
        for name, history in histories.items()
    }
    file = _File(_VERSION, secrets.account, tuple(sorted(secrets.names)), regions)
    text = TypeAdapter(_File).dump_json(file).decode()
    try:
        replace_text(path, text)
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}.") from None
