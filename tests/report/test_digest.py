"""Test that the digest is the same for two previews of one change, and differs for another change."""

import copy
import json
import random
import re
from collections.abc import Callable
from typing import Any

import pytest

from operations import signatures
from operations.report import report
from operations.report.as_json import as_json
from operations.report.digest import agrees, of_several
from operations.report.live.model import LiveSecret, Snapshot
from operations.report.markdown import markdown
from operations.report.since import since
from operations.report.terminal import terminal
from tests.support.live_events import ARN, log, snapshot, step
from tests.support.recordings import Recordings

SECRET: dict[str, Any] = {"name": "app", "description": "one"}
NAMED: dict[str, Any] = {"__defaults": ["name"], "name": "app-role-1a2b3c4", "path": "/"}
ASSET = {
    signatures.KEY: signatures.ASSET,
    "hash": "abc",
    "path": "one/writer.py",
}
HIDDEN = {signatures.KEY: signatures.SECRET, "ciphertext": "one"}


def digest_of(inputs: dict[str, Any], live: Snapshot | None = None) -> str:
    found = report(log(step("secret", SECRET, inputs), step("rotation", None, NAMED)), live=live)
    assert found.digest
    return found.digest


def changed(**more: object) -> dict[str, Any]:
    return {
        **SECRET,
        "description": "two",
        "code": ASSET,
        "value": HIDDEN,
        "of": "x-app-role-1a2b3c4",
        **more,
    }


def test_two_previews_of_one_change_have_the_same_digest(recordings: Recordings) -> None:
    first, again = (recordings.events(name) for name in ("harmless", "harmless-again"))
    names = [set(re.findall(r"worker-role-[0-9a-f]{7}", json.dumps(events))) for events in (first, again)]
    assert names[0] != names[1]  # otherwise the test proves nothing
    assert report(first).digest == report(again).digest
    first_event, *rest = again
    random.Random(1).shuffle(rest)  # noqa: S311  not used for secrets
    assert report([first_event, *rest]).digest == report(first).digest
    digests = {report(recordings.events(name)).digest for name in ("nothing", "harmless", "dangerous", "up")}
    assert len(digests) == 4
    assert report(recordings.events("failing")).digest == ""


@pytest.mark.parametrize(
    ("edit", "same"),
    [
        (lambda inputs: inputs.update(description="three"), False),
        (lambda inputs: inputs.update(code={**ASSET, "hash": "def"}), False),
        (lambda inputs: inputs.update(code={**ASSET, "path": "two/writer.py"}), True),
        (lambda inputs: inputs.update(value={**HIDDEN, "ciphertext": "two"}), True),
        (lambda inputs: inputs.update(value="[secret]"), True),
        (lambda inputs: inputs.update(value="plain"), False),
        (lambda inputs: inputs.update(of="x-app-role-7654321"), False),
    ],
)
def test_digest_covers_visible_inputs_but_not_hidden_or_random_ones(
    edit: Callable[[dict[str, Any]], None], *, same: bool
) -> None:
    edited = copy.deepcopy(changed())
    edit(edited)
    assert (digest_of(edited) == digest_of(changed())) is same


def test_digest_ignores_random_suffixes_of_names_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest_of(changed())
    monkeypatch.setitem(NAMED, "name", "app-role-7654321")
    assert digest_of(changed(of="x-app-role-7654321")) == before
    monkeypatch.setitem(NAMED, "name", "other-role-7654321")
    assert digest_of(changed(of="x-other-role-7654321")) != before


def test_edits_in_aws_count_if_both_digests_cover_aws() -> None:
    as_in_state = LiveSecret(presence="present", description="one", policy="")
    reviewed = digest_of(changed(), snapshot(as_in_state))
    edited = digest_of(changed(), snapshot(LiveSecret(presence="present", description="by hand", policy="")))
    unknown = digest_of(changed(), snapshot(LiveSecret(presence="denied"), denied=("x:Describe",)))
    assert agrees(reviewed, reviewed)
    assert not agrees(edited, reviewed)
    assert agrees(unknown, reviewed)
    assert agrees(edited, unknown)
    assert agrees(edited, digest_of(changed()))
    assert not agrees("", "")
    assert ARN not in reviewed


def test_digest_of_several_stacks_combines_theirs() -> None:
    both = {"prod.a": "1" * 40 + "." + "2" * 40, "prod.b": "3" * 40 + "." + "4" * 40}
    whole = of_several(both)
    assert re.fullmatch(r"[0-9a-f]{40}\.[0-9a-f]{40}", whole)
    assert agrees(of_several(dict(reversed(both.items()))), whole)
    assert not agrees(of_several({**both, "prod.b": "5" * 40}), whole)
    assert not agrees(of_several({**both, "prod.b": "3" * 40 + "." + "5" * 40}), whole)
    assert agrees(of_several({**both, "prod.b": "3" * 40}), whole)  # AWS was not queried for one
    assert of_several({**both, "prod.b": ""}) == of_several({}) == ""


def test_digest_is_in_every_format_and_in_the_comments_block() -> None:
    found = report(log(step("secret", SECRET, changed())))
    assert re.fullmatch(r"[0-9a-f]{40}", found.digest)
    assert f"Digest: {found.digest}" in terminal(found)
    assert json.loads(as_json(found))["digest"] == found.digest
    text = markdown(since(found, "", "one"))
    assert f"Digest: `{found.digest}`" in text
    assert f'"digest":"{found.digest}"' in text.splitlines()[-1]
