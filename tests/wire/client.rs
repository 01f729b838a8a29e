//! A client that carries a probe out, and notes what it hears.

use std::collections::BTreeMap;
use std::time::Duration;

use super::answer::{self, Fields};
use super::connection::{Connection, Heard, Place};
use super::dialogue::{Course, Heed, Probe, Step, authenticate, good_token, handshake};
use super::request::Request;
use super::schemas::API_VERSIONS;

/// How often is asked for what is being made, and how long is waited between.
const SETTLING_TRIES_MAX: usize = 100;
const SETTLING_PAUSE: Duration = Duration::from_millis(50);

/// One client of one server. A connection that a probe leaves open serves the next one.
pub struct Client {
    place: Place,
    /// With the next correlation id.
    kept: Option<(Connection, i32)>,
}

impl Client {
    pub fn new(place: Place) -> Self {
        Self { place, kept: None }
    }

    /// `patience`: how long an answer is waited for.
    pub fn run(&mut self, probe: &Probe, patience: Duration) -> Course {
        let kept = if probe.known { self.kept.take() } else { None };
        let (connection, next_id) = kept.unwrap_or_else(|| (self.dial(probe.known), 1));
        connection.set_patience(patience);
        let mut exchange = Exchange {
            connection,
            next_id,
            told: BTreeMap::new(),
            course: Course::new(),
        };
        exchange.run(probe);
        let is_open = exchange.end();
        if is_open && probe.known {
            self.kept = Some((exchange.connection, exchange.next_id));
        }
        exchange.course
    }

    fn dial(&self, known: bool) -> Connection {
        let mut connection = Connection::dial(&self.place);
        if known {
            log_in(&mut connection);
        }
        connection
    }
}

fn log_in(connection: &mut Connection) {
    for request in [handshake(1, "PLAIN"), authenticate(2, &good_token())] {
        connection.send(&request.frame(0));
        let Heard::Frame(frame) = connection.hear() else {
            panic!("no answer to the login");
        };
        let fields = answer::read(&request.api, request.version, &frame).expect("an answer");
        assert_eq!(fields["error_code"], "0", "{fields:?}");
    }
}

/// A probe under way.
struct Exchange {
    connection: Connection,
    next_id: i32,
    /// Correlation id → the step whose answer may still come.
    told: BTreeMap<i32, (usize, Request)>,
    course: Course,
}

impl Exchange {
    fn run(&mut self, probe: &Probe) {
        for step in &probe.steps {
            let heed = self
                .over()
                .unwrap_or_else(|| self.take(step, probe.settles));
            let name = self.name(step);
            self.course.push((name, heed));
        }
    }

    fn take(&mut self, step: &Step, settles: bool) -> Heed {
        match step {
            Step::Ask(request) if settles => self.settle(request),
            Step::Ask(request) => self.ask(request),
            Step::Tell(request) => self.tell(request),
            Step::Token(token) => self.token(token),
            Step::Send(bytes) => {
                self.connection.send(bytes);
                Heed::Unanswered
            }
        }
    }

    /// Whether the connection still serves: a request that every server answers in every state but a broken one.
    fn end(&mut self) -> bool {
        let heed = self
            .over()
            .unwrap_or_else(|| self.ask(&Request::new(API_VERSIONS, 0)));
        let is_open = matches!(&heed, Heed::Answered(fields) if fields["error_code"] == "0");
        let end = match heed {
            Heed::Answered(_) if is_open => Heed::Answered(Fields::new()),
            // Kafka may close with a word.
            Heed::Answered(_) => Heed::Closed,
            other => other,
        };
        self.course.push(("end".to_owned(), end));
        is_open
    }

    /// What all further steps come to.
    fn over(&self) -> Option<Heed> {
        let (_, last) = self.course.last()?;
        matches!(last, Heed::Closed | Heed::Silent).then(|| last.clone())
    }

    fn name(&self, step: &Step) -> String {
        let name = match step {
            Step::Ask(request) | Step::Tell(request) => request.api.name,
            Step::Token(_) => "token",
            Step::Send(_) => "bytes",
        };
        let is_same = |(seen, _): &&(String, Heed)| seen.split(' ').next() == Some(name);
        match self.course.iter().filter(is_same).count() {
            0 => name.to_owned(),
            times => format!("{name} {}", times + 1),
        }
    }

    fn send(&mut self, request: &Request) -> i32 {
        let id = self.next_id;
        self.next_id += 1;
        self.connection.send(&request.frame(id));
        id
    }

    fn tell(&mut self, request: &Request) -> Heed {
        let id = self.send(request);
        self.told.insert(id, (self.course.len(), request.clone()));
        Heed::Unanswered
    }

    /// Frames that come before belong to what was told.
    fn ask(&mut self, request: &Request) -> Heed {
        let id = self.send(request);
        loop {
            let frame = match self.connection.hear() {
                Heard::Frame(frame) => frame,
                Heard::Closed => return Heed::Closed,
                Heard::Nothing => return Heed::Silent,
            };
            let came = frame.first_chunk().map(|bytes| i32::from_be_bytes(*bytes));
            if came == Some(id) {
                return read(request, &frame);
            }
            let Some((step, told)) = came.and_then(|id| self.told.remove(&id)) else {
                return Heed::Unreadable(format!("an answer to request {came:?}, asked was {id}"));
            };
            self.course[step].1 = read(&told, &frame);
        }
    }

    fn settle(&mut self, request: &Request) -> Heed {
        for _ in 0..SETTLING_TRIES_MAX {
            let heed = self.ask(request);
            let Heed::Answered(fields) = &heed else {
                return heed;
            };
            let is_settled = |(path, value): (&String, &String)| {
                !path.ends_with("error_code") || !["3", "5", "14"].contains(&value.as_str())
            };
            if fields.iter().all(is_settled) {
                return heed;
            }
            std::thread::sleep(SETTLING_PAUSE);
        }
        self.ask(request)
    }

    fn token(&mut self, token: &[u8]) -> Heed {
        let length = i32::try_from(token.len()).expect("small");
        self.connection.send(&length.to_be_bytes());
        self.connection.send(token);
        match self.connection.hear() {
            Heard::Frame(frame) => {
                Heed::Answered([("bytes".to_owned(), format!("{frame:?}"))].into())
            }
            Heard::Closed => Heed::Closed,
            Heard::Nothing => Heed::Silent,
        }
    }
}

fn read(request: &Request, frame: &[u8]) -> Heed {
    match answer::read(&request.api, request.version, frame) {
        Ok(fields) => Heed::Answered(fields),
        Err(error) => Heed::Unreadable(error),
    }
}
