//! Signatures on commands: proof of who sent a command that needs no trust in the broker.
//!
//! A signature is a JWS (RFC 7515) in compact form with detached content (appendix F): the payload of
//! the message is the payload of the JWS. Its protected header names the algorithm, the type, the
//! topic, and the signer's certificates (`x5c`). So it covers identity, base and verb, which are the
//! levels of the topic, and every byte of the payload, with the id and the time in it. It travels as
//! an MQTT v5 user property. See docs/signatures.md.
//!
//! Why there is no JWS library here: `josekit` needs OpenSSL; `jsonwebtoken` (12) brings aws-lc or a
//! second set of cryptography, of which the RSA part has an open advisory, and so does `jwt-compact`;
//! `jwt-simple` brings BoringSSL; `biscuit` uses ring, but knows neither detached content nor `x5c`.
//! None of them verifies a chain of certificates, which is the hard part, and which rustls does here as
//! it does for a connection. What is left is small: two base64 texts, and one call of ring, which
//! already makes every connection. The tests have the published vectors of RFC 7515 and RFC 8037.

mod algorithm;
#[cfg(test)]
pub(crate) mod fixture;
mod jws;
mod signer;
#[cfg(test)]
mod tests;
mod trust;

pub use signer::{Signer, SignerError};
pub use trust::{Trust, TrustError, TrustFiles, Unusable, WrongSignature};

/// The name of the user property.
pub const PROPERTY: &str = "signature";

/// A signed request counts for so long at most, seconds, whatever its `ttl_s` says.
///
/// Until then the Desk must know it if it comes again. It remembers 256 requests of an identity for
/// 15 minutes, and admits 20 at once and 5 a second, so with 2 s for clocks that differ no more than
/// 230 can come meanwhile.
pub const LONGEST_TTL_S: f64 = 40.0;
