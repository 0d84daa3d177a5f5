"""A study with human readers: a page that asks what is real and what fits, and what their answers say."""
