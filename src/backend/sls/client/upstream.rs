//! One region's Log Service: its connections, its clock, and a call's one or two tries.
//!
//! A request that is refused for its time is tried once more at once, signed with the time of that refusal. Every other
//! retry is the backend's.

use reqwest::{Method as HttpMethod, Url};
use tokio::time::{Instant, timeout_at};

use super::answer::Answer;
use super::body::{Taken, WatchedBody};
use super::call::{Call, Method};
use super::clock::Clock;
use super::error::{CallError, Kind};
use super::{Endpoint, SignatureVersion, connect, signed};
use crate::signature::query_string;
use crate::tenant::Tenant;

/// A refused time this near to the Log Service's is not refused for the clock.
const SKEW_MIN_S: u64 = 60;

pub(super) struct Upstream {
    endpoint: Endpoint,
    http: reqwest::Client,
    proxied: bool,
    pub clock: Clock,
}

/// What is asked of whom, and until when.
#[derive(Clone, Copy)]
pub(super) struct Errand<'a> {
    pub tenant: &'a Tenant,
    pub call: &'a Call,
    pub signature: SignatureVersion,
    pub deadline: Instant,
}

impl Upstream {
    pub fn new(endpoint: Endpoint, http: reqwest::Client, proxied: bool) -> Self {
        Self {
            endpoint,
            http,
            proxied,
            clock: Clock::new(),
        }
    }

    pub async fn carry_out(&self, errand: Errand<'_>) -> Result<Answer, CallError> {
        let now_s = self.clock.now_s();
        let answer = self.exchange(errand, now_s).await?;
        let server_s = answer.server_s;
        let result = answer.into_result();
        match (&result, server_s) {
            (Err(error), Some(server_s))
                if error.kind == Kind::ClockSkew && server_s.abs_diff(now_s) > SKEW_MIN_S =>
            {
                self.warn(server_s - now_s);
                self.exchange(errand, server_s).await?.into_result()
            }
            _ => result,
        }
    }

    fn warn(&self, off_s: i64) {
        if self.clock.warns() {
            tracing::warn!(
                region = &*self.endpoint.region,
                off_s,
                "the Log Service refused a request for its time; set this machine's clock, by NTP for one"
            );
        }
    }

    /// One request and its answer.
    async fn exchange(&self, errand: Errand<'_>, now_s: i64) -> Result<Answer, CallError> {
        let taken = Taken::default();
        let request = self.request(errand, now_s, &taken)?;
        let exchange = async {
            let response = self
                .http
                .execute(request)
                .await
                .map_err(|error| CallError::network(taken.sent(), &causes(&error)))?;
            let status = response.status();
            let answer = Answer::read(response, errand.call.answer_bytes_max).await;
            answer.ok_or_else(|| {
                let text = format!("an answer without request id, status {}", status.as_u16());
                CallError::network(taken.sent(), &text)
            })
        };
        let answer = timeout_at(errand.deadline, exchange)
            .await
            .unwrap_or_else(|_| Err(CallError::network(taken.sent(), "timed out")))?;
        if let Some(server_s) = answer.server_s {
            self.clock.observe(server_s);
        }
        Ok(answer)
    }

    fn request(
        &self,
        errand: Errand<'_>,
        now_s: i64,
        taken: &Taken,
    ) -> Result<reqwest::Request, CallError> {
        let Errand {
            tenant,
            call,
            signature,
            ..
        } = errand;
        let host = self.endpoint.host_of(&tenant.project);
        let credentials = &tenant.credentials;
        let headers = signed::headers(call, signature, &self.endpoint, &host, credentials, now_s)?;
        let method = match call.method {
            Method::Get => HttpMethod::GET,
            Method::Post => HttpMethod::POST,
        };
        let mut request = reqwest::Request::new(method, self.url(call, &host)?);
        *request.headers_mut() = headers;
        *request.body_mut() = call.payload.as_ref().map(|payload| {
            reqwest::Body::wrap(WatchedBody::new(payload.body.clone(), taken.clone()))
        });
        Ok(request)
    }

    fn url(&self, call: &Call, host: &str) -> Result<Url, CallError> {
        let mut url = connect::origin(&self.endpoint, host, self.proxied);
        url.push_str(&call.path);
        if let Some((name, value)) = &call.query {
            url.push('?');
            url.push_str(&query_string(&[(name, value)]));
        }
        Url::parse(&url).map_err(|_| CallError::ours("the endpoint makes no URL"))
    }
}

/// What the HTTP client says, down to the root, without the URL.
fn causes(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
