//! The server's limits, each with a name, and the counters that hold connections to them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::session;

/// What one server lets its clients take. What each is for stands in `config/sluice.toml` too.
#[derive(Clone, Debug)]
pub struct Limits {
    pub session: session::Limits,
    /// Bytes of Produce frames over the whole process, from before their body is read until their logs are stored.
    pub in_flight_bytes_max: u64,
    /// Produce requests of one connection under way at once, once its key is proven. Before: one request of any kind.
    pub requests_per_connection_max: usize,
    pub connections_max: usize,
    pub connections_per_address_max: usize,
    pub connections_per_project_max: usize,
    pub handshakes_max: usize,
    pub handshake_timeout: Duration,
    pub login_timeout: Duration,
    pub idle_timeout: Duration,
    /// How long the answer to a refused key is held back.
    pub failed_login_delay: Duration,
    /// A frame's body that comes in slower than this over `body_rate_window` closes its connection; bytes a second.
    pub body_rate_min: u64,
    pub body_rate_window: Duration,
    /// How long a stopping server waits for what is in flight.
    pub drain_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            session: session::Limits::default(),
            in_flight_bytes_max: 256 << 20,
            requests_per_connection_max: 16,
            connections_max: 10_000,
            connections_per_address_max: 1_000,
            connections_per_project_max: 5_000,
            handshakes_max: 64,
            handshake_timeout: Duration::from_secs(10),
            login_timeout: Duration::from_secs(15),
            // Clients refresh their metadata every 5 to 10 minutes; a shorter one would cut quiet agents off.
            idle_timeout: Duration::from_secs(11 * 60),
            failed_login_delay: Duration::from_millis(500),
            body_rate_min: 64 << 10,
            body_rate_window: Duration::from_secs(30),
            // Below the 30 s that init systems and orchestrators commonly give before they kill.
            drain_grace: Duration::from_secs(25),
        }
    }
}

/// How many connections there are per address or project; a key without any takes no memory.
#[derive(Debug)]
pub struct Census<K: Eq + Hash>(Arc<Mutex<HashMap<K, usize>>>);

impl<K: Eq + Hash> Clone for Census<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Eq + Hash> Default for Census<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// One counted connection; counted out when dropped.
#[derive(Debug)]
pub struct Counted<K: Eq + Hash> {
    census: Census<K>,
    key: K,
}

impl<K: Eq + Hash + Clone> Census<K> {
    /// Counts one more of `key`, unless there are `max` already.
    pub fn enter(&self, key: K, max: usize) -> Option<Counted<K>> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key.clone()).or_insert(0);
        if *count >= max {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Counted {
            census: self.clone(),
            key,
        })
    }
}

impl<K: Eq + Hash> Drop for Counted<K> {
    fn drop(&mut self) {
        let mut counts = self.census.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_at_its_limit_is_refused_until_one_leaves() {
        let census = Census::default();
        let first = census.enter("a", 2);
        let second = census.enter("a", 2);
        assert!(first.is_some() && second.is_some());
        assert!(census.enter("a", 2).is_none());
        assert!(
            census.enter("b", 2).is_some(),
            "another key has its own count"
        );
        drop(first);
        assert!(census.enter("a", 2).is_some());
    }

    #[test]
    fn a_key_without_connections_takes_no_memory() {
        let census = Census::default();
        drop(census.enter("a", 1));
        assert!(census.0.lock().is_ok_and(|counts| counts.is_empty()));
    }
}
