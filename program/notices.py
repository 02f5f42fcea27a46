"""Declare the function that sends a message while secrets need attention, if the stack file asks for it."""

from collections.abc import Callable

import pulumi

from components.function_parts import FunctionSettings
from components.notices import NoticedSecret, Notices, NoticesArgs, NoticeWebhook
from program.desired import NOTICES, Desired, DesiredSecret
from program.rehearsed import rehearsed
from program.secret_args import SecretDefaults

# `encryption` of a secret to the ARN of its key; None for the AWS managed key
KeyOf = Callable[[str], pulumi.Input[str] | None]


def declare(defaults: SecretDefaults) -> Notices | None:
    """Declare it; return None if the stack file has no `notices`."""
    args = args_of(defaults.desired, defaults.function_settings(), defaults.kms_key_arn)
    return Notices(NOTICES, args) if args else None


def args_of(desired: Desired, common: FunctionSettings, key_of: KeyOf) -> NoticesArgs | None:
    """Return the arguments of the component; None if the stack file has no `notices`.

    Args:
        desired: the stack.
        common: settings of its functions.
        key_of: returns the key of a secret.
    """
    notices = desired.stack_file.notices
    if notices is None:
        return None
    webhook, rehearsal = notices.webhook, desired.stack_file.rehearsal
    rehearsal_of = dict.fromkeys(rehearsed(desired), rehearsal.every_days) if rehearsal else {}
    return NoticesArgs(
        common=common,
        title=f"{desired.project}/{desired.stack}",
        secrets=[_noticed(secret, rehearsal_of.get(secret.name)) for secret in desired.secrets.values()],
        topic_arn=notices.topic_arn,
        topic_key_arn=notices.topic_key_arn,
        webhook=NoticeWebhook(
            secret_name=webhook.secret,
            key=webhook.key,
            format=webhook.format,
            kms_key_arn=key_of(desired.secrets[webhook.secret].encryption),
        )
        if webhook
        else None,
        hour=notices.hour,
        remind_days=desired.stack_file.remind_days,
        rehearsal_log_group=desired.rehearsal_log_group if rehearsal_of else None,
    )


def _noticed(secret: DesiredSecret, rehearse_days: int | None) -> NoticedSecret:
    return NoticedSecret(
        secret_name=secret.name,
        max_age_days=secret.max_age_days,
        expires=secret.expires,
        filled_by_hand=secret.placeholders,
        rotates=secret.schedule is not None,
        rehearse_days=rehearse_days,
    )
