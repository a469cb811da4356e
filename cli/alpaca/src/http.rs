//! The HTTP side: who may connect, and limits for requests.
#![expect(
    clippy::disallowed_methods,
    reason = "reads the clock for each connection, and pauses after an error"
)]

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bus::clock::Now;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_TYPE, ORIGIN};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::connections::Connections;
use crate::network::is_allowed;
use crate::request::Refused;
use crate::server::{Received, Server, refuse};

/// For the head of the next request to arrive: programs that ask every few seconds keep their connection.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// For the body that follows it.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// The longest form has some hundred bytes.
const BODY_LIMIT: usize = 4096;
const HEAD_LIMIT: usize = 16 * 1024;
/// After an error to accept, such as too many open files.
const PAUSE: Duration = Duration::from_secs(1);
const FORM: &str = "application/x-www-form-urlencoded";

type Open = Arc<Connections<AbortHandle>>;

/// Listens on loopback, or everywhere if others than this machine may connect.
///
/// # Errors
/// The port cannot be used; also says on which address.
pub(crate) async fn listen(port: u16, is_public: bool) -> Result<Vec<TcpListener>, (SocketAddr, io::Error)> {
    let (four, six): (IpAddr, IpAddr) = if is_public {
        (Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into())
    } else {
        (Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into())
    };
    let mut listeners = Vec::new();
    if let Ok(listener) = TcpListener::bind((six, port)).await {
        listeners.push(listener);
    }
    match TcpListener::bind((four, port)).await {
        Ok(listener) => listeners.push(listener),
        // The public one for IPv6 takes both.
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_public && !listeners.is_empty() => {}
        Err(error) => return Err(((four, port).into(), error)),
    }
    Ok(listeners)
}

/// Answers until the program ends.
pub(crate) async fn serve(listener: TcpListener, server: Arc<Server>, open: Open) {
    let mut refused = None;
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let from = from.ip().to_canonical();
        if !is_allowed(&server.settings.allow, from) {
            // Not a line for each of a thousand attempts.
            if refused.replace(from) != Some(from) {
                tracing::warn!("refused a connection of {from}, which is not in allow");
            }
            continue;
        }
        let Some((number, evicted)) = open.enter(Now::read().instant) else { continue };
        if let Some(evicted) = evicted {
            evicted.abort();
        }
        let (server, entered) = (Arc::clone(&server), Arc::clone(&open));
        let task = tokio::spawn(async move {
            connection(stream, from, &server, &entered, number).await;
            entered.leave(number);
        });
        open.closes_by(number, task.abort_handle());
    }
}

async fn connection(stream: TcpStream, from: IpAddr, server: &Server, open: &Open, number: u64) {
    let service = service_fn(|request| async move {
        open.is_busy(number, true, Now::read().instant);
        let response = receive(request, from, server).await;
        open.is_busy(number, false, Now::read().instant);
        Ok::<_, Infallible>(response)
    });
    // Small answers that should not wait for each other.
    let _ = stream.set_nodelay(true);
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), service);
    // Who hangs up does not want the answer.
    let _ = connection.await;
}

async fn receive(request: Request<Incoming>, from: IpAddr, server: &Server) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let refused =
        |status, message: &str| refuse(&Refused { status, message: message.to_owned(), allow: None });
    if head.method == Method::PUT {
        // A page on the web, in a browser on an allowed machine, must not move anything. Programs send none.
        if head.headers.contains_key(ORIGIN) {
            return refused(403, "expected a program: pages in a browser may not command");
        }
        let is_form =
            |value: &str| value.split(';').next().is_some_and(|it| it.trim().eq_ignore_ascii_case(FORM));
        let media_type = head.headers.get(CONTENT_TYPE).map(|value| value.to_str().is_ok_and(is_form));
        if media_type == Some(false) {
            return refused(400, &format!("expected a body of type {FORM}"));
        }
    }
    // What is never read needs no limit: the connection is closed.
    let body = if head.method == Method::PUT {
        let too_long = || refused(413, &format!("expected a whole body of at most {BODY_LIMIT} bytes"));
        // It says so itself: nobody waits for what will not be read.
        if body.size_hint().lower() > BODY_LIMIT as u64 {
            return too_long();
        }
        match timeout(BODY_WITHIN, Limited::new(body, BODY_LIMIT).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_)) => return too_long(),
            Err(_) => return refused(408, "the body did not arrive in time"),
        }
    } else {
        Bytes::new()
    };
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
    server.answer(&Received { method: &head.method, path, query, body: &body, from }).await
}
