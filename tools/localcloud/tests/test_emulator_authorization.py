"""Policies are evaluated as by IAM."""

# ruff: noqa: ANN401  any part of a statement

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.localcloud.emulator.authorization import (
    Caller,
    Decision,
    Policy,
    Request,
    ResourcePolicy,
    decide,
    refusal,
)
from tools.localcloud.emulator.policy_conditions import UnmodelledError

ACCOUNT, OTHER = "123456789012", "210987654321"
ARN = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:app-AbCdEf"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/reader"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/pod"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
READ = "secretsmanager:GetSecretValue"
ALLOW, SILENT, DENY = Decision.ALLOW, Decision.SILENT, Decision.DENY


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(**more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": READ, "Resource": "*", **more}


def deny(**more: Any) -> dict[str, Any]:
    return {**allow(**more), "Effect": "Deny"}


def request(action: str = READ, resource: str | None = ARN, **context: Any) -> Request:
    return Request(
        action=action,
        resource=resource,
        context={
            key.replace("__", ":").lower(): value if isinstance(value, tuple) else (value,)
            for key, value in context.items()
        },
    )


def caller(*policies: Policy, **more: Any) -> Caller:
    names = frozenset({ROLE, SESSION})
    return replace(Caller(arn=SESSION, account=ACCOUNT, names=names, policies=policies), **more)


def of_resource(*statements: dict[str, Any], **more: Any) -> ResourcePolicy:
    return replace(ResourcePolicy(document=policy(*statements), account=ACCOUNT), **more)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (allow(), ALLOW),
        (allow(Action="secretsmanager:get*"), ALLOW),
        (allow(Action=["kms:*", "*"]), ALLOW),
        (allow(Action="secretsmanager:PutSecretValue"), SILENT),
        (allow(Action="secretsmanager:GetSecretValu"), SILENT),
        (allow(Resource=f"{ARN[:-6]}??????"), ALLOW),
        (allow(Resource=f"{ARN[:-6]}?????"), SILENT),
        (allow(Resource=f"{ARN[:-8]}-??????"), SILENT),
        (allow(Resource=f"{ARN[:-9]}??????"), SILENT),
        (allow(Resource=f"{ARN[:-7]}"), SILENT),
        (allow(Resource=f"{ARN[:-7]}*"), ALLOW),
        (allow(Resource="arn:aws:secretsmanager:us-east-1:123456789012:secret:ap-??????"), SILENT),
        (allow(Resource="arn:aws:secretsmanager:*:*:secret:app-??????"), ALLOW),
        (allow(Resource="arn:aws:secretsmanager:us-*"), ALLOW),
        (allow(Resource="arn:aws:secretsmanager:us-*t-1:123456789012:secret:app-*"), ALLOW),
        (allow(Resource="arn:aws:secretsmanager:us-*cret:app-AbCdEf"), SILENT),
        (allow(Resource=["arn:aws:other", ARN]), ALLOW),
        ({"Effect": "Allow", "Action": READ}, SILENT),
        ({"Effect": "Deny", "Action": READ}, DENY),
        ({"Effect": "Allow", "Resource": "*"}, SILENT),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, ALLOW),
        ({"Effect": "Allow", "NotAction": "secretsmanager:*", "Resource": "*"}, SILENT),
        ({"Effect": "Allow", "Action": "*", "NotResource": ARN}, SILENT),
        ({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:other"}, ALLOW),
        ({"Effect": "Deny", "Action": "*", "Resource": "*"}, DENY),
        ({"Effect": "Deny", "NotAction": "iam:*", "NotResource": "arn:aws:other"}, DENY),
    ],
)
def test_a_statement_means_the_actions_and_resources_that_it_names(
    statement: dict[str, Any], expected: Decision
) -> None:
    assert decide([policy(statement)], request()) is expected


KNOWN: dict[str, Any] = {
    "aws__RequestedRegion": "us-east-1",
    "aws__PrincipalTag/team": "app",
    "aws__PrincipalArn": ROLE,
    "aws__SecureTransport": "true",
    "aws__SourceIp": "10.1.2.3",
    "aws__CurrentTime": "2026-03-01T12:00:00Z",
    "aws__EpochTime": "1772366400",
    "x__days": "7",
    "x__bytes": "c2VjcmV0",
    "x__labels": ("AWSCURRENT", "mine"),
}


@pytest.mark.parametrize(
    ("operator", "key", "value", "holds"),
    [
        ("StringEquals", "aws:RequestedRegion", "us-east-1", True),
        ("StringEquals", "AWS:requestedregion", "us-east-1", True),
        ("StringEquals", "aws:RequestedRegion", "US-EAST-1", False),
        ("StringEquals", "aws:RequestedRegion", "us-*", False),
        ("StringEquals", "aws:RequestedRegion", ["eu-west-1", "us-east-1"], True),
        ("StringEquals", "aws:RequestedRegion", "eu-west-1", False),
        ("StringNotEquals", "aws:RequestedRegion", "us-east-1", False),
        ("StringNotEquals", "aws:RequestedRegion", ["eu-west-1", "us-east-1"], False),
        ("StringNotEquals", "aws:RequestedRegion", ["eu-west-1", "eu-west-2"], True),
        ("StringEqualsIgnoreCase", "aws:RequestedRegion", "US-EAST-1", True),
        ("StringNotEqualsIgnoreCase", "aws:RequestedRegion", "US-EAST-1", False),
        ("StringLike", "aws:RequestedRegion", "us-*-?", True),
        ("StringNotLike", "aws:RequestedRegion", "us-*-?", False),
        ("StringEquals", "aws:missing", "x", False),
        ("StringLike", "aws:missing", "*", False),
        ("StringNotEquals", "aws:missing", "x", True),
        ("StringEqualsIfExists", "aws:missing", "x", True),
        ("StringEqualsIfExists", "aws:RequestedRegion", "x", False),
        ("BoolIfExists", "aws:MultiFactorAuthPresent", "true", True),
        ("Null", "aws:missing", "true", True),
        ("Null", "aws:missing", "false", False),
        ("Null", "aws:RequestedRegion", "false", True),
        ("Null", "aws:RequestedRegion", True, False),
        ("Bool", "aws:SecureTransport", "true", True),
        ("Bool", "aws:SecureTransport", True, True),
        ("Bool", "aws:SecureTransport", "false", False),
        ("ArnEquals", "aws:PrincipalArn", ROLE, True),
        ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/*", True),
        ("ArnLike", "aws:PrincipalArn", "arn:aws:iam*role/reader", False),
        ("ArnLike", "aws:PrincipalArn", "arn:*:iam::123456789012:role/read??", True),
        ("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:role/*", False),
        ("ArnNotEquals", "aws:PrincipalArn", ROLE + "2", True),
        ("NumericEquals", "x:days", "7.0", True),
        ("NumericLessThan", "x:days", 7, False),
        ("NumericLessThanEquals", "x:days", "7", True),
        ("NumericGreaterThan", "x:days", "6", True),
        ("NumericNotEquals", "x:days", "7", False),
        ("NumericEquals", "aws:RequestedRegion", "7", False),
        ("NumericNotEquals", "aws:RequestedRegion", "7", False),
        ("DateLessThan", "aws:CurrentTime", "2026-03-01T12:00:01Z", True),
        ("DateLessThan", "aws:CurrentTime", "2026-03-01", False),
        ("DateGreaterThan", "aws:CurrentTime", "2026-03-01T13:00:00+02:00", True),
        ("DateEquals", "aws:EpochTime", "2026-03-01T12:00:00Z", True),
        ("DateGreaterThanEquals", "aws:CurrentTime", 1772366400, True),
        ("IpAddress", "aws:SourceIp", "10.1.0.0/16", True),
        ("IpAddress", "aws:SourceIp", ["192.168.0.0/16", "10.1.2.3"], True),
        ("IpAddress", "aws:SourceIp", "2001:db8::/32", False),
        ("NotIpAddress", "aws:SourceIp", "10.1.0.0/16", False),
        ("IpAddress", "aws:SourceIp", "nowhere", False),
        ("NotIpAddress", "aws:SourceIp", "nowhere", False),
        ("BinaryEquals", "x:bytes", "c2VjcmV0", True),
        ("BinaryEquals", "x:bytes", "c2VjcmV1", False),
        ("ForAnyValue:StringEquals", "x:labels", ["AWSCURRENT", "other"], True),
        ("ForAnyValue:StringEquals", "x:labels", "other", False),
        ("ForAnyValue:StringEquals", "x:missing", "other", False),
        ("ForAnyValue:StringNotEquals", "x:missing", "other", False),
        ("ForAnyValue:StringNotEquals", "x:labels", "mine", True),
        ("ForAllValues:StringEquals", "x:labels", ["AWSCURRENT", "mine", "other"], True),
        ("ForAllValues:StringEquals", "x:labels", "AWSCURRENT", False),
        ("ForAllValues:StringEquals", "x:missing", "AWSCURRENT", True),
        ("ForAllValues:StringNotLike", "x:labels", "AWS*", False),
        ("ForAnyValue:StringEqualsIfExists", "x:missing", "other", True),
        ("StringEquals", "aws:PrincipalTag/team", "${aws:PrincipalTag/team}", True),
        ("StringEquals", "aws:RequestedRegion", "${aws:PrincipalTag/team}", False),
        ("StringLike", "aws:RequestedRegion", "${aws:missing}*", False),
        ("StringLike", "aws:RequestedRegion", "${aws:missing, 'us'}-*", True),
    ],
)
def test_a_condition_holds_as_its_operator_says(operator: str, key: str, value: Any, *, holds: bool) -> None:
    statement = allow(Condition={operator: {key: value}})
    assert decide([policy(statement)], request(**KNOWN)) is (ALLOW if holds else SILENT)


def test_all_conditions_of_a_statement_must_hold() -> None:
    one, no = {"aws:RequestedRegion": "us-east-1"}, {"aws:PrincipalArn": "other"}
    for conditions, expected in (
        ({"StringEquals": one, "StringLike": one}, ALLOW),
        ({"StringEquals": {**one, **no}}, SILENT),
        ({"StringEquals": one, "StringLike": no}, SILENT),
    ):
        assert decide([policy(allow(Condition=conditions))], request(**KNOWN)) is expected


@pytest.mark.parametrize(
    "broken",
    [
        {"Condition": {"StringMatches": {"aws:missing": "x"}}},
        {"Condition": {"StringEquals": {"aws:missing": "x"}, "stringlike": {"a": "b"}}},
        {"Condition": {"ForSomeValues:StringEquals": {"aws:missing": "x"}}},
        {"Condition": {"NullIfExists": {"aws:missing": "true"}}},
        {"Condition": ["StringEquals"]},
        {"Condition": {"StringEquals": "x"}},
        {"Effect": "Perhaps"},
    ],
)
@pytest.mark.parametrize("effect", ["Allow", "Deny"])
def test_what_is_not_known_is_never_taken_as_fulfilled(broken: dict[str, Any], effect: str) -> None:
    document = policy({**allow(), "Effect": effect, **broken})
    with pytest.raises(UnmodelledError):
        decide([document], request(**KNOWN))
    assert "does not know" in str(refusal(caller(policy(allow()), document), request(**KNOWN)))


@pytest.mark.parametrize(
    ("resource", "tag", "expected"),
    [
        ("arn:aws:secretsmanager:*:*:secret:${aws:PrincipalTag/team}-*", "app", ALLOW),
        ("arn:aws:secretsmanager:*:*:secret:${aws:PrincipalTag/team}-*", "web", SILENT),
        ("arn:aws:secretsmanager:*:*:secret:${aws:PrincipalTag/team}-*", "*", SILENT),
        ("arn:aws:secretsmanager:*:*:secret:${aws:PrincipalTag/team}*", "", ALLOW),
        ("arn:aws:secretsmanager:*:*:secret:${aws:PrincipalTag/none}*", "app", SILENT),
        ("arn:aws:secretsmanager:*:*:secret:${aws:PrincipalTag/none, 'app'}-*", "web", ALLOW),
        ("arn:aws:secretsmanager:*:*:secret:app${*}", "app", SILENT),
    ],
)
def test_a_variable_stands_for_its_value_and_never_for_more(
    resource: str, tag: str, expected: Decision
) -> None:
    asked = request(**{"aws__PrincipalTag/team": tag})
    assert decide([policy(allow(Resource=resource))], asked) is expected


def test_variables_mean_nothing_in_the_old_version_of_the_language() -> None:
    asked = request(**KNOWN)
    condition = {"StringEquals": {"aws:PrincipalTag/team": "${aws:PrincipalTag/team}"}}
    for document, expected in (
        ({**policy(allow(Condition=condition)), "Version": "2008-10-17"}, SILENT),
        ({"Statement": allow(Condition=condition)}, SILENT),
        (policy(allow(Condition=condition)), ALLOW),
    ):
        assert decide([document], asked) is expected


def test_an_unknown_resource_needs_an_allow_for_all_resources() -> None:
    asked = request(resource=None)
    assert decide([policy(allow())], asked) is ALLOW
    assert decide([policy(allow(Resource=ARN))], asked) is SILENT
    assert decide([policy(allow(Resource="arn:*"))], asked) is SILENT
    lacking = {"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:other"}
    assert decide([policy(lacking)], asked) is SILENT
    assert decide([policy(allow(), deny(Resource="arn:aws:other"))], asked) is DENY


# --- Several kinds of policies together


def test_nothing_is_allowed_that_no_policy_allows() -> None:
    assert refusal(caller(), request()) == f"because no identity-based policy allows the {READ} action"


def test_boundary_and_session_policy_must_allow_too_and_add_nothing() -> None:
    everything, nothing = policy(allow()), policy()
    for boundary, session, reason in (
        (everything, [everything], None),
        (nothing, [everything], f"because no permissions boundary allows the {READ} action"),
        (everything, [nothing], f"because no session policy allows the {READ} action"),
        (everything, [nothing, everything], None),
        (everything, [], f"because no session policy allows the {READ} action"),
        (policy(deny()), None, "with an explicit deny in a permissions boundary"),
        (None, [everything, policy(deny())], "with an explicit deny in a session policy"),
    ):
        assert refusal(caller(everything, boundary=boundary, session=session), request()) == reason
        assert refusal(caller(boundary=boundary, session=session), request()) is not None


@pytest.mark.parametrize(
    ("principal", "alone", "within_boundary"),
    [
        ({"AWS": SESSION}, True, True),
        ({"AWS": ROLE}, True, False),
        ("*", True, False),
        ({"AWS": "*"}, True, False),
        ({"AWS": ["arn:aws:iam::123456789012:role/other", ROLE]}, True, False),
        ({"AWS": ROOT}, False, False),
        ({"AWS": ACCOUNT}, False, False),
        ({"AWS": "arn:aws:iam::123456789012:role/*"}, False, False),
        ({"Service": ROLE}, False, False),
        ({"AWS": "arn:aws:iam::210987654321:root"}, False, False),
    ],
)
def test_a_resources_policy_lets_in_whom_it_names(
    principal: Any, *, alone: bool, within_boundary: bool
) -> None:
    resource = of_resource(allow(Principal=principal))
    assert (refusal(caller(), request(), resource) is None) is alone
    limited = caller(boundary=policy())
    assert (refusal(limited, request(), resource) is None) is within_boundary


def test_a_policy_that_must_let_the_account_in_is_asked_first() -> None:
    mine, required = caller(policy(allow())), {"required": True}
    reason = f"because no resource-based policy allows the {READ} action"
    assert refusal(mine, request(), of_resource(**required)) == reason
    assert refusal(mine, request(), of_resource(allow(Principal={"AWS": ROOT}), **required)) is None
    assert refusal(caller(), request(), of_resource(allow(Principal={"AWS": ROOT}), **required)) is not None
    assert refusal(caller(), request(), of_resource(allow(Principal={"AWS": ROLE}), **required)) is None


def test_in_another_account_both_sides_must_allow() -> None:
    theirs = {"account": OTHER}
    mine = caller(policy(allow()))
    for principal in ({"AWS": ROOT}, {"AWS": ROLE}, {"AWS": SESSION}, "*", {"AWS": ACCOUNT}):
        resource = of_resource(allow(Principal=principal), **theirs)
        assert refusal(mine, request(), resource) is None
        assert refusal(caller(), request(), resource) is not None
    reason = f"because no resource-based policy allows the {READ} action"
    assert refusal(mine, request(), of_resource(**theirs)) == reason
    assert refusal(mine, request(), ResourcePolicy(document=None, account=OTHER)) == reason


def test_not_principal_spares_only_whom_it_names_wholly() -> None:
    mine = caller(policy(allow()))
    for named, spared in (
        ([ROOT, ROLE, SESSION], True),
        ([ACCOUNT, ROLE, SESSION], True),
        ([ROOT, ROLE], False),
        ([ROLE, SESSION], False),
        (["arn:aws:iam::123456789012:role/other"], False),
    ):
        resource = of_resource(deny(NotPrincipal={"AWS": named}))
        assert (refusal(mine, request(), resource) is None) is spared
        opened = of_resource(allow(NotPrincipal={"AWS": named}))
        assert (refusal(caller(), request(), opened) is None) is ("other" in named[0])


# --- Whatever the policies are

CONDITIONS: list[dict[str, Any]] = [
    {},
    {"StringEquals": {"aws:RequestedRegion": "us-east-1"}},
    {"StringNotEquals": {"aws:RequestedRegion": "us-east-1"}},
    {"StringNotLikeIfExists": {"aws:missing": "*"}},
    {"Null": {"aws:missing": "true"}},
]
PRINCIPALS: list[dict[str, Any]] = [
    {"Principal": "*"},
    {"Principal": {"AWS": [ROLE]}},
    {"Principal": {"AWS": SESSION}},
    {"Principal": {"AWS": ROOT}},
    {"Principal": {"AWS": OTHER}},
    {"NotPrincipal": {"AWS": [ROOT, ROLE, SESSION]}},
    {"NotPrincipal": {"AWS": ROLE}},
]
identity_statements = st.builds(
    lambda effect, action, resource, condition: {
        "Effect": effect,
        **action,
        **resource,
        **({"Condition": condition} if condition else {}),
    },
    st.sampled_from(["Allow", "Deny"]),
    st.sampled_from([{"Action": READ}, {"Action": "*"}, {"Action": "kms:*"}, {"NotAction": "kms:*"}]),
    st.sampled_from([{"Resource": ARN}, {"Resource": "*"}, {"Resource": "arn:aws:x"}, {"NotResource": ARN}]),
    st.sampled_from(CONDITIONS),
)
resource_statements = st.builds(
    lambda statement, principal: {**statement, **principal}, identity_statements, st.sampled_from(PRINCIPALS)
)
identity_policies = st.lists(identity_statements, max_size=4)
resource_policies = st.lists(resource_statements, max_size=4)
resources = st.sampled_from([ARN, "*", None])


@st.composite
def situations(draw: st.DrawFn) -> tuple[dict[str, list[dict[str, Any]] | None], str, bool]:
    """Statements of every kind of policy, whose the resource is, and whether its policy is required."""
    found: dict[str, list[dict[str, Any]] | None] = {
        "own": draw(identity_policies),
        "boundary": draw(st.none() | identity_policies),
        "session": draw(st.none() | identity_policies),
        "resource": draw(st.none() | resource_policies),
    }
    return found, draw(st.sampled_from([ACCOUNT, OTHER])), draw(st.booleans())


ASKED = {"aws__RequestedRegion": "us-east-1"}


def judge(
    kinds: dict[str, list[dict[str, Any]] | None], account: str, required: bool, resource: str | None
) -> str | None:
    own, boundary, session, of_it = (
        None if statements is None else policy(*statements) for statements in kinds.values()
    )
    assert own is not None
    return refusal(
        caller(own, boundary=boundary, session=None if session is None else [session]),
        request(resource=resource, **ASKED),
        ResourcePolicy(document=of_it, account=account, required=required),
    )


@given(situations(), resources, st.data())
def test_an_explicit_deny_always_wins(
    situation: tuple[dict[str, list[dict[str, Any]] | None], str, bool],
    resource: str | None,
    data: st.DataObject,
) -> None:
    kinds, account, required = situation
    where = data.draw(st.sampled_from(sorted(kinds)))
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*", "Principal": "*"}
    known = kinds[where] or []
    at = data.draw(st.integers(0, len(known)))
    denied = {**kinds, where: [*known[:at], statement, *known[at:]]}
    assert "with an explicit deny" in str(judge(denied, account, required, resource))


@given(situations(), resources, st.data())
def test_removing_an_allow_never_grants_access(
    situation: tuple[dict[str, list[dict[str, Any]] | None], str, bool],
    resource: str | None,
    data: st.DataObject,
) -> None:
    kinds, account, required = situation
    kept = {
        kind: statements
        and [one for one in statements if one["Effect"] == "Deny" or data.draw(st.booleans())]
        for kind, statements in kinds.items()
    }
    if judge(kept, account, required, resource) is None:
        assert judge(kinds, account, required, resource) is None


@given(situations(), resources, identity_policies)
def test_a_boundary_or_session_policy_never_opens_anything(
    situation: tuple[dict[str, list[dict[str, Any]] | None], str, bool],
    resource: str | None,
    added: list[dict[str, Any]],
) -> None:
    kinds, account, required = situation
    for kind in ("boundary", "session"):
        if judge({**kinds, kind: added}, account, required, resource) is None:
            assert judge({**kinds, kind: None}, account, required, resource) is None


@given(identity_policies, resources)
def test_order_says_nothing(statements: list[dict[str, Any]], resource: str | None) -> None:
    asked = request(resource=resource, **ASKED)
    decision = decide([policy(*statements)], asked)
    assert decision is decide([policy(one) for one in reversed(statements)], asked)
    applying = {one["Effect"] for one in statements if decide([policy(one)], asked) is not SILENT}
    assert decision is (DENY if "Deny" in applying else ALLOW if applying else SILENT)


# ":" separates the parts of an ARN, and "$" would begin a variable
TEXT = st.text(st.characters(codec="ascii", exclude_characters=":$*?"), max_size=6)


@given(st.lists(TEXT, min_size=1, max_size=4), st.lists(TEXT, min_size=3, max_size=3))
def test_a_star_stands_for_any_text_of_one_part(pieces: list[str], filling: list[str]) -> None:
    pattern = "*".join(pieces) + ":end"
    text = pieces[0] + "".join(filled + piece for filled, piece in zip(filling, pieces[1:], strict=False))
    assert decide([policy(allow(Resource=pattern))], request(resource=f"{text}:end")) is ALLOW
    if "" not in pieces:
        across = f"{pieces[0]}:{''.join(pieces[1:])}"
        assert decide([policy(allow(Resource=pattern))], request(resource=f"{across}:end")) is SILENT
