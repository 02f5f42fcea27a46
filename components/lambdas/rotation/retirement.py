"""Look who uses the password that a rotation would end, and wait for them or defer the rotation.

What to do is in the function's environment, which only a deployment writes (RETIREMENT_VARIABLE).

A deferred rotation
-------------------
It finishes like any other, so that the schedule goes on, no alarm goes off and Secrets Manager tries nothing
again: its version is a copy of AWSCURRENT, and no server is asked to change anything. The copy is recognized
by its label DEFERRAL, which PutSecretValue sets together with the value; it is never merged with an edit.

The number of deferrals in a row is bounded, so that a client that stays connected cannot keep an old password
valid for ever. It is in labels of the copy and of the version before, which no application writes. The
greatest number counts: labels that an interrupted rotation left end the deferrals earlier, never later.
"""

import contextlib
import logging
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from . import deadline, store
from .administrator import secret_name
from .driver import Driver, Fields, Holder, Renewed, Watcher
from .errors import LoginRefusedError, OperatorError, ValueRefusedError
from .labels import BOOKMARK, CURRENT, DEFERRAL, DEFERRED, PREVIOUS, Deferred, deferral_of, deferred
from .protocol import DEFER, NOW_VERSION, PROCEED, RETIREMENT_VARIABLE, WAIT, retirement_key

LOG = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
"""How long to look for clients that log in and out again; one that does so less often may be missed."""
PAUSE_SECONDS = 0.05
_PAUSE_FACTOR = 9
"""A look keeps a server busy for a tenth of the time at most: a cache answers nobody else meanwhile."""

NAMED = 5
"""How many clients are named at most."""
_LONGEST_NAME = 60


@dataclass(frozen=True)
class Setting:
    """The declaration for one secret.

    Attributes:
        mode: PROCEED, WAIT or DEFER.
        deferrals: how many rotations in a row may be deferred.
    """

    mode: str
    deferrals: int


def setting_of(arn: str) -> Setting | None:
    """Return what the deployment declares for a secret; None for no look at all."""
    wanted = retirement_key(secret_name(arn).rpartition(":")[2])
    for entry in os.environ.get(RETIREMENT_VARIABLE, "").split():
        key, _, declared = entry.partition(":")
        mode, _, number = declared.partition(":")
        if key != wanted:
            continue
        if mode not in {PROCEED, WAIT, DEFER} or not number.isdecimal():
            raise OperatorError(
                f"Environment variable {RETIREMENT_VARIABLE}: {entry!r} is not valid. Run `pulumi up "
                "--refresh`."
            )
        return Setting(mode, int(number))
    return None


def deferral_before(
    secret: store.Description, version: str, current: Fields, driver: Driver
) -> Deferred | None:
    """Look, and wait, as declared; return the deferral if the rotation is to be deferred, otherwise None.

    Args:
        secret: the secret.
        version: ID of the rotation's version.
        current: the value that workloads read now.
        driver: the secret's driver.

    Raises:
        OperatorError: a rotation that may have to be deferred cannot see who is logged in.
    """
    setting = setting_of(secret.arn)
    if setting is None or version.startswith(NOW_VERSION):
        return None
    try:
        holders = look(secret, current, driver, setting)
    except LoginRefusedError:
        LOG.warning("createSecret: secret %s: its value does not work, so its rotation goes on", secret.arn)
        return None
    except OperatorError as error:
        if setting.mode == DEFER:
            raise
        LOG.warning("createSecret: secret %s: goes on, and cannot see who is left: %s", secret.arn, error)
        return None
    if not holders:
        return None
    named = name(holders)
    before = deferrals_of(secret, version)
    times = before.times if before else 0
    if setting.mode == DEFER and times < setting.deferrals and _works(driver, current, secret.arn):
        LOG.warning(
            "createSecret: secret %s: deferred (%s of %s at most), because an old value is still in use: %s. "
            "Have these clients read the secret again.",
            secret.arn,
            times + 1,
            setting.deferrals,
            named,
        )
        return Deferred(times + 1, int(became_current(secret)))
    LOG.warning(
        "createSecret: secret %s: goes on%s, although an old value is still in use: %s. These clients "
        "cannot log in again with it: have them read the secret again.",
        secret.arn,
        f" after {times} deferrals" if times else "",
        named,
    )
    return None


@dataclass(frozen=True)
class Outlook:
    """The effect of the next rotation on clients that use an old value.

    Attributes:
        sentence: that, with the names of some.
        holders: the clients.
    """

    sentence: str
    holders: frozenset[Holder] = frozenset()


def outlook(secret: store.Description, current: Fields, driver: Driver) -> Outlook | None:
    """Return what the next rotation would do about clients with an old value; None if nothing is declared.

    Raises:
        OperatorError: the next rotation could not see them, and would fail.
    """
    setting = setting_of(secret.arn)
    if setting is None:
        return None
    try:
        holders = look(secret, current, driver, Setting(PROCEED, 0))
    except LoginRefusedError as error:
        return Outlook(f"The next rotation would go on, because the value does not work: {error}")
    except OperatorError as error:
        if setting.mode == DEFER:
            raise
        return Outlook(f"The next rotation would go on, and cannot see who uses an old value: {error}")
    if not holders:
        return Outlook(
            f"Nobody was seen in {LOOK_SECONDS:g} seconds to use the value that the next rotation ends."
        )
    known = deferrals_of(secret, "")
    times = known.times if known else 0
    if setting.mode == DEFER and times < setting.deferrals:
        sentence = (
            f"The next rotation would be deferred ({times + 1} of {setting.deferrals} at most), because an "
            f"old value is still in use: {name(holders)}."
        )
        return Outlook(sentence, holders)
    waits = " wait for up to 14 minutes and then" if setting.mode == WAIT else ""
    sentence = f"The next rotation would{waits} end the logins of clients with an old value: {name(holders)}."
    return Outlook(sentence, holders)


def look(secret: store.Description, current: Fields, driver: Driver, setting: Setting) -> frozenset[Holder]:
    """Return the clients that use a value which the next rotation ends.

    They are those that were seen within LOOK_SECONDS; with WAIT, those that are left when time is up.

    Raises:
        OperatorError: they cannot be seen.
    """
    if not isinstance(driver, Watcher):
        raise OperatorError(
            f"Secret {secret.arn}: nothing shows who uses its old value. Remove whileOldPasswordIsUsed."
        )
    with contextlib.closing(driver.watch(current, renewed(secret))) as looks:
        while True:
            holders = _sample(looks)
            if not holders or setting.mode != WAIT or deadline.seconds_left() < LOOK_SECONDS:
                return holders


def renewed(secret: store.Description) -> Renewed:
    """Return how the current value became current."""
    return Renewed(
        at=became_current(secret),
        bookmark=_bookmark(secret.stages),
        is_first=secret.version_with(PREVIOUS) is None,
    )


def became_current(secret: store.Description) -> float:
    """Return when the current value became current, in seconds since 1970; not before it did."""
    current = secret.version_with(CURRENT)
    if current is None:
        return secret.last_rotated
    copied, written = deferral_of(secret.stages[current]), store.written(secret.arn, current)
    previous = secret.version_with(PREVIOUS)
    if previous and store.written(secret.arn, previous) > written:
        return max(secret.last_rotated, secret.last_changed)  # a rollback, which has no date of its own
    return float(copied.since) if copied else max(secret.last_rotated, written)


def _sample(looks: Iterable[Iterable[Holder]]) -> frozenset[Holder]:
    ends = time.monotonic() + min(LOOK_SECONDS, max(deadline.seconds_left(), 0))
    seen: set[Holder] = set()
    began = time.monotonic()
    for found in looks:
        seen.update(found)
        now = time.monotonic()
        if now > ends:
            break
        time.sleep(max(PAUSE_SECONDS, min(_PAUSE_FACTOR * (now - began), ends - now)))
        began = time.monotonic()
    return frozenset(seen)


def _works(driver: Driver, current: Fields, arn: str) -> bool:
    """Return whether the current value logs in; if it does not, a rotation repairs it."""
    try:
        driver.verify(current)
    except ValueRefusedError:
        LOG.warning("createSecret: secret %s: its value does not work, so its rotation goes on", arn)
        return False
    return True


def name(holders: Iterable[Holder]) -> str:
    """Return who they are, for a log; names are cleaned and quoted, because clients choose them."""
    every = sorted(holders)
    texts = [
        f"user {_quoted(one.user)} from {_quoted(one.host) if one.host else 'a host that is not shown'}"
        f", application {_quoted(one.application) if one.application else 'without a name'}"
        for one in every[:NAMED]
    ]
    more = f"; and {len(every) - NAMED} more" if len(every) > NAMED else ""
    return "; ".join(texts) + more


def clean(text: str) -> str:
    """Return a name that a client may have chosen, on one line and shortened."""
    shown = "".join(c if c.isprintable() else "?" for c in text[:_LONGEST_NAME])
    return shown + ("..." if len(text) > _LONGEST_NAME else "")


def _quoted(text: str) -> str:
    return repr(clean(text))


def deferrals_of(secret: store.Description, version: str) -> Deferred | None:
    """Return how often the secret was deferred in a row, leaving out one version."""
    return deferred(label for known, labels in secret.stages.items() if known != version for label in labels)


def record(secret: store.Description, deferral: Deferred, before: str | None) -> None:
    """Write down a finished deferral, and forget the ones before it.

    Args:
        secret: the secret, as described before or after AWSCURRENT moved.
        deferral: the deferral of the version that became current.
        before: ID of the version that was current; None if that is not known any more.
    """
    label = deferral.label(DEFERRED)
    if before is not None and not any(label in labels for labels in secret.stages.values()):
        store.add_label(secret.arn, before, label)
    forget(secret, keep={deferral.label(DEFERRAL), label})


def forget(secret: store.Description, keep: Iterable[str] = ()) -> None:
    """Remove the labels of deferrals, because the value is a new one now."""
    for version, label in _labels(secret.stages, DEFERRAL, DEFERRED):
        if label not in keep:
            store.drop_label(secret.arn, version, label)


def set_bookmark(
    secret: store.Description, version: str, current: Fields, driver: Driver, *, is_new: bool
) -> None:
    """Label the current version with what the next look needs to tell sessions apart.

    A failure is logged: the rotation has succeeded, and the next look counts every session.

    Args:
        secret: the secret, as described before the version became current.
        version: ID of the version.
        current: its value.
        driver: the secret's driver.
        is_new: whether the value is a new one; if not, an earlier bookmark is kept as long as it is usable.
    """
    if setting_of(secret.arn) is None or not isinstance(driver, Watcher):
        return
    known = _bookmark(secret.stages)
    try:
        text = driver.bookmark(current, "" if is_new else known)
    except OperatorError as error:
        LOG.warning("finishSecret: secret %s: sessions cannot be told apart: %s", secret.arn, error)
        text = "" if is_new else known
    if text == known:
        return
    for holder, label in _labels(secret.stages, BOOKMARK):
        store.drop_label(secret.arn, holder, label)
    if text:
        try:
            store.add_label(secret.arn, version, BOOKMARK + text)
        except OperatorError as error:  # a secret has 20 labels at most
            LOG.warning("finishSecret: secret %s: sessions cannot be told apart: %s", secret.arn, error)


def has_bookmark(labels: Iterable[str]) -> bool:
    """Return whether a version was labelled by `set_bookmark`."""
    return any(label.startswith(BOOKMARK) for label in labels)


def _bookmark(stages: Mapping[str, frozenset[str]]) -> str:
    found = _labels(stages, BOOKMARK)
    return found[0][1].removeprefix(BOOKMARK) if len(found) == 1 else ""


def _labels(stages: Mapping[str, frozenset[str]], *kinds: str) -> list[tuple[str, str]]:
    return sorted(
        (version, label) for version, labels in stages.items() for label in labels if label.startswith(kinds)
    )
