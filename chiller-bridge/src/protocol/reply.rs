//! What the unit answers, as typed values with their units.
//!
//! Numbers stay in the unit's own tenths and thousandths, so that what is read is what was sent;
//! conversions are methods.

use super::alarms::{AlarmBits, AlarmDetail1Bits, AlarmDetail2Bits, WarningBits};
use super::error::{FrameError, expected};
use super::request::{ControlSensor, Request, Threshold};

/// The answer to a [`Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To [`Request::ReadStatus`].
    Status(Status),
    /// To [`Request::ReadControlSensor`].
    ControlSensor(ControlSensor),
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
    /// To [`Request::ReadPwm`].
    Pwm(Pwm),
    /// To [`Request::ReadPid`].
    Pid(Pid),
    /// To [`Request::ReadUptime`].
    Uptime(UptimeMinutes),
    /// To [`Request::ReadFanSpeed`]: revolutions per second, 0 to 9999.
    FanHertz(u16),
}

/// The answer to command 01.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// What the unit is doing.
    pub unit_mode: UnitMode,
    /// Whether the pump runs.
    pub pump_on: bool,
    /// Whether any alarm is present.
    pub alarm: bool,
    /// Whether any warning is present.
    pub warning: bool,
}

/// The unit's mode, "CS" in the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitMode {
    /// 0: running by itself after power-up; the pump is on.
    AutoStart,
    /// 1
    Standby,
    /// 2
    Run,
    /// 3: the unit has stopped itself.
    Safety,
    /// 4
    Test,
}

/// A temperature in tenths of a degree Celsius, -999.9 to 999.9 degrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Temperature(i16);

impl Temperature {
    /// From tenths of a degree Celsius; `None` beyond what the protocol can say, ±9999.
    #[must_use]
    pub const fn from_tenths(tenths: i16) -> Option<Self> {
        if tenths >= -9999 && tenths <= 9999 { Some(Self(tenths)) } else { None }
    }

    /// The nearest tenth; `None` beyond ±999.9 and for what is no number.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
    pub fn from_celsius(celsius: f64) -> Option<Self> {
        let tenths = (celsius * 10.0).round();
        (tenths.abs() <= 9999.0).then_some(Self(tenths as i16))
    }

    /// Tenths of a degree Celsius.
    #[must_use]
    pub const fn tenths(self) -> i16 {
        self.0
    }

    /// Degrees Celsius.
    #[must_use]
    pub fn celsius(self) -> f64 {
        f64::from(self.0) / 10.0
    }
}

/// A flow in tenths of a litre per minute. The manual allows no negative one; a sensor that drifted
/// below zero would still be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow(i16);

impl Flow {
    /// Tenths of a litre per minute.
    #[must_use]
    pub const fn tenths(self) -> i16 {
        self.0
    }

    /// Litres per minute.
    #[must_use]
    pub fn litres_per_minute(self) -> f64 {
        f64::from(self.0) / 10.0
    }
}

/// A direct current in milliamperes, -9999 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MilliAmperes(i16);

impl MilliAmperes {
    /// Milliamperes.
    #[must_use]
    pub const fn milliamperes(self) -> i16 {
        self.0
    }

    /// Amperes.
    #[must_use]
    pub fn amperes(self) -> f64 {
        f64::from(self.0) / 1000.0
    }
}

/// How hard the thermoelectric coolers are driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drive {
    /// 0 to 100 per cent.
    pub percent: u8,
    /// The direction; present in standby too, at 0 per cent.
    pub direction: HeatOrCool,
}

/// The direction in which heat is pumped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum HeatOrCool {
    Cool,
    Heat,
}

/// The pulse width modulation of the drive, and its relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pwm {
    /// 1 to 255 by the manual; 0 is read too.
    pub duty: u8,
    /// The relay's position.
    pub direction: HeatOrCool,
}

/// The state of the unit's own controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pid {
    /// What the manual calls the PID status, as it stands there: a temperature.
    pub temperature: Temperature,
    /// 0 to 9; the manual does not say what they mean.
    pub mode: u8,
}

/// The unit's up time in minutes, 0 to 999 999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UptimeMinutes(u32);

impl UptimeMinutes {
    /// Minutes.
    #[must_use]
    pub const fn minutes(self) -> u32 {
        self.0
    }

    /// Seconds, a multiple of 60.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0 * 60
    }
}

impl Reply {
    /// Reads the data of a reply whose frame is good and whose length is that of `request`.
    pub(super) fn parse(request: &Request, data: &[u8]) -> Result<Self, FrameError> {
        match request {
            Request::ReadStatus => status(data).map(Self::Status),
            Request::ReadControlSensor => control_sensor(data).map(Self::ControlSensor),
            Request::ReadThreshold(Threshold::LowFlowWarning | Threshold::LowFlowAlarm)
            | Request::ReadProcessFlow => signed(data).map(Flow).map(Self::Flow),
            Request::ReadSetTemperature
            | Request::ReadSupplyTemperature
            | Request::ReadExternalRtd
            | Request::ReadExternalThermistor
            | Request::ReadReturnTemperature
            | Request::ReadAmbientTemperature
            | Request::ReadThreshold(_) => signed(data).map(Temperature).map(Self::Temperature),
            Request::ReadTecCurrent(_) => signed(data).map(MilliAmperes).map(Self::Current),
            Request::ReadDriveLevel => drive(data).map(Self::Drive),
            Request::SetRunning(_) | Request::SetTemperature(_) => {
                super::echo("data", &request.data(), data).map(|()| Self::Accepted)
            }
            Request::ReadAndClearAlarms => AlarmBits::parse(data).map(Self::Alarms),
            Request::ReadAlarmDetail1 => {
                AlarmDetail1Bits::parse(part(*request, data)?).map(Self::AlarmDetail1)
            }
            Request::ReadAlarmDetail2 => {
                AlarmDetail2Bits::parse(part(*request, data)?).map(Self::AlarmDetail2)
            }
            Request::ReadWarnings => WarningBits::parse(data).map(Self::Warnings),
            Request::ReadPwm => pwm(data).map(Self::Pwm),
            Request::ReadPid => pid(data).map(Self::Pid),
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

fn control_sensor(data: &[u8]) -> Result<ControlSensor, FrameError> {
    match data {
        b"0" => Ok(ControlSensor::Supply),
        b"1" => Ok(ControlSensor::Return),
        b"2" => Ok(ControlSensor::ExternalRtd),
        b"3" => Ok(ControlSensor::ExternalThermistor),
        _ => expected("a sensor 0 to 3", data),
    }
}

fn drive(data: &[u8]) -> Result<Drive, FrameError> {
    let (percent, direction) = number_and_letter(data)?;
    if percent > 100 {
        return expected("a drive level of 0 to 100 per cent", data);
    }
    Ok(Drive { percent, direction })
}

fn pwm(data: &[u8]) -> Result<Pwm, FrameError> {
    let (duty, direction) = number_and_letter(data)?;
    Ok(Pwm { duty, direction })
}

/// `016,C`
fn number_and_letter(data: &[u8]) -> Result<(u8, HeatOrCool), FrameError> {
    match data {
        [digits @ .., b',', b'C'] => Ok((number(digits)?, HeatOrCool::Cool)),
        [digits @ .., b',', b'H'] => Ok((number(digits)?, HeatOrCool::Heat)),
        _ => expected("three digits, a comma and C or H", data),
    }
}

/// `+0204,3`
fn pid(data: &[u8]) -> Result<Pid, FrameError> {
    let [temperature @ .., b',', mode @ b'0'..=b'9'] = data else {
        return expected("a temperature, a comma and a digit", data);
    };
    Ok(Pid { temperature: Temperature(signed(temperature)?), mode: mode - b'0' })
}

/// What follows the number of the part, which is repeated from the request.
fn part(request: Request, data: &[u8]) -> Result<&[u8], FrameError> {
    let Some((part, bits)) = data.split_at_checked(1) else {
        return expected("the number of the part", data);
    };
    super::echo("part", &request.data(), part)?;
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
