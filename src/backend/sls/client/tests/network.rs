//! Where a request goes: addresses, names, certificates, proxies.

use tokio::net::TcpListener;

use super::server::{Step, certified, ok};
use super::*;

const NOT_STORED: Kind = Kind::Network { sent: Sent::No };
const HOST: &str = "test-project-1.log.example.com";

#[tokio::test]
async fn another_address_is_dialled_under_the_projects_name() {
    let (tls, authority) = certified(&["*.log.example.com"]);
    let server = Server::tls([ok(), ok()], tls).await;
    for (url, host) in [
        ("https://log.example.com", HOST.to_owned()),
        ("https://log.example.com:8443", format!("{HOST}:8443")),
    ] {
        let client = Client::new(&Settings {
            authorities: vec![authority.clone()],
            ..settings(endpoint(url, &server))
        });
        put(&client.unwrap()).await.unwrap();
        let request = server.received().pop().unwrap();
        assert_eq!(request.sni.as_deref(), Some(HOST), "{url}");
        assert_eq!(request.header("host"), Some(host.as_str()), "{url}");
    }
}

#[tokio::test]
async fn without_an_address_the_host_is_dialled_at_its_port() {
    let server = Server::plain([ok()]).await;
    // Names under localhost need no DNS where the resolver knows them; where it does not, nothing is sent.
    let url = format!("http://localhost:{}", server.address().port());
    let client = Client::new(&settings(Endpoint::parse("r", &url).unwrap())).unwrap();
    match put(&client).await {
        Ok(()) => assert_eq!(
            server.request().header("host"),
            Some(&*format!(
                "test-project-1.localhost:{}",
                server.address().port()
            ))
        ),
        Err(error) => assert_eq!(error.kind, NOT_STORED),
    }
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_gets_nothing() {
    let (tls, _) = certified(&["*.log.example.com"]);
    let (other_tls, other) = certified(&["*.elsewhere.example.com"]);
    let unknown = Server::tls([ok()], tls).await;
    let wrong_name = Server::tls([ok()], other_tls).await;
    for server in [&unknown, &wrong_name] {
        let client = Client::new(&Settings {
            authorities: vec![other.clone()],
            ..settings(endpoint("https://log.example.com", server))
        });
        let error = put(&client.unwrap()).await.unwrap_err();
        assert_eq!(error.kind, NOT_STORED);
        assert!(error.text.contains("certificate"), "{error}");
        assert!(server.received().is_empty());
    }
}

#[tokio::test]
async fn a_refused_connection_or_an_unknown_name_stored_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap().to_string();
    drop(listener);
    for address in [closed.as_str(), "no-such-host.invalid:80"] {
        let client = Client::new(&settings(Endpoint {
            connect: Some(address.parse().unwrap()),
            ..Endpoint::parse("r", "http://log.example.com").unwrap()
        }));
        let error = put(&client.unwrap()).await.unwrap_err();
        assert_eq!(
            (error.kind, error.may_be_stored()),
            (NOT_STORED, false),
            "{address}"
        );
        assert!(error.is_worth_retrying());
    }
}

#[tokio::test]
async fn time_that_runs_out_before_the_handshake_stored_nothing() {
    // Accepts, and never says a word of TLS.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_, authority) = certified(&["log.example.com"]);
    let short = Duration::from_millis(200);
    for (request_timeout, connect_timeout) in [(short, TIMEOUT), (TIMEOUT, short)] {
        let client = Client::new(&Settings {
            request_timeout,
            connect_timeout,
            authorities: vec![authority.clone()],
            ..settings(Endpoint {
                connect: Some(listener.local_addr().unwrap().to_string().parse().unwrap()),
                ..Endpoint::parse("r", "https://log.example.com").unwrap()
            })
        });
        assert_eq!(put(&client.unwrap()).await.unwrap_err().kind, NOT_STORED);
    }
}

#[tokio::test]
async fn a_connection_that_the_server_closed_when_idle_is_replaced() {
    let head =
        "HTTP/1.1 200 OK\r\nx-log-requestid: 0123456789ABCDEF01234567\r\ncontent-length: 0\r\n\r\n";
    let script = (0..10).map(|_| Step::AnswerAndClose(head.into()));
    let server = Server::plain(script).await;
    let client = client(&server);
    for _ in 0..10 {
        put(&client).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let connections = server
        .received()
        .into_iter()
        .map(|request| request.connection);
    assert!(connections.eq(0..10));
}

fn through(proxy: &Server, credentials: &str, url: &str) -> Client {
    let proxy = Proxy::parse(&format!("http://{credentials}{}", proxy.address())).unwrap();
    let (_, authority) = certified(&["log.example.com"]);
    Client::new(&Settings {
        proxy: Some(proxy),
        authorities: vec![authority],
        ..settings(Endpoint::parse("r", url).unwrap())
    })
    .unwrap()
}

#[tokio::test]
async fn a_configured_proxy_is_told_the_whole_url() {
    let proxy = Server::plain([ok()]).await;
    put(&through(
        &proxy,
        "user:word@",
        "http://log.example.com:8080",
    ))
    .await
    .unwrap();
    let request = proxy.request();
    let path = "/logstores/test-logstore-1/shards/lb";
    assert_eq!(
        request.line,
        format!("POST http://{HOST}:8080{path} HTTP/1.1")
    );
    assert_eq!(request.header("host"), Some(&*format!("{HOST}:8080")));
    assert_eq!(
        request.header("proxy-authorization"),
        Some("Basic dXNlcjp3b3Jk")
    );
}

#[tokio::test]
async fn a_configured_proxy_that_refuses_a_tunnel_sees_neither_key_nor_logs() {
    let refused = Step::Answer("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".into());
    let proxy = Server::plain([refused]).await;
    let client = through(&proxy, "", "https://log.example.com:8443");
    assert_eq!(put(&client).await.unwrap_err().kind, NOT_STORED);
    let request = proxy.request();
    assert_eq!(request.line, format!("CONNECT {HOST}:8443 HTTP/1.1"));
    assert!(!format!("{request:?}").contains("authorization"));
    assert!(request.body.is_empty());
}

#[test]
fn the_environments_proxies_are_not_used() {
    let test = std::env::current_exe().unwrap();
    let reached = "backend::sls::client::tests::requests::a_write_of_version_1_has_these_headers_and_no_other";
    let mut command = std::process::Command::new(test);
    command.args(["--exact", reached]);
    for name in [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ] {
        command.env(name, "http://127.0.0.1:1");
    }
    let output = command
        .env_remove("no_proxy")
        .env_remove("NO_PROXY")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{told}"
    );
}

#[test]
fn a_proxy_is_an_http_url_and_no_message_shows_its_password() {
    let good = Proxy::parse("http://user:hush@proxy.example.com:3128").unwrap();
    assert!(!format!("{good:?}").contains("hush"));
    assert!(Proxy::parse("https://proxy.example.com").is_ok());
    for (bad, expected) in [
        ("hush", ProxyError::NoUrl),
        ("proxy.example.com:3128", ProxyError::Scheme),
        ("socks5://user:hush@proxy.example.com", ProxyError::Scheme),
        (
            "http://user:hush@proxy.example.com/path",
            ProxyError::NotOnlyHost,
        ),
        ("http://proxy.example.com?hush", ProxyError::NotOnlyHost),
    ] {
        let error = Proxy::parse(bad).unwrap_err();
        assert_eq!(error, expected, "{bad}");
        assert!(!error.to_string().contains("hush"));
    }
}

#[test]
fn an_endpoint_without_tls_needs_no_authority() {
    let plain = settings(Endpoint::parse("r", "http://log.example.com").unwrap());
    assert!(Client::new(&plain).is_ok());
}
