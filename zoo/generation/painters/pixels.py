"""Images in and out of painters: uint8 arrays of any size, and square ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image


def resized(image: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """Map (H, W), (H, W, 1) or (H, W, 3) uint8 to (size, size, 3): squeezed, not cut; grey three times over."""
    picture = Image.fromarray(image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image).convert("RGB")
    return np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS))
