//! All keys that the Log Service was asked about, each known by a hash of region, project, id, secret and token: a wrong
//! secret or token finds nothing of what the right one was told, and no secret is kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ring::hmac;

use super::account::Account;
use crate::tenant::Tenant;

/// Keys that are remembered. Those that never were good go first.
const ACCOUNTS_MAX: usize = 100_000;
/// How long a key is remembered that nobody uses: one that never was good, and at least any other.
const STRANGER_LIFE: Duration = Duration::from_secs(10);
const KNOWN_LIFE_MIN: Duration = Duration::from_secs(3600);
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

type Fingerprint = [u8; 32];

#[derive(Debug)]
pub struct Accounts {
    key_grace: Duration,
    refresh: Duration,
    /// The hash is this process's own, so that a copy of its memory tells nobody whether he guessed a secret.
    salt: hmac::Key,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    accounts: HashMap<Fingerprint, Arc<Account>>,
    sweep_at: Instant,
}

impl Accounts {
    pub fn new(key_grace: Duration, refresh: Duration) -> Self {
        let mut salt = [0; 32];
        // Without randomness the hashes are merely not salted.
        let _ = getrandom::fill(&mut salt);
        Self {
            key_grace,
            refresh,
            salt: hmac::Key::new(hmac::HMAC_SHA256, &salt),
            state: Mutex::new(State {
                accounts: HashMap::new(),
                sweep_at: Instant::now(),
            }),
        }
    }

    /// What is known of this key, if anything is.
    pub fn find(&self, tenant: &Tenant) -> Option<Arc<Account>> {
        let fingerprint = self.fingerprint(tenant);
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.accounts.get(&fingerprint).cloned()
    }

    /// `None`: too many keys are known already.
    pub fn of(&self, tenant: &Tenant, now: Instant) -> Option<Arc<Account>> {
        let fingerprint = self.fingerprint(tenant);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = state.accounts.get(&fingerprint) {
            return Some(Arc::clone(account));
        }
        state.sweep(now, self.key_grace.max(KNOWN_LIFE_MIN));
        if state.accounts.len() >= ACCOUNTS_MAX {
            return None;
        }
        let account = Arc::new(Account::new(self.key_grace, self.refresh, now));
        state.accounts.insert(fingerprint, Arc::clone(&account));
        Some(account)
    }

    #[cfg(test)]
    pub fn count(&self) -> usize {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.accounts.len()
    }

    fn fingerprint(&self, tenant: &Tenant) -> Fingerprint {
        let credentials = &*tenant.credentials;
        let token = credentials.security_token.as_ref();
        let parts = [
            &*tenant.region,
            tenant.project.as_str(),
            &credentials.access_key_id,
            credentials.access_key_secret.expose(),
            token.map_or("", |token| token.expose()),
        ];
        let mut context = hmac::Context::with_key(&self.salt);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part.as_bytes());
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(context.sign().as_ref());
        fingerprint
    }
}

impl State {
    fn sweep(&mut self, now: Instant, known_life: Duration) {
        if now < self.sweep_at {
            return;
        }
        self.sweep_at = now + SWEEP_INTERVAL;
        self.accounts.retain(|_, account| {
            let life = if account.was_proven() {
                known_life
            } else {
                STRANGER_LIFE
            };
            // Whoever asks for something holds one.
            Arc::strong_count(account) > 1 || now < account.used() + life
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::{Endpoint, Endpoints, parse_plain_token};

    const HOUR: Duration = Duration::from_secs(3600);

    fn tenant(region: &str, password: &str) -> Tenant {
        let endpoint = Endpoint {
            name: "localhost".into(),
            region: region.into(),
        };
        let dialled = Endpoints::new(vec![endpoint]).expect("one").resolve(None);
        let token = format!("\0project-1\0{password}");
        let login = parse_plain_token(token.as_bytes()).expect("well formed");
        dialled
            .tenant(login, [127, 0, 0, 1].into())
            .expect("no other project")
    }

    #[test]
    fn only_the_whole_credential_finds_what_was_told_to_it() {
        let (accounts, now) = (Accounts::new(HOUR, HOUR), Instant::now());
        let own = accounts.of(&tenant("r", "id#secret"), now).expect("room");
        let again = accounts.find(&tenant("r", "id#secret"));
        assert!(again.is_some_and(|again| Arc::ptr_eq(&own, &again)));
        for other in ["id#other", "id#secret#token", "other#secret", "id#secre#t"] {
            assert!(accounts.find(&tenant("r", other)).is_none(), "{other}");
        }
        assert!(accounts.find(&tenant("q", "id#secret")).is_none());
    }

    #[test]
    fn keys_that_nobody_uses_are_forgotten_strangers_first() {
        let (accounts, now) = (Accounts::new(HOUR, HOUR), Instant::now());
        let good = accounts.of(&tenant("r", "id#good"), now).expect("room");
        good.accepted(now);
        drop(good);
        accounts.of(&tenant("r", "id#wrong"), now);
        accounts.of(&tenant("r", "id#new"), now + STRANGER_LIFE);
        assert!(accounts.find(&tenant("r", "id#good")).is_some());
        assert!(accounts.find(&tenant("r", "id#wrong")).is_none());
        accounts.of(&tenant("r", "id#newer"), now + KNOWN_LIFE_MIN);
        assert!(accounts.find(&tenant("r", "id#good")).is_none());
    }
}
