//! One client: read a frame → session → carry out the step → write, in one task without inner tasks.
//!
//! The task is a hand-written poll over the stream, the answers under way and one timer, so that nothing is lost to a
//! cancelled read. Reading stops at a frame boundary while the limits are reached; answers leave in request order.
//! What the frames mean is the session's; what becomes of records is ingest's.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncBufRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};
use tracing::{debug, info};

use super::limits::Counted;
use super::steps::{self, Described};
use super::{BadKey, Peer, Shared};
use crate::backend::{self, BoxFuture, LoginOutcome};
use crate::failure::KeyState;
use crate::ingest::InFlight;
use crate::memory::Charge;
use crate::session::{CloseReason, Early, LoginVerdict, Session, Step};
use crate::tenant::ProjectName;

use reading::{HEAD_BYTES, Reading, Window};

mod reading;

/// Frames of other APIs below this are not charged to the memory budget.
const UNCHARGED_BYTES_MAX: usize = 16 << 10;
/// First capacity of a frame's buffer; it doubles as bytes arrive.
const FRAME_CAPACITY_FIRST: usize = 1 << 20;
/// While this many bytes of answers wait for the client, reading stops and no further answer is made.
const UNSENT_BYTES_MAX: usize = 256 << 10;
/// Answers that wait for something, of any kind, beyond which reading stops.
const ANSWERS_MAX: usize = 64;
/// A client that takes no byte of its answers for so long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long input is discarded after the half-close, waiting for the peer's FIN: a close with unread bytes would send
/// RST and destroy answers in flight.
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// Why and how a connection ended, for its one closing event.
#[derive(Debug)]
pub struct Ended {
    reason: Reason,
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("the client closed")]
    Left,
    #[error("the server stops")]
    Drained,
    #[error("{0}")]
    Session(CloseReason),
    #[error("no login in time")]
    LoginTimeout,
    #[error("idle")]
    Idle,
    #[error("a request's body came in too slowly")]
    SlowBody,
    #[error("the client does not read its answers")]
    SlowReader,
    #[error("its project has its most connections already")]
    ProjectFull,
    #[error("a request with acks=0 could not be stored")]
    UnackedFailed,
    #[error(
        "the Log Service refuses its key; closed without an answer, so that the agent keeps its data"
    )]
    KeyHeld,
    #[error("{0}")]
    Io(std::io::ErrorKind),
}

enum Answer {
    Ready(Bytes),
    Produce(Box<InFlight>),
    Later(BoxFuture<'static, Bytes>),
    Describe(BoxFuture<'static, Described>),
}

/// Counted for the closing event.
#[derive(Default)]
struct Totals {
    requests: u64,
    bytes_in: u64,
    bytes_out: u64,
}

/// The task of one connection.
pub struct Connection<S> {
    stream: S,
    session: Session,
    shared: Arc<Shared>,
    peer: Peer,
    reading: Reading,
    answers: VecDeque<Answer>,
    produces: usize,
    unsent: BytesMut,
    unflushed: bool,
    /// Set once: no further frame is read, and the connection closes when the answers are out.
    closing: Option<Reason>,
    discard_until: Option<Instant>,
    drain: BoxFuture<'static, ()>,
    draining: bool,
    began: Instant,
    last_used: Instant,
    /// When the client last took bytes, or had none to take.
    last_sent: Instant,
    timer: Pin<Box<Sleep>>,
    totals: Totals,
    counted: Option<Counted<ProjectName>>,
}

impl<S: AsyncBufRead + AsyncWrite + Unpin> Connection<S> {
    /// `drain` completes when the server stops.
    pub fn new(
        stream: S,
        session: Session,
        shared: Arc<Shared>,
        peer: Peer,
        drain: BoxFuture<'static, ()>,
    ) -> Self {
        let now = Instant::now();
        let login_deadline = now + shared.limits.login_timeout;
        Self {
            stream,
            session,
            shared,
            peer,
            reading: Reading::boundary(),
            answers: VecDeque::new(),
            produces: 0,
            unsent: BytesMut::new(),
            unflushed: false,
            closing: None,
            discard_until: None,
            drain,
            draining: false,
            began: now,
            last_used: now,
            last_sent: now,
            timer: Box::pin(sleep_until(login_deadline)),
            totals: Totals::default(),
            counted: None,
        }
    }

    /// Serves the client until either side ends; then tells so in one event.
    pub async fn run(mut self) {
        let ended = std::future::poll_fn(|context| self.poll(context)).await;
        self.report(&ended);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        if !self.draining && self.drain.as_mut().poll(context).is_ready() {
            self.draining = true;
        }
        loop {
            let mut progress = self.poll_answers(context);
            match self.poll_send(context) {
                Ok(sent) => progress |= sent,
                Err(error) => {
                    return Poll::Ready(Ended {
                        reason: Reason::Io(error.kind()),
                    });
                }
            }
            if self.closing.is_none() {
                self.stop_where_draining();
                progress |= self.poll_read(context);
            }
            if self.closing.is_some() && self.answers.is_empty() && self.unsent.is_empty() {
                return self.poll_close(context);
            }
            if !progress && self.poll_timer(context).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// A stopping server reads on to the next frame boundary, no further.
    fn stop_where_draining(&mut self) {
        if self.draining && self.reading.is_boundary() {
            self.close(Reason::Drained);
        }
    }

    fn close(&mut self, reason: Reason) {
        if self.closing.is_none() {
            self.closing = Some(reason);
            self.reading = Reading::Stopped;
        }
    }

    // Answers

    /// Moves finished answers from the front of the queue to the send buffer, while that has room.
    fn poll_answers(&mut self, context: &mut Context<'_>) -> bool {
        let mut progress = false;
        while self.unsent.len() < UNSENT_BYTES_MAX
            && let Some(front) = self.answers.front_mut()
        {
            let (frame, unacked_failed, key) = match front {
                Answer::Ready(frame) => (Some(std::mem::take(frame)), false, KeyState::Fine),
                Answer::Later(answer) => match answer.as_mut().poll(context) {
                    Poll::Ready(frame) => (Some(frame), false, KeyState::Fine),
                    Poll::Pending => break,
                },
                Answer::Describe(answer) => match answer.as_mut().poll(context) {
                    Poll::Ready(described) => {
                        if described.key_accepted {
                            self.session.prove();
                        } else if described.key_refused {
                            self.session.disprove();
                        }
                        (Some(described.frame), false, described.key)
                    }
                    Poll::Pending => break,
                },
                Answer::Produce(produce) => match produce.poll(context) {
                    Poll::Ready(done) => {
                        self.produces -= 1;
                        (done.frame, done.unacked_failed, done.key)
                    }
                    Poll::Pending => break,
                },
            };
            self.answers.pop_front();
            progress = true;
            let holds = self.shared.bad_key == BadKey::Hold;
            if key == KeyState::Held || holds && key == KeyState::Refused {
                self.hold_key();
                continue;
            }
            if let Some(frame) = frame {
                if self.unsent.is_empty() {
                    self.last_sent = Instant::now();
                }
                self.unsent.extend_from_slice(&frame);
            }
            if unacked_failed {
                self.answers.clear();
                self.produces = 0;
                self.close(Reason::UnackedFailed);
            }
            self.last_used = Instant::now();
        }
        progress
    }

    /// Nothing more is answered, and the connection closes after the delay for failed logins: the agent keeps its data.
    fn hold_key(&mut self) {
        self.answers.clear();
        self.produces = 0;
        self.answer_delayed(Bytes::new());
        self.close(Reason::KeyHeld);
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> std::io::Result<bool> {
        let mut progress = false;
        while !self.unsent.is_empty() {
            match Pin::new(&mut self.stream).poll_write(context, &self.unsent) {
                Poll::Ready(Ok(0)) => return Err(std::io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.unsent.advance(count);
                    self.totals.bytes_out += count as u64;
                    self.last_sent = Instant::now();
                    self.unflushed = true;
                    progress = true;
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(progress),
            }
        }
        if self.unsent.capacity() > UNSENT_BYTES_MAX || self.answers.is_empty() {
            self.unsent = BytesMut::new();
        }
        if self.unflushed {
            match Pin::new(&mut self.stream).poll_flush(context) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {}
            }
        }
        Ok(progress)
    }

    // Reading

    fn may_begin_frame(&self) -> bool {
        if !self.session.is_proven() {
            return self.answers.is_empty() && self.unsent.len() < UNSENT_BYTES_MAX;
        }
        self.produces < self.shared.limits.requests_per_connection_max
            && self.answers.len() < ANSWERS_MAX
            && self.unsent.len() < UNSENT_BYTES_MAX
    }

    /// Reads what there is; true when the state moved.
    fn poll_read(&mut self, context: &mut Context<'_>) -> bool {
        match &mut self.reading {
            Reading::Reserve { charge, .. } => {
                let Poll::Ready(charge) = charge.as_mut().poll(context) else {
                    return false;
                };
                self.begin_charged_body(charge);
                return true;
            }
            Reading::LogIn(verdict) => {
                let Poll::Ready(verdict) = verdict.as_mut().poll(context) else {
                    return false;
                };
                self.reading = Reading::boundary();
                self.logged_in(verdict);
                return true;
            }
            Reading::Stopped => return false,
            _ => {}
        }
        if self.reading.is_boundary() && !self.may_begin_frame() {
            return false;
        }
        let taken = match Pin::new(&mut self.stream).poll_fill_buf(context) {
            Poll::Pending => return false,
            // An EOF without close_notify is how many clients leave.
            Poll::Ready(Ok([])) => {
                self.close(Reason::Left);
                return true;
            }
            Poll::Ready(Err(error)) => {
                let reason = match error.kind() {
                    std::io::ErrorKind::UnexpectedEof => Reason::Left,
                    kind => Reason::Io(kind),
                };
                self.close(reason);
                return true;
            }
            Poll::Ready(Ok(bytes)) => self.reading.take(bytes),
        };
        Pin::new(&mut self.stream).consume(taken);
        self.totals.bytes_in += taken as u64;
        self.after_bytes();
        true
    }

    /// Moves the state on when what it waited for is complete.
    fn after_bytes(&mut self) {
        match &mut self.reading {
            Reading::Size { have: 4, bytes } => {
                let size = i32::from_be_bytes(*bytes);
                self.prove_by_others();
                match self.session.check_size(size) {
                    Ok(0) => self.on_frame(Bytes::new(), None),
                    Ok(size) => {
                        self.reading = Reading::Head {
                            size,
                            have: 0,
                            bytes: [0; HEAD_BYTES],
                        }
                    }
                    Err(reason) => self.close(Reason::Session(reason)),
                }
            }
            Reading::Head { size, have, bytes } if *have == HEAD_BYTES.min(*size) => {
                let (size, have, bytes) = (*size, *have, *bytes);
                self.after_head(size, have, bytes);
            }
            Reading::Body { size, frame, .. } if frame.len() == *size => {
                let Reading::Body { frame, charge, .. } =
                    std::mem::replace(&mut self.reading, Reading::boundary())
                else {
                    return;
                };
                self.on_frame(frame.freeze(), charge);
            }
            Reading::Skim { left: 0, .. } => {
                let Reading::Skim { skimmer, .. } =
                    std::mem::replace(&mut self.reading, Reading::boundary())
                else {
                    return;
                };
                let step = self.session.on_skimmed(*skimmer);
                self.carry_out(step, None);
            }
            Reading::Skim { skimmer, .. } if skimmer.is_broken() => {
                self.close(Reason::Session(CloseReason::Malformed));
            }
            _ => {}
        }
    }

    /// Another connection may have proven the key of this one since its login: agents often have one for Metadata and
    /// others for Produce.
    fn prove_by_others(&mut self) {
        if self.session.is_proven() {
            return;
        }
        if let Some(tenant) = self.session.tenant()
            && let backend::Answer::Now(LoginOutcome::Proven) = self.shared.backend.log_in(tenant)
        {
            self.session.prove();
        }
    }

    fn after_head(&mut self, size: usize, have: usize, bytes: [u8; HEAD_BYTES]) {
        match self.session.early(size, &bytes[..have]) {
            Early::Close(reason) => self.close(Reason::Session(reason)),
            Early::Skim(mut skimmer) => {
                skimmer.feed(&bytes[..have]);
                let window = Window::start(self.shared.limits.body_rate_window);
                self.reading = Reading::Skim {
                    left: size - have,
                    skimmer: Box::new(skimmer),
                    window,
                };
                self.after_bytes();
            }
            Early::Produce => self.reserve(size, have, bytes),
            Early::Other if size >= UNCHARGED_BYTES_MAX => self.reserve(size, have, bytes),
            Early::Other => self.begin_body(size, &bytes[..have], None),
        }
    }

    fn reserve(&mut self, size: usize, have: usize, bytes: [u8; HEAD_BYTES]) {
        let project = self.session.tenant().map(|tenant| tenant.project.clone());
        match self
            .shared
            .budget
            .try_reserve(project.as_ref(), size as u64)
        {
            Some(charge) => self.begin_body(size, &bytes[..have], Some(charge)),
            None => {
                let charge = self.shared.budget.reserve(project, size as u64);
                self.reading = Reading::Reserve {
                    size,
                    have,
                    bytes,
                    charge: Box::pin(charge),
                };
            }
        }
    }

    fn begin_charged_body(&mut self, charge: Charge) {
        if let Reading::Reserve {
            size, have, bytes, ..
        } = std::mem::replace(&mut self.reading, Reading::Stopped)
        {
            self.begin_body(size, &bytes[..have], Some(charge));
        }
    }

    fn begin_body(&mut self, size: usize, head: &[u8], charge: Option<Charge>) {
        let mut frame = BytesMut::with_capacity(size.min(FRAME_CAPACITY_FIRST));
        frame.extend_from_slice(head);
        let window = Window::start(self.shared.limits.body_rate_window);
        self.reading = Reading::Body {
            size,
            frame,
            charge,
            window,
        };
        self.after_bytes();
    }

    // Steps

    fn on_frame(&mut self, frame: Bytes, charge: Option<Charge>) {
        self.reading = Reading::boundary();
        let step = self.session.on_frame(frame);
        self.carry_out(step, charge);
    }

    fn carry_out(&mut self, step: Step, charge: Option<Charge>) {
        self.totals.requests += 1;
        self.last_used = Instant::now();
        match step {
            Step::Nothing => {}
            Step::Answer(frame) => self.answers.push_back(Answer::Ready(frame)),
            Step::Deny(frame, denied) => {
                self.count_refused(denied.reason());
                self.answers.push_back(Answer::Ready(frame));
            }
            Step::AnswerThenClose(frame, reason) => {
                self.answers.push_back(Answer::Ready(frame));
                self.close(Reason::Session(reason));
            }
            Step::Close(reason) => {
                if reason == CloseReason::UnackedRefused {
                    self.count_refused("unacked-refused");
                }
                self.close(Reason::Session(reason));
            }
            Step::LogIn(attempt) => {
                self.reading = Reading::LogIn(steps::log_in(&self.shared, attempt, &self.peer));
            }
            Step::Describe(step) => {
                let answer = steps::describe(Arc::clone(&self.shared), step);
                self.answers.push_back(Answer::Describe(answer));
            }
            Step::InitProducerId(step) => self
                .answers
                .push_back(Answer::Ready(steps::init_producer_id(&step))),
            Step::Refused(frame) => {
                self.count_refused("bad-key");
                self.answer_delayed(frame);
            }
            Step::RefuseLogin(frame, reason) => {
                self.answer_delayed(frame);
                self.close(Reason::Session(reason));
            }
            Step::Produce(step) => {
                let Peer {
                    connection, source, ..
                } = &self.peer;
                let ingest = &self.shared.ingest;
                let under_way = ingest.start(step, charge, *connection, Arc::clone(source));
                self.produces += 1;
                self.answers.push_back(Answer::Produce(Box::new(under_way)));
            }
        }
    }

    fn count_refused(&self, reason: &'static str) {
        let now = std::time::Instant::now();
        if let Some(unlogged) = self.shared.refusals.count(reason, now) {
            let project = self.session.tenant().map(|tenant| tenant.project.as_str());
            info!(
                peer = %self.peer.address,
                project,
                client = self.session.client_id(),
                reason,
                unlogged,
                "request refused"
            );
        }
    }

    /// Refused keys and logins are answered late, to tame clients that retry at once.
    fn answer_delayed(&mut self, frame: Bytes) {
        let delay = self.shared.limits.failed_login_delay;
        self.answers.push_back(Answer::Later(Box::pin(async move {
            tokio::time::sleep(delay).await;
            frame
        })));
    }

    fn logged_in(&mut self, verdict: LoginVerdict) {
        let step = self.session.logged_in(verdict);
        if self.counted.is_none()
            && let Some(tenant) = self.session.tenant()
        {
            let max = self.shared.limits.connections_per_project_max;
            match self.shared.per_project.enter(tenant.project.clone(), max) {
                Some(counted) => self.counted = Some(counted),
                None => return self.close(Reason::ProjectFull),
            }
        }
        self.carry_out(step, None);
    }

    // Time

    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let deadline = self.next_deadline();
        if deadline < self.timer.deadline() {
            self.timer.as_mut().reset(deadline);
        }
        ready!(self.timer.as_mut().poll(context));
        let now = Instant::now();
        self.on_time(now);
        let next = self.next_deadline().max(now + Duration::from_millis(1));
        self.timer.as_mut().reset(next);
        Poll::Ready(())
    }

    /// The earliest moment at which something has to be given up.
    fn next_deadline(&self) -> Instant {
        let limits = &self.shared.limits;
        let mut earliest = Instant::now() + limits.idle_timeout;
        let mut consider = |deadline: Instant| earliest = earliest.min(deadline);
        if self.closing.is_none() {
            if self.may_be_idle() {
                consider(self.last_used + limits.idle_timeout);
            }
            if self.counted.is_none() {
                consider(self.began + limits.login_timeout);
            }
        }
        if let Some(deadline) = self.produce_deadline() {
            consider(deadline);
        }
        if let Some(window) = self.reading.window() {
            consider(window.end);
        }
        if !self.unsent.is_empty() {
            consider(self.last_sent + WRITE_TIMEOUT);
        }
        if let Some(until) = self.discard_until {
            consider(until);
        }
        earliest
    }

    /// A body that comes in is held to its rate instead: 100 MiB may take longer than the idle timeout.
    fn may_be_idle(&self) -> bool {
        self.answers.is_empty() && self.reading.window().is_none()
    }

    /// The first deadline of all Produce requests under way: answers behind the front wait for it too.
    fn produce_deadline(&self) -> Option<Instant> {
        self.answers
            .iter()
            .filter_map(|answer| match answer {
                Answer::Produce(produce) if !produce.is_expired() => Some(produce.deadline()),
                _ => None,
            })
            .min()
    }

    fn on_time(&mut self, now: Instant) {
        if self
            .produce_deadline()
            .is_some_and(|deadline| deadline <= now)
        {
            self.expire(now);
        }
        if !self.unsent.is_empty() && self.last_sent + WRITE_TIMEOUT <= now {
            // Its answers can go nowhere; what they answer is stored all the same.
            self.answers.clear();
            self.produces = 0;
            self.unsent.clear();
            self.close(Reason::SlowReader);
        }
        if self.closing.is_some() {
            return;
        }
        let limits = &self.shared.limits;
        let slow = self
            .reading
            .window()
            .is_some_and(|window| window.end <= now);
        if self.counted.is_none() && self.began + limits.login_timeout <= now {
            self.close(Reason::LoginTimeout);
        } else if slow
            && !self
                .reading
                .next_window(limits.body_rate_min, limits.body_rate_window)
        {
            self.close(Reason::SlowBody);
        } else if self.may_be_idle() && self.last_used + limits.idle_timeout <= now {
            self.close(Reason::Idle);
        }
    }

    /// Gives up on each request whose time is over, and on those in front of it: answers keep their order.
    fn expire(&mut self, now: Instant) {
        let last = self.answers.iter().rposition(|answer| match answer {
            Answer::Produce(produce) => produce.deadline() <= now,
            _ => false,
        });
        for answer in self
            .answers
            .iter_mut()
            .take(last.map_or(0, |index| index + 1))
        {
            if let Answer::Produce(produce) = answer {
                produce.expire();
            }
        }
    }

    // Closing

    /// close_notify, half-close, then discard input until the peer's FIN or the time is over.
    fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        if self.discard_until.is_none() {
            match Pin::new(&mut self.stream).poll_shutdown(context) {
                Poll::Pending => return self.poll_last_timer(context),
                Poll::Ready(Err(_)) => return self.ended(),
                Poll::Ready(Ok(())) => self.discard_until = Some(Instant::now() + DISCARD_TIME),
            }
        }
        loop {
            match Pin::new(&mut self.stream).poll_fill_buf(context) {
                Poll::Ready(Ok(bytes)) if !bytes.is_empty() => {
                    let count = bytes.len();
                    Pin::new(&mut self.stream).consume(count);
                }
                Poll::Ready(_) => return self.ended(),
                Poll::Pending => return self.poll_last_timer(context),
            }
            if self
                .discard_until
                .is_some_and(|until| until <= Instant::now())
            {
                return self.ended();
            }
        }
    }

    fn poll_last_timer(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        let until = self.discard_until.unwrap_or(self.last_sent + WRITE_TIMEOUT);
        if self.timer.deadline() != until {
            self.timer.as_mut().reset(until);
        }
        ready!(self.timer.as_mut().poll(context));
        self.ended()
    }

    fn ended(&mut self) -> Poll<Ended> {
        Poll::Ready(Ended {
            reason: self.closing.take().unwrap_or(Reason::Left),
        })
    }

    fn report(&self, ended: &Ended) {
        let project = self.session.tenant().map(|tenant| tenant.project.as_str());
        let totals = &self.totals;
        if project.is_none() && totals.requests == 0 {
            debug!(peer = %self.peer.address, reason = %ended.reason, "connection closed before its first request");
            return;
        }
        info!(
            peer = %self.peer.address,
            listener = %self.peer.listener,
            sni = self.peer.sni.as_deref(),
            project,
            client = %self.session.client_id(),
            requests = totals.requests,
            bytes_in = totals.bytes_in,
            bytes_out = totals.bytes_out,
            seconds = self.began.elapsed().as_secs_f32(),
            reason = %ended.reason,
            "connection closed"
        );
    }
}
