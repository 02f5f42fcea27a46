"""Errors for an operator. No message contains a value of a secret."""


class OperatorError(Exception):
    """A problem that an operator can solve; the message says what is wrong, where, and what to do."""


class ConflictError(OperatorError):
    """Somebody else has changed the secret since it was read."""


class LabelLimitError(OperatorError):
    """The secret has as many staging labels as AWS allows."""


class UnavailableError(OperatorError):
    """AWS did not answer or is overloaded; the call may have been carried out."""


class RefusedError(OperatorError):
    """AWS rejected a call, and would reject it again."""
