"""The matrix for an assistant that has only files: what is wrong, by cause, and what to do."""
