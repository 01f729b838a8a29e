//! The four calls, carried out by the Log Service's rules.

use std::time::{SystemTime, UNIX_EPOCH};

use md5::{Digest, Md5};
use ring::digest;
use serde_json::{Value, json};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{PrimitiveDateTime, UtcDateTime};

use super::http::{Answer, Head};
use super::request::{Call, Request};
use super::signature::{expected, hex};
use super::world::{Key, Logstore, Stored, World};

const SKEW_MAX_S: i64 = 15 * 60;
const LOG_AGE_MAX_S: i64 = 7 * 24 * 3_600;
const LOG_AHEAD_MAX_S: i64 = 15 * 60;

pub const RFC_1123: &[BorrowedFormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);
const COMPACT: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");

type Outcome<T> = Result<T, Answer>;

fn refuse<T>(status: u16, code: &str, message: &str) -> Outcome<T> {
    Err(Answer::refusal(status, code, message))
}

impl World {
    /// Unix seconds by its own clock.
    pub fn now_s(&self) -> i64 {
        let elapsed = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970");
        i64::try_from(elapsed.as_secs()).expect("not that late") + self.clock_offset_s
    }

    pub fn answer(&mut self, request: &Request, body: &[u8]) -> Answer {
        if let Err(what) = well_formed(&request.head, body) {
            let complaint = format!("request {}: {what}", request.number);
            self.complaints.push(complaint);
            return Answer::refusal(400, "ParameterInvalid", &what);
        }
        let answered = self.admit(request).and_then(|()| match request.call {
            Call::GetProject => Ok(project_json(&request.project)),
            Call::GetLogStore => self
                .logstore(request)
                .map(|found| logstore_json(request, found)),
            Call::ListShards => self.logstore(request).map(|found| shards_json(found)),
            Call::PutLogs => self.put(request),
            Call::Other => self.not_ours(request),
        });
        answered.unwrap_or_else(|refusal| refusal)
    }

    /// Clock, project, key, right.
    fn admit(&mut self, request: &Request) -> Outcome<()> {
        let head = &request.head;
        let skew = sent_at_s(head).map(|sent| (sent - self.now_s()).abs());
        if skew.is_none_or(|skew| skew > SKEW_MAX_S) {
            return refuse(
                400,
                "RequestTimeExpired",
                "the request's time is too far off",
            );
        }
        let host = head.header("host").unwrap_or_default();
        let away = |endpoint: &String| !host.ends_with(&format!(".{endpoint}"));
        let elsewhere = self.endpoint.as_ref().is_some_and(away);
        let Some(project) = self.find(&request.project).filter(|_| !elsewhere) else {
            return refuse(404, "ProjectNotExist", "no such project");
        };
        let id = request.key_id().unwrap_or_default();
        let Some(key) = project.keys.get(id) else {
            return refuse(401, "Unauthorized", "no such key");
        };
        if expected(head, id, &key.secret).as_deref() != head.header("authorization") {
            return refuse(401, "SignatureNotMatch", "signed with another secret");
        }
        if head.header("x-acs-security-token") != key.token.as_deref() {
            return refuse(401, "Unauthorized", "not its token");
        }
        match may(key, request.call) {
            true => Ok(()),
            false => refuse(401, "Unauthorized", "denied by policy"),
        }
    }

    fn logstore(&mut self, request: &Request) -> Outcome<&mut Logstore> {
        let project = self.find(&request.project).expect("it was admitted");
        match project.logstores.get_mut(&request.logstore) {
            Some(logstore) => Ok(logstore),
            None => refuse(404, "LogStoreNotExist", "no such Logstore"),
        }
    }

    fn put(&mut self, request: &Request) -> Outcome<Answer> {
        let key = request.hash_key();
        let shard = self.logstore(request)?.shard_for(key);
        let content = request.content().expect("its body was read");
        let now = self.now_s();
        let times = now - LOG_AGE_MAX_S..=now + LOG_AHEAD_MAX_S;
        let judged = content.as_ref().map_err(|fault| *fault);
        let judged = judged.and_then(|group| group.judge(&times).map(|()| group));
        let group = judged.map_err(|(status, code, text)| Answer::refusal(status, code, text))?;
        if group.logs.iter().any(|log| log.names_a_field_twice()) {
            self.complaints
                .push(format!("request {}: a field twice", request.number));
        }
        let Some(shard) = shard else {
            return refuse(400, "LogStoreWithoutShard", "no writable shard");
        };
        self.stored.push(Stored {
            project: request.project.clone(),
            logstore: request.logstore.clone(),
            shard,
            group: group.clone().into(),
        });
        Ok(Answer::empty())
    }

    /// A gateway has no permission for more than the four calls.
    fn not_ours(&mut self, request: &Request) -> Outcome<Answer> {
        let (method, target) = (&request.head.method, &request.head.target);
        self.complaints
            .push(format!("request {}: {method} {target}", request.number));
        refuse(401, "Unauthorized", "denied by policy")
    }
}

fn may(key: &Key, call: Call) -> bool {
    match call {
        Call::PutLogs => key.may_write,
        _ => key.may_describe,
    }
}

/// What every request must carry, whoever sends it.
fn well_formed(head: &Head, body: &[u8]) -> Result<(), String> {
    let has = |name: &str| head.header(name).is_some();
    for name in [
        "host",
        "x-log-apiversion",
        "x-log-bodyrawsize",
        "authorization",
    ] {
        if !has(name) {
            return Err(format!("no {name}"));
        }
    }
    if has("transfer-encoding") {
        return Err("a body without a length".into());
    }
    if head.header("x-log-apiversion") != Some("0.6.0") {
        return Err("another x-log-apiversion".into());
    }
    let v4 = has("x-log-content-sha256");
    if !v4 && head.header("x-log-signaturemethod") != Some("hmac-sha1") {
        return Err("no x-log-signaturemethod".into());
    }
    if v4 && head.header("x-log-content-sha256") != Some(&sha256(body)) {
        return Err("not the SHA-256 of the body".into());
    }
    if !v4 && head.header("content-md5") != md5(body).as_deref() {
        return Err("not the MD5 of the body".into());
    }
    if !body.is_empty() && head.header("content-type") != Some("application/x-protobuf") {
        return Err("another content type".into());
    }
    if body.is_empty() && head.header("x-log-bodyrawsize") != Some("0") {
        return Err("a size without a body".into());
    }
    Ok(())
}

/// In upper case; none without a body.
fn md5(body: &[u8]) -> Option<String> {
    (!body.is_empty()).then(|| hex(&Md5::digest(body)).to_uppercase())
}

fn sha256(body: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, body).as_ref())
}

/// When the request says that it was made.
fn sent_at_s(head: &Head) -> Option<i64> {
    let text = head.header("x-log-date").or(head.header("date"))?;
    let parsed = PrimitiveDateTime::parse(text, RFC_1123);
    let parsed = parsed.or_else(|_| PrimitiveDateTime::parse(text, COMPACT));
    parsed.ok().map(|date| date.assume_utc().unix_timestamp())
}

pub fn rfc_1123(now_s: i64) -> String {
    let date = UtcDateTime::from_unix_timestamp(now_s).expect("not that far");
    date.format(RFC_1123).expect("all parts are known")
}

fn project_json(name: &str) -> Answer {
    let value = json!({
        "projectName": name, "status": "Normal", "description": "", "region": "local", "owner": "1",
        "createTime": "2025-01-02 03:04:05", "lastModifyTime": "2025-01-02 03:04:05",
    });
    Answer::json(200, &value)
}

fn logstore_json(request: &Request, logstore: &Logstore) -> Answer {
    let value = json!({
        "logstoreName": request.logstore, "ttl": 7, "shardCount": logstore.shards.len(),
        "enable_tracking": false, "appendMeta": false, "autoSplit": false, "maxSplitShard": 64,
        "createTime": 1_735_787_045, "lastModifyTime": 1_735_787_045,
    });
    Answer::json(200, &value)
}

fn shards_json(logstore: &Logstore) -> Answer {
    let shards = logstore.shards.iter().map(|shard| {
        let range = logstore.range(shard.id).unwrap_or(0..=u128::MAX);
        let end = range.end().checked_add(1).unwrap_or(u128::MAX);
        json!({
            "shardID": shard.id, "status": if shard.writable { "readwrite" } else { "readonly" },
            "inclusiveBeginKey": format!("{:032x}", range.start()),
            "exclusiveEndKey": format!("{end:032x}"), "createTime": 1_735_787_045,
        })
    });
    Answer::json(200, &Value::Array(shards.collect()))
}
