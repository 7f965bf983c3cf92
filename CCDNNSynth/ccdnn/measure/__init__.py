"""Numbers measured on images: similarity, CNR, profiles.

`ccdnn.measure(…)` is the function `ccdnn.api.measure`. Python finds this package under the same name, so the package can be called.
"""

import inspect
import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    def __call__(self, *images: Any, **options: Any) -> Any:
        return _function()(*images, **options)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(_function())


def _function() -> Any:
    from ccdnn.api import measure

    return measure


sys.modules[__name__].__class__ = _CallablePackage
