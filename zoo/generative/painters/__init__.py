"""Painters: generators of images from the metadata or record of a row, and how near their images are to real ones."""

from zoo.generative.painters.image_statistics import ColourFeatures, frechet_distance, gaussian_frechet, image_frechet
from zoo.generative.painters.small_diffusion import SmallDiffusion
from zoo.generative.painters.text_to_image import TextToImagePainter
from zoo.generative.painters.texture import TexturePainter

__all__ = [
    "ColourFeatures",
    "SmallDiffusion",
    "TextToImagePainter",
    "TexturePainter",
    "frechet_distance",
    "gaussian_frechet",
    "image_frechet",
]
