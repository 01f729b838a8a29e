//! Every row of the Log Service's table of errors, as answered to a write.

use super::server::refusal;
use super::*;
use Kind::{
    BadCompression, Busy, ClockSkew, InvalidAccessKeyId, NoLogstore, NoProject, NoShard, OurFault,
    ProjectForbidden, ServerError, SignatureNotMatch, TooLarge, Unauthorized, Unknown,
};

const fn content(content: Content) -> Kind {
    Kind::Content(content)
}

const fn quota(level: QuotaLevel, measure: Measure) -> Kind {
    Kind::Quota(Quota { level, measure })
}

/// Status, code, message → kind, worth another try. None of them may be stored.
const ROWS: &[(u16, &str, &str, Kind, bool)] = &[
    (401, "Unauthorized", "", Unauthorized, false),
    (403, "Unauthorized", "", Unauthorized, false),
    (401, "InvalidAccessKeyId", "", InvalidAccessKeyId, false),
    (401, "SignatureNotMatch", "", SignatureNotMatch, false),
    (403, "ProjectForbidden", "", ProjectForbidden, false),
    (403, "SomethingElse", "", Unknown, false),
    (400, "MissAccessKeyId", "", OurFault, false),
    (400, "MissingSignatureMethod", "", OurFault, false),
    (400, "InvalidSignatureMethod", "", OurFault, false),
    (400, "MissingDate", "", OurFault, false),
    (400, "InvalidDateFormat", "", OurFault, false),
    (400, "InvalidRequestTime", "", OurFault, false),
    (400, "MissingAPIVersion", "", OurFault, false),
    (400, "InvalidAPIVersion", "", OurFault, false),
    (400, "MissingHost", "", OurFault, false),
    (400, "InvalidHost", "", OurFault, false),
    (400, "MissingBodyRawSize", "", OurFault, false),
    (400, "InvalidBodyRawSize", "", OurFault, false),
    (400, "InvalidCompressType", "", OurFault, false),
    (415, "InvalidContentType", "", OurFault, false),
    (400, "MissingContentType", "", OurFault, false),
    (411, "MissingContentLength", "", OurFault, false),
    (400, "ParameterInvalid", "", OurFault, false),
    (400, "InvalidSequenceId", "", OurFault, false),
    (400, "RequestTimeExpired", "", ClockSkew, false),
    (400, "RequestTimeTooSkewed", "", ClockSkew, false),
    (404, "ProjectNotExist", "", NoProject, false),
    (404, "ProjectNotExists", "", NoProject, false),
    (404, "LogStoreNotExist", "", NoLogstore, false),
    (404, "LogstoreNotExists", "", NoLogstore, false),
    (400, "LogStoreWithoutShard", "", NoShard, true),
    (400, "ShardNotExist", "", NoShard, true),
    (
        400,
        "PostBodyInvalid",
        "cannot parse",
        content(Content::Body),
        false,
    ),
    (
        400,
        "PostBodyInvalid",
        "time out of range",
        content(Content::Timestamp),
        false,
    ),
    (
        400,
        "InvalidTimestamp",
        "",
        content(Content::Timestamp),
        false,
    ),
    (
        400,
        "InvalidEncoding",
        "",
        content(Content::Encoding),
        false,
    ),
    (400, "InvalidKey", "", content(Content::Key), false),
    (400, "PostBodyTooLarge", "", TooLarge, false),
    (413, "PostBodyTooLarge", "", TooLarge, false),
    (400, "PostBodyUncompressError", "", BadCompression, true),
    (
        403,
        "ShardWriteQuotaExceed",
        "inflow",
        quota(QuotaLevel::Shard, Measure::Bytes),
        true,
    ),
    (
        403,
        "ShardWriteQuotaExceed",
        "qps",
        quota(QuotaLevel::Shard, Measure::Requests),
        true,
    ),
    (
        403,
        "WriteQuotaExceed",
        "",
        quota(QuotaLevel::Project, Measure::Untold),
        true,
    ),
    (
        403,
        "ExceedQuota",
        "",
        quota(QuotaLevel::Project, Measure::Untold),
        true,
    ),
    (
        403,
        "ReadQuotaExceed",
        "",
        quota(QuotaLevel::Reads, Measure::Untold),
        true,
    ),
    (
        403,
        "ShardReadQuotaExceed",
        "",
        quota(QuotaLevel::Reads, Measure::Untold),
        true,
    ),
    (
        403,
        "MetaOperationQpsLimitExceeded",
        "",
        quota(QuotaLevel::Reads, Measure::Untold),
        true,
    ),
    (400, "ProjectQuotaExceed", "", Unknown, false),
    (400, "QuotaExceed", "", Unknown, false),
    (500, "InternalServerError", "", ServerError, true),
    (500, "RequestTimeout", "", ServerError, true),
    (503, "ServerBusy", "", Busy, true),
    (502, "", "", Busy, true),
    (504, "", "", Busy, true),
    (400, "SomethingNew", "", Unknown, false),
];

#[tokio::test]
async fn every_refusal_of_the_table_has_its_meaning() {
    let script = ROWS
        .iter()
        .map(|(status, code, message, ..)| refusal(*status, code, message));
    let server = Server::plain(script).await;
    let client = client(&server);
    for (status, code, _, kind, retry) in ROWS {
        let error = put(&client).await.unwrap_err();
        assert_eq!(error.kind, *kind, "{status} {code}");
        assert_eq!(error.is_worth_retrying(), *retry, "{status} {code}");
        assert!(!error.may_be_stored(), "{status} {code}");
        assert_eq!((error.status, &*error.text), (Some(*status), *code));
        assert_eq!(
            error.request_id.as_deref(),
            Some("0123456789ABCDEF01234567")
        );
        assert_eq!(error.quota().is_some(), matches!(kind, Kind::Quota(_)));
    }
    assert_eq!(
        server.received().len(),
        ROWS.len(),
        "nothing is tried twice here"
    );
}
