"""Text, binary, odd keys, and JSON arrive in every mode, and stay, with the real engine."""

import base64
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.engine.test_secrecy import files_below, numbers_of_shown
from tests.support.emulator_process import Emulator
from tests.support.stacks import Stack

PEM = f"-----BEGIN PRIVATE KEY-----\n{'MIIEvQIBADANBgkqhkiG9w0BAQEFAASC' * 2}\n-----END PRIVATE KEY-----\n"
KEYSTORE = bytes(range(256))
ACCOUNT = f'{{"type": "service_account", "private_key": {json.dumps(PEM)}}}\n'
ODD_KEY = "a::b [$] \"'\\ é\U0001f511 -random:c"
ODD_KEYS = {
    ODD_KEY: {"random": {"length": 20, "special": False}},
    "::group::": {"value": "v"},
    "PORT": {"json": 5432},
    "CLIENT": {"json": {"a:b": [1, {"on": True}]}},
}
MODES = ("once", "managed", "account")
GIVEN = ("once", "managed")


def configure(stack: Stack, secrets: Mapping[str, Mapping[str, object]], **stack_wide: object) -> None:
    """Write the stack file, and the encrypted values as docs/stack-file.md describes."""
    stack.configure(secrets, **stack_wide)
    values = {"pem": PEM.encode(), "account": ACCOUNT.encode(), "keystore": base64.encodebytes(KEYSTORE)}
    for name, value in values.items():
        raw = () if name == "keystore" else ("--raw",)
        subprocess.run(
            ["pulumi", "--non-interactive", "config", "set", "--secret", *raw, name],
            cwd=stack.folder,
            env=dict(stack.environment),
            input=value,
            check=True,
            stdout=subprocess.DEVNULL,
        )


def content(stack: Stack, name: str) -> str | bytes:
    answer = stack.client().get_secret_value(SecretId=name)
    found: str | bytes = answer["SecretString"] if "SecretString" in answer else answer["SecretBinary"]
    return found


def keys_of(stack: Stack, name: str) -> dict[str, Any]:
    return dict(stack.value(name))


def check_made(stack: Stack, made: Mapping[str, str | bytes]) -> None:
    for mode in MODES:
        assert (len(made[f"{mode}/random"]), made[f"{mode}/vendor"]) == (40, "\n")
        assert isinstance(made[f"{mode}/bytes"], bytes)
        assert len(made[f"{mode}/bytes"]) == 24
        keys = keys_of(stack, f"{mode}/keys")
        assert len(keys.pop(ODD_KEY)) == 20
        assert keys == {"::group::": "v", "PORT": 5432, "CLIENT": {"a:b": [1, {"on": True}]}}
    for mode in GIVEN:
        assert (made[f"{mode}/pem"], made[f"{mode}/keystore"]) == (PEM, KEYSTORE)
        assert stack.value(f"{mode}/account") == {"JSON": ACCOUNT, "PEM": PEM}


def test_text_and_binary_arrive_stay_and_never_show(stack: Stack, emulator: Emulator, tmp_path: Path) -> None:
    secrets: dict[str, dict[str, object]] = {
        **{f"{mode}/random": {"text": {"random": {"length": 40, "special": False}}} for mode in MODES},
        **{f"{mode}/bytes": {"binary": {"randomBytes": {"length": 24}}} for mode in MODES},
        **{f"{mode}/vendor": {"text": {"filledByHand": "the vendor"}} for mode in MODES},
        **{f"{mode}/pem": {"text": {"config": "pem"}} for mode in GIVEN},
        **{f"{mode}/keystore": {"binary": {"config": "keystore"}} for mode in GIVEN},
        **{f"{mode}/keys": {"values": ODD_KEYS} for mode in MODES},
        **{
            f"{mode}/account": {"values": {"JSON": {"config": "account"}, "PEM": {"config": "pem"}}}
            for mode in GIVEN
        },
    }
    for name, about in secrets.items():
        about["initialValues"] = name.partition("/")[0]
    reads = {"TOKEN": {"secret": "once/vendor", "required": True}, "PEM": {"secret": "managed/pem"}}
    configure(stack, secrets, workloads={"web": {"ecs": {}, "environment": reads}})
    log = tmp_path / "events.json"
    done = stack.pulumi("up", "--yes", "--diff", "--event-log", str(log))
    shown = [done.stdout, log.read_text()]
    assert "environment.TOKEN: once/vendor is not filled in yet (the vendor)" in done.stdout
    made = {name: content(stack, name) for name in secrets}
    check_made(stack, made)

    # nothing to do, whatever a person writes in the meantime
    for mode in MODES:
        stack.client().put_secret_value(SecretId=f"{mode}/vendor", SecretString="filled by hand")
        stack.client().put_secret_value(SecretId=f"{mode}/random", SecretBinary=b"\0by hand")
    stack.collect_versions()
    assert stack.refresh() == []
    assert stack.up() == []

    # changing the kind of content in the stack file overwrites nothing
    secrets |= {
        f"{mode}/{name}": {"initialValues": mode, **to}
        for mode in GIVEN
        for name, to in (
            ("pem", {"binary": {"config": "keystore"}}),
            ("keystore", {"text": {"value": "a text"}}),
        )
    }
    secrets["once/vendor"] = {"initialValues": "once", "values": {"K": {"random": {}}}}
    configure(stack, secrets)
    told = stack.pulumi("preview", "--diff").stdout
    assert "once/pem: the secret changes from one text to binary, and AWS keeps the value it has" in told
    assert "once/vendor: the secret changes from one text to a JSON object" in told
    stack.up()
    assert (content(stack, "once/pem"), content(stack, "managed/pem")) == (PEM, PEM)
    assert (content(stack, "once/keystore"), content(stack, "managed/keystore")) == (KEYSTORE, KEYSTORE)
    assert content(stack, "once/vendor") == "filled by hand"
    assert stack.refresh() == []

    # until the generation is raised
    secrets["managed/keystore"]["text"] = {"value": "a text", "generation": 2}
    secrets["account/random"]["text"] = {"random": {"length": 50}, "generation": 2}
    secrets["managed/keys"]["values"] = {**ODD_KEYS, "PORT": {"json": 5433, "generation": 2}}
    configure(stack, secrets)
    stack.up()
    assert [keys_of(stack, f"{mode}/keys")["PORT"] for mode in MODES] == [5432, 5433, 5432]
    assert content(stack, "managed/keystore") == "a text"
    assert len(content(stack, "account/random")) == 50
    assert content(stack, "once/random") == b"\0by hand"

    generated = [keys_of(stack, f"{mode}/keys")[ODD_KEY] for mode in MODES]
    values = [*generated, PEM, *PEM.splitlines()[1:2]]
    values += [value for value in made.values() if isinstance(value, str) and len(value) > 6]
    values += [base64.b64encode(value).decode() for value in made.values() if isinstance(value, bytes)]
    shown += [told, stack.function_log(), stack.pulumi("stack", "output", "--json").stdout]
    shown.append(stack.pulumi("stack", "export").stdout)
    haystack = "\n".join(shown).encode() + b"\n".join([*files_below(tmp_path), emulator.log.read_bytes()])
    assert b"aws-secrets:index:Secret" in haystack
    shown_values = numbers_of_shown(values, haystack)  # separate: a failing assertion prints its arguments
    assert shown_values == []
