//! Browsers that open the link of a message. A link that is opened changes nothing; its button does.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::Told;
use crate::link::Page;

/// For a request to arrive, and for its answer.
const LIMIT: Duration = Duration::from_secs(10);
/// After an address that cannot be had, and after an error to accept.
const PAUSE: Duration = Duration::from_secs(10);
/// So many browsers at once.
const BROWSERS: usize = 16;
/// No link's own part is longer.
const LONGEST: usize = 128;

/// Answers until the program ends.
pub(super) async fn listen(address: SocketAddr, news: mpsc::Sender<Told>) {
    let mut is_told = false;
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(error) => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::error!("cannot listen on {address}, so no link works: {error}");
                }
                sleep(PAUSE).await;
            }
        }
    };
    tracing::info!("links are answered on {address}");
    let places = Arc::new(Semaphore::new(BROWSERS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let news = news.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let news = news.clone();
                async move { Ok::<_, Infallible>(answer(&request, &news).await) }
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            let connection = http
                .timer(TokioTimer::new())
                .header_read_timeout(LIMIT)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // Who hangs up, or dawdles, does not want the answer.
            let _ = timeout(3 * LIMIT, connection).await;
            drop(place);
        });
    }
}

async fn answer(request: &Request<Incoming>, news: &mpsc::Sender<Told>) -> Response<Full<Bytes>> {
    let is_post = request.method() == Method::POST;
    if !is_post && request.method() != Method::GET && request.method() != Method::HEAD {
        return response(&plain(405, "GET or POST"));
    }
    // A proxy may have put something before it.
    let token = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    if token.len() > LONGEST {
        return response(&plain(404, "No such link"));
    }
    let (answer, page) = oneshot::channel();
    let asked = news.send(Told::Visit { token, is_post, answer }).await;
    let page = timeout(LIMIT, page).await;
    match (asked, page) {
        (Ok(()), Ok(Ok(page))) => response(&page),
        _ => response(&plain(503, "The alerter is busy. Try again")),
    }
}

fn plain(status: u16, title: &str) -> Page {
    Page { status, title: title.to_owned(), text: String::new(), has_button: false }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\n', "<br>")
}

fn response(page: &Page) -> Response<Full<Bytes>> {
    let button = if page.has_button {
        "<form method=\"post\"><button type=\"submit\">Acknowledge</button></form>"
    } else {
        ""
    };
    let (title, text) = (escaped(&page.title), escaped(&page.text));
    let html = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>body{{font:1.2em sans-serif;margin:2em}}button{{font:inherit;padding:.7em 1.5em}}</style>\
         </head><body><h1>{title}</h1><p>{text}</p>{button}</body></html>\n"
    );
    let mut response = Response::new(Full::from(html));
    *response.status_mut() = StatusCode::from_u16(page.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        (
            "content-security-policy",
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
        ),
        ("x-content-type-options", "nosniff"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
