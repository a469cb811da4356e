//! What the server answers to an HTTP request: members, management, pages.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use bus::client::NoDevice;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::focuser::Focuser;
use crate::pages;
use crate::request::{Call, Ids, Management, Refused, Wanted, understand};
use crate::settings::Settings;
use crate::trouble::Trouble;

const JSON: &str = "application/json; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// See the module.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) settings: Settings,
    focusers: Vec<Focuser>,
    transactions: AtomicU32,
}

/// A request whose body has arrived.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) from: IpAddr,
}

impl Server {
    /// Connects to the instruments in the background.
    ///
    /// # Errors
    /// The settings' files are of no use.
    pub(crate) fn open(settings: Settings) -> Result<Self, NoDevice> {
        let open = |base| Focuser::open(&settings.broker, base);
        let focusers = settings.devices.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self { settings, focusers, transactions: AtomicU32::new(1) })
    }

    pub(crate) async fn answer(&self, received: &Received<'_>) -> Response<Full<Bytes>> {
        let Received { method, path, query, body, from } = received;
        match understand(method, path, query, body, self.focusers.len()) {
            Ok(Wanted::Member { device, call, ids }) => {
                let Some(focuser) = self.focusers.get(device) else { return refuse(&no_such()) };
                let result = focuser.call(&call, ids.client).await;
                if let Call::Move(_) | Call::Halt = call {
                    let came = result.as_ref().map_or_else(|trouble| trouble.message.as_str(), |_| "begun");
                    tracing::info!(
                        "{from}, client {}, asked {}: {call:?}: {came}",
                        ids.client,
                        focuser.name()
                    );
                }
                self.json(ids, result)
            }
            Ok(Wanted::Management { about, ids }) => self.json(ids, Ok(self.management(about))),
            Ok(Wanted::Page(None)) => response(StatusCode::OK, HTML, self.overview()),
            Ok(Wanted::Page(Some(device))) => match self.focusers.get(device) {
                Some(focuser) => {
                    let page = pages::focuser(device, &focuser.name(), &focuser.summary());
                    response(StatusCode::OK, HTML, page)
                }
                None => refuse(&no_such()),
            },
            Err(refused) => refuse(&refused),
        }
    }

    fn management(&self, about: Management) -> Value {
        match about {
            Management::Versions => json!([1]),
            Management::Description => json!({
                "ServerName": "obsbus",
                "Manufacturer": "The obsbus authors",
                "ManufacturerVersion": env!("CARGO_PKG_VERSION"),
                "Location": self.settings.location,
            }),
            Management::Devices => {
                let described = |(number, focuser): (usize, &Focuser)| {
                    json!({
                        "DeviceName": focuser.name(),
                        "DeviceType": "Focuser",
                        "DeviceNumber": number,
                        "UniqueID": focuser.unique_id(),
                    })
                };
                self.focusers.iter().enumerate().map(described).collect()
            }
        }
    }

    fn overview(&self) -> String {
        let names: Vec<String> = self.focusers.iter().map(Focuser::name).collect();
        pages::server(&self.settings.location, &names)
    }

    fn json(&self, ids: Ids, result: Result<Value, Trouble>) -> Response<Full<Bytes>> {
        let mut body = json!({
            "ClientTransactionID": ids.transaction,
            "ServerTransactionID": self.transactions.fetch_add(1, Ordering::Relaxed),
            "ErrorNumber": 0,
            "ErrorMessage": "",
        });
        let more = match result {
            Ok(Value::Null) => json!({}),
            Ok(value) => json!({ "Value": value }),
            Err(Trouble { number, message }) => json!({ "ErrorNumber": number, "ErrorMessage": message }),
        };
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more);
        }
        response(StatusCode::OK, JSON, body.to_string())
    }
}

fn no_such() -> Refused {
    Refused { status: 404, message: "there is no such focuser".to_owned(), allow: None }
}

/// An answer in words.
pub(crate) fn refuse(refused: &Refused) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = response(status, PLAIN, format!("{}\n", refused.message));
    if let Some(allow) = refused.allow {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    }
    response
}

fn response(status: StatusCode, media_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    for (name, value) in [
        (CONTENT_TYPE, media_type),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
