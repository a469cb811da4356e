//! The text of a signature: `header..signature`, both base64url, the payload left out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// `typ`: nobody can take a signature that the same key has made for another purpose.
pub(super) const TYPE: &str = "obsbus-command";

/// The protected header. What it does not know it refuses, a `crit` and a second key too.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) typ: String,
    /// Where the command was sent to.
    pub(super) topic: String,
    /// The signer's certificates, its own first: DER in base64 with padding (RFC 7515, 4.1.6).
    pub(super) x5c: Vec<String>,
}

/// A signature, taken apart.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    header: &'a str,
    pub(super) signature: Vec<u8>,
}

impl<'a> Parts<'a> {
    /// What the text consists of; the header is not trusted yet.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub(super) fn read(text: &'a str) -> Result<(Self, Header), String> {
        let Some((header, signature)) = text.split_once("..") else {
            return Err("is no JWS with detached content".to_owned());
        };
        let decoded = |what: &str, part: &str| {
            URL_SAFE_NO_PAD
                .decode(part)
                .map_err(|error| format!("has a {what} that is not base64url: {error}"))
        };
        let signature = decoded("signature", signature)?;
        let read = serde_json::from_slice(&decoded("header", header)?);
        let read = read.map_err(|error| format!("has a header that cannot be used: {error}"))?;
        Ok((Self { header, signature }, read))
    }

    /// What was signed.
    pub(super) fn message(&self, payload: &[u8]) -> Vec<u8> {
        message(self.header, payload)
    }
}

/// What is signed: the header as it is sent, and the payload.
pub(super) fn message(header: &str, payload: &[u8]) -> Vec<u8> {
    let mut message = String::with_capacity(header.len() + 1 + payload.len() * 4 / 3 + 4);
    message.push_str(header);
    message.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut message);
    message.into_bytes()
}

/// The header as it is sent.
///
/// # Errors
/// Never: it has string keys and no fallible parts.
pub(super) fn encoded(header: &Header) -> Result<String, serde_json::Error> {
    Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(header)?))
}

/// The whole text.
pub(super) fn compact(header: &str, signature: &[u8]) -> String {
    format!("{header}..{}", URL_SAFE_NO_PAD.encode(signature))
}
