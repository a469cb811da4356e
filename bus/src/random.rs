//! Random words: a session's name, a probe's nonce, the jitter of a back-off.

/// The system has no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("cannot get random numbers from the system")]
pub struct RandomError(#[from] getrandom::Error);

/// 16 hexadecimal digits that nobody can guess.
///
/// # Errors
/// The system has no random numbers.
pub fn word() -> Result<String, RandomError> {
    Ok(format!("{:016x}", getrandom::u64()?))
}

/// From 0 to 1; one half if the system has no random numbers.
#[must_use]
pub fn fraction() -> f64 {
    getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_words_are_the_same() {
        let (one, two) = (word().unwrap(), word().unwrap());
        assert!(one.len() == 16 && one != two);
    }

    #[test]
    fn a_fraction_is_from_zero_to_one() {
        assert!((0..100).all(|_| (0.0..=1.0).contains(&fraction())));
    }
}
