"""A demonstration of balance: a skewed load on a cluster whose leaders are all on one broker, and what becomes of it."""
