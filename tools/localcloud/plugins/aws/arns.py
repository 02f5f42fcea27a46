"""ARNs that the provider rejects before it calls AWS."""

import re

_SECTIONS = 6
_RULES = (
    (1, "partition", r"aws(-[a-z]+)*"),
    (3, "region", r"([a-z]{2}(-[a-z]+)+-\d)?"),
    (4, "account ID", r"(aws|aws-managed|third-party|\d{12}|cw.{10})?"),
)


def refusal(name: str, value: object) -> str | None:
    """Return why a known value is not a valid ARN, without the value; `name` is Terraform's."""
    if not isinstance(value, str) or not value:
        return None
    about = f'"{name}" is an invalid ARN'
    if not value.startswith("arn:"):
        return f"{about}: arn: invalid prefix"
    parts = value.split(":", _SECTIONS - 1)
    if len(parts) != _SECTIONS:
        return f"{about}: arn: not enough sections"
    for at, what, pattern in _RULES:
        if not re.fullmatch(pattern, parts[at]):
            return f"{about}: invalid {what} value"
    return None if parts[-1] else f"{about}: missing resource value"
