"""What is done: runs keyed by content, executed apart from each other, their files written whole or not at all."""
