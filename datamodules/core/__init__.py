"""What every data module is made of: sources, processors, joining, splitting, sampling, indexing."""
