"""One module a library: `label`, `version()`, `build(workload)`, which returns a Case.

`build` raises ImportError where the library is missing, Unsupported where it cannot do a workload.
"""
