"""Serve the components to the engine."""

import sys
from importlib import metadata

import pulumi
from pulumi.errors import InputPropertyError
from pulumi.provider import ConstructResult, main
from pulumi.provider.experimental.component import ComponentProvider
from pulumi.provider.server import ComponentInitError

from ..checks import ArgumentError
from .hosted import COMPONENTS

PACKAGE = "aws-secrets"
"""Name of the Pulumi package: the components have the same type tokens in every language."""

_DISTRIBUTION = "pulumi-aws-secrets"


class Provider(ComponentProvider):
    """Pulumi's component provider, with one line for an argument that cannot work instead of a traceback."""

    def construct(
        self,
        name: str,
        resource_type: str,
        inputs: pulumi.Inputs,
        options: pulumi.ResourceOptions | None = None,
    ) -> ConstructResult:
        """Declare a component.

        Raises:
            InputPropertyError: an input cannot work.
        """
        try:
            return super().construct(name, resource_type, inputs, options)
        except ComponentInitError as error:
            if isinstance(error.inner, ArgumentError):
                raise InputPropertyError(name, str(error.inner)) from None
            raise


def provider() -> Provider:
    """Return the provider of all components, with the version of the installed package."""
    return Provider(list(COMPONENTS), PACKAGE, None, _version())


def host() -> None:
    """Serve the provider until the engine ends it."""
    main(provider(), sys.argv[1:])


def _version() -> str:
    try:
        return metadata.version(_DISTRIBUTION)
    except metadata.PackageNotFoundError:  # run from a checkout
        return "0.0.0"
