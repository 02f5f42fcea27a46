"""What goes wrong, in words for the operator. No message holds a value of a secret."""


class OperatorError(Exception):
    """Something an operator can put right: what is wrong, where, and what to do."""


class ConflictError(OperatorError):
    """Somebody else changed the secret since it was read."""


class LabelLimitError(OperatorError):
    """The secret has as many staging labels as AWS allows."""


class UnavailableError(OperatorError):
    """No answer, or AWS is busy: whether the call was carried out is not known."""


class RefusedError(OperatorError):
    """AWS refuses a call, and would refuse it again."""
