//! The requests to the unit, and their frames.
//!
//! Only the requests that this daemon uses. Left out on purpose: settings that only the front panel
//! should change (control sensor, thresholds, factory reset), and readings that are useless on a
//! T257P (02, 05 to 07, 46, 48).

use super::frame::{ADDRESS, TERMINATOR, checksum};
use super::values::Temperature;

/// A request to the unit.
#[derive(Clone, Copy, Debug, serde::Deserialize, PartialEq, Eq, Hash)]
pub enum Request {
    /// 01: mode, pump, whether there are alarms and warnings. Also feeds the unit's serial watchdog.
    ReadStatus,
    /// 03
    ReadSetTemperature,
    /// 04: the water.
    ReadSupplyTemperature,
    /// 08
    ReadAmbientTemperature,
    /// 09
    ReadProcessFlow,
    /// 10, 11
    ReadTecCurrent(TecBank),
    /// 13
    ReadDriveLevel,
    /// 15: run (`true`) or standby.
    SetRunning(bool),
    /// 17: at most 45 degrees Celsius, or the unit refuses.
    SetTemperature(Temperature),
    /// 18: alarm level 1. **Also clears latched alarms**, which the manual does not say: a control
    /// action. With an alarm present, put the unit in standby first: if it drops out by itself and the
    /// alarm is cleared within 1.5 s, the panel hangs in "MODE MISMATCH ALARM" (ts_atwhitelight).
    ReadAndClearAlarms,
    /// 19 part 1: alarm level 2. Clears nothing.
    ReadAlarmDetail1,
    /// 19 part 2: alarm level 2. Clears nothing.
    ReadAlarmDetail2,
    /// 20
    ReadWarnings,
    /// 34 to 43
    ReadThreshold(Threshold),
    /// 49
    ReadUptime,
    /// 50 to 53
    ReadFanSpeed(Fan),
}

/// One of the two banks of thermoelectric coolers.
#[derive(Clone, Copy, Debug, serde::Deserialize, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum TecBank {
    One,
    Two,
}

/// One of the four fans. The manual does not give their places.
#[derive(Clone, Copy, Debug, serde::Deserialize, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Fan {
    One,
    Two,
    Three,
    Four,
}

/// A limit at which the unit warns or raises an alarm.
#[derive(Clone, Copy, Debug, serde::Deserialize, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Threshold {
    HighSupplyWarning,
    LowSupplyWarning,
    HighAmbientWarning,
    LowAmbientWarning,
    LowFlowWarning,
    HighSupplyAlarm,
    LowSupplyAlarm,
    HighAmbientAlarm,
    LowAmbientAlarm,
    LowFlowAlarm,
}

impl Threshold {
    /// Whether it is one of the flow; the others are of temperatures.
    #[must_use]
    pub const fn is_flow(self) -> bool {
        matches!(self, Self::LowFlowWarning | Self::LowFlowAlarm)
    }
}

impl Request {
    /// The frame with `name` in the eight characters that the unit does not check.
    #[must_use]
    pub fn frame(&self, name: &[u8; 8]) -> Vec<u8> {
        let mut frame = Vec::with_capacity(24);
        frame.push(b'.');
        frame.extend_from_slice(ADDRESS);
        frame.extend_from_slice(&self.number_digits());
        frame.extend_from_slice(name);
        frame.extend_from_slice(&self.data());
        frame.extend_from_slice(&checksum(&frame));
        frame.push(TERMINATOR);
        frame
    }

    /// The command name as the manual prints it.
    #[must_use]
    pub const fn manual_name(&self) -> &'static [u8; 8] {
        self.row().1
    }

    pub(super) fn number_digits(self) -> [u8; 2] {
        let number = self.row().0;
        [b'0' + number / 10, b'0' + number % 10]
    }

    /// The data after the name in the request; for a request that sets a value, the unit repeats
    /// it.
    pub(super) fn data(self) -> Vec<u8> {
        match self {
            Self::SetRunning(run) => vec![b'0' + u8::from(run)],
            Self::SetTemperature(temperature) => format!("{:+05}", temperature.tenths()).into_bytes(),
            Self::ReadAlarmDetail1 => b"1".to_vec(),
            Self::ReadAlarmDetail2 => b"2".to_vec(),
            _ => Vec::new(),
        }
    }

    /// How many characters of data the reply has.
    pub(super) const fn reply_data_bytes(self) -> usize {
        match self {
            Self::SetRunning(_) => 1,
            Self::ReadStatus | Self::ReadWarnings | Self::ReadFanSpeed(_) => 4,
            Self::ReadSetTemperature
            | Self::ReadSupplyTemperature
            | Self::ReadAmbientTemperature
            | Self::ReadProcessFlow
            | Self::ReadTecCurrent(_)
            | Self::ReadDriveLevel
            | Self::SetTemperature(_)
            | Self::ReadThreshold(_) => 5,
            Self::ReadAndClearAlarms | Self::ReadUptime => 6,
            Self::ReadAlarmDetail1 | Self::ReadAlarmDetail2 => 9,
        }
    }

    /// Command number and name (manual, section 4).
    const fn row(self) -> (u8, &'static [u8; 8]) {
        match self {
            Self::ReadStatus => (1, b"WatchDog"),
            Self::ReadSetTemperature => (3, b"rSetTemp"),
            Self::ReadSupplyTemperature => (4, b"rSupplyT"),
            Self::ReadAmbientTemperature => (8, b"rAmbTemp"),
            Self::ReadProcessFlow => (9, b"rProsFlo"),
            Self::ReadTecCurrent(TecBank::One) => (10, b"rTECB1Cr"),
            Self::ReadTecCurrent(TecBank::Two) => (11, b"rTECB2Cr"),
            Self::ReadDriveLevel => (13, b"rTECDrLv"),
            Self::SetRunning(_) => (15, b"sStatus_"),
            Self::SetTemperature(_) => (17, b"sCtrlT__"),
            Self::ReadAndClearAlarms => (18, b"rAlrmLv1"),
            Self::ReadAlarmDetail1 | Self::ReadAlarmDetail2 => (19, b"rAlrmLv2"),
            Self::ReadWarnings => (20, b"rWarnLv1"),
            Self::ReadThreshold(threshold) => match threshold {
                Threshold::HighSupplyWarning => (34, b"rHiSpTWn"),
                Threshold::LowSupplyWarning => (35, b"rLoSpTWn"),
                Threshold::HighAmbientWarning => (36, b"rHiAmTWn"),
                Threshold::LowAmbientWarning => (37, b"rLoAmTWn"),
                Threshold::LowFlowWarning => (38, b"rLoPFlWn"),
                Threshold::HighSupplyAlarm => (39, b"rHiSpTAl"),
                Threshold::LowSupplyAlarm => (40, b"rLoSpTAl"),
                Threshold::HighAmbientAlarm => (41, b"rHiAmTAl"),
                Threshold::LowAmbientAlarm => (42, b"rLoAmTAl"),
                Threshold::LowFlowAlarm => (43, b"rLoPFlAl"),
            },
            Self::ReadUptime => (49, b"rUpTime_"),
            Self::ReadFanSpeed(Fan::One) => (50, b"rFanSpd1"),
            Self::ReadFanSpeed(Fan::Two) => (51, b"rFanSpd2"),
            Self::ReadFanSpeed(Fan::Three) => (52, b"rFanSpd3"),
            Self::ReadFanSpeed(Fan::Four) => (53, b"rFanSpd4"),
        }
    }
}
