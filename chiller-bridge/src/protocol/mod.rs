//! The ThermoTek T257P's serial protocol: [`Request`] to bytes, bytes to [`Reply`].
//!
//! Pure: no port, no clock. One frame each way, ended by a carriage return; the unit speaks only when
//! asked. A reply is decoded by its own request, so the reply to another one is never mistaken for it.
//! Does not decide when to ask again; [`FrameError::is_refusal`] tells when that is of no use.
//! Source: ThermoTek, "TTK Serial Communication Protocol Release II", X2.003 (2006).

mod alarms;
mod error;
mod frame;
mod reply;
mod request;
mod values;

pub use alarms::{AlarmBits, AlarmDetail1Bits, AlarmDetail2Bits, WarningBits};
pub use error::{BadFrame, ErrorDigit, FrameError};
pub use frame::{MAX_REPLY_BYTES, TERMINATOR};
pub use reply::Reply;
pub use request::{Fan, Request, TecBank, Threshold};
pub use values::{Drive, Flow, HeatOrCool, MilliAmperes, Status, Temperature, UnitMode, UptimeMinutes};

use error::{echo, expected};
use frame::{ADDRESS, checksum, hex_digit};

/// What fills the eight characters called "command name", which the unit does not check but echoes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FrameNames {
    /// A counter, so that a late reply to an earlier request of the same kind is told apart.
    #[default]
    Tagged,
    /// The manual's names, should a unit turn up that checks them. A late reply to an earlier request
    /// of the same kind cannot be told apart.
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

    /// The frame for `request`, its terminator included: 16 to 24 bytes. To be written in one go: the
    /// unit drops a request with a gap of over 10 ms in it without a word.
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

/// Reads the reply to `request`, which went out as the bytes `sent`.
///
/// `frame` is what came, up to and with [`TERMINATOR`], without XON and XOFF.
///
/// # Errors
/// [`FrameError::Bad`] if it is not a faultless answer to these very bytes, or the unit says that the
/// request reached it garbled: worth asking again. The other kinds are the unit's refusal.
pub fn decode(request: &Request, sent: &[u8], frame: &[u8]) -> Result<Reply, FrameError> {
    // The one reply without checksum and echo: seen on real units where a parameter is out of bounds.
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
