"""Published numbers as data: computed again, and held against what is printed."""
