//! LogGroups as clients write them, by `prost`.

use prost::Message;

use super::now_s;

#[derive(Clone, PartialEq, Message)]
pub struct LogGroup {
    #[prost(message, repeated, tag = "1")]
    pub logs: Vec<Log>,
    #[prost(string, optional, tag = "3")]
    pub topic: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub source: Option<String>,
    #[prost(message, repeated, tag = "6")]
    pub tags: Vec<Pair>,
    /// Known to nobody here.
    #[prost(string, optional, tag = "77")]
    pub unknown: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Log {
    #[prost(uint32, required, tag = "1")]
    pub time: u32,
    #[prost(message, repeated, tag = "2")]
    pub contents: Vec<Pair>,
    #[prost(fixed32, optional, tag = "4")]
    pub time_ns: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Pair {
    #[prost(string, required, tag = "1")]
    pub key: String,
    #[prost(string, required, tag = "2")]
    pub value: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct LogGroupList {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub groups: Vec<Vec<u8>>,
}

pub fn pair(key: &str, value: &str) -> Pair {
    Pair {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

pub fn log(time: i64, fields: &[(&str, &str)]) -> Log {
    Log {
        time: u32::try_from(time).expect("32 bits"),
        contents: fields.iter().map(|(key, value)| pair(key, value)).collect(),
        time_ns: None,
    }
}

/// One log of now.
pub fn group(value: &str) -> LogGroup {
    LogGroup {
        logs: vec![log(now_s(), &[("content", value)])],
        ..LogGroup::default()
    }
}

pub fn encoded(value: &str) -> Vec<u8> {
    group(value).encode_to_vec()
}
