"""The papers' tables again, on pocket."""
