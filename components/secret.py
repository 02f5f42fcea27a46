"""A secret in AWS Secrets Manager whose values later updates never overwrite."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import pulumi
import pulumi_aws as aws

from components.guards import Guards, register_guards
from components.initial_value import (
    FilledByHand,
    Given,
    InitialValue,
    Structure,
    Text,
    Whole,
    declaration,
    origin,
    random_name,
    resolve,
    resolve_whole,
)
from components.value_writer import ValueWriter
from components.visible import visible

Mode: TypeAlias = Literal["once", "managed", "account"]
Content: TypeAlias = Literal["keys", "text", "binary"]


@dataclass(frozen=True, kw_only=True)
class Replica:
    """A copy in another region.

    Attributes:
        region: the region's code.
        kms_key_id: ARN, key id or alias of a key in that region; AWS's own key if left out.
    """

    region: str
    kms_key_id: pulumi.Input[str] | None = None


@dataclass(frozen=True, kw_only=True)
class SecretArgs:
    """What a secret is called, holds at first, and how it is kept.

    Attributes:
        secret_name: the name in AWS, 1 to 512 of the characters A-Z a-z 0-9 / _ + = . @ -
        values: JSON key to where its value comes from; at least one unless there is a whole value.
        whole: where its value comes from, if that is one text or binary and has no keys.
        mode: who writes values. once: Pulumi writes the first ones, and nothing later; managed: the writer
            adds and regenerates keys after that; account: the writer makes every value, and none is in
            Pulumi's state, unless it is Given.
        writer: for managed and account.
        removed_keys: JSON keys that the writer takes out.
        description: shown in the Secrets Manager console.
        kms_key_id: ARN, key id or alias; AWS's own key `aws/secretsmanager` if left out.
        recovery_window_days: 7 to 30 days in which a deleted secret can be restored; 0 deletes at once.
        policy: a resource policy document (IAM JSON as a mapping); refused if it makes the secret public.
        replicas: copies in other regions.
        tags: tags of the secret.
        partner_type: AWS's type of a vendor's credentials that it rotates itself; another one replaces the
            secret.
        guards: hooks shared with other secrets of the program; hooks of its own if left out.

    Raises:
        ValueError: there is no writer for a mode that needs one, or there are keys in a whole value.
    """

    secret_name: str
    values: Mapping[str, InitialValue]
    whole: Whole | None = None
    mode: Mode = "once"
    writer: ValueWriter | None = None
    removed_keys: Sequence[str] = ()
    description: str | None = None
    kms_key_id: pulumi.Input[str] | None = None
    recovery_window_days: int = 30
    policy: Mapping[str, object] | None = None
    replicas: Sequence[Replica] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    partner_type: str | None = None
    guards: Guards | None = None

    def __post_init__(self) -> None:
        if self.mode != "once" and self.writer is None:
            raise ValueError(
                f"{self.secret_name}: the mode {self.mode} needs a writer; nothing else would write"
            )
        if self.whole is not None and (self.values or self.removed_keys):
            raise ValueError(f"{self.secret_name}: a whole value has no keys")


class Secret(pulumi.ComponentResource):
    """A secret, the random values it begins with, what writes its values, and its policy if it has one.

    What rotation or a person writes stays, whatever changes in the program; so does a value whose origin
    changes in `values`, until its generation is raised.

    Attributes:
        arn: full ARN with AWS's random suffix.
        secret_name: name in AWS.
        keys: its JSON keys; none of a whole value.
        content: whether it has keys, or is one text or binary.
        filled_by_hand: JSON key to where a person gets its value.
        hint: where a person gets the whole value, if one fills it.
        references: JSON key to `ARN:key::`, the form that ECS and others read one key by; without keys that
            have a colon, which cannot be named so.
    """

    arn: pulumi.Output[str]
    secret_name: pulumi.Output[str]
    keys: list[str]
    content: Content
    filled_by_hand: dict[str, str]
    hint: str | None
    references: pulumi.Output[dict[str, str]]

    def __init__(self, name: str, args: SecretArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        guards = args.guards or register_guards(name)
        # not written to AWS: by it a preview says what changed, and whether AWS keeps what it has
        self.content = _content(args.whole)
        inputs: dict[str, object] = {
            "initialValues": {key: origin(value) for key, value in args.values.items()},
            **({self.content: origin(args.whole.source)} if args.whole else {}),
            **({} if args.mode == "once" else {"mode": args.mode}),
            **({"removedKeys": list(args.removed_keys)} if args.removed_keys else {}),
        }
        hooks = pulumi.ResourceHookBinding(before_update=[guards.out_of_reach])
        super().__init__(
            "aws-secrets:index:Secret",
            name,
            inputs,
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(hooks=hooks)),
        )
        secret = aws.secretsmanager.Secret(
            f"{name}-secret",
            name=args.secret_name,
            description=args.description,
            kms_key_id=args.kms_key_id,
            recovery_window_in_days=args.recovery_window_days,
            replicas=[
                aws.secretsmanager.SecretReplicaArgs(region=replica.region, kms_key_id=replica.kms_key_id)
                for replica in args.replicas
            ]
            or None,
            tags=dict(args.tags) or None,
            type=args.partner_type,
            opts=pulumi.ResourceOptions(
                parent=self,
                hooks=pulumi.ResourceHookBinding(
                    on_error=[guards.taken_name], after_create=[guards.secret_created]
                ),
            ),
        )
        written = [] if args.mode == "account" else [self._initial_version(name, args, guards, secret)]
        if args.writer and args.mode != "once":
            self._write(name, args, args.writer, secret, written)
        if args.policy is not None:
            aws.secretsmanager.SecretPolicy(
                f"{name}-policy",
                secret_arn=secret.arn,
                policy=pulumi.Output.json_dumps(args.policy),
                block_public_policy=True,
                opts=pulumi.ResourceOptions(parent=self, deleted_with=secret),
            )
        self.arn = secret.arn
        self.secret_name = secret.name
        self.keys = list(args.values)
        self.filled_by_hand = {
            key: value.hint for key, value in args.values.items() if isinstance(value, FilledByHand)
        }
        source = args.whole.source if args.whole else None
        self.hint = source.hint if isinstance(source, FilledByHand) else None
        self.references = secret.arn.apply(
            lambda arn: {key: f"{arn}:{key}::" for key in args.values if ":" not in key}
        )
        self.register_outputs(
            {"arn": self.arn, "secretName": self.secret_name, "references": self.references}
        )

    def _initial_version(
        self, name: str, args: SecretArgs, guards: Guards, secret: "aws.secretsmanager.Secret"
    ) -> "aws.secretsmanager.SecretVersion":
        options = pulumi.ResourceOptions(parent=self)
        if args.whole is not None:
            value = resolve_whole(random_name(name, ""), args.whole, options)
        else:
            first_values = {
                key: value.value
                if isinstance(value, Structure)
                else resolve(random_name(name, key), value, options)
                for key, value in args.values.items()
            }
            value = {"secret_string": pulumi.Output.json_dumps(first_values)}
        return aws.secretsmanager.SecretVersion(
            f"{name}-initial-version",
            secret_id=secret.arn,
            **value,
            # AWSCURRENT for a secret of this update alone: put again, by whatever accident, this version
            # changes no live value (components/first_version.py)
            version_stages=secret.arn.apply(guards.first_versions.labels),
            opts=pulumi.ResourceOptions(
                parent=self,
                # both kinds: a secret's content may change from one to the other in the program
                ignore_changes=["secretString", "secretBinary", "versionStages"],
                hooks=pulumi.ResourceHookBinding(after_create=[guards.version_created]),
                deleted_with=secret,
                # where the mode becomes account: the provider would wait in vain for its labels to go
                retain_on_delete=True,
            ),
        )

    def _write(
        self,
        name: str,
        args: SecretArgs,
        writer: ValueWriter,
        secret: "aws.secretsmanager.Secret",
        after: Sequence[pulumi.Resource],
    ) -> None:
        """Tells the writer what there is to be (functions/writer/request.py)."""
        request: dict[str, object] = {"Action": "write", "SecretId": secret.arn}
        if args.whole is not None:
            request[self.content.title()] = declaration(args.whole.source)
        else:
            request["Keys"] = {key: declaration(value) for key, value in args.values.items()}
            request["RemovedKeys"] = list(args.removed_keys)
        sources = [args.whole.source] if args.whole else args.values.values()
        given = any(isinstance(value, Given) and isinstance(value.value, pulumi.Output) for value in sources)
        if given:
            request["Salt"] = writer.salt
        written = aws.lambda_.Invocation(
            f"{name}-values",
            function_name=writer.function_name,
            input=pulumi.Output.json_dumps(request),
            # a changed request replaces the invocation, so that one which failed is sent again: the provider
            # would take a failed update for done (lambda/invocation.go of the Terraform provider)
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[writer, *after],
                deleted_with=secret,
                additional_secret_outputs=["input"] if given else None,
            ),
        )
        written.result.apply(lambda text: _warn(name, text))


def _content(whole: Whole | None) -> Content:
    if whole is None:
        return "keys"
    return "text" if isinstance(whole, Text) else "binary"


def _warn(name: str, answer: str) -> None:
    for sentence in json.loads(answer)["Warnings"]:
        pulumi.log.warn(visible(f"{name}: {sentence}"))
