"""Names for the kinds of arrays that travel through the package, and for parts of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.integer[Any]]
BoolArray = NDArray[np.bool_]
LabelArray = NDArray[np.uint8]
AnyArray = NDArray[Any]
# A part of an image along z, y and x.
Box = tuple[slice, slice, slice]
