"""Which findings a report of a chest X-ray states: a labeler by rules, and scores of labels with intervals."""
