"""Chaos on real processes: real clients on a real cluster whose nodes are killed, frozen and cut off; then the checker's verdict.

Top-down: `run` is one run from start to report; `faults` are what can be done to a cluster, `nemesis` when it is done; `workload` are the
clients; `systems` the clusters, ours and Apache Kafka's; `proxy` and `peers` the network between Apache Kafka's nodes; `report` what is
left of a run.
"""
