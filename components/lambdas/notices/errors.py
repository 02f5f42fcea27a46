"""The function's error for operators."""


class NoticeError(Exception):
    """A message was not sent, or the secrets could not be checked. The text contains no value."""
