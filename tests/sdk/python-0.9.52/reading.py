"""All logs of the project as the SDK's protobuf objects have them, for a test that compares them with what was sent."""

import json

from sdk import PROJECT, SHARDS


def print_all(store):
    """One JSON object a line: where the log lies, its time, and its fields as pairs, for a name might come twice."""
    for logstore in store.client.list_logstore(PROJECT).get_logstores():
        for shard in SHARDS:
            for number, group in enumerate(store.pulled(shard, logstore=logstore)):
                place = {"logstore": logstore, "shard": shard, "group": number, "source": group.Source}
                for log in group.Logs:
                    print(json.dumps({**place, **described(log)}))


def described(log):
    fields = [(content.Key, content.Value) for content in log.Contents]
    return {"time_ms": log.Time * 1000 + log.Time_ns / 1_000_000, "fields": fields}
