"""Every composition method on the bundled model: pictures for the documentation, and a comparison."""
