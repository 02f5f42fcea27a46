"""Write down a live secret as an entry of the stack file, and say what that cannot hold."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import stack_file
from components import rotation_tags, tokens
from components.lambdas.rotation import protocol
from components.version_labels import INITIAL_VERSION_LABEL
from components.visible import visible
from operations.adopt.aws_objects import ADOPTED_LABEL, OWN_LABELS
from operations.adopt.logins import PENDING, Login, Logins, Plain, Refused
from operations.adopt.model import Generated, LiveRotation, LiveSecret, Origin, Shape
from stack_file import StackFile
from stack_file.mistakes import path_of
from stack_file.secrets import Mode
from stack_file.stack_secrets import by_name

_VERSION = "2012-10-17"
_OLD_VERSION = "2008-10-17"  # what IAM takes where a policy has none
_LONGEST_HINT = 200
_ROTATION_TAG = "aws-secrets:rotation"
# The engine takes maps with this key, and encrypted values, for other things than maps.
# Source: pulumi/sdk, resource/sig.go; sdk/go/common/resource/config/object.go.
_ENGINES_KEY = "4dabf18193072939515e22adb298388d"
_ENCRYPTED = "secure"
_MERGE = "<<"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A secret to adopt.

    Attributes:
        live, origin: what is known of it.
        declared: what the stack file says of it.
        written: whether the stack file has it already.
        label: the staging label that its version gets; None if it has one of ours.
        intended: property of the secret to why the next update changes it.
        remarks: what could not be carried over, each a sentence.
        login: where a database login is declared; None for any other secret.
        notes: what happens to it and what to do, each a sentence.
        was_managed: whether it was the stack's before, so that the stack file is right where AWS differs: the
            next update may update it in place, and create again its policy and rotation.
    """

    live: LiveSecret
    origin: Origin
    declared: Mapping[str, Any]
    written: bool
    label: str | None
    intended: Mapping[str, str]
    remarks: Sequence[str]
    login: "LoginPlace | None" = None
    notes: Sequence[str] = ()
    was_managed: bool = False

    @property
    def name(self) -> str:
        """Its name in AWS."""
        return self.live.name


@dataclass(frozen=True, kw_only=True)
class LoginPlace:
    """Where a stack file declares a login.

    Attributes:
        database: the entry of `databases`, or of another section with logins.
        server: the settings of a new entry, without its logins; empty if the stack file has the entry.
        component: type token of the login's component.
    """

    database: str
    server: Mapping[str, Any]
    component: str = tokens.POSTGRES_LOGIN


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The stack file that the entries go to.

    Attributes:
        configuration: what it holds.
        file: the same, checked.
        mode: who writes the values of adopted secrets; None for the stack's own mode.
        account_id, region: where the stack is.
        hides_databases: whether Pulumi.yaml has databases, which one in the stack file would hide.
    """

    configuration: stack_file.Configuration
    file: StackFile
    mode: Mode | None
    account_id: str
    region: str
    hides_databases: bool = False

    @property
    def secrets(self) -> Mapping[str, Any]:
        """The entries of its `secrets`."""
        found: Mapping[str, Any] = (
            self.configuration.values.get(f"{self.configuration.project}:secrets") or {}
        )
        return found

    @property
    def databases(self) -> Mapping[str, Any]:
        """The entries of its `databases`."""
        found: Mapping[str, Any] = (
            self.configuration.values.get(f"{self.configuration.project}:databases") or {}
        )
        return found

    def with_secrets(self, secrets: Mapping[str, Any]) -> stack_file.Configuration:
        """Return the configuration with these secrets alone."""
        key = f"{self.configuration.project}:secrets"
        return replace(self.configuration, values={**self.configuration.values, key: dict(secrets)})

    def with_login(
        self, name: str, declared: Mapping[str, Any], place: LoginPlace
    ) -> stack_file.Configuration:
        """Return the configuration without secrets, with a login."""
        known = self.databases.get(place.database)
        database = {**(known or place.server), "logins": {**(known or {}).get("logins", {}), name: declared}}
        found = self.with_secrets({})
        key = f"{self.configuration.project}:databases"
        return replace(found, values={**found.values, key: {**self.databases, place.database: database}})


def entry(live: LiveSecret, origin: Origin, stack: Stack, logins: Logins | None = None) -> Entry | str:
    """Return the entry of a live secret, or why it cannot be adopted.

    Args:
        live: the secret as AWS has it.
        origin: the same as its origin declares it.
        stack: the stack file.
        logins: decides which secrets become database logins. Default: none does.
    """
    place = by_name(stack.file)[live.name].place if live.name in by_name(stack.file) else ()
    if logins and len(place) == _LOGIN_PLACE and place[2] == "logins":
        return _written_login(live, origin, stack, str(place[1]))
    written = live.name in stack.secrets
    shape = _shape(live, origin)
    login = Plain() if logins is None or written else logins.of(live, origin, shape)
    is_login = not isinstance(login, Plain)
    if reason := _obstacle(live, stack, written=written, is_login=is_login):
        return reason
    if isinstance(login, Login):
        return _login_entry(live, origin, shape, stack, login)
    return login.reason if isinstance(login, Refused) else _plain_entry(live, origin, shape, stack, login)


def _plain_entry(
    live: LiveSecret, origin: Origin, shape: Shape | None, stack: Stack, plain: Plain
) -> Entry | str:
    """Return the entry of a secret outside databases, or why it cannot be adopted."""
    written = live.name in stack.secrets
    remarks = [
        *origin.remarks,
        *filter(None, [origin.function_remark]),
        *live.remarks,
        *filter(None, [plain.remark]),
    ]
    if not written and set(live.labels) & set(OWN_LABELS):
        remarks.append(
            "its version has a label of this program. If another stack manages it, remove it there first, or "
            "that stack's destroy deletes it"
        )
    mode = by_name(stack.file)[live.name].mode if written else stack.mode or stack.file.initial_values
    if mode != "once" and live.shape is None and shape is not None and shape.content == "keys":
        return f"its mode is {mode}, whose function would add keys that the live value lacks: use --read-keys"
    if written:
        declared = dict(stack.secrets[live.name])
        remarks.append("the stack file has an entry of it already, which stays as it is")
    else:
        wanted = {**_declared(live, origin, stack, remarks), **_value(shape, origin, remarks)}
        if reserved := next(_reserved({live.name: wanted}, "secrets"), ""):
            return f"a stack file cannot hold it: {reserved}"
        checked = _checked(live.name, wanted, stack, remarks)
        if isinstance(checked, str):
            return checked
        declared = checked
    remarks += _further_remarks(live, origin, stack, declared)
    return Entry(
        live=live,
        origin=origin,
        declared=declared,
        written=written,
        label=_label(live, origin, shape),
        intended=_intended(live, declared, stack),
        remarks=remarks,
    )


_LOGIN_PLACE = 4  # databases, its name, logins, the secret's name


def _written_login(live: LiveSecret, origin: Origin, stack: Stack, database: str) -> Entry | str:
    """Return the entry of a login that the stack file declares already."""
    if reason := _obstacle(live, stack, written=True, is_login=True):
        return reason
    if live.is_rotating:
        return PENDING
    declared = dict(stack.databases[database]["logins"][live.name])
    return Entry(
        live=live,
        origin=origin,
        declared=declared,
        written=True,
        label=_label(live, origin, _shape(live, origin)),
        intended=_intended_of_login(live, declared, stack),
        remarks=["the stack file has an entry of it already, which stays as it is"],
        login=LoginPlace(database=database, server={}),
    )


def _login_entry(
    live: LiveSecret, origin: Origin, shape: Shape | None, stack: Stack, login: Login
) -> Entry | str:
    """Return the entry of a new login, or why a stack file cannot hold it."""
    if stack.hides_databases:
        return (
            "it is a database login, and Pulumi.yaml has databases for every stack, which databases in the "
            "stack file would hide: copy them there first"
        )
    mode = stack.mode or stack.file.initial_values
    if mode != "once" and (live.shape is None or protocol.URL not in live.shape.keys):
        return (
            f"it is a database login without {protocol.URL}, and its mode is {mode}, whose function would "
            "add one for a user who may not be current: adopt it with --initial-values once"
        )
    remarks = [*origin.remarks, *live.remarks]
    if set(live.labels) & set(OWN_LABELS) and not live.tags.get(_ROTATION_TAG):
        remarks.append("its version has a label of this program: remove it from the stack that had it first")
    common = _declared(live, origin, stack, remarks)
    tags = {key: value for key, value in common.pop("tags", {}).items() if not key.startswith(_ROTATION_TAG)}
    common.pop("rotation", None)
    declared = {**common, **({"tags": tags} if tags else {}), **login.settings}
    if reserved := next(_reserved({live.name: declared}, "databases"), ""):
        return f"a stack file cannot hold it: {reserved}"
    place = LoginPlace(database=login.database, server=login.server)
    path = path_of(stack.configuration.project, ("databases", login.database))
    while mistakes := [
        one
        for one in _mistakes(stack.with_login(live.name, declared, place))
        if one.path == path or one.path.startswith((f"{path}.", f"{path}["))
    ]:
        if "policy" not in declared or ".policy" not in mistakes[0].path:
            where = mistakes[0].path.removeprefix(path).lstrip(".")
            return f"a stack file cannot hold it as a login: {where or login.database}: {mistakes[0].wrong}"
        remarks.append(f"its policy stays in AWS as it is and is not managed: {mistakes[0].wrong}")
        declared = {key: value for key, value in declared.items() if key != "policy"}
    remarks += _further_remarks(live, origin, stack, declared)
    return Entry(
        live=live,
        origin=origin,
        declared=declared,
        written=False,
        label=_label(live, origin, shape),
        intended=_intended_of_login(live, declared, stack),
        remarks=remarks,
        login=place,
        notes=login.notes,
    )


def _intended_of_login(live: LiveSecret, declared: Mapping[str, Any], stack: Stack) -> dict[str, str]:
    tags = rotation_tags.of_login(
        declared.get("passwordLength", protocol.DEFAULT_PASSWORD_LENGTH),
        alternating=declared.get("users") != "single",
    )
    intended = _intended(live, declared, stack)
    added = sorted(key for key, value in tags.items() if live.tags.get(key) != value)
    if added:
        reasons = [intended["tags"]] if "tags" in intended else []
        intended["tags"] = "; ".join([*reasons, f"tags say how it rotates: {', '.join(added)}"])
    if live.rotation:
        intended["rotationLambdaArn"] = (
            f"this stack's function rotates it in place of {live.rotation.function_arn}, on the same schedule"
        )
    return intended


def _obstacle(live: LiveSecret, stack: Stack, *, written: bool, is_login: bool) -> str:
    """Return why a secret cannot be adopted, whatever its entry would be; empty if nothing is known."""
    if live.obstacles:
        return "; ".join(live.obstacles)
    if not written and live.name in by_name(stack.file):
        return "the stack file declares it under databases"
    if _ENGINES_KEY in live.tags:
        return f"it has a tag {_ENGINES_KEY}, which Pulumi reserves: remove the tag first"
    if not written and not is_login and _ROTATION_TAG in live.tags:
        return (
            f"its tag {_ROTATION_TAG} says that a stack of this program rotates it. Remove it from that "
            "stack first, then remove the tag"
        )
    return ""


def _shape(live: LiveSecret, origin: Origin) -> Shape | None:
    """Return the shape of the live value, with what the origin knows of how it was generated."""
    if live.shape is None or origin.shape is None:
        return live.shape or origin.shape
    if live.shape.content != origin.shape.content:
        return live.shape
    known = origin.shape.keys
    return replace(
        live.shape,
        keys={key: known.get(key) for key in live.shape.keys},
        whole=origin.shape.whole,
    )


def _declared(live: LiveSecret, origin: Origin, stack: Stack, remarks: list[str]) -> dict[str, Any]:
    """Return the settings of a secret, without its value."""
    declared: dict[str, Any] = {}
    if live.description:
        declared["description"] = live.description
    encryption = _encryption(live.kms_key, stack.account_id, stack.region)
    if encryption != stack.file.encryption:
        declared["encryption"] = encryption
    days = origin.recovery_window_days
    if days is not None and days != stack.file.recovery_window_days:
        declared["recoveryWindowDays"] = days
    if stack.mode and stack.mode != stack.file.initial_values:
        declared["initialValues"] = stack.mode
    tags = {key: value for key, value in live.tags.items() if stack.file.tags.get(key) != value}
    if tags:
        declared["tags"] = tags
    replicas = [
        {
            "region": replica.region,
            **(
                {"encryption": _encryption(replica.kms_key, stack.account_id, replica.region)}
                if replica.kms_key
                else {}
            ),
        }
        for replica in live.replicas
    ]
    if replicas or stack.file.replicas:
        declared["replicas"] = replicas
    if live.policy is not None:
        declared["policy"] = _policy(live.policy, remarks)
    if live.rotation is not None:
        declared["rotation"] = _rotation(live.rotation)
    return declared


def _encryption(key: str | None, account_id: str, region: str) -> str:
    if key is None:
        return "aws-managed"
    if key.startswith("arn:"):
        return key
    return f"arn:aws:kms:{region}:{account_id}:{key if key.startswith('alias/') else f'key/{key}'}"


def _policy(policy: Mapping[str, Any], remarks: list[str]) -> dict[str, Any]:
    if "Version" not in policy:
        remarks.append(f"its policy has no Version; {_OLD_VERSION}, which is what that means, is written out")
    version = policy.get("Version", _OLD_VERSION)
    others = {key: value for key, value in policy.items() if key != "Version"}
    return others if version == _VERSION else {"Version": version, **others}


def _rotation(rotation: LiveRotation) -> dict[str, Any]:
    return {
        "functionArn": rotation.function_arn,
        **(
            {"automaticallyAfterDays": rotation.automatically_after_days}
            if rotation.automatically_after_days
            else {}
        ),
        **({"scheduleExpression": rotation.schedule_expression} if rotation.schedule_expression else {}),
        **({"duration": rotation.duration} if rotation.duration else {}),
    }


def _value(shape: Shape | None, origin: Origin, remarks: list[str]) -> dict[str, Any]:
    hint = f"It is in AWS already, adopted from {visible(origin.place)}"[:_LONGEST_HINT]
    by_hand = {"filledByHand": hint}
    if shape is None:
        remarks.append("its keys are not known, so it is declared as one text: list them with --read-keys")
        return {"text": by_hand}
    if shape.content == "keys":
        return {"values": {key: _source(how) or by_hand for key, how in shape.keys.items()}}
    return {shape.content: _source(shape.whole) or by_hand}


def _source(generated: Generated | None) -> dict[str, Any] | None:
    return {generated.kind: dict(generated.options)} if generated else None


def _checked(name: str, declared: dict[str, Any], stack: Stack, remarks: list[str]) -> dict[str, Any] | str:
    """Return what the stack file's checks take of an entry, or why they take nothing of it."""
    place = path_of(stack.configuration.project, ("secrets", name))
    while True:
        mistakes = _mistakes(stack.with_secrets({name: declared}))
        own = [
            one for one in mistakes if one.path == place or one.path.startswith((f"{place}.", f"{place}["))
        ]
        if not own:
            return declared
        # what is not declared is not managed: it stays in AWS as it is
        parts = [
            part
            for part in ("policy", "rotation")
            if part in declared and own[0].path.startswith(f"{place}.{part}")
        ]
        if not parts:
            return (
                f"a stack file cannot hold it: {own[0].path.removeprefix(place).lstrip('.') or name}: "
                f"{own[0].wrong}"
            )
        remarks.append(f"its {parts[0]} stays in AWS as it is and is not managed: {own[0].wrong}")
        declared = {key: value for key, value in declared.items() if key != parts[0]}


def _reserved(value: object, place: str) -> Iterator[str]:
    """Yield where a map would be read by Pulumi or YAML as something other than a map."""
    if isinstance(value, Mapping):
        if value.keys() == {_ENCRYPTED}:
            yield f"{place}: a map with the only key {_ENCRYPTED} is an encrypted value for Pulumi"
        for key in {_ENGINES_KEY, _MERGE} & value.keys():
            yield f"{place}: the key {key} is reserved"
        for key, item in value.items():
            yield from _reserved(item, f"{place}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from _reserved(item, place)


def _mistakes(configuration: stack_file.Configuration) -> Sequence[stack_file.Mistake]:
    try:
        stack_file.check(configuration)
    except stack_file.SettingsError as error:
        return error.mistakes
    return ()


def _further_remarks(
    live: LiveSecret, origin: Origin, stack: Stack, declared: Mapping[str, Any]
) -> Iterator[str]:
    if origin.recovery_window_days is None and "recoveryWindowDays" not in declared:
        yield (
            "AWS does not keep the recovery window, so the stack's applies: "
            f"{stack.file.recovery_window_days} days"
        )
    if live.shape is None and origin.version_id and origin.version_id != live.current:
        yield (
            "its value was changed since the origin wrote it, so its keys may be others: --read-keys "
            "lists them"
        )


def _label(live: LiveSecret, origin: Origin, shape: Shape | None) -> str | None:
    if set(live.labels) & set(OWN_LABELS):
        return None
    known = live.shape is not None or origin.version_id == live.current
    # the label of a placeholder that nobody has filled in yet
    return INITIAL_VERSION_LABEL if known and shape and shape.empty_keys else ADOPTED_LABEL


def _intended(live: LiveSecret, declared: Mapping[str, Any], stack: Stack) -> dict[str, str]:
    intended = {}
    tags = {**_default_tags(stack), **stack.file.tags}
    added = sorted(key for key in tags if live.tags.get(key) != tags[key])
    if added and not (declared.get("tags") or {}).keys() & set(added):
        intended["tags"] = f"the stack's tags are added: {', '.join(added)}"
    if live.kms_key and not live.kms_key.startswith("arn:"):
        intended["kmsKeyId"] = f"its key {live.kms_key} is named by its ARN"
    return intended


def _default_tags(stack: Stack) -> Mapping[str, str]:
    """Return the tags that the provider adds to everything (aws:defaultTags)."""
    given = stack.configuration.values.get("aws:defaultTags")
    tags = given.get("tags") if isinstance(given, dict) else None
    return tags if isinstance(tags, dict) else {}
