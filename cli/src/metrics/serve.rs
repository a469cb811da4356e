//! The HTTP side: `GET /metrics`, and a page at `/` that points to it.
#![expect(clippy::disallowed_methods, reason = "reads the clock at each scrape")]

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bus::clock::Now;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::site::{Shared, with};
use super::text::{MEDIA_TYPE, text};

/// For a request to arrive.
const HEADER_LIMIT: Duration = Duration::from_secs(10);
/// So many at once; the next ones wait.
const CONNECTIONS: usize = 64;
/// After an error to accept, such as too many open files.
const PAUSE: Duration = Duration::from_secs(1);
const INDEX: &str = "obsbus metrics: the metrics are at /metrics\n";

/// Answers until the program ends.
pub(super) async fn serve(listener: TcpListener, watch: Shared) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let watch = watch.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let response = answer(&request, &watch);
                async { Ok::<_, Infallible>(response) }
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            let connection = http
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_LIMIT)
                .serve_connection(TokioIo::new(stream), service);
            // Who hangs up does not want the answer.
            let _ = connection.await;
            drop(place);
        });
    }
}

fn answer(request: &Request<Incoming>, watch: &Shared) -> Response<Full<Bytes>> {
    const PLAIN: &str = "text/plain; charset=utf-8";
    let (status, media_type, body) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => {
            let families = with(watch, |watch| watch.families(Now::read()));
            match text(families) {
                Ok(text) => (StatusCode::OK, MEDIA_TYPE, text),
                Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, PLAIN, String::new()),
            }
        }
        (&Method::GET | &Method::HEAD, "/") => (StatusCode::OK, PLAIN, INDEX.to_owned()),
        (&Method::GET | &Method::HEAD, _) => (StatusCode::NOT_FOUND, PLAIN, INDEX.to_owned()),
        _ => (StatusCode::METHOD_NOT_ALLOWED, PLAIN, "expected GET\n".to_owned()),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
