"""Workloads, nemeses, histories and checkers: not there yet. Its checkers will import nothing of raftkafka."""
