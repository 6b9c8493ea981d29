"""The routing benchmark: prompts with known answers, every router, no images."""
