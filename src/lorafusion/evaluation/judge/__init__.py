"""The judge: a vision-language model compares two images, in both orders."""
