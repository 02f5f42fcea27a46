"""A Lambda function that has the rotation functions rehearse a stack's secrets on a schedule."""
