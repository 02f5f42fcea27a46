"""Secrets that are one text or binary in the real engine: what they hold in every mode, and that it stays."""

import base64
import subprocess
from pathlib import Path

from tests.engine.stacks import Stack
from tests.engine.test_secrecy import files_below, numbers_of_shown
from tests.localcloud.emulator_process import Emulator

PEM = f"-----BEGIN PRIVATE KEY-----\n{'MIIEvQIBADANBgkqhkiG9w0BAQEFAASC' * 2}\n-----END PRIVATE KEY-----\n"
KEYSTORE = bytes(range(256))
MODES = ("once", "managed", "account")
GIVEN = ("once", "managed")


def configure_from_file(stack: Stack, name: str, content: bytes, *options: str) -> None:
    """Sets an encrypted config value as docs/stack-file.md says."""
    subprocess.run(
        ["pulumi", "--non-interactive", "config", "set", "--secret", *options, name],
        cwd=stack.folder,
        env=dict(stack.environment),
        input=content,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def content(stack: Stack, name: str) -> str | bytes:
    answer = stack.client().get_secret_value(SecretId=name)
    found: str | bytes = answer["SecretString"] if "SecretString" in answer else answer["SecretBinary"]
    return found


def test_a_text_and_bytes_arrive_as_they_are_in_every_mode_stay_and_show_nowhere(
    stack: Stack, emulator: Emulator, tmp_path: Path
) -> None:
    secrets: dict[str, dict[str, object]] = {
        **{f"{mode}/random": {"text": {"random": {"length": 40, "special": False}}} for mode in MODES},
        **{f"{mode}/bytes": {"binary": {"randomBytes": {"length": 24}}} for mode in MODES},
        **{f"{mode}/vendor": {"text": {"filledByHand": "the vendor"}} for mode in MODES},
        **{f"{mode}/pem": {"text": {"config": "pem"}} for mode in GIVEN},
        **{f"{mode}/keystore": {"binary": {"config": "keystore"}} for mode in GIVEN},
    }
    for name, about in secrets.items():
        about["initialValues"] = name.partition("/")[0]
    reads = {"TOKEN": {"secret": "once/vendor", "required": True}, "PEM": {"secret": "managed/pem"}}
    stack.configure(secrets, workloads={"web": {"ecs": {}, "environment": reads}})
    configure_from_file(stack, "pem", PEM.encode(), "--raw")
    configure_from_file(stack, "keystore", base64.encodebytes(KEYSTORE))
    log = tmp_path / "events.json"
    done = stack.pulumi("up", "--yes", "--diff", "--event-log", str(log))
    shown = [done.stdout, log.read_text()]
    assert "environment.TOKEN: once/vendor is not filled in yet (the vendor)" in done.stdout
    made = {name: content(stack, name) for name in secrets}
    for mode in MODES:
        assert (len(made[f"{mode}/random"]), made[f"{mode}/vendor"]) == (40, "\n")
        assert isinstance(made[f"{mode}/bytes"], bytes)
        assert len(made[f"{mode}/bytes"]) == 24
    for mode in GIVEN:
        assert (made[f"{mode}/pem"], made[f"{mode}/keystore"]) == (PEM, KEYSTORE)

    # nothing to do, whatever a person writes meanwhile, of whichever kind
    for mode in MODES:
        stack.client().put_secret_value(SecretId=f"{mode}/vendor", SecretString="filled by hand")
        stack.client().put_secret_value(SecretId=f"{mode}/random", SecretBinary=b"\0by hand")
    stack.collect_versions()
    assert stack.refresh() == []
    assert stack.up() == []

    # another content in the stack file overwrites nothing, in whichever direction
    secrets |= {
        f"{mode}/{name}": {"initialValues": mode, **to}
        for mode in GIVEN
        for name, to in (
            ("pem", {"binary": {"config": "keystore"}}),
            ("keystore", {"text": {"value": "a text"}}),
        )
    }
    secrets["once/vendor"] = {"initialValues": "once", "values": {"K": {"random": {}}}}
    stack.configure(secrets)
    configure_from_file(stack, "pem", PEM.encode(), "--raw")
    configure_from_file(stack, "keystore", base64.encodebytes(KEYSTORE))
    told = stack.pulumi("preview", "--diff").stdout
    assert "once/pem: the secret changes from one text to binary, and AWS keeps the value it has" in told
    assert "once/vendor: the secret changes from one text to a JSON object" in told
    stack.up()
    assert (content(stack, "once/pem"), content(stack, "managed/pem")) == (PEM, PEM)
    assert (content(stack, "once/keystore"), content(stack, "managed/keystore")) == (KEYSTORE, KEYSTORE)
    assert content(stack, "once/vendor") == "filled by hand"
    assert stack.refresh() == []

    # until the generation says so
    secrets["managed/keystore"]["text"] = {"value": "a text", "generation": 2}
    secrets["account/random"]["text"] = {"random": {"length": 50}, "generation": 2}
    stack.configure(secrets)
    configure_from_file(stack, "keystore", base64.encodebytes(KEYSTORE))
    stack.up()
    assert content(stack, "managed/keystore") == "a text"
    assert len(content(stack, "account/random")) == 50
    assert content(stack, "once/random") == b"\0by hand"

    values = [value for value in made.values() if isinstance(value, str) and len(value) > 6]
    values += [base64.b64encode(value).decode() for value in made.values() if isinstance(value, bytes)]
    shown += [told, stack.function_log(), stack.pulumi("stack", "output", "--json").stdout]
    shown.append(stack.pulumi("stack", "export").stdout)
    haystack = "\n".join(shown).encode() + b"\n".join([*files_below(tmp_path), emulator.log.read_bytes()])
    assert b"aws-secrets:index:Secret" in haystack
    shown_values = numbers_of_shown(values, haystack)  # apart: a failing assertion prints what it calls with
    assert shown_values == []
