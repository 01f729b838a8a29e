//! The Log Service's error codes, and what an error answer without a known one means.
//!
//! A code decides, whatever the status: both vary between documents, and a denied permission comes as 401 and as 403.
//! Codes are compared without case and without an `s` at the end (`ProjectNotExists`). A message counts in two places
//! only: a quota's names what it counts, and a time out of range shares `PostBodyInvalid` with everything else.

use super::error::{Content, Kind, Measure, Quota, QuotaLevel};

const KINDS: &[(&str, Kind)] = &[
    ("Unauthorized", Kind::Unauthorized),
    ("InvalidAccessKeyId", Kind::InvalidAccessKeyId),
    ("SignatureNotMatch", Kind::SignatureNotMatch),
    ("ProjectForbidden", Kind::ProjectForbidden),
    ("MissAccessKeyId", Kind::OurFault),
    ("MissingSignatureMethod", Kind::OurFault),
    ("InvalidSignatureMethod", Kind::OurFault),
    ("MissingDate", Kind::OurFault),
    ("InvalidDateFormat", Kind::OurFault),
    ("InvalidRequestTime", Kind::OurFault),
    ("MissingAPIVersion", Kind::OurFault),
    ("InvalidAPIVersion", Kind::OurFault),
    ("MissingHost", Kind::OurFault),
    ("InvalidHost", Kind::OurFault),
    ("MissingBodyRawSize", Kind::OurFault),
    ("InvalidBodyRawSize", Kind::OurFault),
    ("InvalidCompressType", Kind::OurFault),
    ("InvalidContentType", Kind::OurFault),
    ("MissingContentType", Kind::OurFault),
    ("MissingContentLength", Kind::OurFault),
    ("ParameterInvalid", Kind::OurFault),
    // Of exactly-once writes, which are not used here.
    ("InvalidSequenceId", Kind::OurFault),
    ("RequestTimeExpired", Kind::ClockSkew),
    ("RequestTimeTooSkewed", Kind::ClockSkew),
    ("ProjectNotExist", Kind::NoProject),
    ("LogStoreNotExist", Kind::NoLogstore),
    ("LogStoreWithoutShard", Kind::NoShard),
    ("ShardNotExist", Kind::NoShard),
    ("PostBodyInvalid", Kind::Content(Content::Body)),
    ("InvalidTimestamp", Kind::Content(Content::Timestamp)),
    ("InvalidEncoding", Kind::Content(Content::Encoding)),
    ("InvalidKey", Kind::Content(Content::Key)),
    ("PostBodyTooLarge", Kind::TooLarge),
    ("PostBodyUncompressError", Kind::BadCompression),
    ("ShardWriteQuotaExceed", quota(QuotaLevel::Shard)),
    ("WriteQuotaExceed", quota(QuotaLevel::Project)),
    ("ExceedQuota", quota(QuotaLevel::Project)),
    ("ReadQuotaExceed", quota(QuotaLevel::Reads)),
    ("ShardReadQuotaExceed", quota(QuotaLevel::Reads)),
    ("MetaOperationQpsLimitExceeded", quota(QuotaLevel::Reads)),
    ("InternalServerError", Kind::ServerError),
    ("RequestTimeout", Kind::ServerError),
    ("ServerBusy", Kind::Busy),
];

const fn quota(level: QuotaLevel) -> Kind {
    Kind::Quota(Quota {
        level,
        measure: Measure::Untold,
    })
}

/// What the message of a refused time speaks of, beside `time`.
const TIME_WORDS: [&str; 6] = ["range", "expire", "early", "late", "old", "future"];

/// Of an error answer with a code.
pub(super) fn kind_of(status: u16, code: &str, message: &str) -> Kind {
    let plain = without_s(code);
    let known = KINDS
        .iter()
        .find(|(known, _)| without_s(known).eq_ignore_ascii_case(plain));
    match known {
        Some((_, kind)) => by_message(*kind, message),
        None if status >= 500 => of_failure(status),
        None => Kind::Unknown,
    }
}

/// Of an error answer that is not the Log Service's JSON.
pub(super) fn kind_without_code(status: u16) -> Kind {
    match status {
        500.. => of_failure(status),
        _ => Kind::BadAnswer,
    }
}

fn of_failure(status: u16) -> Kind {
    match status {
        502..=504 => Kind::Busy,
        _ => Kind::ServerError,
    }
}

fn without_s(code: &str) -> &str {
    code.strip_suffix(['s', 'S']).unwrap_or(code)
}

fn by_message(kind: Kind, message: &str) -> Kind {
    match kind {
        Kind::Quota(Quota { level, .. }) => Kind::Quota(Quota {
            level,
            measure: measure(&message.to_ascii_lowercase()),
        }),
        Kind::Content(Content::Body) if speaks_of_time(&message.to_ascii_lowercase()) => {
            Kind::Content(Content::Timestamp)
        }
        _ => kind,
    }
}

fn measure(message: &str) -> Measure {
    match (message.contains("inflow"), message.contains("qps")) {
        (true, false) => Measure::Bytes,
        (false, true) => Measure::Requests,
        _ => Measure::Untold,
    }
}

fn speaks_of_time(message: &str) -> bool {
    message.contains("time") && TIME_WORDS.iter().any(|word| message.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, code: &str, expected: Kind) {
        assert_eq!(kind_of(status, code, ""), expected, "{status} {code}");
    }

    #[test]
    fn codes_are_compared_without_case_and_without_an_s_at_the_end() {
        for code in [
            "ProjectNotExist",
            "ProjectNotExists",
            "projectnotexist",
            "PROJECTNOTEXISTS",
        ] {
            check(404, code, Kind::NoProject);
        }
        for code in ["LogStoreNotExist", "LogstoreNotExists"] {
            check(404, code, Kind::NoLogstore);
        }
        check(404, "ProjectNotExistss", Kind::Unknown);
    }

    #[test]
    fn a_code_decides_whatever_the_status() {
        check(401, "Unauthorized", Kind::Unauthorized);
        check(403, "Unauthorized", Kind::Unauthorized);
        check(413, "PostBodyTooLarge", Kind::TooLarge);
        check(400, "PostBodyTooLarge", Kind::TooLarge);
    }

    #[test]
    fn an_unknown_code_is_a_refusal_or_a_failure_by_its_status() {
        check(400, "QuotaExceed", Kind::Unknown);
        check(401, "SomethingNew", Kind::Unknown);
        check(403, "SomethingNew", Kind::Unknown);
        check(403, "", Kind::Unknown);
        check(500, "SomethingNew", Kind::ServerError);
        check(503, "SomethingNew", Kind::Busy);
    }

    #[test]
    fn what_is_not_the_log_services_json_is_judged_by_its_status() {
        for (status, expected) in [
            (500, Kind::ServerError),
            (502, Kind::Busy),
            (503, Kind::Busy),
            (504, Kind::Busy),
            (599, Kind::ServerError),
            (400, Kind::BadAnswer),
            (302, Kind::BadAnswer),
            (204, Kind::BadAnswer),
        ] {
            assert_eq!(kind_without_code(status), expected, "{status}");
        }
    }

    #[test]
    fn a_message_tells_the_measure_of_a_quota() {
        let check = |message, measure| {
            let expected = Kind::Quota(Quota {
                level: QuotaLevel::Shard,
                measure,
            });
            assert_eq!(kind_of(403, "ShardWriteQuotaExceed", message), expected);
        };
        check("shard write Inflow exceeds the quota", Measure::Bytes);
        check("shard write QPS exceeds the quota", Measure::Requests);
        check("try again later", Measure::Untold);
    }

    #[test]
    fn a_message_tells_a_time_out_of_range_from_a_bad_body() {
        let check = |message, expected| {
            let found = kind_of(400, "PostBodyInvalid", message);
            assert_eq!(found, Kind::Content(expected), "{message}");
        };
        check("log Time is out of range", Content::Timestamp);
        check("the time of the log is too old", Content::Timestamp);
        check("body cannot be parsed", Content::Body);
        check("value is out of range", Content::Body);
        check("", Content::Body);
    }
}
