//! The alarm and warning bits and their names.
//!
//! Each is a string of hexadecimal characters, four bits in each (manual page 9). A bit the manual calls
//! reserved has a name too (`reserved_b0_1`: character B0, bit 1), so that nothing the unit raises is
//! lost. Severity and what to do about them is the controller's.

use super::error::{FrameError, expected};

macro_rules! bits {
    ($(#[$doc:meta])* $name:ident, $characters:literal, $table:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct $name([u8; $characters]);

        impl $name {
            /// Every name, the first character's lowest bit first.
            pub const NAMES: [[&'static str; 4]; $characters] = $table;

            /// The names of the bits that are set, in the order of the vendor's table.
            #[must_use]
            pub fn names(&self) -> Vec<&'static str> {
                names(&self.0, &Self::NAMES)
            }

            /// Whether no bit is set.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.0.iter().all(|character| *character == 0)
            }

            /// Whether the bit of this name is set; `false` for a name that is not in the table.
            #[must_use]
            pub fn contains(&self, name: &str) -> bool {
                self.names().contains(&name)
            }

            pub(super) fn parse(data: &[u8]) -> Result<Self, FrameError> {
                parse(data).map(Self)
            }
        }
    };
}

bits! {
    /// Alarm level 1, command 18. `system_error` points at level 2.
    AlarmBits, 6, [
        ["ambient_temp_sensor", "high_control_temp", "pt7_high_temp", "low_control_temp"],
        ["supply_temp_sensor", "external_rtd_sensor", "return_temp_sensor", "external_thermistor_sensor"],
        ["low_coolant_level", "low_process_flow", "low_plant_flow", "current_sensor_1"],
        ["pt7_low_temp", "high_ambient_temp", "low_ambient_temp", "external_connector_not_installed"],
        ["default_high_temp", "default_low_temp", "no_process_flow", "fan_failure"],
        ["current_sensor_2", "internal_2v5_reference", "internal_5v_reference", "system_error"],
    ]
}

bits! {
    /// Alarm level 2, command 19 part 1: the electronics.
    AlarmDetail1Bits, 8, [
        ["reserved_b0_1", "reserved_b0_2", "reserved_b0_4", "reserved_b0_8"],
        ["adc_system_error", "i2c_system_error", "eeprom_system_error", "watchdog_system_error"],
        ["reserved_b2_1", "reserved_b2_2", "reserved_b2_4", "reserved_b2_8"],
        ["adc_reset", "adc_calibration", "adc_conversion", "reserved_b3_8"],
        ["io_expander_ack", "psa_io_expander_ack", "rtc_ack", "reserved_b4_8"],
        ["i2c_scl_low", "i2c_sda_low", "eeprom_1_ack", "eeprom_2_ack"],
        ["reserved_b6_1", "reserved_b6_2", "reserved_b6_4", "reserved_b6_8"],
        ["eeprom_1_read", "eeprom_1_write", "eeprom_2_read", "eeprom_2_write"],
    ]
}

bits! {
    /// Alarm level 2, command 19 part 2: sensors and fans. (The manual prints "return temp open" twice;
    /// the second is taken for a short.)
    AlarmDetail2Bits, 8, [
        ["external_rtd_open", "external_rtd_short", "return_temp_open", "return_temp_short"],
        ["global_supply_temp_sensor", "supply_temp_locked", "supply_temp_open", "supply_temp_short"],
        ["reference_2v5_high", "reference_2v5_low", "reference_5v_high", "reference_5v_low"],
        ["external_thermistor_open", "external_thermistor_short", "ambient_temp_open", "ambient_temp_short"],
        ["reserved_c4_1", "reserved_c4_2", "reserved_c4_4", "reserved_c4_8"],
        ["current_sensor_1_open", "current_sensor_1_short", "current_sensor_2_open", "current_sensor_2_short"],
        ["rear_left_fan_noise", "rear_right_fan_noise", "front_left_fan_noise", "front_right_fan_noise"],
        ["rear_left_fan_open", "rear_right_fan_open", "front_left_fan_open", "front_right_fan_open"],
    ]
}

bits! {
    /// Warnings, command 20.
    WarningBits, 4, [
        ["low_process_flow", "low_process_fluid_level", "switched_to_supply_temp", "reserved_w0_8"],
        ["high_control_temp", "low_control_temp", "high_ambient_temp", "low_ambient_temp"],
        ["reserved_w2_1", "reserved_w2_2", "reserved_w2_4", "reserved_w2_8"],
        ["reserved_w3_1", "reserved_w3_2", "reserved_w3_4", "reserved_w3_8"],
    ]
}

fn names(characters: &[u8], table: &[[&'static str; 4]]) -> Vec<&'static str> {
    let mut set = Vec::new();
    for (character, names) in characters.iter().zip(table) {
        for (bit, name) in names.iter().enumerate() {
            if character >> bit & 1 == 1 {
                set.push(*name);
            }
        }
    }
    set
}

/// Lower case is read too: the checksum has vouched for the bytes.
fn parse<const CHARACTERS: usize>(data: &[u8]) -> Result<[u8; CHARACTERS], FrameError> {
    let mut characters = [0; CHARACTERS];
    if data.len() != CHARACTERS {
        return expected("one hexadecimal character for each group of bits", data);
    }
    for (character, digit) in characters.iter_mut().zip(data) {
        match char::from(*digit).to_digit(16).map(u8::try_from) {
            Some(Ok(value)) => *character = value,
            _ => return expected("hexadecimal characters", data),
        }
    }
    Ok(characters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_of_a_message_has_a_name_of_its_own() {
        let alarms = AlarmBits::NAMES.iter().chain(&AlarmDetail1Bits::NAMES).chain(&AlarmDetail2Bits::NAMES);
        for table in [alarms.flatten().collect::<Vec<_>>(), WarningBits::NAMES.iter().flatten().collect()] {
            let distinct: std::collections::BTreeSet<_> = table.iter().collect();
            assert_eq!(distinct.len(), table.len());
            for name in table {
                assert!(name.bytes().all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'_')), "{name}");
            }
        }
    }

    #[test]
    fn a_reserved_bit_is_named_by_its_place() {
        for (letter, table) in [("b", &AlarmDetail1Bits::NAMES[..]), ("c", &AlarmDetail2Bits::NAMES)] {
            for (index, character) in table.iter().enumerate() {
                for (bit, name) in character.iter().enumerate() {
                    let place = format!("reserved_{letter}{index}_{}", 1 << bit);
                    assert!(!name.starts_with("reserved") || *name == place, "{name} is {place}");
                }
            }
        }
        assert_eq!(WarningBits::parse(b"8001").unwrap().names(), ["reserved_w0_8", "reserved_w3_1"]);
    }

    #[test]
    fn bits_are_named_from_the_vendors_table() {
        let alarms = AlarmBits::parse(b"01A008").unwrap();
        let expected = ["supply_temp_sensor", "low_process_flow", "current_sensor_1", "system_error"];
        assert_eq!(alarms.names(), expected);
        assert!(alarms.contains("system_error") && !alarms.contains("fan_failure"));
        assert_eq!(AlarmBits::parse(b"FFFFFF").unwrap().names().len(), 24);
        assert!(AlarmBits::parse(b"000000").unwrap().is_empty());
        assert!(AlarmBits::parse(b"00000G").is_err());
    }
}
