"""The SMTP endpoint of Amazon SES; the components use this module too."""


def endpoint(partition: str, region: str) -> str:
    """Return the SMTP endpoint of a region."""
    return f"email-smtp.{region}.amazonaws.com{'.cn' if partition == 'aws-cn' else ''}"
