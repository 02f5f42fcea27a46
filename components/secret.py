"""A secret in AWS Secrets Manager with JSON values that later updates never overwrite."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import pulumi
import pulumi_aws as aws

from components.guards import Guards, register_guards
from components.initial_value import FilledByHand, Given, InitialValue, declaration, origin, resolve
from components.value_writer import ValueWriter
from components.visible import visible

Mode: TypeAlias = Literal["once", "managed", "account"]


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
        values: JSON key to where its value comes from; at least one.
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
        ValueError: there is no writer for a mode that needs one.
    """

    secret_name: str
    values: Mapping[str, InitialValue]
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


class Secret(pulumi.ComponentResource):
    """A secret, the random values it begins with, what writes its values, and its policy if it has one.

    What rotation or a person writes stays, whatever changes in the program; so does a value whose origin
    changes in `values`, until its generation is raised.

    Attributes:
        arn: full ARN with AWS's random suffix.
        secret_name: name in AWS.
        references: JSON key to `ARN:key::`, the form that ECS and others read one key by.
    """

    arn: pulumi.Output[str]
    secret_name: pulumi.Output[str]
    keys: list[str]
    filled_by_hand: dict[str, str]
    references: pulumi.Output[dict[str, str]]

    def __init__(self, name: str, args: SecretArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        guards = args.guards or register_guards(name)
        # not written to AWS: by it a preview says what changed, and whether AWS keeps what it has
        inputs: dict[str, object] = {
            "initialValues": {key: origin(value) for key, value in args.values.items()},
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
        self.references = secret.arn.apply(lambda arn: {key: f"{arn}:{key}::" for key in args.values})
        self.register_outputs(
            {"arn": self.arn, "secretName": self.secret_name, "references": self.references}
        )

    def _initial_version(
        self, name: str, args: SecretArgs, guards: Guards, secret: "aws.secretsmanager.Secret"
    ) -> "aws.secretsmanager.SecretVersion":
        first_values = {
            # ":" cannot be part of a secret's name, so no two secrets make the same child name
            key: resolve(f"{name}-random:{key}", value, pulumi.ResourceOptions(parent=self))
            for key, value in args.values.items()
        }
        return aws.secretsmanager.SecretVersion(
            f"{name}-initial-version",
            secret_id=secret.arn,
            secret_string=pulumi.Output.json_dumps(first_values),
            # AWSCURRENT for a secret of this update alone: put again, by whatever accident, this version
            # changes no live value (components/first_version.py)
            version_stages=secret.arn.apply(guards.first_versions.labels),
            opts=pulumi.ResourceOptions(
                parent=self,
                ignore_changes=["secretString", "versionStages"],
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
        """Tells the writer which keys there are to be (functions/writer/request.py)."""
        request: dict[str, object] = {
            "Action": "write",
            "SecretId": secret.arn,
            "Keys": {key: declaration(value) for key, value in args.values.items()},
            "RemovedKeys": list(args.removed_keys),
        }
        given = any(
            isinstance(value, Given) and isinstance(value.value, pulumi.Output)
            for value in args.values.values()
        )
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


def _warn(name: str, answer: str) -> None:
    for sentence in json.loads(answer)["Warnings"]:
        pulumi.log.warn(visible(f"{name}: {sentence}"))
