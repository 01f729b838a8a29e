"""What the SDK does with a store; each scenario has a store of its own, and is run with both versions of the signature."""

import time

from aliyun.log import ListLogstoresRequest, LogItem, PutLogsRequest
from aliyun.log.log_logs_pb2 import LogGroup

from sdk import LOGSTORE, PROJECT, SHARDS, refused


def every_describing_call_answers(store):
    client = store.client
    project = client.get_project(PROJECT)
    assert project.get_projectname() == PROJECT and project.get_region() == "local", project.body
    assert client.list_logstore(PROJECT).get_logstores() == [LOGSTORE]
    assert client.list_logstores(ListLogstoresRequest(PROJECT)).get_logstores() == [LOGSTORE]
    assert client.list_logstore(PROJECT, "no such").get_logstores() == []
    logstore = client.get_logstore(PROJECT, LOGSTORE)
    assert logstore.get_shard_count() == 2 and logstore.get_ttl() == 7, logstore.body
    shards = client.list_shards(PROJECT, LOGSTORE).get_shards_info()
    assert [shard["shardID"] for shard in shards] == [0, 1]
    assert [shard["status"] for shard in shards] == ["readwrite"] * 2
    assert shards[0]["exclusiveEndKey"] == shards[1]["inclusiveBeginKey"] == "8" + "0" * 31


def what_is_put_is_pulled_in_every_compression(store):
    for compression in ("lz4", "zstd", None):
        for turn in SHARDS:
            store.put(f"{compression} {turn}", compress=compression is not None, compress_type=compression)
    for shard in SHARDS:
        sent = [f"{compression} {shard}" for compression in ("lz4", "zstd", None)]
        for wanted in ({}, {"accept_compress_type": "zstd"}, {"accept_compress_type": "deflate"}, {"compress": False}):
            groups = store.pulled(shard, **wanted)
            assert [group.Logs[0].Contents[0].Value for group in groups] == sent, wanted
            for group in groups:
                check_group(group)


def check_group(group):
    assert (group.Topic, group.Source) == ("a topic", "192.0.2.9")
    assert [(tag.Key, tag.Value) for tag in group.LogTags] == [("host", "web-1"), ("zone", "z")]
    (log,) = group.Logs
    assert log.Time_ns == 5 and abs(log.Time - time.time()) < 60
    assert [content.Key for content in log.Contents] == ["content", "k"]
    assert log.Contents[1].Value == "é中"


def groups_take_turns_or_go_by_their_key(store):
    for number in range(4):
        store.put(f"in turn {number}")
    assert store.counts() == [2, 2]
    for number in range(3):
        store.put(f"by key {number}", hashKey="14d2f850ad6ea48e46e4547edbbb27e0")
    assert store.counts() == [5, 2]
    store.put("by key", hashKey="f" * 32)
    assert store.counts() == [5, 3]


def a_raw_group_is_taken_whole(store):
    group = LogGroup()
    group.Topic = ""
    for number in range(3000):
        log = group.Logs.add()
        log.Time = int(time.time()) - number
        content = log.Contents.add()
        content.Key, content.Value = "content", f"line {number} " * 20
    store.client.put_log_raw(PROJECT, LOGSTORE, group)
    store.client.put_log_raw(PROJECT, LOGSTORE, group, compress=False)
    assert [group] == list(store.pulled(0)) and [group] == list(store.pulled(1))


def the_iterator_gives_every_log_once(store):
    begin = int(time.time()) - 10
    for number in range(20):
        store.put(str(number), hashKey="00")
    pages = list(store.client.pull_log(PROJECT, LOGSTORE, 0, begin, begin + 3600, batch_size=3))
    assert len(pages) == 7
    values = [log["content"] for page in pages for log in page.get_flatten_logs_json()]
    assert values == [str(number) for number in range(20)]
    dumped = list(store.client.pull_log(PROJECT, LOGSTORE, 0, "begin", "end", batch_size=1000))
    assert sum(page.get_log_count() for page in dumped) == 20


def cursors_follow_the_time_of_receipt(store):
    client = store.client
    cursor = lambda since: client.get_cursor(PROJECT, LOGSTORE, 0, since).get_cursor()
    assert cursor("begin") == cursor("end")
    before = int(time.time())
    store.put("first", hashKey="00")
    time.sleep(2.1)
    between = int(time.time())
    store.put("second", hashKey="00")
    first, second, end = cursor("begin"), cursor(between), cursor("end")
    assert len({first, second, end}) == 3
    assert cursor(before) == first and cursor(between + 3600) == end
    times = [client.get_cursor_time(PROJECT, LOGSTORE, 0, at).get_cursor_time() for at in (first, second, end)]
    assert times == sorted(times) and before <= times[0] < times[1] and times[2] <= time.time() + 1
    assert client.get_previous_cursor_time(PROJECT, LOGSTORE, 0, second).get_cursor_time() == times[0]
    # Before the first one: the SDK takes the first one instead.
    assert client.get_previous_cursor_time(PROJECT, LOGSTORE, 0, first).get_cursor_time() == times[0]
    answer = client.pull_logs(PROJECT, LOGSTORE, 0, first, count=10, end_cursor=second)
    assert answer.get_loggroup_count() == 1 and answer.get_next_cursor() == second


def a_logstore_is_made_and_used(store):
    client = store.client
    client.create_logstore(PROJECT, "made-by-sdk", ttl=30, shard_count=3)
    assert client.get_logstore(PROJECT, "made-by-sdk").get_shard_count() == 3
    assert client.list_logstore(PROJECT).get_logstores() == ["made-by-sdk", LOGSTORE]
    for turn in range(3):
        store.put(f"turn {turn}", logstore="made-by-sdk")
        (group,) = store.pulled(turn, logstore="made-by-sdk")
        assert group.Logs[0].Contents[0].Value == f"turn {turn}"
    refused("LogStoreAlreadyExist", 400, client.create_logstore, PROJECT, "made-by-sdk", 30, 3)
    refused("LogStoreInfoInvalid", 400, client.create_logstore, PROJECT, "Not a name", 30, 3)


def what_does_not_exist_is_named(store):
    client = store.client
    refused("LogStoreNotExist", 404, client.get_logstore, PROJECT, "missing-1")
    refused("LogStoreNotExist", 404, store.put, "x", logstore="missing-1")
    refused("LogStoreNotExist", 404, client.get_begin_cursor, PROJECT, "missing-1", 0)
    refused("ProjectNotExist", 404, client.get_project, "missing-project")
    refused("ShardNotExist", 400, client.get_begin_cursor, PROJECT, LOGSTORE, 7)
    refused("InvalidCursor", 400, client.pull_logs, PROJECT, LOGSTORE, 0, "OTk=")
    assert client.list_logstore(PROJECT).get_logstores() == [LOGSTORE]


def a_wrong_key_is_refused(store):
    for key_id, secret, code in (
        ("dev-access-key-id", "wrong", "SignatureNotMatch"),
        ("unknown", "dev-access-key-secret", "Unauthorized"),
    ):
        client = store.client_of(key_id, secret)
        refused(code, 401, client.get_logstore, PROJECT, LOGSTORE)
        refused(code, 401, client.put_logs, large_request())
    assert store.counts() == [0, 0]


def large_request():
    """Larger than what a socket takes at once: the answer must reach a client that is still sending."""
    item = LogItem(timestamp=int(time.time()), contents=[("content", "x" * 1_000_000)])
    return PutLogsRequest(PROJECT, LOGSTORE, "", "", [item] * 9, compress=False)


def an_agents_key_writes_and_cannot_read(store):
    store.put("by the owner")
    agent = store.client_of("agent", "agent-secret")
    agent.get_project(PROJECT)
    agent.get_logstore(PROJECT, LOGSTORE)
    agent.list_shards(PROJECT, LOGSTORE)
    agent.put_logs(PutLogsRequest(PROJECT, LOGSTORE, "", "", [LogItem(contents=[("content", "by the agent")])]))
    for call, arguments in (
        (agent.get_begin_cursor, (PROJECT, LOGSTORE, 0)),
        (agent.pull_logs, (PROJECT, LOGSTORE, 0, "MA==")),
        (agent.list_logstore, (PROJECT,)),
        (agent.create_logstore, (PROJECT, "made-by-agent", 1, 1)),
    ):
        refusal = refused("Unauthorized", 401, call, *arguments)
        assert "right" in refusal.get_error_message(), refusal
    assert store.counts() == [1, 1]


def a_readers_key_reads_and_cannot_write(store):
    store.put("by the owner")
    reader = store.client_of("reader", "reader-secret")
    assert len(store.pulled(0, client=reader)) == 1
    refused("Unauthorized", 401, reader.put_logs, PutLogsRequest(PROJECT, LOGSTORE, "", "", [LogItem()]))
    assert store.counts() == [1, 0]


def a_client_may_take_the_store_for_a_proxy(store):
    client = store.client_of("dev-access-key-id", "dev-access-key-secret", endpoint="http://cn-local.log.example.com")
    client._session.proxies = {"http": store.place["url"]}
    client.put_logs(PutLogsRequest(PROJECT, LOGSTORE, "", "", [LogItem(contents=[("content", "by proxy")])]))
    assert client.get_project(PROJECT).get_projectname() == PROJECT
    assert len(store.pulled(0, client=client)) == 1


def what_came_by_kafka_is_read_through_the_sdk(store):
    import confluent_kafka

    producer = confluent_kafka.Producer({
        "bootstrap.servers": store.place["bootstrap"],
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": PROJECT,
        "sasl.password": "dev-access-key-id#dev-access-key-secret",
        "ssl.ca.location": store.place["ca"],
    })
    sent = {f"record {number}" for number in range(100)}
    for value in sent:
        producer.produce(LOGSTORE, value=value)
    assert producer.flush(30) == 0
    groups = [group for shard in SHARDS for group in store.pulled(shard)]
    found = [log.Contents[0].Value for group in groups for log in group.Logs]
    assert sorted(found) == sorted(sent)
    assert all(group.Source == "127.0.0.1" for group in groups)
