"""The stages of the training of XGeM, one file a kind."""
