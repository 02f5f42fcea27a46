import json
from pathlib import Path
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from stack_file import SettingsError
from tests.support.recorded_run import Recording, run

CANARY = "canary-4f1d"


def mistakes(
    structure: dict[str, Any] | None = None,
    secret_config: dict[str, str] | None = None,
    secret_keys: tuple[str, ...] = (),
    **config: object,
) -> dict[str, str]:
    """Return the message of every mistake by its path."""
    base: dict[str, object] = {"aws:region": "us-east-1"}
    for key, value in (structure or {}).items():
        base[f"aws-secrets:{key}"] = value
    for key, value in config.items():
        base[key.replace("__", ":")] = value
    with pytest.raises(SettingsError) as raised:
        run(base, secret_config, secret_keys=secret_keys)
    text = str(raised.value)
    for mistake in raised.value.mistakes:
        assert mistake.path in text
        assert mistake.wrong in text
        assert mistake.consequence in text
        assert mistake.remedy in text
    return {
        mistake.path: f"{mistake.wrong}. {mistake.consequence}. {mistake.remedy}"
        for mistake in raised.value.mistakes
    }


def secret(**settings: object) -> dict[str, Any]:
    return {"secrets": {"app": {"values": {"K": {"random": {}}}, **settings}}}


def value(value: object) -> dict[str, Any]:
    return {"secrets": {"app": {"values": {"K": value}}}}


def whole(content: str, source: object, **settings: object) -> dict[str, Any]:
    return {"secrets": {"app": {content: source, **settings}}}


S = "aws-secrets:secrets.app"
V = f"{S}.values.K"


@pytest.mark.parametrize(
    ("structure", "path", "words"),
    [
        ({}, "aws-secrets:secrets", "secrets, databases, caches and smtp are all empty"),
        ({"secrets": {}}, "aws-secrets:secrets", "empty"),
        ({"secrets": "app"}, "aws-secrets:secrets", "expected a map, found text"),
        ({"secrets": ["app"]}, "aws-secrets:secrets", "expected a map, found a list"),
        ({"secrets": {"app": None}}, S, "expected a map, found nothing"),
        ({"secrets": {"a b": {"values": {"K": {"value": "v"}}}}}, 'aws-secrets:secrets["a b"]', "1 to 512"),
        ({"secrets": {"": {"values": {"K": {"value": "v"}}}}}, 'aws-secrets:secrets[""]', "1 to 512"),
        (
            {"secrets": {"a" * 513: {"values": {"K": {"value": "v"}}}}},
            f"aws-secrets:secrets.{'a' * 513}",
            "512",
        ),
        ({"secrets": {"app": {}}}, S, "exactly one of values, text and binary, found none"),
        (secret(text={"value": "t"}), S, "found values and text"),
        (whole("text", {}), f"{S}.text", "exactly one source, found none"),
        (whole("text", {"value": "a", "random": {}}), f"{S}.text", "found random and value"),
        (whole("text", {"value": ""}), S, "the text is empty"),
        (whole("text", {"value": "x" * 65_537}), S, "65537 bytes"),
        (whole("text", {"config": "nope"}), f"{S}.text.config", "pulumi config set --secret nope"),
        (whole("text", {"value": "t"}, removedKeys=["K"]), S, "which has no keys"),
        (whole("text", {"value": "t"}, rotation={"keys": ["K"]}), S, "functionArn"),
        (
            whole("text", {"config": "known"}, initialValues="account"),
            f"{S}.text.config",
            "initialValues is account",
        ),
        (whole("binary", {"value": "t"}), f"{S}.binary.value", "Known keys here"),
        (whole("binary", {}), f"{S}.binary", "randomBytes, config or filledByHand"),
        (
            whole("binary", {"randomBytes": {"encoding": "hex"}}),
            f"{S}.binary.randomBytes.encoding",
            "unknown",
        ),
        (whole("binary", {"filledByHand": "ask", "generation": 2}), f"{S}.binary", "Remove generation"),
        (secret(values={}), f"{S}.values", "empty"),
        (secret(values={"": {"random": {}}}), f'{S}.values[""]', "printable"),
        (secret(values={"k" * 257: {"random": {}}}), f"{S}.values.{'k' * 257}", "256"),
        (secret(values={'a"b': {}}), f'{S}.values["a\\"b"]', "exactly one source"),
        (
            secret(values={"a b": {"random": {}}}, rotation={"keys": ["a b"]}),
            f"{S}.rotation.keys[0]",
            "does not match the pattern",
        ),
        (value({"json": None}), V, "found none"),
        (value({"json": 1, "value": "a"}), V, "found value and json"),
        (whole("text", {"json": 1}), f"{S}.text.json", "unknown key"),
        (secret(descriptoin="d"), f"{S}.descriptoin", 'did you mean "description"'),
        (secret(description=7), f"{S}.description", "in quotes"),
        (secret(description="d" * 2049), f"{S}.description", "2048"),
        (secret(encryption="my-key"), f"{S}.encryption", "stack-key"),
        (secret(recoveryWindowDays=3), f"{S}.recoveryWindowDays", "7 to 30"),
        (secret(recoveryWindowDays=31), f"{S}.recoveryWindowDays", "7 to 30"),
        (secret(recoveryWindowDays="7"), f"{S}.recoveryWindowDays", "whole number without quotes"),
        (secret(protect="yes"), f"{S}.protect", "true or false"),
        (secret(tags={"aws:x": "y"}), f'{S}.tags["aws:x"]', "aws:"),
        (secret(tags={"x": 1}), f"{S}.tags.x", "in quotes"),
        (secret(tags={f"t{n}": "" for n in range(51)}), f"{S}.tags", "50"),
        (secret(name="other"), f"{S}.name", "unknown key"),
        (secret(policy={}), f"{S}.policy", "Statement"),
        (secret(policy={"Statement": [{"Effect": "Allow"}]}), f"{S}.policy", "has no Effect"),
        (
            secret(
                policy={
                    "Version": "2012-10-17T00:00:00Z",
                    "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}],
                }
            ),
            f"{S}.policy",
            "in quotes",
        ),
        (
            secret(
                policy={"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}
            ),
            f"{S}.policy",
            "public",
        ),
        (secret(replicas=[{"region": "us-est-1"}]), f"{S}.replicas[0].region", "us-west-1"),
        (secret(replicas=[{"region": "us-east-1"}]), f"{S}.replicas[0]", "already"),
        (
            secret(replicas=[{"region": "eu-west-1"}, {"region": "eu-west-1"}]),
            f"{S}.replicas[1]",
            "already",
        ),
        (
            secret(replicas=[{"region": "eu-west-1", "encryption": "stack-key"}]),
            f"{S}.replicas[0].encryption",
            "stack's region",
        ),
        (
            secret(
                replicas=[{"region": "eu-west-1", "encryption": "arn:aws:kms:us-east-1:123456789012:key/k"}]
            ),
            f"{S}.replicas[0]",
            "us-east-1",
        ),
        (value("plain"), V, "expected a map, found text"),
        (value({}), V, "exactly one source, found none"),
        (value({"value": "a", "random": {}}), V, "found random and value"),
        (value({"rondom": {}}), f"{V}.rondom", 'did you mean "random"'),
        (value({"value": 1}), f"{V}.value", "in quotes"),
        (value({"value": True}), f"{V}.value", "in quotes"),
        (value({"filledByHand": ""}), f"{V}.filledByHand", "empty"),
        (value({"filledByHand": True}), f"{V}.filledByHand", "expected text"),
        (value({"random": {"length": 0}}), f"{V}.random.length", "below 1"),
        (value({"random": {"length": 10**9}}), f"{V}.random.length", "above"),
        (value({"random": {"length": "32"}}), f"{V}.random.length", "whole number"),
        (value({"random": {"lenght": 32}}), f"{V}.random.lenght", 'did you mean "length"'),
        (value({"random": {"number": True}}), f"{V}.random.number", 'did you mean "numeric"'),
        (value({"random": {"length": 3, "minUpper": 2, "minLower": 2}}), f"{V}.random", "add up to 4"),
        (
            value({"random": {"special": False, "lower": False, "upper": False, "numeric": False}}),
            f"{V}.random",
            "all false",
        ),
        (value({"random": {"upper": False, "minUpper": 1}}), f"{V}.random", "upper: false"),
        (value({"random": {"overrideSpecial": ""}}), f"{V}.random.overrideSpecial", "empty"),
        (value({"random": {"overrideSpecial": "-", "special": False}}), f"{V}.random", "special: true"),
        (
            value({"randomBytes": {"length": 16, "encoding": "base32"}}),
            f"{V}.randomBytes.encoding",
            "base64url",
        ),
        (value({"config": "nope"}), f"{V}.config", "pulumi config set --secret nope"),
        (value({"config": "secrets"}), f"{V}.config", "a setting of the stack"),
        (value({"value": "\ud83d"}), f"{V}.value", "half of a surrogate pair"),
        (whole("text", {"value": "\udd11"}), f"{S}.text.value", "half of a surrogate pair"),
        (value({"json": [1, float("nan")]}), f"{V}.json[1]", "not a valid JSON number"),
        (value({"json": {"a": float("inf")}}), f"{V}.json.a", "not a valid JSON number"),
        ({**secret(), "secrts": 1}, "aws-secrets:secrts", 'did you mean "secrets"'),
        ({**secret(), "encryption": 5}, "aws-secrets:encryption", "expected text"),
    ],
)
def test_a_mistake_has_its_path_and_remedy(structure: dict[str, Any], path: str, words: str) -> None:
    found = mistakes(structure)
    assert path in found, found
    assert words in found[path]


@pytest.mark.parametrize("character", ["\n", "\x1b", "\u202e", "\u2028"])
def test_a_key_with_unprintable_characters_is_rejected(character: str) -> None:
    with pytest.raises(SettingsError) as raised:
        run(
            {
                "aws:region": "us-east-1",
                "aws-secrets:secrets": secret(values={f"a{character}": {}})["secrets"],
            }
        )
    assert "printable" in str(raised.value)
    assert character not in str(raised.value).replace("\n", "" if character == "\n" else "\n")


def test_an_unknown_region_is_rejected_with_the_nearest_one() -> None:
    assert 'did you mean "eu-west-1"' in mistakes(secret(), aws__region="eu-wst-1")["aws:region"]


@pytest.mark.parametrize(
    "region", ["us-east-9", "mx-north-1", "eu-isoe-south-2", "eusc-de-west-1", "af-oasis-1"]
)
def test_a_region_newer_than_the_sdk_is_a_warning(region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", told.append)
    run({"aws:region": region, "aws-secrets:secrets": secret(replicas=[{"region": "us-west-9"}])["secrets"]})
    assert [warning.partition(" does not list")[0] for warning in told] == [
        "aws:region: pulumi-aws",
        f"{S}.replicas[0].region: pulumi-aws",
    ]
    assert region in told[0]
    assert '"us-west-9" (did you mean "us-west-' in told[1]


@pytest.mark.parametrize(
    "region", ["us-esat-1", "eu-wset-2", "ap-souteast-1", "us-centrl-1", "US-EAST-1", "us-east", "us_east_1"]
)
def test_a_misspelt_region_is_rejected(region: str) -> None:
    assert "unknown AWS region" in mistakes(secret(), aws__region=region)["aws:region"]


def test_a_missing_region_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with pytest.raises(SettingsError, match="no AWS region is set"):
        run({"aws-secrets:secrets": secret()["secrets"]})


def test_all_mistakes_are_reported_in_one_go() -> None:
    found = mistakes(
        {
            "recoveryWindowDays": 3,
            "typo": 1,
            "secrets": {
                "a b": {"values": {"K": {"value": "v"}}},
                "app": {"values": {"K": {"random": {"length": "x"}}, "L": {"config": "missing"}}},
                "other": {"values": {}},
            },
        },
        aws__region="nowhere",
    )
    assert set(found) == {
        "aws-secrets:recoveryWindowDays",
        "aws-secrets:typo",
        'aws-secrets:secrets["a b"]',
        "aws-secrets:secrets.app.values.K.random.length",
        "aws-secrets:secrets.app.values.L.config",
        "aws-secrets:secrets.other.values",
        "aws:region",
    }


def test_a_nested_encrypted_value_is_rejected_and_not_shown() -> None:
    found = mistakes(value({"value": CANARY}), secret_keys=("aws-secrets:secrets",))
    assert "pulumi config set --secret" in found["aws-secrets:secrets"]
    assert CANARY not in str(found)


def test_nested_encrypted_values_are_located_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    nested = {"app": {"values": {"K": {"value": {"secure": "v1:x"}}}, "replicas": [{"secure": "v1:y"}]}}
    (tmp_path / "Pulumi.yaml").write_text("name: aws-secrets\n")
    (tmp_path / "Pulumi.test.yaml").write_text(json.dumps({"config": {"aws-secrets:secrets": nested}}))
    found = mistakes(value({"value": CANARY}), secret_keys=("aws-secrets:secrets",))
    assert found.keys() == {f"{V}.value", f"{S}.replicas[0]"}


def test_a_plain_text_config_value_is_rejected_and_not_shown() -> None:
    found = mistakes({**value({"config": "key"}), "key": CANARY})
    assert "plain text" in found[f"{V}.config"]
    assert CANARY not in str(found)


def test_an_encrypted_value_that_nothing_reads_is_kept_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recording = run(
        {"aws:region": "us-east-1", "aws-secrets:secrets": secret()["secrets"]},
        {"aws-secrets:later": CANARY},
    )
    assert recording.resources
    assert "Nothing reads the config value later" in caplog.text
    assert CANARY not in caplog.text


def test_a_config_value_may_be_in_another_namespace() -> None:
    recording = run(
        {"aws:region": "us-east-1", "aws-secrets:secrets": value({"config": "shared:key"})["secrets"]},
        {"shared:key": CANARY},
    )
    version = recording.only("aws:secretsmanager/secretVersion:SecretVersion")
    assert json.loads(version.inputs["secretString"]) == {"K": CANARY}


def test_an_initial_value_over_awss_limit_is_rejected() -> None:
    found = mistakes(secret(values={f"K{n}": {"random": {"length": 30_000}} for n in range(3)}))
    assert "65536" in found[S]


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        "name", "description", "encryption", "recoveryWindowDays", "protect", "policy", "replicas", "tags",
        "values", "random", "randomBytes", "value", "config", "filledByHand", "length", "special",
        "overrideSpecial", "minUpper", "keepers", "region", "Statement", "Principal", "Effect", "app",
    ]
)  # fmt: skip
near_misses: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([CANARY, "", "stack-key", 0, -1, 3, 7, 10**12, True, None, 1.5, [], {}]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@hypothesis_settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["secrets", "encryption", "recoveryWindowDays", "protect", "tags", "replicas"]),
        anything | near_misses | st.fixed_dictionaries({"app": near_misses}),
        max_size=4,
    )
)
def test_any_stack_file_is_declared_or_rejected_first(
    structure: dict[str, Any],
) -> None:
    config = {"aws:region": "us-east-1"} | {f"aws-secrets:{key}": item for key, item in structure.items()}
    recording = Recording()
    refused: SettingsError | None = None
    try:
        run(config, recording=recording)
    except SettingsError as error:
        refused = error
    if refused is None:
        assert recording.resources
        return
    assert recording.resources == []
    assert refused.mistakes
    for mistake in refused.mistakes:
        assert mistake.path.startswith(("aws-secrets:", "aws:"))
        assert mistake.wrong
        assert mistake.remedy
        assert CANARY not in mistake.wrong + mistake.remedy


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("aws-secret:protect", "aws-secrets:protect"),
        ("aws_secrets:tags", "aws-secrets:tags"),
        ("my-fork:protect", "aws-secrets:protect"),
        ("aws:secrets", "aws-secrets:secrets"),
    ],
)
def test_a_setting_in_another_namespace_is_rejected(key: str, meant: str) -> None:
    raw = {"aws:region": "us-east-1", "aws-secrets:secrets": secret()["secrets"], key: "true"}
    with pytest.raises(SettingsError) as refused:
        run(raw)
    [mistake] = refused.value.mistakes
    assert mistake.path == key
    assert meant in mistake.remedy


def test_misplaced_settings_and_unquoted_texts_are_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: aws-secrets\n")
    (tmp_path / "Pulumi.test.yaml").write_text(
        "protect: true\nconfig:\n  aws:region: us-east-1\n  aws-secrets:secrets:\n"
        "    app: {values: {DAY: {value: 2024-06-20}, 1.10: {value: x}}}\n"
    )
    engines = {"app": {"values": {"DAY": {"value": "2024-06-20 00:00:00 +0000 UTC"}, "1.1": {"value": "x"}}}}
    with pytest.raises(SettingsError) as refused:
        run({"aws:region": "us-east-1", "aws-secrets:secrets": engines})
    found = {mistake.path: mistake.remedy for mistake in refused.value.mistakes}
    assert "below config:" in found["Pulumi.test.yaml: protect"]
    assert set(found) >= {
        "aws-secrets:secrets.app.values.DAY.value",
        'aws-secrets:secrets.app.values["1.10"]',
    }
    assert "in quotes" in found["aws-secrets:secrets.app.values.DAY.value"]
