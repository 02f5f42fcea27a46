"""The digest: the same for two previews of a change, another for another change."""

import copy
import json
import random
import re
from collections.abc import Callable
from typing import Any

import pytest

from automation.report import report
from automation.report.as_json import as_json
from automation.report.digest import agrees, of_several
from automation.report.live.model import LiveSecret, Snapshot
from automation.report.markdown import markdown
from automation.report.since import since
from automation.report.terminal import terminal
from tests.report.live_events import ARN, log, snapshot, step
from tests.report.recordings import Recordings

SECRET: dict[str, Any] = {"name": "app", "description": "one"}
NAMED: dict[str, Any] = {"__defaults": ["name"], "name": "app-role-1a2b3c4", "path": "/"}
ASSET = {
    "4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17",
    "hash": "abc",
    "path": "one/writer.py",
}
HIDDEN = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "one"}


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


def test_two_previews_of_a_real_change_have_the_same_digest(recordings: Recordings) -> None:
    first, again = (recordings.events(name) for name in ("harmless", "harmless-again"))
    names = [set(re.findall(r"worker-role-[0-9a-f]{7}", json.dumps(events))) for events in (first, again)]
    assert names[0] != names[1]  # otherwise nothing is shown
    assert report(first).digest == report(again).digest
    first_event, *rest = again
    random.Random(1).shuffle(rest)  # noqa: S311  nothing here is secret
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
def test_what_the_engine_shows_counts_and_what_it_draws_or_hides_does_not(
    edit: Callable[[dict[str, Any]], None], *, same: bool
) -> None:
    edited = copy.deepcopy(changed())
    edit(edited)
    assert (digest_of(edited) == digest_of(changed())) is same


def test_a_random_name_does_not_count_wherever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest_of(changed())
    monkeypatch.setitem(NAMED, "name", "app-role-7654321")
    assert digest_of(changed(of="x-app-role-7654321")) == before
    monkeypatch.setitem(NAMED, "name", "other-role-7654321")
    assert digest_of(changed(of="x-other-role-7654321")) != before


def test_an_edit_in_aws_after_the_review_counts_where_both_sides_know_aws() -> None:
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


def test_the_digest_of_several_stacks_is_made_of_theirs() -> None:
    both = {"prod.a": "1" * 40 + "." + "2" * 40, "prod.b": "3" * 40 + "." + "4" * 40}
    whole = of_several(both)
    assert re.fullmatch(r"[0-9a-f]{40}\.[0-9a-f]{40}", whole)
    assert agrees(of_several(dict(reversed(both.items()))), whole)
    assert not agrees(of_several({**both, "prod.b": "5" * 40}), whole)
    assert not agrees(of_several({**both, "prod.b": "3" * 40 + "." + "5" * 40}), whole)
    assert agrees(of_several({**both, "prod.b": "3" * 40}), whole)  # AWS was not asked about one
    assert of_several({**both, "prod.b": ""}) == of_several({}) == ""


def test_every_form_and_the_comments_block_have_the_digest() -> None:
    found = report(log(step("secret", SECRET, changed())))
    assert re.fullmatch(r"[0-9a-f]{40}", found.digest)
    assert f"Digest: {found.digest}" in terminal(found)
    assert json.loads(as_json(found))["digest"] == found.digest
    text = markdown(since(found, "", "one"))
    assert f"Digest: `{found.digest}`" in text
    assert f'"digest":"{found.digest}"' in text.splitlines()[-1]
