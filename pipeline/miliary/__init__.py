"""Whether the micronodules of a chest CT form a miliary pattern: by how much, how surely, why.

    import miliary

    volume = miliary.read("folder")
    result = miliary.analyze(volume)
    result.save("case")

Every step can be called alone. It names a distribution, never a cause: research use only.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from miliary.analysis import Analysis as Analysis
    from miliary.analyze import analyze as analyze
    from miliary.analyze import segment as segment
    from miliary.compare import compare as compare
    from miliary.config import Config as Config
    from miliary.config import load_config as load_config
    from miliary.detect import detect as detect
    from miliary.from_masks import describe_masks as describe_masks
    from miliary.geometry import Geometry as Geometry
    from miliary.io.reading import read as read
    from miliary.measure import measure as measure
    from miliary.phantom import PhantomSpec as PhantomSpec
    from miliary.phantom import make_phantom as make_phantom
    from miliary.quality import estimate_quality as estimate_quality
    from miliary.score import score as score
    from miliary.sizes import describe_sizes as describe_sizes
    from miliary.spatial import Window as Window
    from miliary.spatial import describe_distribution as describe_distribution
    from miliary.spatial import describe_points as describe_points
    from miliary.volume import Volume as Volume

#: Where the public names live: they are imported when first asked for, so that
#: `miliary --help` need not wait for the numerics.
_HOMES = {
    "Analysis": "analysis",
    "analyze": "analyze",
    "segment": "analyze",
    "compare": "compare",
    "Config": "config",
    "load_config": "config",
    "detect": "detect",
    "describe_masks": "from_masks",
    "Geometry": "geometry",
    "estimate_quality": "quality",
    "read": "io.reading",
    "measure": "measure",
    "PhantomSpec": "phantom",
    "make_phantom": "phantom",
    "score": "score",
    "describe_sizes": "sizes",
    "Window": "spatial",
    "describe_distribution": "spatial",
    "describe_points": "spatial",
    "Volume": "volume",
}

__all__ = ["__version__", *_HOMES]


class _Package(ModuleType):
    """The package as a module in which some functions are named as the modules they live in."""

    def __getattr__(self, name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'miliary' has no attribute {name!r}")
        value = getattr(import_module(f"miliary.{_HOMES[name]}"), name)
        super().__setattr__(name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        # Importing the submodule `miliary.detect` would put the module where users expect the
        # function; the function it is named for goes there instead.
        if isinstance(value, ModuleType) and _HOMES.get(name) == name:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
