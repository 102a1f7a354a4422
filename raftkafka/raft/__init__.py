"""Raft: a replicated log among voters, followed by observers. It knows nothing of Kafka.

Start reading at `node` (what can happen to a node), then `state`, `roles`, `election`, `replication`, `following`, `snapshots`; `messages`
has the table from KRaft's words to the Raft paper's. `driver` joins the machine with its files (`store`, `recovery`) and is what the rest
of the program uses.

Sources: D. Ongaro, J. Ousterhout, "In Search of an Understandable Consensus Algorithm" (extended version; "the paper"); D. Ongaro,
"Consensus: Bridging Theory and Practice" ("the thesis"); KIP-595, KIP-630, KIP-996.
"""
