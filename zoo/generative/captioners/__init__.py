"""Captioners: from a picture and metadata to a record, by a large model or a small one that learns here."""

from zoo.generative.captioners.fields import FieldCaptioner
from zoo.generative.captioners.vision_language import VisionLanguageCaptioner

__all__ = ["FieldCaptioner", "VisionLanguageCaptioner"]
