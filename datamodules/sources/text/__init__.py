"""Published texts: notes, abstracts and reports."""
