"""Commands that belong to no single recipe."""
