//! One value as each agent sends it, under the topic that its format asks for.

use super::*;

const FILEBEAT: &str = r#"{"@timestamp":"2025-07-01T12:00:00.123Z","@metadata":{"beat":"filebeat","type":"_doc","version":"8.14.0"},"message":"GET /index 200","log":{"file":{"path":"/var/log/app.log"},"offset":1042},"input":{"type":"log"}}"#;
const TELEGRAF: &str = "{\"fields\":{\"usage_idle\":98.2,\"usage_user\":1.1},\"name\":\"cpu\",\"tags\":{\"cpu\":\"cpu-total\",\"host\":\"web-1\"},\"timestamp\":1751371200}\n";
const TELEGRAF_INFLUX: &str =
    "cpu,cpu=cpu-total,host=web-1 usage_idle=98.2,usage_user=1.1 1751371200000000000\n";
const LOGSTASH: &str = r#"{"@timestamp":"2025-07-01T12:00:00.123456789Z","@version":"1","message":"GET /index 200","host":{"hostname":"web-1"},"event":{"original":"GET /index 200"}}"#;
const LOGSTASH_PLAIN: &str = "2025-07-01T12:00:00.123Z {hostname=web-1} GET /index 200";
const FLUENTD: &str =
    r#"{"message":"GET /index 200","code":200,"tag":"app.access","time":1751371200}"#;
const COLLECTD: &str = r#"[{"values":[1.25],"dstypes":["gauge"],"dsnames":["value"],"time":1751371200.123,"interval":10.000,"host":"web-1","plugin":"load","plugin_instance":"","type":"load","type_instance":""}]"#;
const FLUENT_BIT: &str = r#"{"@timestamp":1751371200.123456,"log":"GET /index 200"}"#;
const RSYSLOG: &str =
    "2025-07-01T12:00:00.123456+08:00 web-1 sshd[812]: Accepted publickey for root\n";
const SYSLOG_NG: &str = "2025-07-01T12:00:00+08:00 web-1 sshd[812]: Accepted publickey for root";
const VECTOR: &str = r#"{"file":"/var/log/app.log","host":"web-1","message":"GET /index 200","source_type":"file","timestamp":"2025-07-01T12:00:00.123456Z"}"#;

#[track_caller]
fn check_json(value: &str, expected: &[(&str, &str)]) {
    assert_eq!(Gateway::json().log(&Sent::value(value)).fields(), expected);
    // Without the topic's suffix it stays whole, with the header it is taken apart all the same.
    let plain = Gateway::default();
    assert_eq!(
        plain.log(&Sent::value(value)).fields(),
        [("content", value)]
    );
    let asking = Sent::value(value).header("data-parse-format", "json");
    assert_eq!(plain.log(&asking).fields(), expected);
}

#[track_caller]
fn check_text(value: &str) {
    for gateway in [Gateway::default(), Gateway::json()] {
        let log = gateway.log(&Sent::value(value).key("content"));
        assert_eq!(log.fields(), [("content", value)]);
    }
}

#[test]
fn filebeat_events_keep_nested_objects_as_json() {
    let expected = [
        ("@timestamp", "2025-07-01T12:00:00.123Z"),
        (
            "@metadata",
            r#"{"beat":"filebeat","type":"_doc","version":"8.14.0"}"#,
        ),
        ("message", "GET /index 200"),
        (
            "log",
            r#"{"file":{"path":"/var/log/app.log"},"offset":1042}"#,
        ),
        ("input", r#"{"type":"log"}"#),
    ];
    check_json(FILEBEAT, &expected);
}

#[test]
fn telegraf_metrics_are_taken_apart_in_spite_of_their_newline() {
    let expected = [
        ("fields", r#"{"usage_idle":98.2,"usage_user":1.1}"#),
        ("name", "cpu"),
        ("tags", r#"{"cpu":"cpu-total","host":"web-1"}"#),
        ("timestamp", "1751371200"),
    ];
    check_json(TELEGRAF, &expected);
}

#[test]
fn logstash_events_are_taken_apart() {
    let expected = [
        ("@timestamp", "2025-07-01T12:00:00.123456789Z"),
        ("@version", "1"),
        ("message", "GET /index 200"),
        ("host", r#"{"hostname":"web-1"}"#),
        ("event", r#"{"original":"GET /index 200"}"#),
    ];
    check_json(LOGSTASH, &expected);
}

#[test]
fn fluentd_records_are_taken_apart() {
    let expected = [
        ("message", "GET /index 200"),
        ("code", "200"),
        ("tag", "app.access"),
        ("time", "1751371200"),
    ];
    check_json(FLUENTD, &expected);
}

#[test]
fn the_array_that_collectd_sends_becomes_a_log_of_its_object() {
    let expected = [
        ("values", "[1.25]"),
        ("dstypes", r#"["gauge"]"#),
        ("dsnames", r#"["value"]"#),
        ("time", "1751371200.123"),
        ("interval", "10.000"),
        ("host", "web-1"),
        ("plugin", "load"),
        ("plugin_instance", ""),
        ("type", "load"),
        ("type_instance", ""),
    ];
    check_json(COLLECTD, &expected);
}

#[test]
fn fluent_bit_records_keep_their_float_time_as_written() {
    let expected = [
        ("@timestamp", "1751371200.123456"),
        ("log", "GET /index 200"),
    ];
    check_json(FLUENT_BIT, &expected);
}

#[test]
fn vector_events_are_taken_apart() {
    let expected = [
        ("file", "/var/log/app.log"),
        ("host", "web-1"),
        ("message", "GET /index 200"),
        ("source_type", "file"),
        ("timestamp", "2025-07-01T12:00:00.123456Z"),
    ];
    check_json(VECTOR, &expected);
}

#[test]
fn lines_of_telegraf_logstash_rsyslog_and_syslog_ng_stay_whole() {
    for line in [TELEGRAF_INFLUX, LOGSTASH_PLAIN, RSYSLOG, SYSLOG_NG] {
        check_text(line);
    }
}

#[test]
fn a_timestamp_in_whole_seconds_has_no_nanoseconds() {
    let log = Gateway::default().log(&Sent::value(RSYSLOG).at(1_751_371_200_000));
    assert_eq!((log.time, log.time_ns), (1_751_371_200, None));
}

#[test]
fn binary_values_of_an_otlp_exporter_become_base64() {
    let otlp = [0x0a, 0xb2, 0x01, 0x0a, 0x80, 0xfe];
    let log = Gateway::json().log(&Sent::value(otlp));
    assert_eq!(log.fields(), [("content_base64", "CrIBCoD+")]);
}
