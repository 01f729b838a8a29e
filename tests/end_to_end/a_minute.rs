//! A minute of quota refusals. By its name the first of the tests, since it takes the longest.

use std::thread;
use std::time::{Duration, Instant};

use crate::clients::{Client, Told, Way, are_installed, warm};
use crate::fault_proxy::http::Answer;
use crate::fault_proxy::request::Call;
use crate::fault_proxy::script::{Action, Rule};
use crate::shown::NOT_STORED;
use crate::stack::Stack;

const MINUTE: Duration = Duration::from_secs(60);
const RECORDS: usize = 1_000;

/// With their default settings all outlast it but sarama, which comes again three times and then gives up.
#[test]
fn of_quota_refusals_costs_no_record_and_doubles_none() {
    if !are_installed("a minute of quota refusals") {
        return;
    }
    let stack = &warm("");
    let end = Instant::now() + MINUTE;
    // Of a shard and of the project by turns.
    for (rest, code) in [(0, "ShardWriteQuotaExceed"), (1, "WriteQuotaExceed")] {
        let refusal = Action::Answer(Answer::refusal(403, code, "as told"));
        let rule = Rule::on(Call::PutLogs, refusal).until(end);
        stack
            .proxy
            .script(rule.when(move |request| request.number % 2 == rest));
    }
    let told = thread::scope(|scope| {
        let runs = Client::ALL.map(|client| scope.spawn(move || send(stack, client)));
        runs.map(|run| run.join().expect("the client ran"))
    });
    assert!(Instant::now() > end);
    let stored = stack.stored();
    for (client, told) in told {
        let mut sent = client.values("warm", 1);
        sent.extend(client.values("minute", RECORDS));
        NOT_STORED.assert_told(client, &told);
        if client == Client::Sarama {
            assert_eq!(told.delivered, 0, "{told:#?}");
            stored.assert_only(client.logstore(), &sent);
        } else {
            told.assert_all_delivered(client, RECORDS);
            stored.assert_each_once(client.logstore(), &sent);
        }
    }
}

fn send(stack: &Stack, client: Client) -> (Client, Told) {
    let way = Way {
        // Java's default; librdkafka's is longer.
        message_timeout: Duration::from_secs(120),
        request_timeout: match client {
            Client::Sarama => Duration::from_secs(10),
            _ => Duration::from_secs(30),
        },
        ..Way::patient()
    };
    let values = client.values("minute", RECORDS);
    (client, client.send(stack, client.logstore(), &values, &way))
}
