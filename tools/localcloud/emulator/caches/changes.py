"""Changes that take AWS some time: an object is `modifying` until its servers have what was asked for.

Tests can hold all changes, so that nothing depends on how fast a machine is.
"""

import os
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tools.localcloud.emulator.caches import access_lists, servers
from tools.localcloud.emulator.caches.model import (
    ACTIVE,
    AVAILABLE,
    CREATING,
    DELETING,
    SETTLED,
    STORES,
    Cache,
    Changing,
    Group,
    Place,
    Store,
    User,
)
from tools.localcloud.emulator.turns import ONE_AT_A_TIME

VARIABLE = "LOCALCLOUD_CACHE_SECONDS"
_RETRY_SECONDS = 0.5
_MOST_SECONDS = 3600


class PaceError(Exception):
    """An invalid pace. The message gives the reason."""


@dataclass(frozen=True)
class Target:
    """An object that changes."""

    place: Place
    kind: str
    identifier: str

    def find(self) -> Changing | None:
        """Return the object; None if it has been deleted."""
        store = STORES[self.place]
        known = {"user": store.users, "group": store.groups, "cache": store.caches}[self.kind]
        return known.get(self.identifier)  # type: ignore[attr-defined,no-any-return]  # one of three dicts


@dataclass
class _State:
    seconds: float = 2.0
    held: bool = False
    changed: Callable[[], None] = lambda: None


_state = _State()
_held: set[Target] = set()
_complained: set[Target] = set()
_locks: defaultdict[tuple[Place, str], threading.Lock] = defaultdict(threading.Lock)


def start(changed: Callable[[], None]) -> None:
    """Read the pace from the environment, and go on with changes that were under way.

    Raises:
        ValueError: LOCALCLOUD_CACHE_SECONDS is not valid.
    """
    _state.changed = changed
    text = os.environ.get(VARIABLE)
    if text:
        try:
            set_pace(seconds=float(text))
        except (ValueError, PaceError):
            raise ValueError(f"{VARIABLE} must be a number of seconds from 0 to {_MOST_SECONDS}") from None
    for place, store in STORES.items():
        for kind, found in store.everything():
            if found.status not in SETTLED:
                begin(Target(place, kind, found.identifier))


def set_pace(*, seconds: float | None = None, held: bool | None = None) -> None:
    """Set how long a change takes, and whether changes wait until they are released.

    Raises:
        PaceError: the number of seconds is out of range.
    """
    if seconds is not None:
        if not 0 <= seconds <= _MOST_SECONDS:
            raise PaceError(f"Seconds must be a number from 0 to {_MOST_SECONDS}")
        _state.seconds = seconds
    if held is not None:
        with ONE_AT_A_TIME:
            _state.held = held
            released = [] if held else sorted(_held, key=repr)
            _held.difference_update(released)
        for target in released:
            _later(0, target)


def read_pace(sent: Mapping[str, Any]) -> dict[str, object]:
    """Set the pace as JSON describes it, `Seconds` and `Held`, and return what it is now.

    Raises:
        PaceError: A key is unknown, of another type, or out of range.
    """
    seconds, held = sent.get("Seconds"), sent.get("Held")
    if sent.keys() - {"Seconds", "Held"}:
        raise PaceError("the body must be a JSON object with Seconds, Held, or both")
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, (int, float))):
        raise PaceError(f"Seconds must be a number from 0 to {_MOST_SECONDS}")
    if held is not None and not isinstance(held, bool):
        raise PaceError("Held must be true or false")
    set_pace(seconds=seconds, held=held)
    return pace()


def pace() -> dict[str, object]:
    """Return the pace in the form of the emulator's own interface."""
    return {"Seconds": _state.seconds, "Held": _state.held}


def begin(target: Target) -> None:
    """Finish a change after the usual delay."""
    _later(_state.seconds, target)


def _later(seconds: float, target: Target) -> None:
    timer = threading.Timer(seconds, _due, [target])
    timer.daemon = True
    timer.start()


def _due(target: Target) -> None:
    with ONE_AT_A_TIME:
        if _state.held:
            _held.add(target)
            return
        caches = _promoted(target)
    try:
        for identifier in caches:
            bring_up_to_date(target.place, identifier)
    except servers.ServerError as error:
        if target not in _complained:
            _complained.add(target)
            print(
                f"{target.place.service} {target.kind} {target.identifier!r} stays as it is: {error}. "
                "This is tried again.",
                file=sys.stderr,
                flush=True,
            )
        _later(_RETRY_SECONDS, target)
        return
    with ONE_AT_A_TIME:
        _complained.discard(target)
        _settle(target)
    _state.changed()


def bring_up_to_date(place: Place, identifier: str) -> None:
    """Give a cache's server the users that it is to have now.

    Raises:
        ServerError: the server does not take them.
    """
    with ONE_AT_A_TIME:
        lock = _locks[place, identifier]
    with lock:  # of two changes, the later one is the last to reach the server
        with ONE_AT_A_TIME:
            store = STORES[place]
            cache = store.caches.get(identifier)
            if cache is None or cache.server is None:
                return
            server, users = cache.server, access_lists.wanted(store, cache)
        servers.give(server, users)


def _promoted(target: Target) -> list[str]:
    """Make what was asked for what servers are to have; return the caches concerned."""
    store, found = STORES[target.place], target.find()
    if found is None:
        return []
    if isinstance(found, User):
        groups = store.groups_of(found.identifier)
        found.login = found.wanted
        if found.status == DELETING:
            for group in groups:
                group.members.remove(found.identifier)
            return sorted(store.caches)  # whichever had it: on a second attempt nothing says so any more
        return _caches(store, groups)
    if isinstance(found, Group):
        gone, added = found.remove, found.add
        kept = [member for member in found.members if member not in gone and member not in added]
        found.members = [*kept, *added]
        return _caches(store, [found])
    found.group, found.tokens = found.wanted_group, found.wanted_tokens
    return [found.identifier]


def _caches(store: Store, groups: Iterable[Group]) -> list[str]:
    names = {cache.identifier for group in groups for cache in store.caches_of(group.identifier)}
    return sorted(names)


def _settle(target: Target) -> None:
    store, found = STORES[target.place], target.find()
    if found is None:
        return
    if isinstance(found, Cache):
        found.status = AVAILABLE
        return
    if found.status == DELETING:
        known: dict[str, object] = store.users if isinstance(found, User) else store.groups  # type: ignore[assignment]  # only deletes
        del known[found.identifier]
        return
    if isinstance(found, Group) and found.status != CREATING:
        for member in {*found.add, *found.remove} & store.users.keys():
            store.users[member].status = ACTIVE
        found.add, found.remove = [], []
    found.status = ACTIVE
