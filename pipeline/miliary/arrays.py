"""Names for the kinds of arrays that travel through the package."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.integer[Any]]
BoolArray = NDArray[np.bool_]
LabelArray = NDArray[np.uint8]
AnyArray = NDArray[Any]
