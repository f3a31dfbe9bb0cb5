"""Studies: notebooks run in batch, exported as offline HTML and PDF, and indexed on one page."""
