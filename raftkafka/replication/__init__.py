"""Replication of partitions: leaders, followers, the fetches between them, and the requests that wait for them."""
