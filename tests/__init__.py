"""Tests: what is promised, said so that it can fail."""
