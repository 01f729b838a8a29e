//! One request from head to answer; whatever goes wrong on the way becomes an answer too.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hyper::Request;
use hyper::body::Incoming;
use hyper::http::request::Parts;

use super::answer::{self, Answer, RequestIds};
use super::call::Call;
use super::calls::{self, Caller};
use super::error::Error;
use super::head::Head;
use super::limits::Timeouts;
use super::memory::Memory;
use super::readers::Readers;
use super::{Config, body, identity};
use crate::backend::embedded::Embedded;
use crate::refusals::{Refusals, shown};
use crate::spread::Rotation;

/// Seconds.
const DAY_S: u64 = 24 * 60 * 60;

/// What all requests share.
#[derive(Debug)]
pub struct Service {
    pub(super) store: Arc<Embedded>,
    pub(super) region: Arc<str>,
    pub(super) check_times: bool,
    pub(super) retention_days: u64,
    pub(super) memory: Memory,
    pub(super) readers: Readers,
    /// Whose turn it is among the shards of each Logstore.
    pub(super) rotation: Mutex<Rotation>,
    pub(super) timeouts: Timeouts,
    /// Unix seconds.
    pub(super) started_s: i64,
    ids: RequestIds,
    refusals: Refusals,
}

impl Service {
    /// # Errors
    /// When the system has no random numbers.
    pub fn new(config: &Config, store: Arc<Embedded>) -> std::io::Result<Self> {
        Ok(Self {
            store,
            region: Arc::clone(&config.region),
            check_times: config.check_times,
            retention_days: config.retention_age.as_secs().div_ceil(DAY_S),
            memory: Memory::new(config.timeouts.room),
            readers: Readers::new(config.data_dir.clone(), config.timeouts.room),
            timeouts: config.timeouts,
            rotation: Mutex::default(),
            started_s: now_s(),
            ids: RequestIds::new()?,
            refusals: Refusals::default(),
        })
    }

    /// What was refused, by the Log Service's code.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    pub async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        let request_id = self.ids.next();
        let (parts, mut body) = request.into_parts();
        let mut answer = match self.handle(&parts, &mut body).await {
            Ok(answer) => answer,
            Err(error) => {
                self.log(&parts, &error, &request_id, peer);
                body::discard(&mut body, self.timeouts.discard).await;
                answer::refusal(&error)
            }
        };
        answer::sign_off(&mut answer, &request_id, now_s());
        tracing::debug!(
            %peer, method = %parts.method, path = %shown(parts.uri.path()), request_id,
            status = answer.status().as_u16(), "answered"
        );
        answer
    }

    async fn handle(&self, parts: &Parts, body: &mut Incoming) -> Result<Answer, Error> {
        let now_s = now_s();
        let head = Head::read(parts)?;
        let project = head.project()?;
        let key = identity::identify(&self.store, &self.region, &project, &head, now_s)?;
        let call = Call::read(&head)?;
        call.check_rights(key)?;
        let caller = Caller {
            project,
            key,
            now_s,
        };
        calls::carry_out(self, &caller, call, &head, body).await
    }

    fn log(&self, parts: &Parts, error: &Error, request_id: &str, peer: SocketAddr) {
        let (code, _) = error.code();
        if let Some(unlogged) = self.refusals.count(code, Instant::now()) {
            let host = parts
                .headers
                .get("host")
                .and_then(|host| host.to_str().ok());
            tracing::warn!(
                %peer, code, %error, request_id, unlogged,
                host = %shown(host.unwrap_or_default()), path = %shown(parts.uri.path()),
                "API request refused"
            );
        }
    }
}

/// Unix seconds.
fn now_s() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
}
