"""The process in which a potential runs that cannot share an environment with us.

It runs in the interpreter of that environment, where `discover` is not installed: these modules import
the standard library, numpy, ASE and the potential's own package, and one another relatively. Nothing
else of `discover` may be imported here.
"""
