"""Rehearse the next rotation of a stack's secrets, without changing what is in use.

The rotation function that the deployment declares tries its own steps (lambdas/rotation/rehearse.py). What it
cannot see is checked here: whether Secrets Manager has it attached and may invoke it, the secret's key, and
the alarm that reports a failed rotation.
"""
