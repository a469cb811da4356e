//! Every value of a request's type that bytes may stand for, so that the codec can say which one it is: a
//! codec turns requests into bytes, and there is no need to write the way back for each instrument.
//!
//! serde's derive knows the variants of a type. This deserializer answers each question that the derive
//! asks (which variant? which flag? which number?) with the first possible answer, then counts on like an
//! odometer. Numbers and words are those that stand in the bytes; so there are few.

use serde::de::value::U32Deserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer as _,
    SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

/// The longest number of a protocol has fewer digits.
const DIGITS: usize = 19;

type Error = serde::de::value::Error;

/// The values of `T` with the numbers and words in `bytes`.
pub fn candidates<T: DeserializeOwned>(bytes: &[u8]) -> impl Iterator<Item = T> + use<T> {
    let mut odometer = Some(Odometer::new(bytes));
    std::iter::from_fn(move || {
        loop {
            let state = odometer.as_mut()?;
            state.at = 0;
            let value = T::deserialize(&mut *state);
            if !state.count_on() {
                odometer = None;
            }
            // A value that does not fit its type is passed over.
            if let Ok(value) = value {
                return Some(value);
            }
        }
    })
}

struct Odometer {
    integers: Vec<i64>,
    words: Vec<String>,
    /// The answer to each question, and how many there are.
    wheels: Vec<(usize, usize)>,
    /// The next question.
    at: usize,
}

impl Odometer {
    fn new(bytes: &[u8]) -> Self {
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        let words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
        let words = words.filter(|word| !word.is_empty()).map(str::to_owned).collect();
        Self { integers: integers(bytes), words, wheels: Vec::new(), at: 0 }
    }

    fn choose(&mut self, of: usize) -> Result<usize, Error> {
        if of == 0 {
            return Err(Error::custom("nothing to choose from"));
        }
        let at = self.at;
        self.at += 1;
        if at == self.wheels.len() {
            self.wheels.push((0, of));
        }
        Ok(self.wheels.get(at).map_or(0, |wheel| wheel.0))
    }

    /// Turns the last wheel that can be turned; false if none can.
    fn count_on(&mut self) -> bool {
        while let Some((answer, of)) = self.wheels.last_mut() {
            *answer += 1;
            if answer < of {
                return true;
            }
            self.wheels.pop();
        }
        false
    }

    fn integer(&mut self) -> Result<i64, Error> {
        let index = self.choose(self.integers.len())?;
        Ok(self.integers.get(index).copied().unwrap_or_default())
    }

    fn word(&mut self) -> Result<String, Error> {
        let index = self.choose(self.words.len())?;
        Ok(self.words.get(index).cloned().unwrap_or_default())
    }
}

/// The numbers in the bytes: whole runs of digits, with the sign before them, and then their parts, since a
/// checksum may follow a number without anything between. Each once.
fn integers(bytes: &[u8]) -> Vec<i64> {
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let value = |from: usize, to: usize| -> Option<i64> {
        std::str::from_utf8(bytes.get(from..to)?).ok()?.parse().ok()
    };
    let (mut whole, mut parts) = (Vec::new(), Vec::new());
    let mut start = 0;
    while start < bytes.len() {
        let end = (start..).find(|at| !digit(*at)).unwrap_or(start);
        for from in start..end {
            for to in from + 1..=end.min(from + DIGITS) {
                let is_whole = (from, to) == (start, end);
                let kept = if is_whole { &mut whole } else { &mut parts };
                let sign = start
                    .checked_sub(1)
                    .filter(|at| from == start && matches!(bytes.get(*at), Some(b'-' | b'+')));
                kept.extend(sign.and_then(|sign| value(sign, to)));
                kept.extend(value(from, to));
            }
        }
        start = end + 1;
    }
    let mut seen = std::collections::HashSet::new();
    whole.into_iter().chain(parts).filter(|number| seen.insert(*number)).collect()
}

macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.visit_i64(self.integer()?)
        }
    )*};
}

#[expect(clippy::cast_precision_loss, reason = "numbers of a serial protocol are short")]
impl<'de> Deserializer<'de> for &mut Odometer {
    type Error = Error;

    numbers! { deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
    deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("not a type that requests have"))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(self.choose(2)? == 1)
    }

    /// In tenths, hundredths and thousandths too: few protocols send a point.
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let integer = self.integer()? as f64;
        let scale = [1.0, 10.0, 100.0, 1000.0].get(self.choose(4)?).copied().unwrap_or(1.0);
        visitor.visit_f64(integer / scale)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.word()?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let letters: Vec<char> = self.words.iter().flat_map(|word| word.chars()).collect();
        let index = self.choose(letters.len())?;
        visitor.visit_char(letters.get(index).copied().unwrap_or_default())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.choose(2)? == 0 { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Fields { left: length, odometer: self })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(fields.len(), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let variant = u32::try_from(self.choose(variants.len())?).map_err(Error::custom)?;
        visitor.visit_enum(Variant { variant, odometer: self })
    }

    forward_to_deserialize_any! { bytes byte_buf seq map identifier ignored_any }
}

struct Fields<'a> {
    left: usize,
    odometer: &'a mut Odometer,
}

impl<'de> SeqAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(&mut *self.odometer).map(Some)
    }
}

struct Variant<'a> {
    variant: u32,
    odometer: &'a mut Odometer,
}

impl<'de, 'a> EnumAccess<'de> for Variant<'a> {
    type Error = Error;
    type Variant = &'a mut Odometer;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), Error> {
        let index: U32Deserializer<Error> = self.variant.into_deserializer();
        Ok((seed.deserialize(index)?, self.odometer))
    }
}

impl<'de> VariantAccess<'de> for &mut Odometer {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(fields.len(), visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Clone, Debug, Deserialize, PartialEq)]
    struct Tenths(i16);

    #[derive(Clone, Debug, Deserialize, PartialEq)]
    enum Colour {
        Red,
        Blue,
    }

    #[derive(Clone, Debug, Deserialize, PartialEq)]
    enum Request {
        Read,
        Light(bool),
        Paint(Colour),
        Go { steps: i32, fast: bool },
        Set(Tenths),
        Warm(f64),
        Call(String),
        Small(u8),
    }

    fn all(bytes: &str) -> Vec<Request> {
        candidates(bytes.as_bytes()).collect()
    }

    #[test]
    fn there_is_every_variant_with_the_numbers_and_words_of_the_bytes() {
        let found = all("GO -1200,7 lamp");
        for request in [
            Request::Read,
            Request::Light(false),
            Request::Light(true),
            Request::Paint(Colour::Red),
            Request::Paint(Colour::Blue),
            Request::Go { steps: -1200, fast: true },
            Request::Go { steps: 7, fast: false },
            Request::Set(Tenths(-1200)),
            Request::Warm(-1.2),
            Request::Call("lamp".to_owned()),
            Request::Small(7),
        ] {
            assert!(found.contains(&request), "{request:?}");
        }
        assert!(found.len() < 300, "{}", found.len());
    }

    #[test]
    fn a_number_is_found_before_a_checksum_and_one_that_does_not_fit_is_none() {
        assert!(all("+0152A3").contains(&Request::Set(Tenths(152))));
        assert!(all("+015203").contains(&Request::Set(Tenths(152))));
        assert!(!all("300").contains(&Request::Small(44)), "300 has more bits than this");
    }

    #[test]
    fn without_numbers_what_needs_one_is_left_out() {
        let left: Vec<_> = [Request::Read, Request::Light(false), Request::Light(true)]
            .into_iter()
            .chain([Request::Paint(Colour::Red), Request::Paint(Colour::Blue)])
            .collect();
        assert_eq!(all("?"), left);
    }
}
