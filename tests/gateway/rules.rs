//! The rules of delivery, against a Log Service that does as it is told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::{
    ApiKey, FindCoordinatorRequest, FindCoordinatorResponse, InitProducerIdRequest,
    InitProducerIdResponse, MetadataRequest, MetadataResponse, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use sluice::backend::PutError;
use sluice::catalog::Spread;
use sluice::server::BadKey;

use crate::support::client::{
    Ask, Client, PRODUCE_VERSION, ask, batch, compressed_batch, producer_batch,
};
use crate::support::told::Told;
use crate::support::{Gateway, LOGSTORE, PASSWORD, PROJECT, Settings, eventually};

const NOT_STORED: PutError = PutError::NotStored("told so");

fn gateway(told: &Told) -> Gateway {
    gateway_with(told, Settings::default())
}

fn gateway_with(told: &Told, settings: Settings) -> Gateway {
    Gateway::start(Arc::new(told.clone()), settings)
}

fn codes(client: &mut Client) -> Vec<i16> {
    let partitions = client.receive_produce(PRODUCE_VERSION).expect("an answer");
    partitions
        .iter()
        .map(|partition| partition.error_code)
        .collect()
}

// Acknowledging and refusing (the write, whole or not)

#[test]
fn a_produce_is_answered_only_when_its_logs_are_stored() {
    let told = Told::new();
    let gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    client.send_produce(&ask(LOGSTORE, batch(&["a", "b"])));
    eventually("the write came", || told.waiting() == 1);
    assert!(told.stored().is_empty());
    assert_eq!(told.decide(Ok(())), ["a", "b"]);
    assert_eq!(codes(&mut client), [0]);
}

#[test]
fn each_partition_has_its_own_result_and_those_stored_stay_stored() {
    let told = Told::open();
    let gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    let mut damaged = batch(&["bad"]).to_vec();
    damaged[30] ^= 1;
    let sets = vec![
        (0, batch(&["good"])),
        (1, damaged.into()),
        (2_000, batch(&["far"])),
        (2, batch(&["too"])),
    ];
    let asked = Ask {
        sets,
        ..ask(LOGSTORE, Bytes::new())
    };
    assert_eq!(client.produce(&asked), [0, 2, 3, 0]);
    let mut stored = told.stored();
    stored.sort();
    assert_eq!(stored, ["good", "too"]);
}

#[test]
fn what_cannot_be_stored_fails_its_whole_batch_and_names_the_record_from_v8() {
    let told = Told::open();
    let gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    // The second record's length says more than there is; the CRC is right.
    let mut set = batch(&["first", "second"]).to_vec();
    let second = set.len() - 13;
    set[second] = 0x7e;
    let crc = crc32c::crc32c(&set[21..]);
    set[17..21].copy_from_slice(&crc.to_be_bytes());
    client.send_produce(&ask(LOGSTORE, set.into()));
    let answer = client
        .receive_produce(PRODUCE_VERSION)
        .expect("an answer")
        .remove(0);
    assert_eq!(answer.error_code, 87);
    let guilty: Vec<i32> = answer
        .record_errors
        .iter()
        .map(|error| error.batch_index)
        .collect();
    assert_eq!(guilty, [1]);
    assert!(answer.error_message.is_some_and(|text| !text.is_empty()));
    assert!(told.stored().is_empty(), "nothing of the batch is stored");
}

#[test]
fn a_transactional_batch_is_53_with_or_without_a_producers_id_and_stores_nothing() {
    let told = Told::open();
    let gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    for set in [batch(&["a"]), producer_batch(&["a"], 7, 0, 0)] {
        let mut set = set.to_vec();
        set[22] |= 1 << 4;
        let crc = crc32c::crc32c(&set[21..]);
        set[17..21].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(client.produce(&ask(LOGSTORE, set.into())), [53]);
    }
    assert_eq!(client.produce(&ask(LOGSTORE, batch(&["b"]))), [0]);
    assert_eq!(told.stored(), ["b"]);
}

#[test]
fn acks_0_is_never_answered_and_a_failed_one_closes_behind_earlier_answers() {
    let told = Told::open();
    let gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    let unacked = |topic: &'static str, value: &str| Ask {
        acks: 0,
        ..ask(topic, batch(&[value]))
    };
    client.send_produce(&unacked(LOGSTORE, "silent"));
    assert_eq!(
        client.produce(&ask(LOGSTORE, batch(&["loud"]))),
        [0],
        "the next answer is that of the next request"
    );
    let mut frames = client.produce_frame(&ask(LOGSTORE, batch(&["before"])));
    frames.extend(client.produce_frame(&unacked("missing", "lost")));
    client.write(&frames);
    assert_eq!(codes(&mut client), [0]);
    client.expect_close();
    assert_eq!(told.stored().len(), 3);
}

#[test]
fn a_clients_leaving_never_cancels_a_request_that_arrived_whole() {
    let told = Told::new();
    let gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    client.send_produce(&ask(LOGSTORE, batch(&["kept"])));
    eventually("the write came", || told.waiting() == 1);
    drop(client);
    told.decide(Ok(()));
    assert_eq!(told.stored(), ["kept"]);
}

#[test]
fn a_failure_that_may_pass_is_56_from_v8_and_6_before() {
    let told = Told::new();
    let gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    for (version, code) in [(9, 56), (8, 56), (7, 6), (3, 6)] {
        client.send_produce(&Ask {
            version,
            ..ask(LOGSTORE, batch(&["x"]))
        });
        told.decide(Err(NOT_STORED));
        let answer = client.receive_produce(version).expect("an answer");
        assert_eq!(answer[0].error_code, code, "v{version}");
    }
    client.send_produce(&ask(LOGSTORE, batch(&["x"])));
    told.decide(Err(PutError::Uncertain("told so")));
    assert_eq!(codes(&mut client), [7], "perhaps stored");
}

#[test]
fn names_and_rights_have_their_codes() {
    let told = Told::open();
    let gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    for (topic, code) in [
        ("missing", 3),
        ("read-only", 29),
        ("No.Such", 17),
        ("x", 17),
    ] {
        assert_eq!(
            client.produce(&ask(topic, batch(&["x"]))),
            [code],
            "{topic}"
        );
        assert_eq!(client.metadata(topic, true).0, code, "{topic}");
    }
    assert!(told.stored().is_empty());
}

// Idempotent producers, on the wire

#[test]
fn a_repeat_is_answered_as_success_and_stored_once_also_over_a_new_connection() {
    let told = Told::new();
    let gateway = gateway(&told);
    let mut first = Client::new(&gateway);
    let id = first.producer_id();
    let set = || producer_batch(&["once"], id, 0, 0);
    first.send_produce(&ask(LOGSTORE, set()));
    eventually("the write came", || told.waiting() == 1);
    let mut second = Client::new(&gateway);
    second.send_produce(&ask(LOGSTORE, set()));
    // The repeat waits for the outcome of the first try.
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(told.waiting(), 1);
    told.decide(Ok(()));
    assert_eq!(codes(&mut first), [0]);
    assert_eq!(codes(&mut second), [0]);
    assert_eq!(second.produce(&ask(LOGSTORE, set())), [0]);
    assert_eq!(told.stored(), ["once"]);
}

#[test]
fn later_batches_in_flight_share_the_failure_in_front_of_them_and_all_are_stored_once_in_the_end() {
    let told = Told::new();
    let gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    let id = client.producer_id();
    let set = |sequence: i32| producer_batch(&[&format!("n{sequence}")], id, 0, sequence);
    for sequence in 0..5 {
        client.send_produce(&ask(LOGSTORE, set(sequence)));
        if sequence == 0 {
            eventually("the first write came", || told.waiting() == 1);
        }
    }
    eventually("a second write waits", || told.waiting() == 2);
    told.decide(Err(NOT_STORED));
    // The second write holds later batches; it succeeds, and still they are told to come again.
    told.release();
    for _ in 0..5 {
        assert_eq!(codes(&mut client), [56]);
    }
    eventually("what was on its way is stored", || told.waiting() == 0);
    for sequence in 0..5 {
        assert_eq!(client.produce(&ask(LOGSTORE, set(sequence))), [0]);
    }
    let mut stored = told.stored();
    stored.sort();
    assert_eq!(stored, ["n0", "n1", "n2", "n3", "n4"]);
}

#[test]
fn a_batch_refused_for_good_behind_a_slow_one_keeps_its_own_error() {
    let told = Told::new();
    let gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    let id = client.producer_id();
    client.send_produce(&ask(LOGSTORE, producer_batch(&["good"], id, 0, 0)));
    eventually("the first write came", || told.waiting() == 1);
    let mut damaged = producer_batch(&["bad"], id, 0, 1).to_vec();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    client.send_produce(&ask(LOGSTORE, damaged.into()));
    std::thread::sleep(Duration::from_millis(100));
    told.decide(Ok(()));
    assert_eq!(codes(&mut client), [0]);
    assert_eq!(
        codes(&mut client),
        [2],
        "it is not stored and must not be acknowledged"
    );
    assert_eq!(told.stored(), ["good"]);
}

#[test]
fn what_waits_for_its_turn_is_dropped_when_its_producer_begins_a_new_epoch() {
    let told = Told::new();
    let gateway = gateway(&told);
    let mut old = Client::new(&gateway);
    let id = old.producer_id();
    // The first is large, so it is still being decoded, or written, when the second waits.
    let large = "x".repeat(3 << 20);
    old.send_produce(&ask(LOGSTORE, producer_batch(&[&large], id, 0, 0)));
    old.send_produce(&ask(LOGSTORE, producer_batch(&["behind"], id, 0, 1)));
    let mut new = Client::new(&gateway);
    new.send_produce(&ask(LOGSTORE, producer_batch(&["anew"], id, 1, 0)));
    told.release();
    assert_eq!(codes(&mut new), [0]);
    let answers = [codes(&mut old)[0], codes(&mut old)[0]];
    assert!(
        answers.iter().all(|code| [0, 47].contains(code)),
        "{answers:?}"
    );
    eventually("nothing is left over", || gateway.budget.used() == 0);
}

#[test]
fn a_write_refused_after_its_answer_is_no_success_for_the_repeat_that_waits() {
    let told = Told::new();
    let gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    let id = client.producer_id();
    let set = |sequence: i32| producer_batch(&[&format!("n{sequence}")], id, 0, sequence);
    for sequence in 0..2 {
        client.send_produce(&ask(LOGSTORE, set(sequence)));
        eventually("its write came", || told.waiting() > sequence as usize);
    }
    told.decide(Err(NOT_STORED));
    assert_eq!(codes(&mut client), [56]);
    assert_eq!(codes(&mut client), [56]);
    for sequence in 0..2 {
        client.send_produce(&ask(LOGSTORE, set(sequence)));
    }
    eventually("the second try of the first came", || told.waiting() == 2);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(told.decide(Err(PutError::NoLogstore)), ["n1"]);
    assert_eq!(told.decide(Ok(())), ["n0"]);
    assert_eq!(codes(&mut client), [0]);
    assert_eq!(codes(&mut client), [3], "it is not stored");
    told.release();
    assert_eq!(client.produce(&ask(LOGSTORE, set(1))), [0]);
    assert_eq!(told.stored(), ["n0", "n1"]);
}

#[test]
fn a_repeat_whose_time_is_over_while_the_first_try_is_written_is_7() {
    let told = Told::new();
    let gateway = gateway(&told);
    let (mut first, mut second) = (Client::new(&gateway), Client::new(&gateway));
    let id = first.producer_id();
    let set = || producer_batch(&["once"], id, 0, 0);
    first.send_produce(&ask(LOGSTORE, set()));
    eventually("the write came", || told.waiting() == 1);
    second.send_produce(&Ask {
        timeout_ms: 100,
        ..ask(LOGSTORE, set())
    });
    assert_eq!(codes(&mut second), [7], "the first try may be stored");
    told.decide(Ok(()));
    assert_eq!(codes(&mut first), [0]);
}

#[test]
fn a_missing_logstore_is_3_for_all_batches_of_a_producer_in_flight() {
    let told = Told::open();
    let gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    let id = client.producer_id();
    for sequence in 0..3 {
        client.send_produce(&ask("missing", producer_batch(&["x"], id, 0, sequence)));
    }
    for _ in 0..3 {
        let code = codes(&mut client)[0];
        assert!([3, 56].contains(&code), "{code}: 45 would end the producer");
    }
}

#[test]
fn gaps_and_epochs_have_their_codes() {
    let told = Told::open();
    let gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    let id = client.producer_id();
    let mut send = |epoch, sequence| {
        client.produce(&ask(LOGSTORE, producer_batch(&["x"], id, epoch, sequence)))[0]
    };
    assert_eq!(send(1, 0), 0);
    assert_eq!(send(1, 5), 45, "a gap");
    assert_eq!(send(0, 1), 47, "an older epoch");
    assert_eq!(send(2, 3), 45, "a new epoch begins at 0");
    assert_eq!(send(2, 0), 0);
    assert_eq!(send(1, 1), 47);
}

#[test]
fn a_topic_and_its_json_twin_count_apart_though_they_share_a_logstore() {
    let told = Told::open();
    let gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    let id = client.producer_id();
    assert_eq!(
        client.produce(&ask(LOGSTORE, producer_batch(&["plain"], id, 0, 0))),
        [0]
    );
    let json = format!("{LOGSTORE}.json");
    assert_eq!(
        client.produce(&ask(&json, producer_batch(&["not json"], id, 0, 0))),
        [0]
    );
    assert_eq!(
        told.stored(),
        ["plain", "not json"],
        "neither was taken for a repeat of the other"
    );
}

// Time, order, closing

#[test]
fn a_request_is_answered_within_its_time_with_7_when_it_may_have_been_written() {
    let told = Told::new();
    let gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    let begin = Instant::now();
    client.send_produce(&Ask {
        timeout_ms: 100,
        ..ask(LOGSTORE, batch(&["late"]))
    });
    assert_eq!(codes(&mut client), [7]);
    // 0.8 × 2 s, the least time-out that is taken at its word.
    assert!(
        begin.elapsed() >= Duration::from_millis(1_600),
        "{:?}",
        begin.elapsed()
    );
    told.decide(Ok(()));
    assert_eq!(
        client.produce(&ask("missing", batch(&["x"]))),
        [3],
        "the connection goes on"
    );
    assert_eq!(told.stored(), ["late"]);
}

#[test]
fn a_short_time_out_behind_a_long_one_is_kept_too() {
    let told = Told::new();
    let gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    let begin = Instant::now();
    client.send_produce(&Ask {
        timeout_ms: 30_000,
        ..ask(LOGSTORE, batch(&["patient"]))
    });
    client.send_produce(&Ask {
        timeout_ms: 2_000,
        ..ask(LOGSTORE, batch(&["hasty"]))
    });
    assert_eq!(codes(&mut client), [7]);
    assert_eq!(codes(&mut client), [7]);
    assert!(
        begin.elapsed() < Duration::from_secs(15),
        "{:?}",
        begin.elapsed()
    );
}

#[test]
fn answers_keep_the_order_of_their_requests() {
    let told = Told::new();
    let gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    client.send_produce(&ask(LOGSTORE, batch(&["slow"])));
    eventually("the write came", || told.waiting() == 1);
    // This one is refused at once, and waits for its turn to say so.
    client.send_produce(&ask("missing", batch(&["fast"])));
    std::thread::sleep(Duration::from_millis(100));
    told.decide(Ok(()));
    assert_eq!(codes(&mut client), [0]);
    assert_eq!(codes(&mut client), [3]);
}

#[test]
fn requests_in_flight_on_a_connection_are_bounded() {
    let told = Told::new();
    let mut settings = Settings::default();
    settings.limits.requests_per_connection_max = 2;
    let gateway = gateway_with(&told, settings);
    let mut client = Client::new(&gateway);
    for value in ["1", "2", "3"] {
        client.send_produce(&ask(LOGSTORE, batch(&[value])));
    }
    eventually("two writes came", || told.waiting() == 2);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(told.decide(Ok(())), ["1"]);
    assert_eq!(codes(&mut client), [0]);
    told.release();
    eventually("the third was read", || told.stored().len() == 3);
    assert_eq!(codes(&mut client), [0]);
    assert_eq!(codes(&mut client), [0]);
}

#[test]
fn a_frame_half_read_when_the_server_stops_is_answered_before_the_close() {
    let told = Told::open();
    let mut gateway = gateway(&told);
    let (mut client, mut idle) = (Client::new(&gateway), Client::new(&gateway));
    let frame = client.produce_frame(&ask(LOGSTORE, batch(&["halved"])));
    let (head, tail) = frame.split_at(frame.len() / 2);
    client.write(head);
    eventually("its body has begun", || gateway.budget.used() > 0);
    gateway.begin_stop();
    idle.expect_close();
    client.write(tail);
    assert_eq!(codes(&mut client), [0]);
    client.expect_close();
    assert_eq!(told.stored(), ["halved"]);
}

#[test]
fn a_metadata_behind_a_produce_is_answered_in_its_turn() {
    let told = Told::new();
    let gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    client.send_produce(&Ask {
        timeout_ms: 2_000,
        ..ask(LOGSTORE, batch(&["slow"]))
    });
    // The write is never decided: the Produce's deadline is also the Metadata's.
    client.send(
        ApiKey::Metadata,
        1,
        &MetadataRequest::default().with_topics(Some(Vec::new())),
    );
    assert_eq!(codes(&mut client), [7]);
    let answer: MetadataResponse = client.receive(ApiKey::Metadata, 1).expect("an answer");
    assert_eq!(answer.brokers.len(), 1);
}

#[test]
fn a_stopping_server_answers_each_complete_frame_and_then_closes() {
    let told = Told::new();
    let mut gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    let mut idle = Client::new(&gateway);
    for value in ["1", "2", "3"] {
        client.send_produce(&ask(LOGSTORE, batch(&[value])));
    }
    eventually("the writes came", || told.waiting() == 2);
    gateway.begin_stop();
    idle.expect_close();
    std::thread::sleep(Duration::from_millis(100));
    // The client goes on sending into the half-closed connection: that must not destroy its answers.
    let more = client.produce_frame(&ask(LOGSTORE, batch(&["unread"])));
    let _ = client.try_write(&more);
    told.release();
    for _ in 0..3 {
        assert_eq!(codes(&mut client), [0]);
    }
    client.expect_close();
    let mut stored = told.stored();
    stored.sort();
    assert_eq!(stored, ["1", "2", "3"]);
}

#[test]
fn a_client_that_leaves_without_close_notify_harms_nobody() {
    let told = Told::new();
    let gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    client.send_produce(&ask(LOGSTORE, batch(&["kept"])));
    eventually("the write came", || told.waiting() == 1);
    client.cut();
    told.release();
    eventually("it is stored", || told.stored() == ["kept"]);
    assert_eq!(
        Client::new(&gateway).produce(&ask(LOGSTORE, batch(&["next"]))),
        [0]
    );
}

#[test]
fn a_frame_of_100_mib_is_taken_after_proof_and_refused_before() {
    let told = Told::open();
    let gateway = gateway_with(
        &told,
        Settings {
            decompressed_bytes_max: 1 << 20,
            ..Settings::default()
        },
    );
    let mut client = Client::new(&gateway);
    let large = "x".repeat(50 << 20);
    let asked = Ask {
        sets: vec![(0, batch(&[&large])), (1, batch(&["small"]))],
        ..ask(LOGSTORE, Bytes::new())
    };
    assert_eq!(
        client.produce(&asked),
        [10, 0],
        "over the decompressed limit is 10, and its neighbour is stored"
    );
    assert_eq!(told.stored(), ["small"]);
    let mut stranger = Client::dial(gateway.address, &gateway.certificate, "localhost");
    stranger.write(&(17_i32 << 10).to_be_bytes());
    stranger.expect_close();
    client.write(&((100_i32 << 20) + 1).to_be_bytes());
    client.expect_close();
}

#[test]
fn what_is_not_to_be_had_is_counted_and_so_logged() {
    let told = Told::open();
    let gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    // As syslog-ng does with sync-send(yes), again and again.
    let coordinator = FindCoordinatorRequest::default()
        .with_key(StrBytes::from_static_str("tx-1"))
        .with_key_type(1);
    client.send(ApiKey::FindCoordinator, 2, &coordinator);
    let answer: FindCoordinatorResponse = client
        .receive(ApiKey::FindCoordinator, 2)
        .expect("an answer");
    assert_eq!(answer.error_code, 53);
    let transactional = TransactionalId(StrBytes::from_static_str("tx-1"));
    let producer = InitProducerIdRequest::default().with_transactional_id(Some(transactional));
    client.send(ApiKey::InitProducerId, 1, &producer);
    let answer: InitProducerIdResponse = client
        .receive(ApiKey::InitProducerId, 1)
        .expect("an answer");
    assert_eq!(answer.error_code, 53);
    let two_acks = Ask {
        acks: 2,
        ..ask(LOGSTORE, batch(&["a"]))
    };
    assert_eq!(client.produce(&two_acks), [21]);
    assert_eq!(gateway.refusals.total("no-transactions"), 2);
    assert_eq!(gateway.refusals.total("bad-acks"), 1);
}

// Keys

#[test]
fn a_wrong_key_is_a_refused_topic_and_its_bodies_are_skipped() {
    let told = Told::open();
    let gateway = gateway(&told);
    let mut client = Client::dial(gateway.address, &gateway.certificate, "localhost");
    client
        .log_in(PROJECT, "key-id#wrong")
        .expect("the login is taken");
    assert_eq!(client.metadata(LOGSTORE, true), (29, 0));
    let sets = vec![(0, batch(&["a"])), (1, batch(&[&"b".repeat(500_000)]))];
    assert_eq!(
        client.produce(&Ask {
            sets,
            ..ask(LOGSTORE, Bytes::new())
        }),
        [29, 29]
    );
    assert_eq!(
        gateway.refusals.total("bad-key"),
        2,
        "the topic in Metadata and the Produce are counted"
    );
    assert_eq!(gateway.budget.used(), 0);
    assert!(told.stored().is_empty());
    let large = "c".repeat(5 << 20);
    assert_eq!(client.produce(&ask(LOGSTORE, batch(&[&large]))), [29]);
}

#[test]
fn a_wrong_key_may_be_refused_at_the_login_or_held() {
    for (bad_key, expected) in [(BadKey::RefuseLogin, 58), (BadKey::Hold, 0)] {
        let told = Told::open();
        let gateway = gateway_with(
            &told,
            Settings {
                bad_key,
                ..Settings::default()
            },
        );
        let mut client = Client::dial(gateway.address, &gateway.certificate, "localhost");
        let (code, text) = client.log_in(PROJECT, "key-id#wrong").expect_err("refused");
        assert_eq!(code, expected, "{bad_key:?}");
        assert!(
            !text.contains("wrong secret"),
            "the reason stands in the log alone: {text}"
        );
        client.expect_close();
    }
}

#[test]
fn user_name_and_host_name_must_agree() {
    let told = Told::open();
    let gateway = gateway(&told);
    let name = format!("{PROJECT}.localhost");
    let mut client = Client::dial(gateway.address, &gateway.certificate, &name);
    let (code, text) = client.log_in("project-2", PASSWORD).expect_err("refused");
    assert_eq!(code, 58);
    assert!(text.contains("disagree"), "{text}");
    let mut client = Client::dial(gateway.address, &gateway.certificate, &name);
    client.log_in(PROJECT, PASSWORD).expect("they agree");
    assert_eq!(client.produce(&ask(LOGSTORE, batch(&["x"]))), [0]);
}

#[test]
fn before_its_key_is_proven_a_client_sends_little_and_one_request_at_a_time() {
    let told = Told::new();
    told.prove_at_metadata();
    let gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    for value in ["1", "2"] {
        client.send_produce(&ask(LOGSTORE, batch(&[value])));
    }
    eventually("the first write came", || told.waiting() == 1);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(told.waiting(), 1);
    told.decide(Ok(()));
    told.decide(Ok(()));
    assert_eq!(codes(&mut client), [0]);
    assert_eq!(codes(&mut client), [0]);
    assert_eq!(client.metadata(LOGSTORE, false).0, 0);
    for value in ["3", "4"] {
        client.send_produce(&ask(LOGSTORE, batch(&[value])));
    }
    eventually("both writes came", || told.waiting() == 2);
    told.release();
    assert_eq!(codes(&mut client), [0]);
    assert_eq!(codes(&mut client), [0]);
    let large = "x".repeat(2 << 20);
    assert_eq!(client.produce(&ask(LOGSTORE, batch(&[&large]))), [0]);
    let mut stranger = Client::new(&gateway);
    stranger.write(&(2_i32 << 20).to_be_bytes());
    stranger.expect_close();
}

// Memory

#[test]
fn a_charge_ends_when_the_logs_are_stored_not_when_the_answer_is_sent() {
    let told = Told::new();
    let gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    client.send_produce(&ask(LOGSTORE, batch(&["front"])));
    eventually("the first write came", || told.waiting() == 1);
    client.send_produce(&ask(LOGSTORE, batch(&[&"x".repeat(100_000)])));
    eventually("the second write came", || told.waiting() == 2);
    assert!(gateway.budget.used() > 100_000);
    // The second is stored first; its answer waits behind the first one's.
    let front = told.decide(Ok(()));
    assert_eq!(front, ["front"]);
    told.decide(Ok(()));
    eventually("both charges have ended", || gateway.budget.used() == 0);
    assert_eq!(codes(&mut client), [0]);
    assert_eq!(codes(&mut client), [0]);
}

#[test]
fn a_frame_waits_for_the_budget_and_is_served_when_there_is_room() {
    let told = Told::new();
    let mut settings = Settings::default();
    settings.limits.in_flight_bytes_max = 150_000;
    let gateway = gateway_with(&told, settings);
    let (mut one, mut other) = (Client::new(&gateway), Client::new(&gateway));
    one.send_produce(&ask(LOGSTORE, batch(&[&"x".repeat(100_000)])));
    eventually("the first write came", || told.waiting() == 1);
    other.send_produce(&ask(LOGSTORE, batch(&[&"y".repeat(100_000)])));
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(told.waiting(), 1, "its body is not even read");
    assert!(gateway.budget.used() < 150_000);
    told.decide(Ok(()));
    assert_eq!(codes(&mut one), [0]);
    told.decide(Ok(()));
    assert_eq!(codes(&mut other), [0]);
}

#[test]
fn what_small_frames_unfold_to_is_bounded_while_the_log_service_hangs() {
    let told = Told::new();
    let gateway = gateway(&told);
    // Each frame is small, and its logs are not: 8 MB in pieces that wait as they are.
    let sets: Vec<(i32, Bytes)> = (0..256)
        .map(|index| (index, compressed_batch(&"z".repeat(31_000))))
        .collect();
    let mut refused = 0;
    let mut clients: Vec<Client> = (0..4).map(|_| Client::new(&gateway)).collect();
    for client in &mut clients {
        for _ in 0..12 {
            let asked = Ask {
                timeout_ms: 2_000,
                sets: sets.clone(),
                ..ask(LOGSTORE, Bytes::new())
            };
            client.send_produce(&asked);
        }
    }
    for client in &mut clients {
        for _ in 0..12 {
            let codes = codes(client);
            assert!(codes.iter().all(|code| [7, 56].contains(code)));
            refused += codes.iter().filter(|code| **code == 56).count();
        }
    }
    // 48 × 256 × 31 kB are over the bound by half.
    assert!(refused > 1_000, "{refused}");
    told.release();
}

#[test]
fn a_body_that_comes_fast_enough_is_not_idle() {
    let told = Told::open();
    let mut settings = Settings::default();
    settings.limits.idle_timeout = Duration::from_millis(300);
    let gateway = gateway_with(&told, settings);
    let mut client = Client::new(&gateway);
    let frame = client.produce_frame(&ask(LOGSTORE, batch(&["x"])));
    let (head, tail) = frame.split_at(frame.len() - 10);
    client.write(head);
    std::thread::sleep(Duration::from_millis(700));
    client.write(tail);
    assert_eq!(codes(&mut client), [0]);
}

#[test]
fn a_body_that_comes_too_slowly_closes_its_connection() {
    let told = Told::open();
    let mut settings = Settings::default();
    settings.limits.body_rate_window = Duration::from_millis(300);
    let gateway = gateway_with(&told, settings);
    let mut client = Client::new(&gateway);
    let frame = client.produce_frame(&ask(LOGSTORE, batch(&["x"])));
    client.write(&frame[..frame.len() - 1]);
    client.expect_close();
    eventually("its charge has ended", || gateway.budget.used() == 0);
}

#[test]
fn small_requests_that_are_no_produce_need_no_budget() {
    let told = Told::new();
    let mut settings = Settings::default();
    settings.limits.in_flight_bytes_max = 10;
    let gateway = gateway_with(&told, settings);
    let (mut one, mut other) = (Client::new(&gateway), Client::new(&gateway));
    one.send_produce(&ask(LOGSTORE, batch(&["holds it all"])));
    eventually("the write came", || told.waiting() == 1);
    assert_eq!(other.metadata(LOGSTORE, false), (0, 3));
    other.producer_id();
    told.decide(Ok(()));
    assert_eq!(codes(&mut one), [0]);
}

// Metadata

#[test]
fn any_partition_from_0_to_1023_is_taken() {
    let told = Told::open();
    let gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    let sets = [-1, 0, 1_023, 1_024].map(|partition| (partition, batch(&["x"])));
    assert_eq!(
        client.produce(&Ask {
            sets: sets.into(),
            ..ask(LOGSTORE, Bytes::new())
        }),
        [3, 0, 0, 3]
    );
}

#[test]
fn partitions_follow_the_writable_shards_up_to_8_and_their_count_never_falls() {
    let told = Told::open();
    let gateway = gateway(&told);
    let mut client = Client::new(&gateway);
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    told.set_shards((0..12).collect());
    assert_eq!(client.metadata(LOGSTORE, false), (0, 8));
    told.set_shards(vec![3]);
    assert_eq!(client.metadata(LOGSTORE, false), (0, 8));
    for (index, code) in [(0, 0), (1_023, 0), (1_024, 3), (-1, 3)] {
        let asked = Ask {
            sets: vec![(index, batch(&["x"]))],
            ..ask(LOGSTORE, Bytes::new())
        };
        assert_eq!(client.produce(&asked), [code], "partition {index}");
    }
}

#[test]
fn by_partition_shows_all_shards_and_takes_no_other_partition() {
    let told = Told::open();
    told.set_shards((0..12).collect());
    let gateway = gateway_with(
        &told,
        Settings {
            spread: Spread::ByPartition,
            ..Settings::default()
        },
    );
    let mut client = Client::new(&gateway);
    assert_eq!(client.metadata(LOGSTORE, false), (0, 12));
    for (index, code) in [(11, 0), (12, 3)] {
        let asked = Ask {
            sets: vec![(index, batch(&["x"]))],
            ..ask(LOGSTORE, Bytes::new())
        };
        assert_eq!(client.produce(&asked), [code], "partition {index}");
    }
    told.set_shards((0..6).collect());
    let asked = Ask {
        sets: vec![(11, batch(&["x"]))],
        ..ask(LOGSTORE, Bytes::new())
    };
    assert_eq!(
        client.produce(&asked),
        [0],
        "a partition that was shown stays"
    );
}
