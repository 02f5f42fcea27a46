"""A secret in AWS Secrets Manager whose values later updates never overwrite."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

import pulumi
import pulumi_aws as aws

from . import tokens
from .checks import (
    ArgumentError,
    check_choice,
    check_plain_text,
    check_recovery_window,
    check_secret_name,
    check_strings,
)
from .hooks import Hooks, register_hooks
from .initial_value import (
    FilledByHand,
    Given,
    InitialValue,
    Structure,
    Text,
    Whole,
    check_source,
    declaration,
    origin,
    random_name,
    resolve,
    resolve_whole,
)
from .lambdas.writer import protocol
from .policies import key_arn
from .read_access import read_policy
from .rotation import Rotation, RotationArgs, Schedule
from .rotation_function import RotationFunction
from .rotation_tags import RenewedKeys
from .secret_copier import CopyOf, SecretCopier
from .value_writer import ValueWriter
from .visible import visible

Mode: TypeAlias = Literal["once", "managed", "account"]
Content: TypeAlias = Literal["keys", "text", "binary"]


@dataclass(frozen=True, kw_only=True)
class Replica:
    """A copy in another region.

    Attributes:
        region: the region's code, such as `eu-west-1`.
        kms_key_id: ARN, ID or alias of a key in that region. Default: `aws/secretsmanager`.

    Raises:
        ArgumentError: the region is empty.
    """

    region: str
    kms_key_id: pulumi.Input[str] | None = None

    def __post_init__(self) -> None:
        check_plain_text("Replica", "region", self.region)


@dataclass(frozen=True, kw_only=True)
class SecretArgs:
    """Arguments of a secret.

    Attributes:
        secret_name: name in AWS, 1 to 512 letters, digits and /_+=.@-
        values: JSON key to the source of its initial value. Default: none, for a secret with a whole value.
        whole: source of the initial value of a secret that is one text or binary, without JSON keys.
            Default: none.
        mode: who writes values. once: Pulumi writes the initial values, and nothing later; managed: the
            writer also adds and regenerates keys; account: the writer makes every value, and Pulumi's state
            holds none, except configured ones. Default: once.
        writer: the writer, for the modes managed and account. Default: none.
        removed_keys: JSON keys that the writer removes. Default: none.
        description: shown in the Secrets Manager console. Default: none.
        kms_key_id: ARN, ID or alias of the key that encrypts it. Default: `aws/secretsmanager`.
        recovery_window_days: days in which a deleted secret can be restored, 7 to 30; 0 deletes at once.
            Default: 30.
        policy: resource policy, IAM JSON as a mapping; rejected if it grants public access. Default: none.
        replicas: copies in other regions. Default: none.
        tags: tags of the secret. Default: none.
        partner_type: AWS's type of a vendor's credentials that AWS rotates itself; a changed one replaces
            the secret. Default: none.
        renewed_keys: JSON keys that our rotation function replaces with new random values. Default: none.
        copy_of: the secret that is being renamed to this one. As long as it is set, this one gets its values,
            and nothing else writes them. Default: none.
        hooks: hooks shared with the program's other secrets. Default: its own.

    Raises:
        ArgumentError: an argument cannot work; the message says what to write instead.
    """

    secret_name: str
    values: Mapping[str, InitialValue] = field(default_factory=dict)
    whole: Whole | None = None
    mode: Mode = "once"
    writer: ValueWriter | None = None
    removed_keys: Sequence[str] = ()
    description: str | None = None
    kms_key_id: pulumi.Input[str] | None = None
    recovery_window_days: int = 30
    policy: Mapping[str, object] | None = None
    replicas: Sequence[Replica] = ()
    tags: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    partner_type: str | None = None
    renewed_keys: RenewedKeys | None = None
    copy_of: CopyOf | None = None
    hooks: Hooks | None = None

    def __post_init__(self) -> None:
        check_secret_name(self.secret_name)
        where = f"secret {self.secret_name}"
        check_choice(where, "mode", self.mode, get_args(Mode))
        check_recovery_window(where, self.recovery_window_days)
        check_strings(where, "removed_keys", self.removed_keys)
        for key, value in self.values.items():
            check_source(f"{where}: values[{key!r}]", value)
        if self.whole is not None and not isinstance(self.whole, Whole):
            raise ArgumentError(f"{where}: whole is not Text(source=...) or Binary(source=...)")
        if self.mode != "once" and self.writer is None:
            raise ArgumentError(f"{where}: mode {self.mode} needs a writer: write writer=ValueWriter(...)")
        if self.copy_of and self.copy_of.secret_name == self.secret_name:
            raise ArgumentError(f"{where}: copy_of names the secret itself")
        if self.whole is not None and (self.values or self.removed_keys):
            raise ArgumentError(f"{where}: a whole value has no keys: set whole, or values and removed_keys")


class Secret(pulumi.ComponentResource):
    """A secret in AWS Secrets Manager whose values later updates never overwrite.

    It declares the secret, its random values, its initial version, and its resource policy if it has one.
    Whatever rotation or a person writes later stays, and so does a value whose source changes in `values`,
    until its generation is raised.

    Attributes:
        arn: full ARN with AWS's random suffix.
        secret_name: name in AWS.
        keys: its JSON keys; none of a whole value.
        filled_by_hand: JSON key to where a person gets its value.
        hint: where a person gets the whole value; None unless it is a placeholder.
        references: JSON key to `ARN:key::`, the form in which Amazon ECS reads one key; without keys that
            contain a colon.

    Raises:
        ArgumentError: it has neither keys nor a whole value.
    """

    arn: pulumi.Output[str]
    secret_name: pulumi.Output[str]
    keys: list[str]
    filled_by_hand: dict[str, str]
    hint: str | None
    references: pulumi.Output[dict[str, str]]

    def __init__(self, name: str, args: SecretArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        if not args.values and args.whole is None:
            raise ArgumentError(
                f"secret {args.secret_name}: it has no values: write values={{'KEY': Random(length=32)}}, "
                "or whole=Text(source=...)"
            )
        hooks = args.hooks or register_hooks(name)
        self._args = args
        # not written to AWS: previews and reports compare them, to say what changes and what AWS keeps
        inputs: dict[str, object] = {
            "initialValues": {key: origin(value) for key, value in args.values.items()},
            **({self.content: origin(args.whole.source)} if args.whole else {}),
            **({} if args.mode == "once" else {"mode": args.mode}),
            **({"removedKeys": list(args.removed_keys)} if args.removed_keys else {}),
            **({"copyOf": args.copy_of.secret_name} if args.copy_of else {}),
        }
        binding = pulumi.ResourceHookBinding(before_update=[hooks.undeployed_changes])
        super().__init__(
            tokens.SECRET,
            name,
            inputs,
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(hooks=binding)),
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
            tags={**args.tags, **(args.renewed_keys.tags if args.renewed_keys else {})} or None,
            type=args.partner_type,
            opts=pulumi.ResourceOptions(
                parent=self,
                hooks=pulumi.ResourceHookBinding(
                    on_error=[hooks.taken_name], after_create=[hooks.secret_created]
                ),
            ),
        )
        written: list[pulumi.Resource] = []
        self._copier = SecretCopier(args.secret_name, secret, args.copy_of, self) if args.copy_of else None
        if self._copier:
            written = [self._copier.copied]
        elif args.mode != "account":
            written = [self._initial_version(name, args, hooks, secret)]
        if args.writer and args.mode != "once" and not self._copier:
            written = [*written, self._write(name, args, args.writer, secret, written)]
        self._written: list[pulumi.Resource] = written
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

    @property
    def copier(self) -> SecretCopier | None:
        """The function that copies the values of another secret; None unless `copy_of` is set."""
        return self._copier

    @property
    def written(self) -> list[pulumi.Resource]:
        """The resources after which it has its initial value."""
        return list(self._written)

    @property
    def content(self) -> Content:
        """The kind of the secret's value: JSON keys, one text, or binary."""
        return _content(self._args.whole)

    def grant_read(
        self, role: "aws.iam.Role | pulumi.Input[str]", name: str | None = None
    ) -> "aws.iam.RolePolicy":
        """Let a role read this secret, and decrypt it if a key other than AWS's own encrypts it.

        Args:
            role: the role, or its name.
            name: logical name of the policy. Default: the secret's, `-read-by-`, and the role's.

        Returns:
            The policy, for others to depend on.

        Raises:
            ArgumentError: the role's name is an Output, and `name` is left out.
        """
        reader: object = role
        role_name: pulumi.Input[str]
        if isinstance(role, aws.iam.Role):
            reader, role_name = role.pulumi_resource_name, role.name
        else:
            role_name = role
        if name is None:
            check_plain_text(f"grant_read of secret {self._args.secret_name}", "role without a name", reader)
            name = f"{self.pulumi_resource_name}-read-by-{reader}"
        return aws.iam.RolePolicy(
            name,
            role=role_name,
            policy=pulumi.Output.all(self.arn, self._args.kms_key_id).apply(
                lambda known: _policy_of_reader(known[0], known[1])
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def rotate_with(
        self,
        function: RotationFunction | pulumi.Input[str],
        schedule: Schedule | None = None,
        after: Sequence[pulumi.Resource] = (),
    ) -> Rotation:
        """Rotate this secret with a function.

        Args:
            function: our function, or the ARN of one that Secrets Manager may invoke.
            schedule: when. Default: every 30 days.
            after: what must exist first besides the secret's value. Default: nothing.

        Raises:
            ArgumentError: our function may not write this secret, or the secret does not say what it renews.
        """
        where = f"rotate_with of secret {self._args.secret_name}"
        if isinstance(function, RotationFunction):
            if self._args.secret_name not in function.secret_names:
                raise ArgumentError(
                    f"{where}: the function may not write the secret: add its name to secret_names"
                )
            if self._args.renewed_keys is None:
                raise ArgumentError(
                    f"{where}: the secret does not say what a rotation renews: write "
                    "renewed_keys=RenewedKeys(keys=[...]) in its arguments"
                )
        return Rotation(
            f"{self.pulumi_resource_name}-rotation",
            RotationArgs(
                secret_arn=self.arn,
                function=function,
                schedule=schedule or Schedule(automatically_after_days=30),
                # not the whole secret: the rotation is a child of it
                after=[*self._written, *after],
            ),
            pulumi.ResourceOptions(parent=self),
        )

    def _initial_version(
        self, name: str, args: SecretArgs, hooks: Hooks, secret: "aws.secretsmanager.Secret"
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
            # AWSCURRENT only for a secret that this update created: put again, for whatever reason, this
            # version replaces no live value (first_version.py)
            version_stages=secret.arn.apply(hooks.first_versions.labels),
            opts=pulumi.ResourceOptions(
                parent=self,
                # both: the program may change a secret from text to binary
                ignore_changes=["secretString", "secretBinary", "versionStages"],
                hooks=pulumi.ResourceHookBinding(after_create=[hooks.version_created]),
                deleted_with=secret,
                # when the mode becomes account, the provider would wait in vain for its labels to go
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
    ) -> "aws.lambda_.Invocation":
        """Send the writer the declared values (lambdas/writer/request.py)."""
        request: dict[str, object] = {protocol.ACTION: protocol.WRITE, protocol.SECRET_ID: secret.arn}
        if args.whole is not None:
            request[protocol.TEXT if self.content == "text" else protocol.BINARY] = declaration(
                args.whole.source
            )
        else:
            request[protocol.KEYS] = {key: declaration(value) for key, value in args.values.items()}
            request[protocol.REMOVED_KEYS] = list(args.removed_keys)
        sources = [args.whole.source] if args.whole else args.values.values()
        given = any(isinstance(value, Given) and isinstance(value.value, pulumi.Output) for value in sources)
        if given:
            request[protocol.SALT] = writer.salt
        written = aws.lambda_.Invocation(
            f"{name}-values",
            function_name=writer.function_name,
            input=pulumi.Output.json_dumps(request),
            # a changed request replaces the invocation, so a failed one is sent again: the provider takes a
            # failed update for done (lambda/invocation.go of the Terraform provider)
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[writer, *after],
                deleted_with=secret,
                additional_secret_outputs=["input"] if given else None,
            ),
        )
        written.result.apply(lambda text: _warn(name, text))
        return written


def _content(whole: Whole | None) -> Content:
    if whole is None:
        return "keys"
    return "text" if isinstance(whole, Text) else "binary"


def _policy_of_reader(arn: str, kms_key_id: str | None) -> str:
    _, partition, _, region, account_id, *_ = arn.split(":")
    key = key_arn(kms_key_id, partition=partition, region=region, account_id=account_id)
    return read_policy(region, [arn], [key] if key else [])


def _warn(name: str, answer: str) -> None:
    for sentence in json.loads(answer)[protocol.WARNINGS]:
        pulumi.log.warn(visible(f"{name}: {sentence}"))
