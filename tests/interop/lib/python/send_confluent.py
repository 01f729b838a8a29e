"""Sends records with confluent-kafka (librdkafka)."""

import time

import confluent_kafka

import contract


def send(spec, records, deadline, report):
    producer = confluent_kafka.Producer({
        "bootstrap.servers": spec["bootstrap"],
        "client.id": "sluice-test",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": spec["user"],
        "sasl.password": spec["password"],
        "ssl.ca.location": spec["ca"],
        "compression.codec": spec["codec"],
        "acks": spec["acks"],
        "enable.idempotence": spec["idempotent"],
        "linger.ms": 5,
        "message.max.bytes": contract.REQUEST_BYTES_MAX,
        "message.timeout.ms": spec["timeout_ms"],
        "request.timeout.ms": spec["request_timeout_ms"] or 30_000,
        # How long an unknown topic is taken for one that is only being created.
        "topic.metadata.propagation.max.ms": spec["timeout_ms"] // 2,
        **({"debug": "msg"} if spec["verbose"] else {"log_level": 3}),
    })
    for record in contract.paced(spec, records):
        produce(producer, spec["topic"], record, outcome_of(record.index, report))
        producer.poll(0)
    producer.flush(deadline - time.monotonic())


def produce(producer, topic, record, on_delivery):
    """Waits where the client's queue is full: its records leave it at their own time-out at the latest."""
    while True:
        try:
            producer.produce(
                topic,
                key=record.key,
                value=record.value,
                headers=record.headers,
                timestamp=record.timestamp_ms,
                on_delivery=on_delivery,
            )
            return
        except BufferError:
            producer.poll(0.1)


def outcome_of(index, report):
    def note(error, _message):
        if error is None:
            report.delivered(index)
        else:
            # librdkafka's own errors are negative, but -188 is what it makes of the broker's code 3.
            code = 3 if error.code() == confluent_kafka.KafkaError._UNKNOWN_TOPIC else error.code()
            report.failed(index, code if code >= 0 else None, error.name(), error.str())

    return note


contract.run(contract.Report(f"librdkafka {confluent_kafka.libversion()[0]}, confluent-kafka", confluent_kafka.__version__), send)
