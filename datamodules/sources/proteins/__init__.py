"""Published proteins: sequences, residues' labels and structures."""
