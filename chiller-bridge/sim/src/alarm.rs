//! The alarm and warning characters: level 1 (A0-A5), level 2 (B0-B7, C0-C7), warnings (W0-W3),
//! each four bits (manual, page 9). Which bit is lit when is [`super::unit`]'s affair.

use std::fmt;
use std::str::FromStr;

use harness::fault::ConsoleError;

/// One or more bits of one character, written `A2:1` (character, then a hexadecimal digit).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlarmBit {
    group: Group,
    index: usize,
    mask: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    A,
    B,
    C,
    W,
}

impl AlarmBit {
    /// Low coolant level: latched, drops the unit.
    pub const LOW_COOLANT: Self = Self { group: Group::A, index: 2, mask: 1 };
    /// Supply temperature sensor: latched, drops the unit.
    pub const SUPPLY_SENSOR: Self = Self { group: Group::A, index: 1, mask: 1 };
    /// Fan failure: drops the unit, goes when its cause goes.
    pub const FAN_FAILURE: Self = Self { group: Group::A, index: 4, mask: 8 };
}

impl fmt::Display for AlarmBit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}{}:{:X}", self.group, self.index, self.mask)
    }
}

impl FromStr for AlarmBit {
    type Err = ConsoleError;

    fn from_str(text: &str) -> Result<Self, ConsoleError> {
        let wrong = || ConsoleError::Value {
            text: text.to_owned(),
            wanted: "an alarm: A0-A5, B0-B7, C0-C7 or W0-W3, a colon, bits 1-F (as in A2:1)".to_owned(),
        };
        let (place, mask) = text.split_once(':').ok_or_else(wrong)?;
        let mut characters = place.chars();
        let (group, count) = match characters.next() {
            Some('A') => (Group::A, 6),
            Some('B') => (Group::B, 8),
            Some('C') => (Group::C, 8),
            Some('W') => (Group::W, 4),
            _ => return Err(wrong()),
        };
        let index = characters.as_str().parse().map_err(|_| wrong())?;
        let mask = u8::from_str_radix(mask, 16).map_err(|_| wrong())?;
        if index >= count || !(1..=0xF).contains(&mask) {
            return Err(wrong());
        }
        Ok(Self { group, index, mask })
    }
}

/// Every character at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Indications {
    pub(super) a: [u8; 6],
    pub(super) b: [u8; 8],
    pub(super) c: [u8; 8],
    pub(super) w: [u8; 4],
}

impl Indications {
    pub(super) fn light(&mut self, bit: AlarmBit) {
        let group: &mut [u8] = match bit.group {
            Group::A => &mut self.a,
            Group::B => &mut self.b,
            Group::C => &mut self.c,
            Group::W => &mut self.w,
        };
        if let Some(character) = group.get_mut(bit.index) {
            *character |= bit.mask;
        }
        // "System error, details in level 2".
        if bit.group == Group::B {
            self.a[5] |= 8;
        }
    }

    pub(super) fn alarm(&self) -> bool {
        self.a.iter().any(|character| *character != 0)
    }

    pub(super) fn warning(&self) -> bool {
        self.w.iter().any(|character| *character != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_is_written_as_it_is_read() {
        for text in ["A2:1", "A5:8", "C7:F", "W1:8", "B0:1"] {
            assert_eq!(text.parse::<AlarmBit>().unwrap().to_string(), text);
        }
        for wrong in ["A6:1", "A2", "A2:0", "A2:10", "D0:1", "", "A:1", "a2:1", "A-1:1"] {
            assert!(wrong.parse::<AlarmBit>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_level_2_system_bit_lights_the_system_error() {
        let mut lit = Indications::default();
        lit.light("B5:4".parse().unwrap());
        assert_eq!((lit.a[5], lit.b[5], lit.alarm(), lit.warning()), (8, 4, true, false));
    }
}
