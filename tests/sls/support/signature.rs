//! Both signature versions, computed from a received request: written apart from the gateway's, to judge it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac};

use super::http::Head;

/// The value of `Authorization` that this request must carry; `None` where it lacks what is signed.
pub fn expected(head: &Head, id: &str, secret: &str) -> Option<String> {
    let given = head.header("authorization")?;
    if given.starts_with("LOG ") {
        return v1(head, id, secret);
    }
    let (_, scope) = given.split_once("Credential=")?.1.split_once('/')?;
    let (scope, _) = scope.split_once(',')?;
    v4(head, id, secret, scope)
}

fn v1(head: &Head, id: &str, secret: &str) -> Option<String> {
    let mut signed = own_headers(head);
    signed.retain(|(name, _)| name != "x-log-date");
    let date = head.header("x-log-date").or(head.header("date"))?;
    let mut text = [
        &*head.method,
        head.header("content-md5").unwrap_or_default(),
        head.header("content-type").unwrap_or_default(),
        date,
        "",
    ]
    .join("\n");
    for (name, value) in &signed {
        text.push_str(&format!("{name}:{value}\n"));
    }
    text.push_str(head.path());
    let query = sorted_query(head);
    let pairs: Vec<_> = query
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if !pairs.is_empty() {
        text.push_str(&format!("?{}", pairs.join("&")));
    }
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    let signature = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
    Some(format!("LOG {id}:{signature}"))
}

fn v4(head: &Head, id: &str, secret: &str, scope: &str) -> Option<String> {
    let mut signed = own_headers(head);
    for name in ["host", "content-type"] {
        signed.extend(
            head.header(name)
                .map(|value| (name.to_owned(), value.to_owned())),
        );
    }
    signed.sort();
    let names: Vec<&str> = signed.iter().map(|(name, _)| &**name).collect();
    let lines: String = signed
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let canonical = [
        &*head.method,
        head.path(),
        &encoded_query(head),
        &lines,
        &names.join(";"),
        head.header("x-log-content-sha256")?,
    ]
    .join("\n");
    let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let text = ["SLS4-HMAC-SHA256", head.header("x-log-date")?, scope, &hash].join("\n");
    let first = format!("aliyun_v4{secret}").into_bytes();
    let key = scope
        .split('/')
        .fold(first, |key, part| sha256_mac(&key, part));
    let signature = hex(&sha256_mac(&key, &text));
    Some(format!(
        "SLS4-HMAC-SHA256 Credential={id}/{scope},Signature={signature}"
    ))
}

/// Those of the Log Service, sorted.
fn own_headers(head: &Head) -> Vec<(String, String)> {
    let own = |name: &str| name.starts_with("x-log-") || name.starts_with("x-acs-");
    let mut headers = head.headers.clone();
    headers.retain(|(name, _)| own(name));
    headers.sort();
    headers
}

fn sorted_query(head: &Head) -> Vec<(String, String)> {
    let mut query = head.query();
    query.sort();
    query
}

fn encoded_query(head: &Head) -> String {
    let pairs = sorted_query(head)
        .into_iter()
        .map(|(name, value)| match &*value {
            "" => name,
            _ => format!("{name}={}", percent_encoded(&value)),
        });
    pairs.collect::<Vec<_>>().join("&")
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn sha256_mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
