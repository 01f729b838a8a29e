"""The SDK's client pointed at a store on this machine, and what the scenarios share."""

import time

from aliyun.log import LogClient, LogException, LogItem, PutLogsRequest
from aliyun.log.auth import AUTH_VERSION_1, AUTH_VERSION_4

VERSIONS = {"v1": AUTH_VERSION_1, "v4": AUTH_VERSION_4}
PROJECT = "test-project-1"
LOGSTORE = "test-logstore-1"
SHARDS = (0, 1)


class Store:
    def __init__(self, place, version):
        self.place = place
        self.version = VERSIONS[version]
        self.client = self.client_of("dev-access-key-id", "dev-access-key-secret")

    def client_of(self, key_id, secret, endpoint=None):
        client = LogClient(
            endpoint or self.place["url"],
            key_id,
            secret,
            source="192.0.2.1",
            auth_version=self.version,
            region="local",
        )
        # Otherwise it would look up {project}.127.0.0.1; that name it still sends as Host.
        client._isRowIp = endpoint is None
        return client

    def put(self, value, **more):
        """Puts one log and returns its group as it was sent."""
        request = PutLogsRequest(
            PROJECT,
            more.pop("logstore", LOGSTORE),
            more.pop("topic", "a topic"),
            more.pop("source", "192.0.2.9"),
            [LogItem(timestamp=int(time.time()), time_nano_part=5, contents=[("content", value), ("k", "é中")])],
            logtags=[("host", "web-1"), ("zone", "z")],
            **more,
        )
        self.client.put_logs(request)
        return value

    def pulled(self, shard, client=None, logstore=LOGSTORE, **more):
        """All groups of a shard, as protobuf objects."""
        client = client or self.client
        cursor = client.get_begin_cursor(PROJECT, logstore, shard).get_cursor()
        groups = []
        while True:
            answer = client.pull_logs(PROJECT, logstore, shard, cursor, **more)
            following = answer.get_next_cursor()
            if following == cursor:
                return groups
            assert answer.get_loggroup_count() > 0
            groups.extend(answer.get_loggroup_list().LogGroups)
            cursor = following

    def counts(self):
        return [len(self.pulled(shard)) for shard in SHARDS]


def refused(code, status, call, *arguments, **more):
    """The call must fail with this code; returns the SDK's exception."""
    try:
        call(*arguments, **more)
    except LogException as refusal:
        found = (refusal.get_error_code(), refusal.resp_status)
        assert found == (code, status), (found, refusal.get_error_message())
        request_id = refusal.get_request_id()
        assert len(request_id) == 24 and request_id == request_id.upper(), request_id
        return refusal
    raise AssertionError(f"not refused: {code}")
