"""People: what raters said of images, how they say it in a browser, and what metrics make of it."""
