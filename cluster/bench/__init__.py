"""The benchmark: raftkafka beside Apache Kafka, both driven by the same clients on the same machine in the same run."""
