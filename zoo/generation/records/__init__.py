"""Records: the schema, reading one from what a language model said, and one as a row of a table."""
