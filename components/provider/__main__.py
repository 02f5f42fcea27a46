"""Serve the provider: the language host runs this folder."""

# by the name under which it is installed: as a script, this file is in no package
from pulumi_aws_secrets.provider.hosting import host

if __name__ == "__main__":
    host()
