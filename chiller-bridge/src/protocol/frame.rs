//! The common parts of every frame, in both directions: its last byte, its address, its checksum.

/// The last byte of every frame, in both directions.
pub const TERMINATOR: u8 = b'\r';

/// The longest frame the unit sends, in bytes, its terminator included (manual 2.2: up to nine data
/// characters).
pub const MAX_REPLY_BYTES: usize = 26;

/// The unit's address; always this one on RS-232.
pub(super) const ADDRESS: &[u8; 2] = b"01";

/// The sum of all bytes before it, modulo 256, as two upper-case hexadecimal digits.
pub(super) fn checksum(bytes: &[u8]) -> [u8; 2] {
    let sum = u32::from(bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)));
    [hex_digit(sum >> 4), hex_digit(sum)]
}

/// The lowest four bits as an upper-case hexadecimal digit.
pub(super) fn hex_digit(value: u32) -> u8 {
    char::from_digit(value & 0xF, 16).map_or(b'0', |digit| digit.to_ascii_uppercase() as u8)
}
