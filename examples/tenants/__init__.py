"""A service that gives each tenant a secret in AWS, over HTTP, through `automation`.

    TENANTS_TOKEN=... TENANTS_FOLDER=/var/lib/tenants python -m examples.tenants

docs/automation.md explains it.
"""
