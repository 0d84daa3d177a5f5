"""Generators of missing modalities: records from images, images from records or tables, and how they are judged."""
