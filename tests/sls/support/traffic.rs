//! What a server has seen: each request, how many at once, how many connections.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::request::{Call, Request};

/// Later requests are served and not kept.
const REQUESTS_KEPT_MAX: usize = 100_000;
const WAIT_MAX: Duration = Duration::from_secs(30);

#[derive(Default)]
pub struct Traffic {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    requests: Vec<Arc<Request>>,
    requests_count: u64,
    connections: Level,
    projects: HashMap<String, Level>,
}

#[derive(Clone, Copy, Default)]
struct Level {
    count: u64,
    now: usize,
    max: usize,
}

impl Level {
    fn rise(&mut self) {
        self.count += 1;
        self.now += 1;
        self.max = self.max.max(self.now);
    }
}

/// A request that is being served, until dropped.
pub struct Presence<'a> {
    traffic: &'a Traffic,
    project: String,
}

/// An open connection, until dropped.
pub struct Connected<'a> {
    traffic: &'a Traffic,
    pub number: u64,
}

impl Traffic {
    pub fn connect(&self) -> Connected<'_> {
        let mut state = self.lock();
        state.connections.rise();
        Connected {
            traffic: self,
            number: state.connections.count,
        }
    }

    pub fn next_number(&self) -> u64 {
        let mut state = self.lock();
        state.requests_count += 1;
        state.requests_count
    }

    pub fn arrive(&self, request: &Arc<Request>) -> Presence<'_> {
        let mut state = self.lock();
        let project = request.project.clone();
        state.projects.entry(project.clone()).or_default().rise();
        if state.requests.len() < REQUESTS_KEPT_MAX {
            state.requests.push(Arc::clone(request));
        }
        self.changed.notify_all();
        Presence {
            traffic: self,
            project,
        }
    }

    /// All requests, in order of arrival.
    pub fn requests(&self) -> Vec<Arc<Request>> {
        self.lock().requests.clone()
    }

    pub fn count(&self, call: Call) -> usize {
        let state = self.lock();
        state
            .requests
            .iter()
            .filter(|request| request.call == call)
            .count()
    }

    /// Waits until so many of a kind have arrived; it need not be answered yet.
    pub fn wait_for(&self, call: Call, count: usize) {
        let few = |state: &mut State| {
            let kind = state.requests.iter().filter(|request| request.call == call);
            kind.count() < count
        };
        let waited = self.changed.wait_timeout_while(self.lock(), WAIT_MAX, few);
        let timed_out = waited.unwrap_or_else(PoisonError::into_inner).1.timed_out();
        assert!(!timed_out, "{count} × {call:?} never came");
    }

    /// Most requests of a project that were under way at the same time.
    pub fn at_once_max(&self, project: &str) -> usize {
        self.lock()
            .projects
            .get(project)
            .map_or(0, |level| level.max)
    }

    /// Requests of a project that are under way.
    pub fn at_once(&self, project: &str) -> usize {
        self.lock()
            .projects
            .get(project)
            .map_or(0, |level| level.now)
    }

    /// Open connections.
    pub fn connected(&self) -> usize {
        self.lock().connections.now
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        if let Some(level) = self.traffic.lock().projects.get_mut(&self.project) {
            level.now -= 1;
        }
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.traffic.lock().connections.now -= 1;
    }
}
