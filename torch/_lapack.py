"""Where a library with LAPACK may be. The core asks when a decomposition is first computed."""

from __future__ import annotations


def places() -> list[tuple[str, bool]]:
    """Paths of shared objects in order of preference, and whether other packages use them too.

    ``scipy-openblas32`` is a wheel of OpenBLAS alone. SciPy and NumPy bring a copy of it for themselves.
    """
    from glob import glob
    from importlib.util import find_spec
    from os.path import dirname, join

    found = []
    for package, patterns, shared in (
        ("scipy_openblas32", ("lib/libscipy_openblas.*",), False),
        ("scipy", ("../scipy.libs/libscipy_openblas*", ".dylibs/libscipy_openblas*"), True),
        ("numpy", ("../numpy.libs/libscipy_openblas*", ".dylibs/libscipy_openblas*"), True),
    ):
        try:
            spec = find_spec(package)
        except (ImportError, ValueError):
            continue
        if spec is not None and spec.origin:
            for pattern in patterns:
                found += [(path, shared) for path in sorted(glob(join(dirname(spec.origin), pattern)))]
    return [*found, ("libopenblas.so.0", True)]
