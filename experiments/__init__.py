"""Commands and configurations."""
