"""Errors for an operator. No message contains a value of a secret."""


class OperatorError(Exception):
    """A problem that an operator can solve; the message says what is wrong, where, and what to do.

    The message is one printable line: applications choose the names of roles and keys, and none of those may
    break the line or hide in it.
    """

    def __init__(self, message: str) -> None:
        super().__init__(
            "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)
        )


class LoginRefusedError(OperatorError):
    """The database rejected the password, or the user does not exist: it does not say which."""


class LoginBusyError(OperatorError):
    """The password is right, but the application uses all connections that the user is allowed."""


class ValueRefusedError(OperatorError):
    """The secret's value does not log in; another rotation may repair that."""


class PendingOutdatedError(OperatorError):
    """The pending version no longer fits the current one, and its rotation must be abandoned."""
