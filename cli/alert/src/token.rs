//! Links with which one message can be acknowledged: signed, valid for a time, once. Pure.
//!
//! `<message>-<Unix seconds of its end>-<HMAC-SHA-256 of both, cut to 128 bits>`.

use bus::clock::Utc;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Bytes of the signature.
const LENGTH: usize = 16;

fn mac(key: &str, message: u64, ends: i64) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok()?;
    mac.update(format!("obsbus alert {message} {ends}").as_bytes());
    Some(mac)
}

/// The last part of a link.
#[must_use]
pub fn sign(key: &str, message: u64, ends: Utc) -> String {
    let ends = ends.unix_milliseconds().div_euclid(1000);
    let bytes = mac(key, message, ends).map(|mac| mac.finalize().into_bytes());
    let hex = bytes.iter().flatten().take(LENGTH).map(|byte| format!("{byte:02x}"));
    format!("{message}-{ends}-{}", hex.collect::<String>())
}

/// Why a link is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is none of ours.
    Forged,
    /// Its time is over.
    Expired,
}

/// The message that the link is for.
///
/// # Errors
/// Nobody may use it.
pub fn read(key: &str, token: &str, now: Utc) -> Result<u64, Wrong> {
    let mut parts = token.splitn(3, '-');
    let (Some(message), Some(ends), Some(hex)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Wrong::Forged);
    };
    let (Ok(message), Ok(ends)) = (message.parse::<u64>(), ends.parse::<i64>()) else {
        return Err(Wrong::Forged);
    };
    let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..LENGTH).map(|index| byte(2 * index)).collect();
    let bytes = bytes.filter(|_| hex.len() == 2 * LENGTH && !key.is_empty()).ok_or(Wrong::Forged)?;
    let mac = mac(key, message, ends).ok_or(Wrong::Forged)?;
    // In a time that does not depend on how much of it is right.
    mac.verify_truncated_left(&bytes).map_err(|_| Wrong::Forged)?;
    if now.unix_milliseconds().div_euclid(1000) >= ends { Err(Wrong::Expired) } else { Ok(message) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_link_is_valid_until_its_end_and_no_character_of_it_can_be_another() {
        let now = Utc::parse("2026-11-20T18:00:00Z").unwrap();
        let token = sign("secret", 7, now.after(Duration::from_secs(60)));
        assert_eq!(read("secret", &token, now), Ok(7));
        assert_eq!(read("secret", &token, now.after(Duration::from_secs(60))), Err(Wrong::Expired));
        assert_eq!(read("other", &token, now), Err(Wrong::Forged));
        assert_eq!(read("", &sign("", 7, now.after(Duration::from_secs(60))), now), Err(Wrong::Forged));
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
            let forged = String::from_utf8(bytes).unwrap();
            assert_ne!(read("secret", &forged, now), Ok(7), "{forged}");
            assert!(read("secret", &forged, now).is_err(), "{forged}");
        }
        for wrong in ["", "7", "7-8", "7-8-", "7-8-00", "7-8-+1+1", "é-é-é"] {
            assert_eq!(read("secret", wrong, now), Err(Wrong::Forged), "{wrong}");
        }
    }
}
