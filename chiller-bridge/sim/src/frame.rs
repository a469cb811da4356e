//! The frames of ThermoTek's "release II" protocol as the device sees them: a request taken apart,
//! a reply put together, numbers in the device's notation.
//!
//! Deliberately not the daemon's codec: both are tested against the same transcript and share
//! nothing else. What a command does is [`super::unit`]'s affair.

/// Begins a request.
pub(super) const START: u8 = b'.';
/// Ends a request and a reply.
pub(super) const END: u8 = b'\r';

/// A request whose length, checksum and number are right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) command: u8,
    pub(super) data: Vec<u8>,
}

/// What came between `.` and CR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Good(Request),
    /// Answered with this error digit.
    Refused(u8),
    /// Not answered: too short to name a command, or for another device on the line.
    Foreign,
}

/// The number of data characters a command takes, `None` for a reserved number (manual, section 4).
pub(super) const fn data_length(command: u8) -> Option<usize> {
    match command {
        1..=11 | 13 | 18 | 20 | 34..=43 | 46 | 48..=53 => Some(0),
        12 | 15 | 16 | 19 | 59 => Some(1),
        17 | 21..=30 => Some(5),
        _ => None,
    }
}

/// Takes a request apart; `frame` is without its CR.
///
/// Length goes before checksum, and the eight characters of the name are counted but not read
/// (manual, section 2.1, and recorded: wrong names are answered).
pub(super) fn parse(frame: &[u8]) -> Parsed {
    let Some((body, [high, low])) = frame.split_last_chunk::<2>() else { return Parsed::Foreign };
    let Some(([START, b'0', b'1', tens, units], rest)) = body.split_first_chunk::<5>() else {
        return Parsed::Foreign;
    };
    let (Some(tens), Some(units)) = (digit(*tens), digit(*units)) else { return Parsed::Foreign };
    let command = tens * 10 + units;
    let length = data_length(command);
    if length.is_some_and(|length| rest.len() != 8 + length) {
        return Parsed::Refused(4);
    }
    if hex(*high).zip(hex(*low)).is_none_or(|(high, low)| high * 16 + low != checksum(body)) {
        return Parsed::Refused(1);
    }
    match (length, rest.split_at_checked(8)) {
        (Some(_), Some((_, data))) => Parsed::Good(Request { command, data: data.to_vec() }),
        _ => Parsed::Refused(2),
    }
}

/// The reply to `frame` (a request without its CR that [`parse`] did not call foreign): its
/// identification, number and name echoed. With `None` the request's data is echoed as well, which
/// is what set commands answer and what error replies are supposed to (not recorded).
pub(super) fn reply(frame: &[u8], error: u8, data: Option<&[u8]>) -> Vec<u8> {
    let body = frame.get(5..frame.len().saturating_sub(2)).unwrap_or_default();
    let (name, sent) = body.split_at_checked(8).unwrap_or((body, &[]));
    let mut reply = b"#".to_vec();
    reply.extend_from_slice(frame.get(1..5).unwrap_or_default());
    reply.push(b'0' + error % 10);
    reply.extend_from_slice(name);
    reply.extend_from_slice(data.unwrap_or(sent));
    reply.extend_from_slice(format!("{:02X}\r", checksum(&reply)).as_bytes());
    reply
}

/// The sum of the bytes, modulo 256.
pub(super) fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

const fn digit(byte: u8) -> Option<u8> {
    if byte.is_ascii_digit() { Some(byte - b'0') } else { None }
}

/// Either case: a real unit takes lower case in requests (recorded).
const fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// `+0152`: a sign and four digits.
pub(super) fn signed(value: i32) -> Vec<u8> {
    let sign = if value < 0 { '-' } else { '+' };
    format!("{sign}{:04}", value.unsigned_abs().min(9999)).into_bytes()
}

/// Reads `+0152` as 152; nothing but a sign and four digits.
pub(super) fn read_signed(data: &[u8]) -> Option<i32> {
    let (sign, digits) = data.split_first()?;
    let sign = match sign {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    if digits.len() != 4 {
        return None;
    }
    digits.iter().try_fold(0, |value, byte| Some(value * 10 + i32::from(digit(*byte)?))).map(|v| v * sign)
}

/// One character per four bits.
pub(super) fn nibbles(values: &[u8]) -> Vec<u8> {
    values.iter().flat_map(|value| format!("{:X}", value & 0xF).into_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_request_is_taken_apart() {
        let request = Request { command: 17, data: b"+0200".to_vec() };
        assert_eq!(parse(b".0117sCtrlT__+0200FE"), Parsed::Good(request.clone()));
        assert_eq!(parse(b".0117sCtrlT__+0200fe"), Parsed::Good(request));
    }

    #[test]
    fn what_is_wrong_with_a_request_has_its_own_digit() {
        assert_eq!(parse(b".0104rSupplyT47"), Parsed::Refused(1));
        assert_eq!(parse(b".0104rSupplyT4G"), Parsed::Refused(1));
        assert_eq!(parse(b".0114reserved54"), Parsed::Refused(2));
        assert_eq!(parse(b".0101WatchDog132"), Parsed::Refused(4));
        assert_eq!(parse(b".0101WatchDo99"), Parsed::Refused(4));
        assert_eq!(parse(b".0204rSupplyT47"), Parsed::Foreign);
        assert_eq!(parse(b".01"), Parsed::Foreign);
        assert_eq!(parse(b""), Parsed::Foreign);
    }

    #[test]
    fn a_reply_echoes_what_was_asked() {
        assert_eq!(reply(b".0104rSupplyT46", 0, Some(b"+0295")), b"#01040rSupplyT+029566\r");
        assert_eq!(reply(b".01040000000073", 0, Some(b"+0204")), b"#0104000000000+020489\r");
        assert_eq!(reply(b".0117sCtrlT__+060002", 3, None), b"#01173sCtrlT__+06002A\r");
        assert_eq!(reply(b".0115sStatus_17C", 0, None), b"#01150sStatus_1A1\r");
    }

    #[test]
    fn numbers_are_a_sign_and_four_digits() {
        assert_eq!(signed(152), b"+0152");
        assert_eq!(signed(-50), b"-0050");
        assert_eq!(signed(0), b"+0000");
        assert_eq!(read_signed(b"-0050"), Some(-50));
        for wrong in [&b"00500"[..], b"+050", b"+05 0", b"++050", b""] {
            assert_eq!(read_signed(wrong), None);
        }
        assert_eq!(nibbles(&[0, 1, 0xA]), b"01A");
    }
}
