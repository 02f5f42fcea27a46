"""What goes wrong, in words for the operator. No message holds a value of a secret."""


class OperatorError(Exception):
    """Something an operator can put right: what is wrong, where, and what to do."""


class LoginRefusedError(OperatorError):
    """The database knows no such user and password; whether the user exists it does not tell."""


class PendingOutdatedError(OperatorError):
    """The pending version no longer fits the current one; it can only be given up."""
