"""Copy the current value of one secret to another, so that both have the same current version ID.

A copy is put under the ID of the version that it copies, with a label of its own (`protocol.copy_label`).
So both secrets are equal if AWSCURRENT is on the same ID, which is visible without reading a value; putting
the same copy again changes nothing; and a version of the target without that label was written by others.
Such a version is never replaced.

AWSCURRENT moves in one call, which AWS rejects if another version of the target has become current in the
meantime. If the function stops in between, the next run goes on.

Source: AWS Secrets Manager API Reference, PutSecretValue (ClientRequestToken, VersionStages) and
UpdateSecretVersionStage.
"""

import logging
import secrets
import time
from collections.abc import Mapping

from . import store
from .errors import ConflictError, OperatorError, UnavailableError
from .labels import CURRENT
from .protocol import COPIED, VERSION_ID, copy_label, is_copy_label
from .store import Description

LOG = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 2.0  # seconds
_RANDOM = secrets.SystemRandom()


def run(source: str, target: str, seconds: float) -> Mapping[str, object]:
    """Make the target's current value equal to the source's; return the version's ID and whether it is new.

    Args:
        source: full ARN of the secret to copy from, which is only read.
        target: full ARN of the secret to copy to.
        seconds: how long to try again after a conflict or while AWS is not available.

    Raises:
        OperatorError: the value was not copied; the message says why.
    """
    deadline = time.monotonic() + seconds
    pause = _FIRST_PAUSE
    copied = False
    while True:
        try:
            version, changed = _attempt(source, target)
            copied = copied or changed
            if store.describe(source).version_with(CURRENT) == version:
                LOG.info("secret %s: version %s is current, as in %s", target, version, source)
                return {VERSION_ID: version, COPIED: copied}
            problem: OperatorError = ConflictError(f"Secret {source}: its value changed while it was copied.")
        except (ConflictError, UnavailableError) as error:
            problem = error
        wait = _RANDOM.uniform(0, pause)
        if time.monotonic() + wait >= deadline:
            raise OperatorError(
                f"{problem} The value was not copied in time. Run the command or `pulumi up` again."
            )
        time.sleep(wait)
        pause = min(2 * pause, _LONGEST_PAUSE)


def is_copy(secret: Description, version: str) -> bool:
    """Return whether the copier wrote a version."""
    return copy_label(version) in secret.stages.get(version, frozenset())


def _attempt(source: str, target: str) -> tuple[str, bool]:
    """Copy once; return the ID of the version, and whether AWSCURRENT of the target moved."""
    version = _described(source).version_with(CURRENT)
    if version is None:
        raise OperatorError(
            f"Secret {source} has no current version, so there is nothing to copy. Put a value into it."
        )
    before = _described(target)
    current = before.version_with(CURRENT)
    label = copy_label(version)
    if current not in (None, version) and not is_copy(before, str(current)):
        raise OperatorError(
            f"Secret {target} was changed by others than this function: its current version {current} is not "
            f"a copy of {source}. Nothing was changed. If its readers use the new value, finish the rename; "
            "otherwise make the copy current again with `rollback`. See docs/move.md."
        )
    if label not in before.stages.get(version, frozenset()):
        _put(source, target, version, label, is_first=current is None)
    if current not in (None, version):
        store.move_current(target, version, str(current))
    after = store.describe(target)
    if after.version_with(CURRENT) is None:
        store.attach(target, CURRENT, version, None)
    for other, labels in after.stages.items():
        for outdated in filter(is_copy_label, labels if other != version else ()):
            store.remove(target, outdated, other)
    return version, current != version


def _put(source: str, target: str, version: str, label: str, *, is_first: bool) -> None:
    """Put the copy of a version, which becomes current by that only in a secret without a value."""
    value = store.find(source, version)
    if value is None:
        raise ConflictError(f"Secret {source}: somebody else changed the secret at the same time.")
    labels = [CURRENT, label] if is_first else [label]
    put = store.put(target, version, value.content, labels)
    # AWS ignores a request about a version that is there with the same value, and so its labels
    if label not in put:
        store.attach(target, label, version, None)


def _described(arn: str) -> Description:
    secret = store.describe(arn)
    if secret.deleted:
        raise OperatorError(
            f"Secret {arn} is scheduled for deletion, so nothing was copied. Restore it: "
            "python -m operations restore"
        )
    return secret
