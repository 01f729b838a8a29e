//! Answers that are wrong, late, endless or not the Log Service's, and clocks that are off.

use super::server::{Step, answer, date, foreign_answer, log_time, ok, refusal, refusal_at};
use super::*;
use crate::signature::parse_http_date;

const NOT_STORED: Kind = Kind::Network { sent: Sent::No };
const PERHAPS_STORED: Kind = Kind::Network { sent: Sent::Maybe };
const HOUR_S: i64 = 3600;

async fn put_error(step: Step) -> CallError {
    let server = Server::plain([step]).await;
    put(&client(&server)).await.unwrap_err()
}

#[tokio::test]
async fn an_answer_without_request_id_is_a_network_failure_whatever_it_says() {
    for status in [200, 302, 401, 403, 404, 502] {
        let body = r#"{"errorCode":"Unauthorized","errorMessage":""}"#;
        let error = put_error(foreign_answer(status, "", body)).await;
        assert_eq!(
            (error.kind, error.status),
            (PERHAPS_STORED, None),
            "{status}"
        );
        assert!(error.text.contains(&status.to_string()), "{error}");
        let error = put_error(foreign_answer(status, "x-log-requestid: \r\n", "")).await;
        assert_eq!(error.kind, PERHAPS_STORED, "{status}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_key_goes_nowhere_else() {
    let elsewhere = Server::plain([ok()]).await;
    let location = format!("location: http://{}/logstores\r\n", elsewhere.address());
    for status in [301, 302, 303, 307, 308] {
        let error = put_error(answer(status, &location, "")).await;
        assert_eq!((error.kind, error.status), (Kind::BadAnswer, Some(status)));
    }
    assert!(elsewhere.received().is_empty());
}

#[tokio::test]
async fn a_redirect_to_nowhere_is_a_failure_like_any_other() {
    for location in [
        "",
        "/",
        "//",
        "http://",
        "http://[",
        "ftp://a.example.com/",
        "http://a..b/",
        "http://1.2.3.4.5/",
        "http://EXÄMPLE/",
        "http://xn--EXMPLE-cua/",
        "http://xn--a/",
        "http://xn--\u{fffd}/",
        "http://a:99999/",
    ] {
        let error = put_error(answer(307, &format!("location: {location}\r\n"), "")).await;
        assert!(
            matches!(error.kind, Kind::BadAnswer | PERHAPS_STORED),
            "{location}: {error}"
        );
    }
}

#[tokio::test]
async fn an_error_body_is_read_up_to_a_limit() {
    let refused = r#"{"errorCode":"Unauthorized","errorMessage":""#.to_owned();
    let huge = format!("{refused}{}\"}}", "x".repeat(1 << 20));
    let error = put_error(answer(401, "", &huge)).await;
    assert_eq!((error.kind, error.status), (Kind::BadAnswer, Some(401)));
    let within = format!("{refused}{}\"}}", "x".repeat(60 << 10));
    assert_eq!(
        put_error(answer(401, "", &within)).await.kind,
        Kind::Unauthorized
    );
}

#[tokio::test]
async fn a_body_without_end_is_left_at_the_limit() {
    let head = |status| {
        let id = "x-log-requestid: 0123456789ABCDEF01234567";
        Step::Endless(format!(
            "HTTP/1.1 {status} Status\r\n{id}\r\nconnection: close\r\n\r\n"
        ))
    };
    assert_eq!(put_error(head(500)).await.kind, Kind::ServerError);
    let server = Server::plain([head(200), head(200)]).await;
    let client = client(&server);
    put(&client).await.expect("the head says that it is stored");
    let shards = client.list_shards(&tenant(), &logstore()).await;
    assert_eq!(shards.unwrap_err().kind, Kind::BadAnswer);
}

#[tokio::test]
async fn a_body_that_is_not_what_it_should_be_never_passes_for_an_answer() {
    for body in ["", "<html>", "{}", "null", r#"{"errorCode":1}"#, "[[[[[[[["] {
        for (status, kind) in [
            (400, Kind::BadAnswer),
            (500, Kind::ServerError),
            (503, Kind::Busy),
        ] {
            let error = put_error(answer(status, "", body)).await;
            assert_eq!((error.kind, error.status), (kind, Some(status)), "{body}");
        }
        let server = Server::plain([answer(200, "", body)]).await;
        let shards = client(&server).list_shards(&tenant(), &logstore()).await;
        let error = shards.unwrap_err();
        assert_eq!(
            (error.kind, error.status),
            (Kind::BadAnswer, Some(200)),
            "{body}"
        );
    }
}

#[tokio::test]
async fn an_answer_cut_short_still_tells_what_its_head_tells() {
    let cut = |status| {
        let id = "x-log-requestid: 0123456789ABCDEF01234567";
        Step::Answer(format!(
            "HTTP/1.1 {status} Status\r\n{id}\r\ncontent-length: 50\r\n\r\n{{"
        ))
    };
    let server = Server::plain([cut(500), Step::Silence]).await;
    let client = Client::new(&Settings {
        request_timeout: Duration::from_millis(300),
        ..settings(endpoint("http://log.example.com", &server))
    });
    let error = put(&client.unwrap()).await.unwrap_err();
    assert_eq!(
        error.kind, PERHAPS_STORED,
        "the time ran out before the body's end"
    );
}

#[tokio::test]
async fn what_is_no_http_is_a_network_failure() {
    for bytes in [
        "",
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1 xyz\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx-log-req",
    ] {
        let server = Server::plain([Step::Answer(bytes.into())]).await;
        let client = Client::new(&Settings {
            request_timeout: Duration::from_millis(300),
            ..settings(endpoint("http://log.example.com", &server))
        });
        let error = put(&client.unwrap()).await.unwrap_err();
        assert_eq!(error.kind, PERHAPS_STORED, "{bytes}");
    }
}

#[tokio::test]
async fn a_write_that_is_not_answered_in_time_may_be_stored() {
    let server = Server::plain([Step::Silence]).await;
    let client = client(&server);
    let payload = client.payload(&group());
    let timeout = Duration::from_millis(200);
    let put = send(&client, &payload, Target::AnyShard, timeout);
    let error = put.await.unwrap_err();
    assert_eq!((error.kind, &*error.text), (PERHAPS_STORED, "timed out"));
}

#[tokio::test]
async fn a_connection_reset_under_a_write_leaves_its_outcome_open() {
    let error = put_error(Step::ResetAfterRequest).await;
    assert_eq!(error.kind, PERHAPS_STORED);
    let server = Server::plain([Step::ResetAtOnce]).await;
    let error = put(&client(&server)).await.unwrap_err();
    assert!(matches!(error.kind, Kind::Network { .. }), "{error}");
}

#[tokio::test]
async fn a_question_that_fails_has_stored_nothing() {
    for step in [Step::ResetAfterRequest, foreign_answer(200, "", "")] {
        let server = Server::plain([step]).await;
        let error = client(&server).get_project(&tenant()).await.unwrap_err();
        assert_eq!(error.kind, NOT_STORED);
    }
}

#[tokio::test]
async fn a_request_refused_for_its_time_is_signed_once_more_with_the_log_services() {
    for code in ["RequestTimeExpired", "RequestTimeTooSkewed"] {
        for header in [log_time, date] {
            let server_s = clock::local_s() + 2 * HOUR_S;
            let server = Server::plain([refusal_at(400, code, "", &header(server_s)), ok()]).await;
            let client = client(&server);
            put(&client).await.unwrap();
            let received = server.received();
            let dates = received
                .iter()
                .map(|request| request.header("date").and_then(parse_http_date));
            let dates: Vec<_> = dates.flatten().collect();
            assert!(dates[0].abs_diff(clock::local_s()) < 60);
            assert_eq!(dates[1], server_s);
            let now_s = client.now_s("r");
            assert!(
                now_s.abs_diff(clock::local_s()) < 60,
                "one answer does not move the clock"
            );
        }
    }
}

#[tokio::test]
async fn a_request_is_refused_for_its_time_twice_and_no_more() {
    let late = || {
        let time = log_time(clock::local_s() + HOUR_S);
        refusal_at(400, "RequestTimeExpired", "", &time)
    };
    let server = Server::plain([late(), late()]).await;
    let error = put(&client(&server)).await.unwrap_err();
    assert_eq!(
        (error.kind, error.may_be_stored()),
        (Kind::ClockSkew, false)
    );
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn a_refused_time_is_not_tried_again_where_no_other_time_is_known() {
    for time in [
        String::new(),
        "x-log-time: 1\r\n".into(),
        log_time(clock::local_s()),
    ] {
        let server = Server::plain([refusal_at(400, "RequestTimeExpired", "", &time)]).await;
        let error = put(&client(&server)).await.unwrap_err();
        assert_eq!(error.kind, Kind::ClockSkew);
    }
}

#[tokio::test]
async fn a_clock_that_most_answers_agree_on_is_taken_over() {
    let answers = (0..5).map(|_| answer(200, &log_time(clock::local_s() - HOUR_S), ""));
    let server = Server::plain(answers.chain([ok()])).await;
    let client = client(&server);
    for _ in 0..6 {
        put(&client).await.unwrap();
    }
    let off = clock::local_s() - HOUR_S;
    assert!(client.now_s("r").abs_diff(off) < 60);
    let last = server.received().pop().unwrap();
    let date = parse_http_date(last.header("date").unwrap()).unwrap();
    assert!(date.abs_diff(off) < 60);
}

#[tokio::test]
async fn what_is_not_the_log_services_does_not_set_the_clock() {
    let foreign = (0..9).map(|_| foreign_answer(200, &log_time(clock::local_s() - HOUR_S), ""));
    let server = Server::plain(foreign).await;
    let client = client(&server);
    for _ in 0..9 {
        put(&client).await.unwrap_err();
    }
    assert!(client.now_s("r").abs_diff(clock::local_s()) < 60);
}

#[tokio::test]
async fn the_message_of_a_refusal_is_not_kept() {
    let message = "expected signature of x-acs-security-token:hush";
    let error = put_error(refusal(401, "SignatureNotMatch", message)).await;
    let printed = format!("{error} {error:?}");
    assert!(printed.contains("0123456789ABCDEF01234567"), "{printed}");
    assert!(!printed.contains("hush"), "{printed}");
}
