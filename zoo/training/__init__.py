"""What every model trains with: losses, their table, optimisers, mixing, refinement, collection of predictions."""
