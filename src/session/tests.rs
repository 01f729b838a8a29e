//! What the tests of sessions share: clients in each state, and the reading of steps and answers.

mod dialogues;
mod hostile;
mod refused;
mod served;

use bytes::{Buf, Bytes};
use kafka_protocol::messages::ResponseHeader;
use kafka_protocol::protocol::Decodable;

use super::*;
use crate::protocol::tests::requests::{self, CORRELATION_ID};
use crate::tenant::{Endpoint, Endpoints};

const PORT: u16 = 10012;
const LIMITS: Limits = Limits {
    frame_before_login_bytes_max: 16 << 10,
    frame_before_proof_bytes_max: 1 << 20,
    frame_bytes_max: 100 << 20,
};

/// A fresh session of a client that dialled `sni`.
fn dialled(sni: Option<&str>, advertised_host: Option<&str>) -> Session {
    let endpoint = Endpoint {
        name: "log.example.com".into(),
        region: "r-1".into(),
    };
    let dialled = Endpoints::new(vec![endpoint]).expect("one").resolve(sni);
    let peer = IpAddr::from([10, 0, 0, 1]);
    Session::new(dialled, peer, advertised_host.map(Arc::from), PORT, LIMITS)
}

fn fresh() -> Session {
    dialled(Some("project-1.log.example.com"), None)
}

/// Each state that a connection may rest in.
#[derive(Clone, Copy, Debug)]
enum At {
    Start,
    RawToken,
    FramedToken,
    Checking,
    Proven,
    Unproven,
    RefusedKey,
    /// Logs in again.
    FramedTokenAgain,
    Closed,
}

const STATES: [At; 9] = [
    At::Start,
    At::RawToken,
    At::FramedToken,
    At::Checking,
    At::Proven,
    At::Unproven,
    At::RefusedKey,
    At::FramedTokenAgain,
    At::Closed,
];

fn session(at: At) -> Session {
    let mut session = fresh();
    match at {
        At::Start => {}
        At::RawToken => shake_hands(&mut session, 0),
        At::FramedToken => shake_hands(&mut session, 1),
        At::Checking => check(&mut session),
        At::Proven => log_in(&mut session, LoginVerdict::Proven),
        At::Unproven => log_in(&mut session, LoginVerdict::Unproven),
        At::RefusedKey => log_in(&mut session, LoginVerdict::RefusedKey),
        At::FramedTokenAgain => {
            log_in(&mut session, LoginVerdict::Proven);
            shake_hands(&mut session, 1);
        }
        At::Closed => {
            let step = session.on_frame(Bytes::new());
            assert_eq!(closed(step), CloseReason::Malformed);
        }
    }
    session
}

fn shake_hands(session: &mut Session, version: i16) {
    let step = session.on_frame(requests::handshake(version, MECHANISM));
    assert!(matches!(step, Step::Answer(_)));
}

fn check(session: &mut Session) {
    shake_hands(session, 1);
    let step = session.on_frame(requests::authenticate(2, requests::TOKEN));
    assert!(matches!(step, Step::LogIn(_)));
}

fn log_in(session: &mut Session, verdict: LoginVerdict) {
    check(session);
    assert!(matches!(session.logged_in(verdict), Step::Answer(_)));
}

/// Gives a frame as the connection does: judged by its size and first bytes, then skimmed or taken whole.
fn give(session: &mut Session, frame: &Bytes) -> Step {
    let size = i32::try_from(frame.len()).expect("a frame's size");
    if let Err(reason) = session.check_size(size) {
        return Step::Close(reason);
    }
    if frame.is_empty() {
        return session.on_frame(frame.clone());
    }
    match session.early(frame.len(), &frame[..frame.len().min(14)]) {
        Early::Close(reason) => Step::Close(reason),
        Early::Skim(mut skimmer) => {
            skimmer.feed(frame);
            session.on_skimmed(skimmer)
        }
        Early::Produce | Early::Other => session.on_frame(frame.clone()),
    }
}

fn closed(step: Step) -> CloseReason {
    match step {
        Step::Close(reason) => reason,
        _ => panic!("not closed"),
    }
}

fn answer(step: Step) -> Bytes {
    match step {
        Step::Answer(frame) | Step::Deny(frame, _) => frame,
        _ => panic!("not answered"),
    }
}

fn answer_then_close(step: Step) -> (Bytes, CloseReason) {
    match step {
        Step::AnswerThenClose(frame, reason) | Step::RefuseLogin(frame, reason) => (frame, reason),
        _ => panic!("not answered and closed"),
    }
}

/// The body of an answer whose size prefix and header are right.
fn body(mut frame: Bytes, header_version: i16) -> Bytes {
    assert_eq!(frame.get_i32() as usize, frame.len(), "the size prefix");
    let header = ResponseHeader::decode(&mut frame, header_version).expect("a header");
    assert_eq!(header.correlation_id, CORRELATION_ID);
    frame
}

/// The whole of an answer's body, as clients read it.
fn decoded<T: Decodable>(frame: Bytes, header_version: i16, version: i16) -> T {
    let mut rest = body(frame, header_version);
    let decoded = T::decode(&mut rest, version).expect("a body");
    assert!(rest.is_empty(), "{} bytes are left over", rest.len());
    decoded
}
