"""Broker settings that suit tests: one node, quick rebalances, topics only when asked for."""

from __future__ import annotations

from typing import Final

NODE_ID: Final = 1

TEST_SETTINGS: Final[dict[str, str]] = {
    "node.id": str(NODE_ID),
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "BROKER",
    "listener.security.protocol.map": "CLIENT:PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    # after SIGKILL the controller waits this long before it lets the same node register again
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
    # internal topics: one copy, few partitions, so that the first group forms at once
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # a killed member is missed in seconds, whichever protocol its group speaks
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": "500",
    # retention acts within seconds
    "log.retention.check.interval.ms": "2000",
    "log.segment.delete.delay.ms": "1000",
    "log.cleaner.backoff.ms": "1000",
    "log.cleaner.dedupe.buffer.size": "4194304",
}


def listeners(client: str, broker: str, controller: str) -> dict[str, str]:
    """Settings that bind the three listeners, each given as `host:port`."""
    return {
        "listeners": f"CLIENT://{client},BROKER://{broker},CONTROLLER://{controller}",
        "controller.quorum.voters": f"{NODE_ID}@{controller}",
    }
