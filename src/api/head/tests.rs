//! Heads that can be read in one way only, and those that cannot.

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
