"""Models of `notices` in a stack file: a daily message while secrets need attention."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stack_file.mistakes import matching, refusal
from stack_file.model import Model
from stack_file.secrets import JsonKey, SecretName

TopicArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}",
        "not the ARN of an SNS topic, or that of a FIFO topic",
        "Nobody would be notified",
        "Use arn:aws:sns:REGION:ACCOUNT:NAME",
    ),
]
TopicKeyArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+",
        "not the ARN of a KMS key",
        "The function could not publish to the encrypted topic",
        "Use arn:aws:kms:REGION:ACCOUNT:key/ID",
    ),
]


class Webhook(Model):
    """A webhook, whose URL is the value of a secret of this stack."""

    secret: Annotated[SecretName, Field(description="The stack's secret that holds the URL")]
    key: Annotated[
        JsonKey | None, Field(description="Its JSON key; left out for a secret that is one text")
    ] = None
    format: Annotated[
        Literal["slack", "teams", "pagerduty"],
        Field(
            description="What the webhook accepts; for pagerduty the secret holds the integration key instead"
        ),
    ] = "slack"


class Notices(Model):
    """A daily message while secrets need attention, to an SNS topic, a webhook, or both."""

    topic_arn: Annotated[TopicArn | None, Field(description="SNS topic to publish to")] = None
    topic_key_arn: Annotated[
        TopicKeyArn | None, Field(description="KMS key of the topic, if it is encrypted with your own key")
    ] = None
    webhook: Annotated[
        Webhook | None, Field(description="Webhook of Slack, Microsoft Teams or PagerDuty")
    ] = None
    hour: Annotated[int, Field(ge=0, le=23, description="Hour of the day in UTC")] = 8

    @model_validator(mode="after")
    def _somewhere(self) -> "Notices":
        if self.topic_arn is None and self.webhook is None:
            raise refusal(
                "notices has neither topicArn nor webhook",
                "Nobody would be notified",
                "Set topicArn: ARN, webhook: {secret: NAME, key: KEY}, or both",
            )
        if self.topic_key_arn is not None and self.topic_arn is None:
            raise refusal(
                "topicKeyArn is set without topicArn", "It would be ignored", "Set topicArn, or remove it"
            )
        return self
