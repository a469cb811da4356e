//! The authority's private key as text: PKCS#8 in PEM, encrypted with a passphrase or not.

use pkcs8::pkcs5::pbes2::Parameters;
use pkcs8::pkcs5::scrypt;
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef, SecretDocument};
use rcgen::KeyPair;
use rustls_pki_types::PrivatePkcs8KeyDer;
use zeroize::Zeroizing;

const PLAIN: &str = "PRIVATE KEY";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
/// 16 MiB and about half a second. OpenSSL refuses to read a key that needs more than 32 MiB, so the
/// cost comes from the fourth figure (OWASP's for this memory).
const SCRYPT: (u8, u32, u32) = (14, 8, 5);

/// Why a private key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("holds no private key in PKCS#8 form (-----BEGIN {ENCRYPTED}-----)")]
    Form,
    #[error("is encrypted")]
    Encrypted,
    #[error("cannot be decrypted: the passphrase is wrong")]
    Passphrase,
    #[error("holds a key of a kind that cannot be used: {0}")]
    Kind(String),
    #[error("cannot be encrypted: {0}")]
    Encryption(String),
}

/// The text of `key`; encrypted if there is a passphrase.
///
/// # Errors
/// There are no random numbers.
pub(crate) fn to_pem(key: &KeyPair, passphrase: Option<&str>) -> Result<Zeroizing<String>, KeyError> {
    let failed = |error: &dyn std::fmt::Display| KeyError::Encryption(error.to_string());
    let der = key.serialized_der();
    let (label, document) = match passphrase {
        None => (PLAIN, SecretDocument::try_from(der).map_err(|error| failed(&error))?),
        Some(passphrase) => {
            let (mut salt, mut start) = ([0; 16], [0; 16]);
            getrandom::fill(&mut salt).map_err(|error| failed(&error))?;
            getrandom::fill(&mut start).map_err(|error| failed(&error))?;
            let (log_n, r, p) = SCRYPT;
            let cost = scrypt::Params::new(log_n, r, p).map_err(|error| failed(&error))?;
            let parameters =
                Parameters::generate_scrypt_aes256cbc(cost, &salt, start).map_err(|error| failed(&error))?;
            let plain = PrivateKeyInfoRef::try_from(der).map_err(|error| failed(&error))?;
            let encrypted = plain.encrypt_with_params(parameters, passphrase);
            (ENCRYPTED, encrypted.map_err(|error| failed(&error))?)
        }
    };
    document.to_pem(label, LineEnding::LF).map_err(|error| failed(&error))
}

/// Whether the text is an encrypted key.
pub(crate) fn is_encrypted(text: &str) -> bool {
    text.contains(&format!("-----BEGIN {ENCRYPTED}-----"))
}

/// The key in `text`.
///
/// # Errors
/// The passphrase is missing or wrong, or there is no key.
pub(crate) fn from_pem(text: &str, passphrase: Option<&str>) -> Result<KeyPair, KeyError> {
    let (label, document) = SecretDocument::from_pem(text).map_err(|_| KeyError::Form)?;
    let document = match (label, passphrase) {
        (PLAIN, _) => document,
        (ENCRYPTED, None) => return Err(KeyError::Encrypted),
        (ENCRYPTED, Some(passphrase)) => {
            let encrypted =
                EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| KeyError::Form)?;
            encrypted.decrypt(passphrase).map_err(|_| KeyError::Passphrase)?
        }
        _ => return Err(KeyError::Form),
    };
    let der = PrivatePkcs8KeyDer::from(document.as_bytes());
    KeyPair::try_from(&der).map_err(|error| KeyError::Kind(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_with_its_passphrase_only() {
        let key = KeyPair::generate().unwrap();
        let text = to_pem(&key, Some("correct horse")).unwrap();
        assert!(is_encrypted(&text) && text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
        let again = from_pem(&text, Some("correct horse")).unwrap();
        assert_eq!(again.serialized_der(), key.serialized_der());
        assert_eq!(from_pem(&text, Some("correct horse ")).unwrap_err(), KeyError::Passphrase);
        assert_eq!(from_pem(&text, None).unwrap_err(), KeyError::Encrypted);
    }

    #[test]
    fn two_texts_of_a_key_are_not_alike() {
        let key = KeyPair::generate().unwrap();
        assert_ne!(to_pem(&key, Some("x")).unwrap(), to_pem(&key, Some("x")).unwrap());
    }

    #[test]
    fn a_key_without_a_passphrase_is_plain() {
        let key = KeyPair::generate().unwrap();
        let text = to_pem(&key, None).unwrap();
        assert!(!is_encrypted(&text));
        assert_eq!(from_pem(&text, None).unwrap().serialized_der(), key.serialized_der());
        assert_eq!(from_pem("", None).unwrap_err(), KeyError::Form);
        assert_eq!(from_pem(&text.replace("PRIVATE", "PUBLIC"), None).unwrap_err(), KeyError::Form);
    }
}
