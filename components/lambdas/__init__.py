"""The Lambda functions' code, and how to build their archives.

The rest of the library imports only `build` and the functions' `protocol` and `labels` modules.
"""
