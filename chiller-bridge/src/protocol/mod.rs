//! The ThermoTek T257P's serial protocol: [`Request`] to bytes, bytes to [`Reply`].
//!
//! Pure: no port, no clock. One frame in each direction, ended by a carriage return; the unit sends
//! only replies. Each request decodes its own reply, so the reply to another one is never accepted.
//! Does not decide on retries; [`FrameError::is_refusal`] tells when a retry is useless. Source:
//! ThermoTek, "TTK Serial Communication Protocol Release II", X2.003 (2006).

mod alarms;
mod error;
mod frame;
mod reply;
mod request;
mod transcript;
mod values;

pub use alarms::{AlarmBits, AlarmDetail1Bits, AlarmDetail2Bits, WarningBits};
pub use error::{BadFrame, ErrorDigit, FrameError};
pub use frame::{MAX_REPLY_BYTES, TERMINATOR};
pub use reply::Reply;
pub use request::{Fan, Request, TecBank, Threshold};
pub use transcript::{recognise, reply_words, request_words};
pub use values::{Drive, Flow, HeatOrCool, MilliAmperes, Status, Temperature, UnitMode, UptimeMinutes};

use error::{echo, expected};
use frame::{ADDRESS, checksum, hex_digit};

/// The content of the eight characters called "command name", which the unit echoes unchecked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FrameNames {
    /// A counter, which identifies a late reply to an earlier request of the same kind.
    #[default]
    Tagged,
    /// The manual's names, for a unit that checks them. A late reply to an earlier request of the
    /// same kind cannot be recognised.
    Manual,
}

/// Encodes requests; holds the counter that tags them.
#[derive(Clone, Debug)]
pub struct Codec {
    names: FrameNames,
    tag: u32,
}

impl Codec {
    /// A codec whose first tag is 1.
    #[must_use]
    pub const fn new(names: FrameNames) -> Self {
        Self { names, tag: 0 }
    }

    /// The frame for `request`, including its terminator: 16 to 24 bytes. Write it in one go: the
    /// unit silently drops a request with a gap of over 10 ms.
    pub fn encode(&mut self, request: &Request) -> Vec<u8> {
        match self.names {
            FrameNames::Manual => request.frame(request.manual_name()),
            FrameNames::Tagged => {
                // At ten frames a second the 2^32 tags last 13 years.
                self.tag = self.tag.wrapping_add(1);
                let mut name = [b'0'; 8];
                for (place, shift) in name.iter_mut().zip((0..8).rev()) {
                    *place = hex_digit(self.tag >> (4 * shift));
                }
                request.frame(&name)
            }
        }
    }
}

/// Decodes the reply to `request`, which was sent as the bytes `sent`.
///
/// `frame` contains the received bytes, up to and including [`TERMINATOR`], without XON and XOFF.
///
/// # Errors
/// [`FrameError::Bad`] if it is not a valid reply to exactly these bytes, or the unit reports that
/// it received a garbled request: worth a retry. The other kinds are the unit's refusal.
pub fn decode(request: &Request, sent: &[u8], frame: &[u8]) -> Result<Reply, FrameError> {
    // The only reply without checksum and echo: seen on real units if a parameter is out of bounds.
    if frame == b"#23\r" {
        return Err(FrameError::OutOfBounds);
    }
    let [b'#', rest @ ..] = frame else {
        return expected("a reply that starts with #", frame);
    };
    let [_, .., high, low, TERMINATOR] = rest else {
        return expected("a reply that ends with \\r", frame);
    };
    let summed = frame.get(..frame.len() - 3).unwrap_or_default();
    let checksum = checksum(summed);
    // Upper case only, as the unit sends it: otherwise a flipped case bit would pass.
    if [*high, *low] != checksum {
        return Err(BadFrame::Checksum { expected: checksum, came: [*high, *low] }.into());
    }
    let (Some((head, data)), Some(sent_name)) = (summed.split_at_checked(14), sent.get(5..13)) else {
        return expected("at least 17 bytes", frame);
    };
    let [_, address @ .., digit, _, _, _, _, _, _, _, _] = head else {
        return expected("at least 17 bytes", frame);
    };
    let (address, number) = address.split_at(2);
    echo("device address", ADDRESS, address)?;
    echo("command number", &request.number_digits(), number)?;
    echo("name", sent_name, head.get(6..).unwrap_or_default())?;
    match ErrorDigit::from_digit(*digit) {
        Some(None) => {}
        Some(Some(digit)) if digit.request_was_garbled() => {
            return Err(BadFrame::RequestGarbled(digit).into());
        }
        Some(Some(digit)) => return Err(FrameError::Refused(digit)),
        None => return expected("an error digit 0 to 5", frame),
    }
    if data.len() != request.reply_data_bytes() {
        return Err(BadFrame::Length { expected: 17 + request.reply_data_bytes(), came: frame.len() }.into());
    }
    Reply::parse(request, data)
}
