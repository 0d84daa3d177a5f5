"""Published pairs of images and text: captions, reports, visual questions."""
