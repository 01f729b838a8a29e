//! One connection of the scripted server: each request read, answered, and broken at the moment it is told to.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::http::{Answer, Head, Wire, read_body};
use super::request::Request;
use super::script::{Action, Moment};
use super::server::{Origin, Shared};
use super::traffic::Presence;

/// No fault lasts longer, so that nothing is left behind by a test that failed.
const HANG_MAX: Duration = Duration::from_secs(120);
const CLOSE_MAX: Duration = Duration::from_secs(5);
const ENDLESS_BYTES_MAX: usize = 1 << 30;

/// What becomes of the connection.
enum Next {
    Keep,
    Close,
    Reset,
}

/// All requests of one connection.
pub async fn converse<O: Origin>(
    shared: &Shared<O>,
    stream: TcpStream,
    peer: SocketAddr,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let connected = shared.traffic.connect();
    let mut wire = BufReader::new(stream);
    while let Some(head) = Head::read(&mut wire).await? {
        let number = shared.traffic.next_number();
        let request = Arc::new(Request::new(number, connected.number, peer, head));
        let presence = shared.traffic.arrive(&request);
        match exchange(shared, &mut wire, &request, presence).await? {
            Next::Keep => {}
            Next::Close => return close(&mut wire).await,
            Next::Reset => return SockRef::from(wire.get_ref()).set_linger(Some(Duration::ZERO)),
        }
    }
    Ok(())
}

/// With FIN: what the peer still sends is read, or the system would send RST.
async fn close(wire: &mut Wire) -> io::Result<()> {
    wire.shutdown().await?;
    let mut nowhere = tokio::io::sink();
    let rest = tokio::io::copy(wire, &mut nowhere);
    let _ = tokio::time::timeout(CLOSE_MAX, rest).await;
    Ok(())
}

async fn exchange<O: Origin>(
    shared: &Shared<O>,
    wire: &mut Wire,
    request: &Request,
    presence: Presence<'_>,
) -> io::Result<Next> {
    let length = request.head.content_length()?;
    let early = shared.script.order(request, true);
    if let Some(order) = &early {
        order.wait().await;
        if let Some(next) = end(wire, &order.action, Moment::BeforeBody).await {
            return Ok(next);
        }
    }
    let body = match early.map(|order| order.action) {
        Some(Action::ReadSlowly(pause)) => read_slowly(wire, length, pause).await?,
        _ => read_body(wire, length).await?,
    };
    request.complete(&body);
    let order = shared.script.order(request, false);
    let order = order.unwrap_or_default();
    order.wait().await;
    if let Some(next) = end(wire, &order.action, Moment::AfterBody).await {
        return Ok(next);
    }
    if matches!(order.action, Action::Endless) {
        return endless(wire).await;
    }
    let answer = answer(shared, request, &body, &order.action).await?;
    if let Some(next) = end(wire, &order.action, Moment::CarriedOut).await {
        return Ok(next);
    }
    send(wire, &answer.to_bytes(), &order.action, presence).await
}

/// Carries the request out, unless its answer is given.
async fn answer<O: Origin>(
    shared: &Shared<O>,
    request: &Request,
    body: &[u8],
    action: &Action,
) -> io::Result<Answer> {
    let mut answer = match action {
        Action::Answer(answer) => answer.clone(),
        _ => shared.origin.answer(request, body).await?,
    };
    if !answer.foreign {
        answer.headers.extend(shared.origin.own_headers(request));
    }
    request.answered(answer.status);
    Ok(answer)
}

/// Sends the answer, or what is to be made of it. The request is over before the client can know.
async fn send(
    wire: &mut Wire,
    mut bytes: &[u8],
    action: &Action,
    presence: Presence<'_>,
) -> io::Result<Next> {
    match action {
        Action::AnswerLate(pause) => pause.wait().await,
        Action::Drip(pause) => {
            while let [byte, rest @ ..] = bytes
                && !rest.is_empty()
            {
                wire.write_all(&[*byte]).await?;
                tokio::time::sleep(*pause).await;
                bytes = rest;
            }
        }
        Action::CutAnswer(length) => {
            wire.write_all(&bytes[..*length]).await?;
            return Ok(Next::Close);
        }
        Action::Garbage(garbage) => {
            wire.write_all(garbage).await?;
            return Ok(Next::Close);
        }
        _ => {}
    }
    drop(presence);
    wire.write_all(bytes).await?;
    let next = end(wire, action, Moment::Answered).await;
    Ok(next.unwrap_or(Next::Keep))
}

/// What an action that ends the conversation does at its moment.
async fn end(wire: &mut Wire, action: &Action, now: Moment) -> Option<Next> {
    match action {
        Action::Close(moment) if *moment == now => Some(Next::Close),
        Action::Reset(moment) if *moment == now => Some(Next::Reset),
        Action::Hang(moment) if *moment == now => {
            hang(wire, now).await;
            Some(Next::Close)
        }
        _ => None,
    }
}

/// Until the client leaves. One whose body is not read can leave unseen.
async fn hang(wire: &mut Wire, now: Moment) {
    if now == Moment::BeforeBody {
        return tokio::time::sleep(HANG_MAX).await;
    }
    let mut nowhere = tokio::io::sink();
    let _ = tokio::time::timeout(HANG_MAX, tokio::io::copy(wire, &mut nowhere)).await;
}

async fn read_slowly(wire: &mut Wire, length: usize, pause: Duration) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    while body.len() < length {
        let piece = (length - body.len()).min(1 << 10);
        body.extend(read_body(wire, piece).await?);
        tokio::time::sleep(pause).await;
    }
    Ok(body)
}

async fn endless(wire: &mut Wire) -> io::Result<Next> {
    wire.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n")
        .await?;
    let piece = [b'x'; 64 << 10];
    for _ in 0..ENDLESS_BYTES_MAX / piece.len() {
        wire.write_all(&piece).await?;
    }
    Ok(Next::Close)
}
