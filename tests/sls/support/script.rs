//! Faults on order: rules that are looked at for each request, the first that fits decides.

use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::http::Answer;
use super::request::{Call, Request};

/// Where in a request's life something happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The head was read.
    BeforeBody,
    /// Nothing was done yet.
    AfterBody,
    /// It was carried out; its answer is held back.
    CarriedOut,
    /// Its answer was sent and promised to keep the connection.
    Answered,
}

#[derive(Clone, Debug)]
pub enum Action {
    /// As without a rule.
    Pass,
    /// This instead, and nothing is carried out.
    Answer(Answer),
    /// Keeps the connection and says nothing.
    Hang(Moment),
    Close(Moment),
    /// Ends the connection with RST.
    Reset(Moment),
    /// Reads the body in pieces of 1 KiB, so far apart.
    ReadSlowly(Duration),
    /// Carries out, then answers so late.
    AnswerLate(Pause),
    /// Carries out, then sends the answer byte by byte, so far apart.
    Drip(Duration),
    /// Carries out, sends so many bytes of the answer and closes.
    CutAnswer(usize),
    /// Carries out, then sends this and closes.
    Garbage(Vec<u8>),
    /// A success whose body ends when the client has had enough.
    Endless,
}

#[derive(Clone, Debug)]
pub enum Pause {
    For(Duration),
    Until(Gate),
}

impl Pause {
    pub async fn wait(&self) {
        match self {
            Self::For(duration) => tokio::time::sleep(*duration).await,
            Self::Until(gate) => gate.wait().await,
        }
    }
}

/// Holds requests back until it is opened.
#[derive(Clone, Debug)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    pub fn closed() -> Self {
        Self(watch::Sender::new(false))
    }

    pub fn open(&self) {
        self.0.send_replace(true);
    }

    async fn wait(&self) {
        // It fails only when the sender is gone, which `self` holds.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

type Condition = Box<dyn Fn(&Request) -> bool + Send + Sync>;

/// What happens to which requests, how often or how long.
pub struct Rule {
    conditions: Vec<Condition>,
    first: Option<Pause>,
    action: Action,
    left: Option<u32>,
    until: Option<Instant>,
}

/// What a rule ordered.
pub struct Order {
    first: Option<Pause>,
    pub action: Action,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            first: None,
            action: Action::Pass,
        }
    }
}

impl Order {
    /// Until it is time to act.
    pub async fn wait(&self) {
        if let Some(pause) = &self.first {
            pause.wait().await;
        }
    }
}

impl Rule {
    /// For every request.
    pub fn all(action: Action) -> Self {
        Self {
            conditions: Vec::new(),
            first: None,
            action,
            left: None,
            until: None,
        }
    }

    pub fn on(call: Call, action: Action) -> Self {
        Self::all(action).when(move |request| request.call == call)
    }

    pub fn refuse(call: Call, status: u16, code: &str) -> Self {
        Self::on(
            call,
            Action::Answer(Answer::refusal(status, code, "as told")),
        )
    }

    pub fn when(mut self, holds: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Self {
        self.conditions.push(Box::new(holds));
        self
    }

    pub fn project(self, name: &str) -> Self {
        let name = name.to_owned();
        self.when(move |request| request.project == name)
    }

    pub fn logstore(self, name: &str) -> Self {
        let name = name.to_owned();
        self.when(move |request| request.logstore == name)
    }

    /// Key-hash writes into this range.
    pub fn keys(self, range: RangeInclusive<u128>) -> Self {
        self.when(move |request| request.hash_key().is_some_and(|key| range.contains(&key)))
    }

    /// Groups with a log whose `content` is this.
    pub fn holding(self, content: &str) -> Self {
        let content = content.to_owned();
        self.when(move |request| request.group().is_some_and(|group| group.holds(&content)))
    }

    /// Groups of more logs.
    pub fn logs_over(self, max: usize) -> Self {
        self.when(move |request| request.group().is_some_and(|group| group.logs.len() > max))
    }

    /// Waits before it acts.
    pub fn after(mut self, pause: Pause) -> Self {
        self.first = Some(pause);
        self
    }

    /// For the next so many.
    pub fn times(mut self, count: u32) -> Self {
        self.left = Some(count);
        self
    }

    pub fn until(mut self, end: Instant) -> Self {
        self.until = Some(end);
        self
    }

    /// It has to act before the body is there, so it cannot ask what the body holds.
    fn acts_early(&self) -> bool {
        matches!(
            self.action,
            Action::Hang(Moment::BeforeBody)
                | Action::Close(Moment::BeforeBody)
                | Action::Reset(Moment::BeforeBody)
                | Action::ReadSlowly(_)
        )
    }

    fn fits(&self, request: &Request, early: bool) -> bool {
        self.acts_early() == early
            && self.left != Some(0)
            && self.until.is_none_or(|end| Instant::now() < end)
            && self.conditions.iter().all(|holds| holds(request))
    }
}

/// The rules in force.
#[derive(Default)]
pub struct Script(Mutex<Vec<Rule>>);

impl Script {
    /// Behind those that are there.
    pub fn add(&self, rule: Rule) {
        self.lock().push(rule);
    }

    pub fn clear(&self) {
        self.lock().clear();
    }

    /// What the first rule that fits orders; `early`: only the head is there.
    pub fn order(&self, request: &Request, early: bool) -> Option<Order> {
        let mut rules = self.lock();
        let rule = rules.iter_mut().find(|rule| rule.fits(request, early))?;
        if let Some(left) = &mut rule.left {
            *left -= 1;
        }
        Some(Order {
            first: rule.first.clone(),
            action: rule.action.clone(),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Rule>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
