"""Every message declared once for all its versions; one file per API key. Facts of Apache Kafka 4.4, see `protocol.schema`."""
