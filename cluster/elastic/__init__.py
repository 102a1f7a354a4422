"""A running cluster that grows, shrinks, loses a disk and is restarted node by node: `make scale-out`, `scale-in`, `wipe` and `roll`.

Each command does only what is left to do: what the cluster says of itself, and the state of each node in `cluster.json`, tell how far an
interrupted one came, so that calling it again goes on. docs/elastic.md shows them at work.
"""
