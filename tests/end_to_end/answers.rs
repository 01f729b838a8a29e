//! The Log Service fails or has enough, and says so.

use crate::fault_proxy::http::Answer;
use crate::fault_proxy::script::Action;
use crate::faults::{Fault, check_all};
use crate::shown::NOT_STORED;

#[test]
fn are_told_as_codes_that_clients_try_again_on() {
    check_all("answers", || {
        vec![
            ("failure", refusal(500, "InternalServerError").with_java()),
            ("busy", refusal(503, "ServerBusy")),
            ("shard's quota", refusal(403, "ShardWriteQuotaExceed")),
            ("project's quota", refusal(403, "WriteQuotaExceed")),
        ]
    });
}

/// Of every write.
fn refusal(status: u16, code: &str) -> Fault {
    let answer = Action::Answer(Answer::refusal(status, code, "as told"));
    Fault::of_writes(answer, NOT_STORED)
}
