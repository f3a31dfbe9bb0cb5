"""What is read: an executed notebook as neutral blocks, laid out as one HTML file and as a PDF."""
