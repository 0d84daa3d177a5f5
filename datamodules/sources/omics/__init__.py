"""Published sequences of DNA, expression matrices, variants and single cells."""
