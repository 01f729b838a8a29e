//! The machinery itself: what a test orders is what happens.

mod caller;
mod faults;
mod proxy;
mod service;

use crate::support::http::Head;
use crate::support::signature::expected;

/// The official SDK's signatures, for headers and queries of all kinds.
#[test]
fn signatures_are_those_of_the_official_sdk() {
    let text = include_str!("../../data/sls-signature-vectors.json");
    let file: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let vectors = file["vectors"].as_array().expect("a list");
    assert_eq!(vectors.len(), 22);
    for vector in vectors {
        let input = &vector["input"];
        let field = |name: &str| input[name].as_str().unwrap_or_default();
        let authorization = vector["expected"]["authorization"].as_str().expect("text");
        let mut headers: Vec<(String, String)> = input["headers"]
            .as_object()
            .expect("names and values")
            .iter()
            .map(|(name, value)| {
                (
                    name.to_lowercase(),
                    value.as_str().expect("text").to_owned(),
                )
            })
            .collect();
        headers.push(("authorization".into(), authorization.into()));
        let target = match field("query_string_on_the_wire") {
            "" => field("path").to_owned(),
            query => format!("{}?{query}", field("path")),
        };
        let head = Head {
            method: field("method").into(),
            target,
            headers,
        };
        let signed = expected(&head, field("access_key_id"), field("access_key_secret"));
        assert_eq!(signed.as_deref(), Some(authorization), "{}", vector["name"]);
    }
}
