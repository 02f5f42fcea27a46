"""Example service that creates a secret in AWS for each tenant, over HTTP, with `operations`.

    TENANTS_TOKEN=... TENANTS_FOLDER=/var/lib/tenants AWS_REGION=... python -m examples.tenants

See docs/automation.md.
"""
