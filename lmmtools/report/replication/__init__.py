"""The report on published numbers: a page to hold beside each source, and an index over all of them."""
