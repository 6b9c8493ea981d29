"""The runner: from a file that says what to compare to images with their Records."""
