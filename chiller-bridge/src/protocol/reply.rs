//! The unit's replies: the data of a valid frame as a typed [`Reply`] to its own request.

use super::alarms::{AlarmBits, AlarmDetail1Bits, AlarmDetail2Bits, WarningBits};
use super::error::{FrameError, echo, expected};
use super::request::{Request, Threshold};
use super::values::{Drive, Flow, HeatOrCool, MilliAmperes, Status, Temperature, UnitMode, UptimeMinutes};

/// The reply to a [`Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To [`Request::ReadStatus`].
    Status(Status),
    /// To the requests that read a temperature or a temperature threshold.
    Temperature(Temperature),
    /// To [`Request::ReadProcessFlow`] and the flow thresholds.
    Flow(Flow),
    /// To [`Request::ReadTecCurrent`].
    Current(MilliAmperes),
    /// To [`Request::ReadDriveLevel`].
    Drive(Drive),
    /// To [`Request::SetRunning`] and [`Request::SetTemperature`]: the unit repeated the value.
    Accepted,
    /// To [`Request::ReadAndClearAlarms`].
    Alarms(AlarmBits),
    /// To [`Request::ReadAlarmDetail1`].
    AlarmDetail1(AlarmDetail1Bits),
    /// To [`Request::ReadAlarmDetail2`].
    AlarmDetail2(AlarmDetail2Bits),
    /// To [`Request::ReadWarnings`].
    Warnings(WarningBits),
    /// To [`Request::ReadUptime`].
    Uptime(UptimeMinutes),
    /// To [`Request::ReadFanSpeed`]: revolutions per second, 0 to 9999.
    FanHertz(u16),
}

impl Reply {
    /// Parses the data of a reply with a valid frame and the length for `request`.
    pub(super) fn parse(request: &Request, data: &[u8]) -> Result<Self, FrameError> {
        match request {
            Request::ReadStatus => status(data).map(Self::Status),
            Request::ReadThreshold(Threshold::LowFlowWarning | Threshold::LowFlowAlarm)
            | Request::ReadProcessFlow => signed(data).map(Flow).map(Self::Flow),
            Request::ReadSetTemperature
            | Request::ReadSupplyTemperature
            | Request::ReadAmbientTemperature
            | Request::ReadThreshold(_) => signed(data).map(Temperature).map(Self::Temperature),
            Request::ReadTecCurrent(_) => signed(data).map(MilliAmperes).map(Self::Current),
            Request::ReadDriveLevel => drive(data).map(Self::Drive),
            Request::SetRunning(_) | Request::SetTemperature(_) => {
                echo("data", &request.data(), data).map(|()| Self::Accepted)
            }
            Request::ReadAndClearAlarms => AlarmBits::parse(data).map(Self::Alarms),
            Request::ReadAlarmDetail1 => {
                AlarmDetail1Bits::parse(part(*request, data)?).map(Self::AlarmDetail1)
            }
            Request::ReadAlarmDetail2 => {
                AlarmDetail2Bits::parse(part(*request, data)?).map(Self::AlarmDetail2)
            }
            Request::ReadWarnings => WarningBits::parse(data).map(Self::Warnings),
            Request::ReadUptime => number(data).map(UptimeMinutes).map(Self::Uptime),
            Request::ReadFanSpeed(_) => number(data).map(Self::FanHertz),
        }
    }
}

fn status(data: &[u8]) -> Result<Status, FrameError> {
    let (&[mode, pump, alarm, warning], true) = (data, data.is_ascii()) else {
        return expected("four status digits", data);
    };
    let unit_mode = match mode {
        b'0' => UnitMode::AutoStart,
        b'1' => UnitMode::Standby,
        b'2' => UnitMode::Run,
        b'3' => UnitMode::Safety,
        b'4' => UnitMode::Test,
        _ => return expected("a unit mode 0 to 4", data),
    };
    let flag = |digit| match digit {
        b'0' => Ok(false),
        b'1' => Ok(true),
        _ => expected("status flags 0 or 1", data),
    };
    Ok(Status { unit_mode, pump_on: flag(pump)?, alarm: flag(alarm)?, warning: flag(warning)? })
}

/// `016,C`
fn drive(data: &[u8]) -> Result<Drive, FrameError> {
    let (digits, direction) = match data {
        [digits @ .., b',', b'C'] => (digits, HeatOrCool::Cool),
        [digits @ .., b',', b'H'] => (digits, HeatOrCool::Heat),
        _ => return expected("three digits, a comma and C or H", data),
    };
    let percent = number(digits)?;
    if percent > 100 {
        return expected("a drive level of 0 to 100 per cent", data);
    }
    Ok(Drive { percent, direction })
}

/// The data after the number of the part, which is repeated from the request.
fn part(request: Request, data: &[u8]) -> Result<&[u8], FrameError> {
    let Some((part, bits)) = data.split_at_checked(1) else {
        return expected("the number of the part", data);
    };
    echo("part", &request.data(), part)?;
    Ok(bits)
}

/// A sign and four digits.
fn signed(data: &[u8]) -> Result<i16, FrameError> {
    match data {
        [b'+', digits @ ..] => number(digits),
        [b'-', digits @ ..] => number::<i16>(digits).map(|number| -number),
        _ => expected("a sign and digits", data),
    }
}

/// Digits only: `FromStr` would take a sign as well.
fn number<N: std::str::FromStr>(digits: &[u8]) -> Result<N, FrameError> {
    if digits.iter().all(u8::is_ascii_digit)
        && let Ok(text) = std::str::from_utf8(digits)
        && let Ok(number) = text.parse()
    {
        Ok(number)
    } else {
        expected("a number in range", digits)
    }
}
