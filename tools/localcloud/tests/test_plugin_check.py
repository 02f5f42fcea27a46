# ruff: noqa: ANN401  protobuf and property values are of any type
"""Inputs that the stand-in plugins reject, and unfinished objects that they record."""

import json
from typing import Any, NoReturn

import grpc
import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from pulumi.runtime.proto import provider_pb2, status_pb2

from tools.localcloud.plugins import policies
from tools.localcloud.plugins.aws.plugin import PLUGIN
from tools.localcloud.plugins.property_types import checked_object
from tools.localcloud.plugins.resource import Resource, diff, refreshed_inputs
from tools.localcloud.plugins.serve import Plugin, ProviderError, Servicer, UnfinishedError
from tools.localcloud.plugins.values import UNKNOWN, Asset, Properties, from_struct, to_struct

SECRET = "aws:secretsmanager/secret:Secret"
SECRET_VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
SECRET_POLICY = "aws:secretsmanager/secretPolicy:SecretPolicy"
KEY = "aws:kms/key:Key"
ALIAS = "aws:kms/alias:Alias"


def urn(token: str) -> str:
    return f"urn:pulumi:test::app::{token}::it"


@pytest.fixture
def servicer() -> Servicer:
    """The aws plugin's, before it is configured: Check asks nobody."""
    return Servicer(Plugin(**{**vars(PLUGIN), "default_tags": lambda _: {}, "region": lambda _: "us-east-1"}))


def checked(servicer: Servicer, token: str, news: Properties, **more: Any) -> Any:
    request = provider_pb2.CheckRequest(urn=urn(token), news=to_struct(news), randomSeed=b"seed", **more)
    return servicer.Check(request, None)


@pytest.mark.parametrize(
    ("token", "news", "reason"),
    [
        (
            SECRET_VERSION,
            {"secretString": "x"},
            (
                'Missing required argument. The argument "secret_id" is required, but no definition was '
                "found.. Examine values at 'it.secretId'."
            ),
        ),
        (
            SECRET_VERSION,
            {"secretId": "s", "secretString": "x", "secretBinary": "eA=="},
            (
                'Conflicting configuration arguments. "secret_binary": conflicts with secret_string. '
                "Examine values at 'it.secretBinary'."
            ),
        ),
        (SECRET, {"nam": "x"}, "Invalid or unknown key. Examine values at 'it.nam'."),
        (SECRET, {"tags": "x"}, "Attribute must be a map. Examine values at 'it.tags'."),
        (
            SECRET,
            {"tags": {"a": ["x"]}},
            "Attribute must be a single value, not a list. Examine values at 'it.tags.a'.",
        ),
        (SECRET, {"replicas": {"region": "x"}}, "Attribute must be a list. Examine values at 'it.replicas'."),
        (
            SECRET,
            {"replicas": [{"region": "eu-west-1", "key": "x"}]},
            "Invalid or unknown key. Examine values at 'it.replicas[0].key'.",
        ),
        (
            SECRET,
            {"recoveryWindowInDays": "soon"},
            "'' cannot parse '' as int. Examine values at 'it.recoveryWindowInDays'.",
        ),
        (
            SECRET,
            {"policy": "[]"},
            "\"policy\" contains an invalid JSON policy: not a JSON object. Examine values at 'it.policy'.",
        ),
        (
            KEY,
            {"deletionWindowInDays": 3},
            (
                "expected deletion_window_in_days to be in the range (7 - 30), got 3. "
                "Examine values at 'it.deletionWindowInDays'."
            ),
        ),
        (
            ALIAS,
            {"name": "alias/aws/x", "targetKeyId": "k"},
            "\"name\" cannot begin with reserved AWS CMK prefix 'alias/aws/'. Examine values at 'it.name'.",
        ),
    ],
)
def test_a_wrong_input_is_refused_in_the_bridge_s_words(
    servicer: Servicer, token: str, news: Properties, reason: str
) -> None:
    assert reason in [failure.reason for failure in checked(servicer, token, news).failures]


def test_text_and_numbers_become_what_the_schema_asks_for(servicer: Servicer) -> None:
    found = checked(servicer, SECRET, {"recoveryWindowInDays": "7", "forceOverwriteReplicaSecret": "true"})
    assert not found.failures
    inputs = from_struct(found.inputs)
    assert inputs["recoveryWindowInDays"] == 7
    assert inputs["forceOverwriteReplicaSecret"] is True
    assert from_struct(checked(servicer, SECRET, {"tags": {"a": 1, "b": True}}).inputs)["tags"] == {
        "a": "1",
        "b": "true",
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda values: st.lists(values, max_size=2) | st.dictionaries(st.text(max_size=5), values, max_size=2),
    max_leaves=6,
)
TYPES = st.recursive(
    st.sampled_from(["string", "boolean", "integer", "number", "Thing:Thing", "asset"]),
    lambda types: types.map(lambda of: [of]) | types.map(lambda of: {"*": of}),
    max_leaves=3,
)


@settings(max_examples=100, deadline=None)
@given(TYPES, JSON | st.just(UNKNOWN))
def test_an_accepted_value_of_any_type_is_accepted_again(declared: Any, value: Any) -> None:
    types: Any = {
        "Thing:Thing": {"name": {"type": "string", "required": True}, "more": {"type": ["integer"]}}
    }
    described = {"it": {"type": declared}}
    taken, failures = checked_object(described, types, {"it": value})
    for failure in failures:
        assert failure.path.startswith("it")
    if not failures:
        assert checked_object(described, types, taken) == (taken, [])


@pytest.mark.parametrize(
    ("token", "mode", "name"),
    [
        (SECRET, "PROPOSE", "app-it"),
        (ALIAS, "PROPOSE", "alias/app-it"),
        (ALIAS, "ENFORCE", "app-it"),
    ],
)
def test_the_operator_s_naming_scheme_counts(servicer: Servicer, token: str, mode: str, name: str) -> None:
    options = provider_pb2.CheckRequest.AutonamingOptions
    naming = options(mode=options.Mode.Value(mode), proposed_name="app-it")
    found = checked(servicer, token, {"targetKeyId": "k"} if token == ALIAS else {}, autonaming=naming)
    assert from_struct(found.inputs)["name"] == name


def test_a_name_is_demanded_where_the_operator_forbids_automatic_ones(servicer: Servicer) -> None:
    naming = provider_pb2.CheckRequest.AutonamingOptions(
        mode=provider_pb2.CheckRequest.AutonamingOptions.DISABLE
    )
    [failure] = checked(servicer, SECRET, {}, autonaming=naming).failures
    assert failure.reason == "automatic naming is disabled but no explicit name was provided"
    assert not checked(servicer, SECRET, {"name": "x"}, autonaming=naming).failures


# Differences


def resource(token: str) -> Resource:
    return PLUGIN.resources[token]


def test_a_replacement_with_an_explicit_name_deletes_the_old_one_first() -> None:
    olds = {"name": "alias/a", "region": "us-east-1", "targetKeyId": "k"}
    own = {"name": "alias/a", "region": "eu-west-1", "targetKeyId": "k", "__defaults": []}
    found = diff(resource(ALIAS), olds, own, [])
    assert found.replaces == ["region"]
    assert found.delete_before_replace
    assert not diff(resource(ALIAS), olds, {**own, "__defaults": ["name"]}, []).delete_before_replace


def test_a_key_s_id_and_its_arn_are_the_same_target() -> None:
    arn = "arn:aws:kms:us-east-1:123456789012:key/0f0e"
    assert diff(resource(ALIAS), {"targetKeyId": "0f0e"}, {"targetKeyId": arn}, []).details == {}
    assert diff(resource(ALIAS), {"targetKeyId": "0f0f"}, {"targetKeyId": arn}, []).details


@pytest.mark.parametrize("ignored", ["tags", 'tags["a.b"]', "tags.c"])
def test_a_path_below_a_map_is_ignored_alone(ignored: str) -> None:
    olds, news = {"tags": {"a.b": "1", "c": "1"}}, {"tags": {"a.b": "2", "c": "2"}}
    left = {"tags": set(), 'tags["a.b"]': {"tags.c"}, "tags.c": {'tags.["a.b"]'}}[ignored]
    assert set(diff(resource(SECRET), olds, news, [ignored]).details) == left


STATEMENT = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["a:B", "a:C"], "Resource": "*"}


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"Action": ["a:C", "a:B"]}, True),
        ({"Resource": ["*"]}, True),
        ({"Action": ["a:B"]}, False),
        ({"Effect": "Deny"}, False),
    ],
)
def test_policies_are_compared_by_their_meaning(change: Properties, *, same: bool) -> None:
    one = json.dumps({"Statement": [STATEMENT]})
    other = json.dumps({"Statement": {**STATEMENT, **change}})
    assert policies.same(one, other) is same


def test_a_refresh_finds_each_replica_of_the_program_again() -> None:
    given_ones = [{"region": "b"}, {"region": "a"}]
    found = [{"region": region, "status": "InSync", "kmsKeyId": ""} for region in "ab"]
    now = refreshed_inputs(resource(SECRET), {"replicas": given_ones}, {"replicas": found})
    assert now == {"replicas": given_ones}


# Assets


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=8), st.text("0123456789abcdef", min_size=1, max_size=8))
def test_assets_and_archives_arrive_and_leave_as_they_were_sent(text: str, digest: str) -> None:
    file = {
        "4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17",
        "hash": digest,
        "text": text,
    }
    archive = {
        "4dabf18193072939515e22adb298388d": "0def7320c3a5731c473e5ecbe6d01bc7",
        "hash": digest,
        "assets": {"handler.py": file},
    }
    received = from_struct(to_struct({"code": archive}))
    assert isinstance(received["code"], Asset)
    assert received["code"].source["assets"]["handler.py"].source == {"text": text}
    assert json_format.MessageToDict(to_struct(received)) == {"code": archive}


def test_archives_with_the_same_content_are_the_same() -> None:
    one, other = Asset("s", "1", {"path": "a"}), Asset("s", "1", {"path": "b"})
    assert one == other
    assert one != Asset("s", "2", {"path": "a"})


# Objects that are not finished


class FailedError(Exception):
    """The answer that the engine gets."""


class Context:
    def __init__(self) -> None:
        self.metadata: dict[str, bytes] = {}

    def set_trailing_metadata(self, metadata: tuple[tuple[str, bytes], ...]) -> None:
        self.metadata = dict(metadata)

    def abort(self, _code: grpc.StatusCode, details: str) -> NoReturn:
        raise FailedError(details)

    def unfinished(self) -> Any:
        status = status_pb2.Status.FromString(self.metadata["grpc-status-details-bin"])
        details = provider_pb2.ErrorResourceInitFailed()
        assert status.details[0].Unpack(details)
        return details


THING = "test:index/thing:Thing"


def fails(*_: object) -> NoReturn:
    raise ProviderError("it does not work")


def fails_when_made(*_: object) -> NoReturn:
    raise UnfinishedError("half of it does not work", "id-1")


@pytest.fixture
def thing() -> Resource:
    described = {"size": {"type": "integer"}}
    return Resource(
        token=THING,
        inputs=described,
        outputs={**described, "arn": {"type": "string", "required": True}},
        create=fails_when_made,
        read=fails,
        update=fails,
        delete=fails,
    )


def serving(thing: Resource) -> Servicer:
    return Servicer(Plugin(**{**vars(PLUGIN), "resources": {THING: thing}}))


def test_an_object_that_was_made_but_not_finished_is_recorded(thing: Resource) -> None:
    context = Context()
    request = provider_pb2.CreateRequest(urn=urn(THING), properties=to_struct({"size": 3}))
    with pytest.raises(FailedError, match="half of it does not work"):
        serving(thing).Create(request, context)
    found = context.unfinished()
    assert found.id == "id-1"
    assert from_struct(found.properties) == {"id": "id-1", "size": 3}
    assert "half of it does not work" in found.reasons[0]


def test_an_object_that_was_not_made_is_not_recorded(thing: Resource) -> None:
    context = Context()
    never = Resource(**{**vars(thing), "create": fails})
    with pytest.raises(FailedError, match="it does not work"):
        serving(never).Create(provider_pb2.CreateRequest(urn=urn(THING)), context)
    assert context.metadata == {}


def test_an_update_that_fails_leaves_the_object_recorded(thing: Resource) -> None:
    context = Context()
    request = provider_pb2.UpdateRequest(
        urn=urn(THING), id="id-1", olds=to_struct({"size": 1, "arn": "a"}), news=to_struct({"size": 2})
    )
    with pytest.raises(FailedError, match="it does not work"):
        serving(thing).Update(request, context)
    assert from_struct(context.unfinished().properties) == {"size": 2, "arn": "a"}


def test_a_defect_shows_its_place_and_no_value(thing: Resource, capfd: pytest.CaptureFixture[str]) -> None:
    def breaks(_context: object, inputs: Properties) -> str:
        raise ValueError(f"cannot handle {inputs['size']}")

    broken = Resource(**{**vars(thing), "create": breaks})
    request = provider_pb2.CreateRequest(urn=urn(THING), properties=to_struct({"size": 987654321}))
    with pytest.raises(FailedError) as failed:
        serving(broken).Create(request, Context())
    assert "ValueError at breaks" in str(failed.value)
    shown = capfd.readouterr()
    assert "987654321" not in str(failed.value) + shown.out + shown.err
