"""Modules that every function's package contains in its archive; `build.py` places them there.

In the checkout a package has a module of the same name that re-exports this one, so that its code imports
`.labels`, for example, in both places.
"""
