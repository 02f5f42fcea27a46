# ruff: noqa: ANN401  recorded JSON is of any type
"""The stand-in for the aws plugin answers as the real provider did, call by call."""

import base64
import hashlib
import json
import os
import re
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import grpc
import pytest
from google.protobuf import json_format
from pulumi.runtime.proto import provider_pb2

from tests.support.emulator_process import running_emulator
from tools.localcloud.plugins.aws.plugin import PLUGIN
from tools.localcloud.plugins.serve import Servicer
from tools.localcloud.plugins.values import UNKNOWN, Properties, to_struct

CALLS = [
    json.loads(line)
    for line in (Path(__file__).parent / "provider_calls" / "calls.jsonl").read_text().splitlines()
]
SECRET_MARK = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SIGNATURE, ASSET, ARCHIVE = (
    "4dabf18193072939515e22adb298388d",
    "c44067f5952c0a294b673a41bacd8c17",
    "0def7320c3a5731c473e5ecbe6d01bc7",
)
ARCHIVE_SHOWN = "<asset/archive>"

# Answers that rightly differ: (method, type, path in the answer) to the reason.
DIFFERENCES = {
    ("Invoke", "getSecret", "return.createdDate"): "the time of the test",
    ("Invoke", "getSecret", "return.lastChangedDate"): "the time of the test",
    **{
        (method, "Role", "properties.createDate"): "the time of the test"
        for method in ("Create", "Read", "Update")
    },
    **{
        (method, "Function", f"properties.{name}"): reason
        for method in ("Create", "Read", "Update")
        for name, reason in (
            ("lastModified", "the time of the test, in AWS's own form"),
            ("loggingConfig", "the recording's emulator had none; AWS answers it always"),
            ("sourceCodeSize", "another archive"),
        )
    },
    # attributes that pulumi-aws 7.51 has and the recorded provider had not
    ("Create", "Secret", "properties.type"): "newer than the recording",
    ("Diff", "Secret", "stables"): "newer than the recording",
    ("Create", "SecretRotation", "properties.externalSecretRotationMetadatas"): "newer than the recording",
    ("Create", "SecretRotation", "properties.externalSecretRotationRoleArn"): "newer than the recording",
}


class AbortedError(Exception):
    """The gRPC error that the engine gets."""


class Context:
    def abort(self, code: grpc.StatusCode, details: str) -> None:
        name = "Unknown" if code is grpc.StatusCode.UNKNOWN else code.name
        raise AbortedError(f"rpc error: code = {name} desc = {details}")


class Names:
    """Recorded ids, ARNs and generated names, with the ones that this run has in their place."""

    def __init__(self) -> None:
        self.actual: dict[str, str] = {}

    def learn(self, recorded: object, actual: object) -> None:
        if isinstance(recorded, str) and isinstance(actual, str) and recorded != actual:
            self.actual[recorded] = actual

    def to_actual(self, value: Any) -> Any:
        return self._replaced(value, self.actual)

    def to_recorded(self, value: Any) -> Any:
        return self._replaced(value, {actual: recorded for recorded, actual in self.actual.items()})

    def _replaced(self, value: Any, names: dict[str, str]) -> Any:
        if isinstance(value, str):
            for old in sorted(names, key=len, reverse=True):
                value = value.replace(old, names[old])
            return value
        if isinstance(value, list):
            return [self._replaced(item, names) for item in value]
        if isinstance(value, dict):
            return {key: self._replaced(item, names) for key, item in value.items()}
        return value


def archive(version: str, shown_keys: list[str]) -> Properties:
    """Return an archive for one that the recording lacks; the recorded function returns its event."""
    text = f"def handler(event, context):\n    return event  # {version}\n"
    digest = hashlib.sha256(text.encode()).hexdigest()
    whole = {"hash": digest, "assets": {"h.py": {SIGNATURE: ASSET, "hash": digest, "text": text}}}
    return {SIGNATURE: ARCHIVE, **{key: whole[key] for key in shown_keys}}


def properties(recorded: Any) -> Properties:
    # the recording changed the code and the environment together
    variables = ((recorded or {}).get("environment") or {}).get("variables", {})

    def read(value: Any) -> Any:
        if isinstance(value, dict) and ARCHIVE_SHOWN in value:
            return archive(variables.get("A", ""), value[ARCHIVE_SHOWN])
        if value == "<unknown>":
            return UNKNOWN
        if isinstance(value, dict):
            return {key: read(item) for key, item in value.items()}
        return [read(item) for item in value] if isinstance(value, list) else value

    return {key: read(value) for key, value in (recorded or {}).items()}


def shown(value: Any) -> Any:
    """Return an answer's value as the recording writes it."""
    if value == UNKNOWN_TEXT:
        return "<unknown>"
    if isinstance(value, dict):
        if SECRET_MARK.items() <= value.items():
            return {"<secret>": shown(value.get("value"))}
        if value.get(SIGNATURE) == ARCHIVE:
            return {ARCHIVE_SHOWN: sorted(value.keys() - {SIGNATURE})}
        return {key: shown(item) for key, item in value.items()}
    return [shown(item) for item in value] if isinstance(value, list) else value


def request_of(call: dict[str, Any], names: Names) -> Any:  # noqa: PLR0911  one per method
    asked = names.to_actual(call["request"])
    urn = f"urn:pulumi:test::rec::{call['type']}::{call['name']}"

    def struct(key: str) -> Any:
        return to_struct(properties(asked.get(key)))

    match call["method"]:
        case "CheckConfig" | "Check":
            seed = base64.b64decode(asked.get("randomSeed", ""))
            return provider_pb2.CheckRequest(
                urn=urn, olds=struct("olds"), news=struct("news"), randomSeed=seed
            )
        case "DiffConfig" | "Diff":
            return provider_pb2.DiffRequest(
                urn=urn,
                id=asked.get("id", ""),
                olds=struct("olds"),
                news=struct("news"),
                old_inputs=struct("oldInputs"),
                ignoreChanges=asked.get("ignoreChanges", []),
            )
        case "Create":
            return provider_pb2.CreateRequest(
                urn=urn, properties=struct("properties"), preview=asked.get("preview", False)
            )
        case "Read":
            return provider_pb2.ReadRequest(
                urn=urn, id=asked["id"], properties=struct("properties"), inputs=struct("inputs")
            )
        case "Update":
            return provider_pb2.UpdateRequest(
                urn=urn,
                id=asked["id"],
                olds=struct("olds"),
                news=struct("news"),
                preview=asked.get("preview", False),
                ignoreChanges=asked.get("ignoreChanges", []),
            )
        case "Delete":
            return provider_pb2.DeleteRequest(urn=urn, id=asked["id"], properties=struct("properties"))
    return provider_pb2.InvokeRequest(tok=call["type"], args=struct("args"))


def answer_of(servicer: Servicer, call: dict[str, Any], names: Names) -> dict[str, Any]:
    try:
        response = getattr(servicer, call["method"])(request_of(call, names), Context())
    except AbortedError as error:
        text = re.sub(r"RequestID: [^,]*", "RequestID: ...", str(error))
        return {"errors": [names.to_recorded(text)]}
    answer = json_format.MessageToDict(response)
    return {"response": shown(answer)}


def learn_names(call: dict[str, Any], answer: dict[str, Any], names: Names) -> None:
    recorded, actual = call.get("response", {}), answer.get("response", {})
    for key in {"name", "statementId", "targetId"} & set(recorded.get("inputs", {}).get("__defaults", [])):
        if call["method"] == "Check":
            names.learn(recorded["inputs"].get(key), actual.get("inputs", {}).get(key))
    if call["method"] == "Create" and not call["request"].get("preview"):
        old, new = recorded.get("properties", {}), actual.get("properties", {})
        for key in ("versionId", "keyId", "arn", "id", "uniqueId", "policyId"):
            names.learn(old.get(key), new.get(key))
    if call["method"] in {"Create", "Update"} and not call["request"].get("preview"):
        old, new = recorded.get("properties", {}), actual.get("properties", {})
        names.learn(old.get("codeSha256"), new.get("codeSha256"))


def differences(path: str, recorded: Any, actual: Any) -> Iterator[str]:
    if isinstance(recorded, dict) and isinstance(actual, dict):
        for key in sorted({*recorded, *actual}):
            yield from differences(
                f"{path}.{key}" if path else key, recorded.get(key, "<absent>"), actual.get(key, "<absent>")
            )
    elif recorded != actual:
        yield f"{path}: recorded {recorded!r}, answered {actual!r}"


def changes_made_outside() -> None:
    """Do what the recording's operator did by hand before scenario 08."""
    client = boto3.client("secretsmanager")
    for number in range(2):
        client.put_secret_value(SecretId="rec/app", SecretString=f"by hand {number}")
    client.update_secret(SecretId="rec/app", Description="by hand")
    client.tag_resource(SecretId="rec/app", Tags=[{"Key": "hand", "Value": "1"}])
    wait_for_rotations()
    boto3.client("logs").delete_log_group(logGroupName="/aws/lambda/rec-fn")


def wait_for_rotations() -> None:
    deadline = time.monotonic() + 30
    while True:
        with urllib.request.urlopen(f"{os.environ['AWS_ENDPOINT_URL']}/_localcloud/rotations") as answer:
            if not json.load(answer)["unfinished"]:
                return
        assert time.monotonic() < deadline
        time.sleep(0.02)


def end_rotation(secret: str) -> None:
    """End a rotation, which on the recording's emulator was over when RotateSecret returned."""
    client = boto3.client("secretsmanager")
    client.cancel_rotate_secret(SecretId=secret)
    for version, labels in client.describe_secret(SecretId=secret)["VersionIdsToStages"].items():
        if labels == ["AWSPENDING"]:
            client.update_secret_version_stage(
                SecretId=secret, VersionStage="AWSPENDING", RemoveFromVersionId=version
            )


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # a later try of a rotation would write into the log group that the recording deletes
    monkeypatch.setenv("LOCALCLOUD_ROTATION_TRIES", "1")
    with running_emulator(None) as emulator:
        for key in [key for key in os.environ if key.startswith("AWS_")]:
            monkeypatch.delenv(key)
        for key, value in emulator.environment.items():
            monkeypatch.setenv(key, value)
        yield


@pytest.mark.usefixtures("emulated")
def test_every_recorded_call_is_answered_as_the_real_provider_did() -> None:
    servicer = Servicer(PLUGIN)
    names = Names()
    wrong: list[str] = []
    used: Counter[tuple[str, str, str]] = Counter()
    scenario = ""
    for call in CALLS:
        if call["scenario"] != scenario:
            scenario = call["scenario"]
            if scenario.startswith("08"):
                changes_made_outside()
        if (call["method"], call["type"]) == ("Update", "aws:secretsmanager/secretRotation:SecretRotation"):
            end_rotation(names.to_actual(call["request"]["id"]))
        answer = answer_of(servicer, call, names)
        if call["method"] == "CheckConfig":
            servicer.context = PLUGIN.configure(call["response"]["inputs"])
        learn_names(call, answer, names)
        recorded = {key: call[key] for key in ("response", "errors") if key in call}
        place = (call["method"], call["type"].rpartition(":")[2])
        for difference in differences("", recorded, names.to_recorded(answer)):
            path = difference.partition(":")[0].removeprefix("response.")
            if (*place, path) in DIFFERENCES:
                used[(*place, path)] += 1
            else:
                wrong.append(f"{scenario} {' '.join(place)} {call['name']}: {difference}")
    assert not wrong, "\n".join(wrong)
    assert set(DIFFERENCES) == set(used), "these differences no longer occur"
