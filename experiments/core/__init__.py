"""What all commands share: a configuration, its training jobs, and the executor that runs them."""
