//! kcat, whose own log tells what became of its records.

use std::process::Command;
use std::time::Duration;

use crate::clients::{Told, Way};
use crate::programs::{self, Ended};
use crate::stack::Stack;

/// A run that outlives its records' time-out by this much is killed.
const KILL_AFTER: Duration = Duration::from_secs(20);
const DELIVERED: &str = "% Message delivered to partition";
const FAILED: &str = "% Delivery failed for message: ";

/// Each value becomes a record.
pub fn send(stack: &Stack, topic: &str, values: &[String], way: &Way) -> Told {
    let lines: String = values.iter().map(|value| format!("{value}\n")).collect();
    let mut kcat = Command::new("kcat");
    // -E: it waits for each record's own outcome, also where no connection is left.
    kcat.args(["-P", "-E", "-vv", "-t", topic]);
    kcat.args(settings(stack, way));
    let Ended { status, stderr, .. } = programs::run(
        &mut kcat,
        lines.as_bytes(),
        way.message_timeout + KILL_AFTER,
    );
    assert!(status.is_some(), "kcat did not end in time: {stderr}");
    let failures = stderr.lines().filter_map(|line| line.strip_prefix(FAILED));
    Told {
        delivered: stderr.matches(DELIVERED).count(),
        errors: failures.map(str::to_owned).collect(),
        lost: None,
        failed: status.is_some_and(|status| !status.success()),
        log: stderr,
    }
}

fn settings(stack: &Stack, way: &Way) -> Vec<String> {
    let ms = |duration: Duration| duration.as_millis().to_string();
    let settings = [
        ("bootstrap.servers", stack.bootstrap.clone()),
        ("security.protocol", "sasl_ssl".into()),
        ("sasl.mechanism", "PLAIN".into()),
        ("sasl.username", way.user.clone()),
        ("sasl.password", way.password.clone()),
        ("ssl.ca.location", stack.ca().display().to_string()),
        ("enable.idempotence", way.idempotent.to_string()),
        ("acks", "all".into()),
        ("linger.ms", "5".into()),
        ("queue.buffering.max.messages", way.queue_max.to_string()),
        ("message.timeout.ms", ms(way.message_timeout)),
        ("request.timeout.ms", ms(way.request_timeout)),
        // How long an unknown topic is taken for one that is only being created.
        (
            "topic.metadata.propagation.max.ms",
            ms(way.message_timeout / 2),
        ),
        ("debug", "msg,security".into()),
    ];
    let option = |(name, value)| ["-X".into(), format!("{name}={value}")];
    settings.into_iter().flat_map(option).collect()
}
