"""Clusters of real broker processes on this machine: start, show, stop and break them.

Brokers are processes here, known by their configuration file, process id and ports; what they say about themselves is asked with
Kafka's protocol (`raftkafka.client`). The processes outlive the command that started them; what is needed to find them again is in
`.raftkafka/<name>/`.
"""
