"""No generated or configured value appears in plain text outside AWS."""

import gzip
import json
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from operations.value_forms import SHORTEST_ANYWHERE, Finder
from tests.support.emulator_process import Emulator
from tests.support.stacks import CONFIGURED, Stack

VALUES = {
    "PASSWORD": {"random": {"length": 40}},
    "HEX": {"randomBytes": {"length": 24}},
    "BASE64": {"randomBytes": {"length": 24, "encoding": "base64"}},
    "BASE64URL": {"randomBytes": {"length": 24, "encoding": "base64url"}},
    "STRIPE_KEY": {"config": "stripeKey"},
}


@contextmanager
def command_lines() -> Iterator[set[bytes]]:
    """Collect every command line that appears in /proc within the block."""
    seen: set[bytes] = set()
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.05):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes())
                except OSError:
                    continue

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def files_below(folder: Path) -> list[bytes]:
    """Return state, backups, history, and engine logs, decompressed."""
    found = []
    for directory, names, files in os.walk(folder):
        names[:] = [name for name in names if not Path(directory, name).is_symlink()]
        for file in files:
            content = Path(directory, file).read_bytes()
            found.append(gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content)
    return found


def numbers_of_shown(secrets: Iterable[str], haystack: bytes) -> list[int]:
    """Return which values appear, in any form the redactor knows, by name: pytest would print the values."""
    known, text = list(secrets), haystack.decode("utf-8", "replace")
    assert min(map(len, known)) >= SHORTEST_ANYWHERE
    if not Finder(known).spans(text):
        return []
    return [number for number, secret in enumerate(known) if Finder([secret]).spans(text)]


def test_no_value_shows_in_state_output_events_logs_or_command_lines(
    stack: Stack, emulator: Emulator, tmp_path: Path
) -> None:
    stack.configure({"app": {"values": VALUES}})
    shown: list[str] = []

    def run(*arguments: str) -> None:
        shown.append(stack.pulumi(*arguments, check=False).stdout)

    log = tmp_path / "events.json"
    with command_lines() as lines:
        run("preview", "--diff", "--event-log", str(log))
        shown.append(log.read_text())
        run("up", "--yes", "--skip-preview", "--diff", "--event-log", str(log))
        shown.append(log.read_text())
        run("stack", "export")
        run("stack", "output", "--json", "--show-secrets")
        run("preview", "--json")
        stack.edit("app", PASSWORD="by-hand-and-just-as-secret")
        run("refresh", "--yes", "--skip-preview", "--diff", "--event-log", str(log))
        shown.append(log.read_text())
        values = {**VALUES, "PASSWORD": {"random": {"length": 41}}}
        stack.configure({"app": {"values": values, "description": "another"}})
        # the SDK's messages too, which --debug alone does not include
        debug = {"PULUMI_OPTION_DEBUG": "true"}
        shown.append(stack.pulumi("up", "--yes", "--diff", "--event-log", str(log), environment=debug).stdout)
        assert "resource registration prepared" in shown[-1]
        shown.append(log.read_text())
        kept = files_below(tmp_path)
        run("stack", "history", "--json")
        first = stack.client().get_secret_value(SecretId="app", VersionStage="aws-secrets-initial")
        run("destroy", "--yes", "--skip-preview", "--diff", "--event-log", str(log))
        shown.append(log.read_text())
    assert any(b"pulumi-language-python-exec" in line for line in lines)
    assert any(b"aws:secretsmanager/secretVersion:SecretVersion" in file for file in kept)
    assert b"PutSecretValue" in emulator.log.read_bytes()
    haystack = "\n".join(shown).encode() + b"\n".join([*kept, *lines, emulator.log.read_bytes()])
    secrets = [*json.loads(first["SecretString"]).values(), CONFIGURED, "by-hand-and-just-as-secret"]
    assert len(secrets) == 7
    shown_values = numbers_of_shown(secrets, haystack)  # separate: a failing assertion prints its arguments
    assert shown_values == []
