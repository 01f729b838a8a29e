//! Dialogues as real clients hold them.

use kafka_protocol::messages::{
    ApiVersionsResponse, FindCoordinatorResponse, InitProducerIdResponse, MetadataResponse,
    ProduceResponse, SaslAuthenticateResponse, SaslHandshakeResponse,
};

use super::*;
use crate::protocol::metadata::AskedTopics;
use crate::protocol::tests::requests::{RECORDS, TOPIC, metadata, produce};

const OTHER_USER: &[u8] = b"\0project-2\0id#secret";

fn describe(step: Step) -> MetadataStep {
    match step {
        Step::Describe(step) => step,
        _ => panic!("not a question about topics"),
    }
}

fn produced(step: Step) -> ProduceStep {
    match step {
        Step::Produce(step) => step,
        _ => panic!("not to be written"),
    }
}

fn one_partition() -> Vec<requests::ProduceTopic<'static>> {
    vec![(TOPIC, vec![(0, Some(RECORDS))])]
}

/// ruby-kafka, and sarama before 1.41 with all Beats.
#[test]
fn a_client_of_the_raw_dialect_logs_in_and_produces() {
    let mut session = fresh();
    let shaken: SaslHandshakeResponse = decoded(
        answer(give(&mut session, &requests::handshake(0, "PLAIN"))),
        0,
        0,
    );
    assert_eq!(shaken.error_code, 0);
    let token = Bytes::from_static(requests::TOKEN);
    let Step::LogIn(attempt) = give(&mut session, &token) else {
        panic!("the key was not checked");
    };
    assert_eq!(attempt.tenant().project.as_str(), "project-1");
    assert_eq!(&*attempt.tenant().endpoint, "log.example.com");
    assert_eq!(answer(session.logged_in(LoginVerdict::Proven)), [0; 4][..]);
    describe(give(&mut session, &metadata(1, Some(&[TOPIC]))));
    let step = produced(give(&mut session, &produce(3, 1, None, &one_partition())));
    assert_eq!(step.tenant().project.as_str(), "project-1");
    assert_eq!((step.request().topic(0), step.version()), (TOPIC, 3));
    assert_eq!(step.request().records(0), RECORDS);
}

#[test]
fn a_refusal_of_the_raw_dialect_is_a_close_without_a_byte() {
    let wrong = || LoginVerdict::Refused {
        refusal: "0badc0de".to_owned(),
    };
    for verdict in [wrong(), LoginVerdict::Hold] {
        let mut session = session(At::RawToken);
        let token = Bytes::from_static(requests::TOKEN);
        assert!(matches!(give(&mut session, &token), Step::LogIn(_)));
        closed(session.logged_in(verdict));
        assert!(session.tenant().is_none());
    }
    for token in [&b""[..], b"\0project-1", b"\xff\0a\0b"] {
        let step = give(&mut session(At::RawToken), &Bytes::from_static(token));
        let (bytes, reason) = answer_then_close(step);
        assert!(bytes.is_empty(), "{bytes:?}");
        assert!(matches!(reason, CloseReason::BadLogin(_)));
    }
}

/// Java: its login carries correlation ids from the top of the range, and it asks for versions twice.
#[test]
fn a_client_of_the_framed_dialect_logs_in_and_produces() {
    let mut session = fresh();
    let api_versions = |session: &mut Session, version| -> ApiVersionsResponse {
        let frame = answer(give(session, &requests::api_versions(version)));
        decoded(frame, 0, version)
    };
    assert_eq!(api_versions(&mut session, 0).api_keys.len(), 8);
    shake_hands(&mut session, 1);
    let step = give(&mut session, &requests::authenticate(2, requests::TOKEN));
    assert!(matches!(step, Step::LogIn(_)));
    let frame = answer(session.logged_in(LoginVerdict::Proven));
    let welcome: SaslAuthenticateResponse = decoded(frame, 1, 2);
    assert_eq!(welcome.error_code, 0);
    assert_eq!(api_versions(&mut session, 4).api_keys.len(), 8);
    assert!(session.is_proven());
    assert_eq!(session.client_id(), requests::CLIENT_ID);
    describe(give(&mut session, &metadata(12, Some(&[TOPIC]))));
    let init = requests::init_producer_id(4, None, None);
    assert!(matches!(give(&mut session, &init), Step::InitProducerId(_)));
    produced(give(&mut session, &produce(11, -1, None, &one_partition())));
}

/// kafka-python 2.0 repeats the user as authorization id, and probes with two requests in one write.
#[test]
fn pipelined_requests_after_the_login_are_answered_in_order() {
    let mut session = session(At::RawToken);
    let token = Bytes::from_static(b"project-1\0project-1\0id#secret");
    assert!(matches!(give(&mut session, &token), Step::LogIn(_)));
    answer(session.logged_in(LoginVerdict::Proven));
    let pipelined = [requests::api_versions(0), metadata(0, Some(&[]))];
    let steps: Vec<_> = pipelined
        .iter()
        .map(|frame| give(&mut session, frame))
        .collect();
    assert!(matches!(&steps[..], [Step::Answer(_), Step::Describe(_)]));
}

#[test]
fn no_frame_is_taken_while_a_login_is_checked() {
    for (row, version) in requests::served_versions() {
        let step = give(
            &mut session(At::Checking),
            &requests::request(row.api, version),
        );
        assert_eq!(closed(step), CloseReason::IllegalState);
    }
}

#[test]
fn a_refusal_of_the_framed_dialect_is_told_in_words() {
    for version in 0..=2 {
        let mut session = session(At::FramedToken);
        give(
            &mut session,
            &requests::authenticate(version, requests::TOKEN),
        );
        let refusal = "0badc0de".to_owned();
        let (frame, reason) =
            answer_then_close(session.logged_in(LoginVerdict::Refused { refusal }));
        let told: SaslAuthenticateResponse = decoded(frame, i16::from(version == 2), version);
        assert_eq!(reason, CloseReason::LoginRefused);
        assert_eq!(told.error_code, 58);
        assert!(
            told.error_message
                .is_some_and(|text| text.contains("0badc0de"))
        );
        assert!(session.tenant().is_none());
    }
}

#[test]
fn a_malformed_token_is_told_what_is_wrong_and_nothing_of_itself() {
    for version in 0..=2 {
        for token in [&b""[..], b"\0project-1\0hush", b"x\0project-1\0id#hush"] {
            let mut session = session(At::FramedToken);
            let step = give(&mut session, &requests::authenticate(version, token));
            let (frame, reason) = answer_then_close(step);
            let told: SaslAuthenticateResponse = decoded(frame, i16::from(version == 2), version);
            assert!(matches!(reason, CloseReason::BadLogin(_)));
            assert_eq!(told.error_code, 58);
            let words = told.error_message.expect("words");
            assert!(!words.is_empty() && !words.contains("hush"), "{words:?}");
        }
    }
}

/// kafka-python and aiokafka compare with an empty token: a null one would not do.
#[test]
fn a_login_that_was_taken_carries_an_empty_token_not_a_null_one() {
    for (version, token) in [(0, &[0, 0, 0, 0][..]), (1, &[0, 0, 0, 0]), (2, &[1])] {
        let mut session = session(At::FramedToken);
        give(
            &mut session,
            &requests::authenticate(version, requests::TOKEN),
        );
        let frame = answer(session.logged_in(LoginVerdict::Proven));
        let mut rest = body(frame, i16::from(version == 2));
        assert_eq!(rest.get_i16(), 0);
        let message = if version == 2 { 1 } else { 2 };
        rest.advance(message);
        assert_eq!(&rest[..token.len()], token, "v{version}");
    }
}

/// Nothing but the credentials is kept of a token, so its frame can be wiped.
#[test]
fn a_tokens_frame_is_wiped() {
    let frame = requests::authenticate(2, requests::TOKEN);
    let step = session(At::FramedToken).on_request(frame.clone());
    assert!(matches!(step, Ok(Step::LogIn(_))));
    let raw = Bytes::from(requests::TOKEN.to_vec());
    let step = session(At::RawToken).on_token(&raw, Reply::Raw, None);
    assert!(matches!(step, Step::LogIn(_)));
    for frame in [frame, raw] {
        let bytes = wiped(frame).expect("nobody else holds it");
        assert!(!bytes.is_empty() && bytes.iter().all(|byte| *byte == 0));
    }
}

#[test]
fn a_second_login_may_not_change_the_user() {
    for sni in [None, Some("project-1.log.example.com")] {
        for version in 0..=2 {
            let mut session = dialled(sni, None);
            log_in(&mut session, LoginVerdict::Proven);
            shake_hands(&mut session, 1);
            let step = give(&mut session, &requests::authenticate(version, OTHER_USER));
            let (frame, reason) = answer_then_close(step);
            let told: SaslAuthenticateResponse = decoded(frame, i16::from(version == 2), version);
            assert_eq!((told.error_code, reason), (34, CloseReason::OtherUser));
        }
        let mut session = dialled(sni, None);
        log_in(&mut session, LoginVerdict::Proven);
        shake_hands(&mut session, 0);
        let step = give(&mut session, &Bytes::from_static(OTHER_USER));
        assert_eq!(closed(step), CloseReason::OtherUser);
    }
}

#[test]
fn the_same_user_may_log_in_again_with_another_key() {
    let mut session = session(At::FramedTokenAgain);
    assert!(session.tenant().is_some());
    let token = b"\0project-1\0new-id#new-secret";
    let step = give(&mut session, &requests::authenticate(1, token));
    assert!(matches!(step, Step::LogIn(_)));
    answer(session.logged_in(LoginVerdict::Unproven));
    let tenant = session.tenant().expect("known");
    assert_eq!(tenant.credentials.access_key_id, "new-id");
    assert!(!session.is_proven());
    session.prove();
    assert!(session.is_proven());
}

#[test]
fn a_refused_key_is_never_proven_by_a_write() {
    let mut session = session(At::RefusedKey);
    session.prove();
    assert!(!session.is_proven());
}

#[test]
fn a_key_that_the_log_service_refuses_may_turn_good_and_a_good_one_stays_good() {
    let mut session = session(At::Unproven);
    session.disprove();
    assert!(matches!(
        session.early(100, &[0, 0, 0, 9, 0, 0, 0, 0]),
        Early::Skim(_)
    ));
    session.prove();
    session.disprove();
    assert!(session.is_proven());
}

#[test]
fn a_token_without_a_handshake_before_it_is_an_illegal_state() {
    let frame = requests::authenticate(1, requests::TOKEN);
    assert_eq!(
        closed(give(&mut session(At::Start), &frame)),
        CloseReason::IllegalState
    );
    let (answer, reason) = answer_then_close(give(&mut session(At::Proven), &frame));
    let told: SaslAuthenticateResponse = decoded(answer, 0, 1);
    assert_eq!((told.error_code, reason), (34, CloseReason::IllegalState));
}

#[test]
fn an_unknown_mechanism_is_told_the_known_one_then_closed() {
    for at in [At::Start, At::Proven] {
        for version in [0, 1] {
            for mechanism in ["SCRAM-SHA-256", "plain", ""] {
                let mut session = session(at);
                let step = give(&mut session, &requests::handshake(version, mechanism));
                let (frame, reason) = answer_then_close(step);
                let told: SaslHandshakeResponse = decoded(frame, 0, version);
                assert_eq!(told.error_code, 33);
                assert_eq!(&*told.mechanisms[0], "PLAIN");
                assert_eq!(reason, CloseReason::UnsupportedMechanism);
                closed(give(&mut session, &requests::api_versions(0)));
            }
        }
    }
}

fn produce_errors(step: Step, version: i16) -> Vec<i16> {
    let response: ProduceResponse = decoded(answer(step), i16::from(version >= 9), version);
    let partitions = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses);
    partitions.map(|partition| partition.error_code).collect()
}

#[test]
fn acks_other_than_the_three_are_refused_for_each_partition() {
    for version in 3..=12 {
        for acks in [2, -2, i16::MAX] {
            let frame = produce(version, acks, None, &requests::two_topics());
            let step = give(&mut session(At::Proven), &frame);
            assert_eq!(produce_errors(step, version), [21; 4]);
        }
    }
}

#[test]
fn a_transactional_produce_is_refused_for_each_partition() {
    for version in 3..=12 {
        let frame = produce(version, -1, Some("tx-1"), &requests::two_topics());
        let step = give(&mut session(At::Proven), &frame);
        assert_eq!(produce_errors(step, version), [53; 4]);
    }
}

#[test]
fn acks_0_is_never_answered() {
    for version in 0..=12 {
        let mut known = session(At::Proven);
        let step = produced(give(
            &mut known,
            &produce(version, 0, None, &one_partition()),
        ));
        assert_eq!(
            step.respond(&[PartitionResult::stored()], std::time::Duration::ZERO),
            None
        );
        let step = give(&mut known, &produce(version, 0, None, &[]));
        assert!(matches!(step, Step::Nothing), "nothing was asked");
        let step = give(
            &mut session(At::RefusedKey),
            &produce(version, 0, None, &one_partition()),
        );
        assert_eq!(closed(step), CloseReason::UnackedRefused);
    }
    let frame = produce(3, 0, Some("tx-1"), &one_partition());
    let step = give(&mut session(At::Proven), &frame);
    assert_eq!(closed(step), CloseReason::UnackedRefused);
}

#[test]
fn a_produce_without_topics_is_answered_without_topics() {
    for topics in [vec![], vec![(TOPIC, vec![])]] {
        for version in 3..=12 {
            let step = give(
                &mut session(At::Proven),
                &produce(version, 1, None, &topics),
            );
            assert!(produce_errors(step, version).is_empty());
        }
    }
}

#[test]
fn a_client_with_a_refused_key_is_told_so_for_each_partition_it_writes_to() {
    for version in 3..=12 {
        let mut session = session(At::RefusedKey);
        let frame = produce(version, 1, None, &requests::two_topics());
        let Step::Refused(frame) = give(&mut session, &frame) else {
            panic!("not refused");
        };
        let errors = produce_errors(Step::Answer(frame), version);
        assert_eq!(errors, [29; 4]);
        assert_eq!(session.client_id(), requests::CLIENT_ID);
    }
}

#[test]
fn a_coordinator_of_transactions_is_refused_with_their_own_code() {
    for (version, key_type, error) in [(0, 0, 30), (1, 0, 30), (1, 1, 53), (2, 1, 53), (2, 9, 30)] {
        let frame = requests::find_coordinator(version, key_type);
        let frame = answer(give(&mut session(At::Proven), &frame));
        let told: FindCoordinatorResponse = decoded(frame, 0, version);
        assert_eq!(told.error_code, error, "v{version}, key type {key_type}");
    }
}

/// Id and epoch of the answer, or its error.
fn initialised(
    version: i16,
    transactional_id: Option<&str>,
    producer: Option<(i64, i16)>,
) -> Result<Option<(i64, i16)>, i16> {
    let frame = requests::init_producer_id(version, transactional_id, producer);
    match give(&mut session(At::Proven), &frame) {
        Step::InitProducerId(step) => Ok(step.next_epoch()),
        step => {
            let header = i16::from(version >= 2);
            let told: InitProducerIdResponse = decoded(answer(step), header, version);
            assert_eq!((told.producer_id.0, told.producer_epoch), (-1, -1));
            Err(told.error_code)
        }
    }
}

#[test]
fn a_producer_with_an_id_keeps_it_and_takes_the_next_epoch() {
    for version in 0..=4 {
        assert_eq!(initialised(version, None, None), Ok(None), "a new id");
        assert_eq!(initialised(version, Some("tx-1"), None), Err(53));
    }
    for version in 3..=4 {
        for (producer, next) in [
            ((4_711, 0), Some((4_711, 1))),
            ((0, i16::MAX - 1), Some((0, i16::MAX))),
            ((4_711, i16::MAX), None),
            ((-1, 5), None),
            ((4_711, -1), None),
            ((i64::MIN, i16::MIN), None),
        ] {
            assert_eq!(initialised(version, None, Some(producer)), Ok(next));
        }
    }
}

#[test]
fn null_and_empty_topics_ask_for_all_or_none_by_the_version() {
    for version in 0..=12 {
        let asked = |topics| {
            let step = give(&mut session(At::Proven), &metadata(version, topics));
            describe(step).topics().clone()
        };
        let empty = if version == 0 {
            AskedTopics::All
        } else {
            assert_eq!(asked(None), AskedTopics::All, "v{version}");
            AskedTopics::None
        };
        assert_eq!(asked(Some(&[])), empty, "v{version}");
        let AskedTopics::Named(named) = asked(Some(&["bbb", "aaa", "bbb"])) else {
            panic!("topics were named");
        };
        let names: Vec<_> = named.iter().map(|one| one.name.as_deref()).collect();
        assert_eq!(names, [Some("bbb"), Some("aaa")], "once each, in order");
    }
}

#[test]
fn topics_are_created_where_the_flag_or_the_age_of_the_version_says_so() {
    use kafka_protocol::messages::MetadataRequest;
    for version in 0..=12 {
        for flag in [true, false] {
            if version < 4 && !flag {
                continue;
            }
            let body = MetadataRequest::default()
                .with_topics(Some(vec![]))
                .with_allow_auto_topic_creation(flag);
            let frame = requests::encoded(Api::Metadata, version, &body);
            let step = describe(give(&mut session(At::Proven), &frame));
            assert_eq!(step.creates(), flag, "v{version}");
        }
    }
}

#[test]
fn a_topic_asked_for_by_its_id_is_unknown() {
    let id = [7; 16];
    let step = describe(give(
        &mut session(At::Proven),
        &requests::metadata_by_id(id),
    ));
    let AskedTopics::Named(asked) = step.topics() else {
        panic!("a topic was asked for");
    };
    assert_eq!((asked[0].name.as_deref(), asked[0].id), (None, id));
    let frame = step.respond(&[MetadataStep::unknown_id(id)]);
    let told: MetadataResponse = decoded(frame, 1, 12);
    let topic = &told.topics[0];
    assert_eq!((topic.error_code, &topic.name), (100, &None));
    assert_eq!(topic.topic_id.as_bytes(), &id);
}

/// What a client of `project` over `sni` is told: the id of a topic, the broker's host.
fn told(sni: Option<&str>, host: Option<&str>, project: &str, topic: &str) -> ([u8; 16], String) {
    let mut session = dialled(sni, host);
    shake_hands(&mut session, 1);
    let token = format!("\0{project}\0id#secret");
    give(&mut session, &requests::authenticate(2, token.as_bytes()));
    answer(session.logged_in(LoginVerdict::Proven));
    let step = describe(give(&mut session, &metadata(12, Some(&[topic]))));
    let frame = step.respond(&[step.topic(topic, Ok(1))]);
    let told: MetadataResponse = decoded(frame, 1, 12);
    assert_eq!(told.brokers[0].port, i32::from(PORT));
    let host = told.brokers[0].host.to_string();
    (*told.topics[0].topic_id.as_bytes(), host)
}

#[test]
fn a_topics_id_goes_by_project_and_topic_alone() {
    let id = |sni, project, topic| told(sni, None, project, topic).0;
    let first = id(None, "project-1", "topic-1");
    assert_eq!(id(Some("other.name"), "project-1", "topic-1"), first);
    assert_ne!(id(None, "project-2", "topic-1"), first);
    assert_ne!(id(None, "project-1", "topic-2"), first);
    assert_eq!(
        first,
        [
            0x86, 0x10, 0xfa, 0xfa, 0xf6, 0xf9, 0xd3, 0x47, 0x5f, 0xa1, 0x6b, 0xe8, 0x0d, 0x49,
            0x57, 0xc4
        ],
        "the same after every restart"
    );
}

#[test]
fn the_dialled_name_is_advertised_back() {
    for (sni, configured, expected) in [
        (
            Some("project-1.log.example.com"),
            None,
            "project-1.log.example.com",
        ),
        (
            Some("Log.Example.com."),
            Some("gw.internal"),
            "log.example.com",
        ),
        (Some("unknown.name"), Some("gw.internal"), "unknown.name"),
        (None, Some("gw.internal"), "gw.internal"),
        (None, None, "log.example.com"),
    ] {
        let (_, host) = told(sni, configured, "project-1", TOPIC);
        assert_eq!(host, expected, "{sni:?}, {configured:?}");
    }
}

#[test]
fn a_login_for_another_project_than_the_dialled_one_is_refused() {
    let mut session = session(At::FramedToken);
    let step = give(&mut session, &requests::authenticate(2, OTHER_USER));
    let (frame, reason) = answer_then_close(step);
    assert_eq!(reason, CloseReason::BadLogin(LoginError::OtherProject));
    let told: SaslAuthenticateResponse = decoded(frame, 1, 2);
    assert_eq!(told.error_code, 58);
}

#[test]
fn the_frame_limit_goes_by_what_the_client_has_proven() {
    for at in STATES {
        let max = match at {
            // A refused key's Produce is skipped, not held.
            At::Proven | At::RefusedKey => LIMITS.frame_bytes_max,
            At::Unproven => LIMITS.frame_before_proof_bytes_max,
            // A token is all that may come, also where a known client logs in again.
            _ => LIMITS.frame_before_login_bytes_max,
        };
        let session = session(at);
        let size = i32::try_from(max).expect("a size");
        assert_eq!(session.check_size(size), Ok(max), "{at:?}");
        let bytes = max + 1;
        let over = CloseReason::FrameTooLarge { bytes, max };
        assert_eq!(session.check_size(size + 1), Err(over), "{at:?}");
        for size in [-1, i32::MIN] {
            assert_eq!(session.check_size(size), Err(CloseReason::NegativeSize));
        }
        assert!(session.check_size(i32::MAX).is_err());
    }
}

#[test]
fn only_a_produce_may_be_larger_than_1_mib() {
    let session = session(At::Proven);
    let produce = requests::request(Api::Produce, 9);
    assert!(matches!(
        session.early(50 << 20, &produce[..14]),
        Early::Produce
    ));
    let metadata = metadata(9, None);
    assert!(matches!(
        session.early(1 << 20, &metadata[..14]),
        Early::Other
    ));
    let early = session.early((1 << 20) + 1, &metadata[..14]);
    assert!(matches!(
        early,
        Early::Close(CloseReason::FrameTooLarge { .. })
    ));
}
