//! A request's head as texts: path, query and the headers that are signed or read. What they mean is for others.
//!
//! A header of these that stands there twice, or is not plain text, is refused: client and server might read it
//! differently, and one of them signs.

use std::borrow::Cow;

use hyper::header::{ACCEPT_ENCODING, TRANSFER_ENCODING};
use hyper::http::request::Parts;

use super::error::Error;
use super::limits::{PARAMETER_NAME_BYTES_MAX, PARAMETERS_MAX};
use crate::refusals::shown;
use crate::signature;
use crate::tenant::ProjectName;

/// Beside those that begin with `x-log-` and `x-acs-`.
const READ: [&str; 5] = [
    "authorization",
    "content-md5",
    "content-type",
    "date",
    "host",
];

/// Browsers send these, SDKs do not. A page that somebody visits must not speak to a store on his machine, whose key he may
/// not have changed.
const BROWSERS: [&str; 3] = ["accept-language", "origin", "sec-fetch-site"];

/// A decoded name and value.
type Parameter<'a> = (Cow<'a, str>, Cow<'a, str>);

pub struct Head<'a> {
    pub method: &'a str,
    /// As it was sent.
    pub path: &'a str,
    query: Vec<Parameter<'a>>,
    headers: Vec<(&'a str, &'a str)>,
    parts: &'a Parts,
}

impl<'a> Head<'a> {
    pub fn read(parts: &'a Parts) -> Result<Self, Error> {
        if parts.headers.contains_key(TRANSFER_ENCODING) {
            return Err(Error::MissingContentLength);
        }
        if BROWSERS
            .iter()
            .any(|name| parts.headers.contains_key(*name))
        {
            return Err(Error::Browser);
        }
        let head = Self {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: read_query(parts.uri.query().unwrap_or_default())?,
            headers: read_headers(parts)?,
            parts,
        };
        head.check_host()?;
        Ok(head)
    }

    /// The value of a header that is signed or read, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(found, _)| *found == name)
            .map(|(_, value)| *value)
    }

    /// The decoded value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut query = self.query.iter();
        query
            .find(|(found, _)| found == name)
            .map(|(_, value)| &**value)
    }

    /// The encodings that the client takes, in its order.
    pub fn accepted_encodings(&self) -> impl Iterator<Item = &str> {
        let all = self.parts.headers.get_all(ACCEPT_ENCODING).into_iter();
        let texts = all.filter_map(|value| value.to_str().ok());
        texts.flat_map(|text| text.split(',')).map(str::trim)
    }

    /// Looks at the request as signatures do.
    pub fn signed<T>(&self, look: impl FnOnce(&signature::Request<'_>) -> T) -> T {
        let query: Vec<(&str, &str)> = self
            .query
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        look(&signature::Request {
            method: self.method,
            path: self.path,
            query: &query,
            headers: &self.headers,
        })
    }

    /// From `x-log-project`, else the first label of `Host`. `Err`: what stands there is no project's name.
    pub fn project(&self) -> Result<ProjectName, Error> {
        let host = || self.header("host").unwrap_or_default();
        let named = self
            .header("x-log-project")
            .unwrap_or_else(|| host().split(['.', ':']).next().unwrap_or_default());
        ProjectName::parse(named).map_err(|_| Error::NoProject(shown(named)))
    }

    /// A target in absolute form must name the host that is signed.
    fn check_host(&self) -> Result<(), Error> {
        let host = self.header("host").ok_or(Error::MissingHost)?;
        match self.parts.uri.host() {
            Some(target) if !target.eq_ignore_ascii_case(without_port(host)) => {
                Err(Error::InvalidHost)
            }
            _ => Ok(()),
        }
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn read_headers(parts: &Parts) -> Result<Vec<(&str, &str)>, Error> {
    let mut headers: Vec<(&str, &str)> = Vec::with_capacity(parts.headers.len());
    for (name, value) in &parts.headers {
        let name = name.as_str();
        if !is_read(name) {
            continue;
        }
        let text = value.to_str().map_err(|_| Error::Header(shown(name)))?;
        if headers.iter().any(|(other, _)| *other == name) {
            return Err(Error::Header(shown(name)));
        }
        headers.push((name, text));
    }
    Ok(headers)
}

fn is_read(name: &str) -> bool {
    name.starts_with("x-log-") || name.starts_with("x-acs-") || READ.contains(&name)
}

/// Names are not encoded in signatures of version 4 and values not in those of version 1, so names take no sign that
/// means something there, and none may stand twice.
fn read_query(query: &str) -> Result<Vec<Parameter<'_>>, Error> {
    let mut parameters: Vec<Parameter<'_>> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        if !is_plain(&name) {
            return Err(Error::Parameter(
                "a parameter's name takes letters, digits, - _ and .",
            ));
        }
        if parameters.iter().any(|(other, _)| *other == name) {
            return Err(Error::Parameter("a parameter stands in the query twice"));
        }
        if parameters.len() == PARAMETERS_MAX {
            return Err(Error::Parameter("the query has too many parameters"));
        }
        parameters.push((name, value));
    }
    Ok(parameters)
}

fn is_plain(name: &str) -> bool {
    (1..=PARAMETER_NAME_BYTES_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Undoes percent-encoding; `+` is a blank, as forms and most SDKs write it.
fn decode(text: &str) -> Result<Cow<'_, str>, Error> {
    if !text.contains(['%', '+']) {
        return Ok(Cow::Borrowed(text));
    }
    let bad = || Error::Parameter("the query is not percent-encoded UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let (pair, after) = rest.split_first_chunk::<2>().ok_or_else(bad)?;
                bytes.push(unhex(*pair).ok_or_else(bad)?);
                rest = after;
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| bad())
}

fn unhex([high, low]: [u8; 2]) -> Option<u8> {
    let digit = |byte| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(target: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = hyper::Request::builder().uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn code(target: &str, headers: &[(&str, &str)]) -> Option<&'static str> {
        let parts = parts(target, headers);
        Head::read(&parts).err().map(|error| error.code().0)
    }

    const HOST: (&str, &str) = ("host", "project-1.example.com");

    #[test]
    fn the_query_is_decoded() {
        let parts = parts("/l?a=x%20y%2Fz+1%E4%B8%AD&b&c=", &[HOST]);
        let head = Head::read(&parts).unwrap();
        assert_eq!(head.parameter("a"), Some("x y/z 1中"));
        assert_eq!(head.parameter("b"), Some(""));
        assert_eq!(head.parameter("c"), Some(""));
        assert_eq!(head.parameter("d"), None);
    }

    #[test]
    fn a_query_that_could_be_read_in_two_ways_is_refused() {
        for query in [
            "a=1&a=2",
            "a=1&%61=2",
            "a%0Ab=1",
            "a%26b=1",
            "a=%",
            "a=%4",
            "a=%zz",
            "a=%+1",
            "a=%ff",
            "=1",
        ] {
            assert_eq!(
                code(&format!("/l?{query}"), &[HOST]),
                Some("ParameterInvalid"),
                "{query}"
            );
        }
        let many: Vec<String> = (0..=PARAMETERS_MAX).map(|n| format!("p{n}=1")).collect();
        assert_eq!(
            code(&format!("/l?{}", many.join("&")), &[HOST]),
            Some("ParameterInvalid")
        );
        let long = "n".repeat(PARAMETER_NAME_BYTES_MAX + 1);
        assert_eq!(
            code(&format!("/l?{long}=1"), &[HOST]),
            Some("ParameterInvalid")
        );
    }

    #[test]
    fn a_header_that_could_be_read_in_two_ways_is_refused() {
        let twice = [HOST, ("x-log-date", "a"), ("X-Log-Date", "b")];
        assert_eq!(code("/", &twice), Some("ParameterInvalid"));
        assert_eq!(code("/", &[HOST, HOST]), Some("ParameterInvalid"));
        assert_eq!(
            code("/", &[HOST, ("x-acs-a", "ä")]),
            Some("ParameterInvalid")
        );
        assert_eq!(code("/", &[HOST, ("x-other", "ä"), ("x-other", "ö")]), None);
        assert_eq!(
            code("/", &[HOST, ("transfer-encoding", "chunked")]),
            Some("MissingContentLength")
        );
    }

    #[test]
    fn a_browser_is_refused() {
        for name in BROWSERS {
            assert_eq!(
                code("/", &[HOST, (name, "x")]),
                Some("Unauthorized"),
                "{name}"
            );
        }
    }

    #[test]
    fn the_project_stands_in_its_header_or_the_host() {
        let project = |headers: &[(&str, &str)]| {
            let parts = parts("/", headers);
            let project = Head::read(&parts).unwrap().project();
            project
                .map(|name| name.to_string())
                .map_err(|error| error.code().0)
        };
        assert_eq!(project(&[HOST]), Ok("project-1".into()));
        assert_eq!(
            project(&[("host", "project-1.127.0.0.1:80")]),
            Ok("project-1".into())
        );
        assert_eq!(
            project(&[HOST, ("x-log-project", "other-1")]),
            Ok("other-1".into())
        );
        assert_eq!(
            project(&[("host", "Up.example.com")]),
            Err("ProjectNotExist")
        );
        assert_eq!(project(&[("host", "")]), Err("ProjectNotExist"));
        assert_eq!(
            project(&[HOST, ("x-log-project", "")]),
            Err("ProjectNotExist")
        );
    }

    #[test]
    fn a_target_in_absolute_form_names_the_same_host() {
        assert_eq!(code("/", &[]), Some("MissingHost"));
        let host = [("host", "project-1.example.com:80")];
        assert_eq!(code("http://PROJECT-1.example.com:80/l", &host), None);
        assert_eq!(code("http://project-1.example.com/l", &host), None);
        assert_eq!(
            code("http://project-2.example.com/l", &host),
            Some("InvalidHost")
        );
    }
}
